"""Bridges behind routers that masquerade: one of two, and both."""

import socket
import threading
import time

from checks.meet import frame
from checks.once import GROUP, SMALL, town
from packets import Packets, frames

HALL = "GROUP OF THOSE IN THE HALL"
SAID = "words that are for those in the hall"
PRIVATE = "192.168.1"
WAN_PORT = 5671

# That of the mailbox of a bridge, where a stranger is to be.
PORT = 50600

# Two bridges look for each other for so long before they ask for a relay; seconds.
ASKS = 10


def one(report, security):
    """A bridge that can dial and not be dialled: one link carries both directions."""
    with town(report) as here:
        home, b, place = here.net.lan(PRIVATE, masquerade=True), here.net.lan(), here.net.lan()
        here.security = here.secret() if security == "secret" else ["--open"]
        here.serve(place)
        here.settle_in(here.populate(home, ["zyre", "pyre"]), here.populate(b, ["zyre.js", "atonce"]))
        outside = b.host()
        with Packets(outside) as packets:
            behind = here.bridge(home)
            public = here.bridge(b, host=outside)
            report.must("one of two LANs is behind NAT: all see each other", here.all_see)
            report.check("both ways, each to each", lambda: here.chat(what=SMALL))
            report.check("JOIN and LEAVE both ways", here.moves)
            report.check("nobody was missed", here.once_each)
        flows, datagrams, _ = packets.read()

        def one_link():
            """Its contact has its private address, which may be tried; whoever says more than a SYN there said it to a stranger."""
            said = [str(flow) for flow in flows if flow.to.startswith(f"{PRIVATE}.") and flow.pieces]
            assert not said, f"something was said to {said}"
            links = [flow for flow in flows if flow.source == home.outside and flow.pieces and flow.to == outside.address]
            back = [flow for flow in flows if flow.to == home.outside and flow.pieces and flow.source == outside.address]
            # Each is a direction; what goes back goes back on a link that came.
            ports = {flow.port for flow in links}
            assert links and ports == {flow.to_port for flow in back}, (list(map(str, links)), list(map(str, back)))
            return f"{len(links)} link"

        report.check("it is one link that the one behind NAT made, and nothing is said to its private address", one_link)

        def nothing_broadcast():
            """Neither to all of a LAN nor to everybody, at the port of directed beacons."""
            directed = [d for d in datagrams if d.port == WAN_PORT]
            assert directed, "there was no directed beacon"
            wide = [d.to for d in directed if d.to.endswith(".255")]
            assert not wide, f"broadcast to {set(wide)}"
            return f"{len(directed)} directed beacons"

        report.check("beacons of bridges and servers are to each other only", nothing_broadcast)

        def returns():
            nonlocal behind
            behind.kill()
            here.bridges.remove(behind)
            here.cut = {home}
            here.all_see(within=35, clients=here.on(b))
            behind = here.bridge(home, host=behind.host, state=behind.state)
            here.cut.clear()
            took = here.all_see(within=60)
            here.chat()
            return took

        report.check("the one behind NAT is killed and returns", returns)

        def other_returns():
            nonlocal public
            public.kill()
            here.bridges.remove(public)
            here.cut = {b}
            here.all_see(within=35, clients=here.on(home))
            public = here.bridge(b, host=public.host, state=public.state)
            here.cut.clear()
            took = here.all_see(within=60)
            here.chat()
            return took

        report.check("the other one is killed and returns", other_returns)


def converse(here):
    """All that clients do, with words that can be looked for."""
    for client in here.clients:
        client.send(do="join", group=HALL)
        client.groups.add(HALL)
    here.all_see()
    for client in here.clients:
        for other in here.elsewhere(client.lan):
            here.whisper(client, other, [f"{SAID}, of {client.name}"])
            here.whisper(client, other, [frame(SAID.encode().ljust(300_000, b"."))])
        here.shout(client, HALL, [f"{SAID}, all of you, says {client.name}"])
    told = here.heard()
    for client in here.clients:
        client.send(do="leave", group=HALL)
        client.groups.discard(HALL)
    here.all_see()
    return told


class Stranger:
    """Whoever happens to be at an address: it takes connections, says hello as a node with keys does, and keeps what it hears."""

    def __init__(self, host, port):
        with host.inside():
            self.listener = socket.create_server((host.address, port))
        self.heard = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=[connection], daemon=True).start()

    def _hear(self, connection):
        heard = bytearray()
        self.heard.append(heard)
        connection.sendall(b"\xff" + bytes(8) + b"\x7f" + bytes((3, 1)) + b"CURVE".ljust(20, b"\0") + b"\1" + bytes(31))
        try:
            while octets := connection.recv(1 << 16):
                heard += octets
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def needles(clients):
    wanted = {"a group": HALL.encode(), "another group": GROUP.encode(), "content": SAID.encode(), "a header": b"X-PLACE"}
    for client in clients:
        wanted |= {f"the name of {client.name}": client.name.encode(), f"the UUID of {client.name}": bytes.fromhex(client.uuid),
                   f"the UUID of {client.name} in letters": client.uuid.encode(),
                   f"the UUID of {client.name} in small letters": client.uuid.lower().encode(),
                   f"the endpoint of {client.name}": client.endpoint.encode()}
    return wanted


def all_octets(packets):
    """All that passed, each direction of each connection as a whole; what came in datagrams."""
    flows, datagrams, _ = packets.read()
    streams = [flow.octets() for flow in flows if flow.pieces]
    return b"\n".join([*streams, *(d.octets for d in datagrams)])


def two(report):
    """Neither can dial the other: the server passes octets on, and learns nothing of what they are about."""
    with town(report) as here:
        # As at home: both networks have the same addresses, so that the private one of the other leads to a stranger.
        one, other, place = (here.net.lan(PRIVATE, masquerade=True), here.net.lan(PRIVATE, masquerade=True), here.net.lan())
        here.security = here.secret()
        with Packets(place.host()) as packets:
            here.serve(place, "--relay")
            here.settle_in(here.populate(one, ["zyre", "pyre"]), here.populate(other, ["zyre.js", "zyre", "atonce"]))
            inside, beside = one.host(), one.host()
            with Packets(inside) as control, Stranger(beside, PORT) as stranger:
                here.bridge(one, host=inside)
                behind = here.bridge(other, "--wan-tcp-port", f"{PORT}")
                assert behind.endpoint == f"tcp://{beside.address}:{PORT}", behind.endpoint
                report.must("both LANs are behind NAT, with the same addresses: the relay lets all see each other",
                            lambda: here.all_see(within=ASKS + 30))
                report.check("both ways, each to each", lambda: here.chat(what=SMALL))
                said = report.check("they talk of what can be looked for", lambda: converse(here))
                report.check("nobody was missed", here.once_each)
            plain = all_octets(control)

            def nothing_to_hear():
                assert stranger.heard, "nobody came"
                for heard in stranger.heard:
                    greeting, said = frames(bytes(heard))
                    names = [body[1:1 + body[0]] for _, body in said]
                    # HELLO of CURVE has a key that was made for this once, and is sealed for somebody else.
                    assert greeting[12:32] == b"CURVE".ljust(20, b"\0") and names in ([], [b"HELLO"]), (greeting, names)
                return f"it came {len(stranger.heard)} times, and said no more than HELLO of CURVE"

            report.check("a stranger is at the private address of the other one: he is told nothing", nothing_to_hear)
        passed = all_octets(packets)
        wanted = needles(here.clients)

        def learns_nothing():
            assert said
            # On the LAN it is all to be seen: so it would be found.
            here_only = needles(here.on(one))
            missing = [what for what, octets in wanted.items() if octets not in plain and "letters" not in what
                       and ("endpoint" not in what or what in here_only)]
            assert not missing, f"not even found on the LAN: {missing}"
            assert len(passed) > 6 * 300_000, f"only {len(passed)} octets passed the server"
            found = [what for what, octets in wanted.items() if octets in passed]
            assert not found, f"the server can read {found}"
            return f"0 of {len(wanted)} found in {len(passed)} octets"

        report.check("nothing that passes the server has a client's name, UUID, endpoint, group, header or content", learns_nothing)

        def server_dies():
            """The relay goes with the server; what it carried is lost, and comes back with it."""
            server = here.server
            server.kill()
            here.server = None
            here.cut = {one}
            here.all_see(within=45)
            here.serve(place, "--relay", name="server again")
            here.cut.clear()
            took = here.all_see(within=90)
            here.chat()
            return took

        report.check("the relay is killed and returns: they come back", server_dies)


def no_relay(report):
    """Neither can dial the other, and nobody relays: it is told."""
    with town(report) as here:
        one, other, place = (here.net.lan(PRIVATE, masquerade=True), here.net.lan(PRIVATE, masquerade=True), here.net.lan())
        here.security = here.secret()
        here.serve(place)
        here.settle_in(here.populate(one, ["zyre"]), here.populate(other, ["zyre.js"]))
        bridges = here.bridge(one), here.bridge(other)
        for bridge in bridges:
            bridge.expect(event="met", peer=here.server.uuid, anywhere=True, within=20)

        def told():
            deadline = time.monotonic() + ASKS + 15
            while not (found := [(bridge, e) for bridge in bridges for e in bridge.drain() if e["event"] == "out-of-reach"]):
                assert time.monotonic() < deadline, [e["event"] for e in bridges[0].events]
                time.sleep(0.1)
            for bridge, event in found:
                other, = (one for one in bridges if one is not bridge)
                assert event["bridge"] == other.uuid, event

        report.check("both LANs are behind NAT and nobody relays: a bridge tells that it cannot reach the other", told)
        here.cut = {one}
        report.check("and nobody sees the other LAN", lambda: here.all_see(within=1))


def jobs():
    yield "once: one behind NAT, with a secret", lambda report: one(report, "secret")
    yield "once: one behind NAT, open", lambda report: one(report, "open")
    yield "once: both behind NAT", two
    yield "once: both behind NAT, no relay", no_relay
