"""@Once with real peers: LANs in namespaces, routers between them, a bridge on each, and a server where bridges meet.

A `Town` is all of that. It knows which clients there are, what each has to have been told of the others, and what each of them
said to whom, so that a check is: let them talk, then compare.
"""

import collections
import contextlib
import os
import secrets
import shutil
import tempfile
import time

import harness
from checks import GivenUp
from checks.meet import ALL_OCTETS, LARGE, frame, short
from harness import Peer
from internet import Internet

CLIENTS = ["zyre", "pyre", "zyre.js", "atonce"]

GROUP = "ALPHA"

# How long it may take until bridges have met, looked around on their LANs, and shown them to each other; seconds.
BRIDGED = 30
# Whatever is said arrives within this time, also while all others talk.
HEARD = 20
# For so long nothing more comes that must not come.
REST = 1.0

SMALL = {
    "text": ["hällo"],
    "all 256 octet values": [frame(ALL_OCTETS)],
    "NUL": ["a\0b"],
    "an empty frame": [""],
}
SEVERAL = {
    "three frames": ["one", "", frame(ALL_OCTETS)],
    "fifty frames": [f"{n}" * n for n in range(50)],
}
BIG = {
    "1 MiB": [frame(LARGE)],
    "two frames of 300 KiB": [frame(LARGE[:300_000]), "y" * 300_000],
}


class Seen:
    """What a client was told of somebody."""

    def __init__(self):
        self.name = None
        self.headers = {}
        self.endpoint = None
        self.groups = set()
        self.here = False
        self.enters = 0
        self.exits = 0


def seen(client):
    """UUID -> Seen, of all whom a client was told of."""
    found = collections.defaultdict(Seen)
    for event in client.drain():
        one = found[event.get("peer")]
        if event["event"] == "enter":
            one.name, one.headers, one.endpoint = event["name"], event["headers"], event["endpoint"]
            one.here = True
            one.enters += 1
        elif event["event"] == "exit":
            one.here = False
            one.groups.clear()
            one.exits += 1
        elif event["event"] == "join":  # zyre.js tells of groups before it tells of who is in them
            one.groups.add(event["group"])
        elif event["event"] == "leave":
            one.groups.discard(event["group"])
    return found


def movements(client, since=0):
    """Who came and went, in order, from this event on."""
    return [(e["event"], e["peer"], e.get("name")) for e in client.drain()[since:] if e["event"] in ("enter", "exit")]


class Town:
    def __init__(self, report, net):
        self.report = report
        self.net = net
        self.folder = tempfile.mkdtemp(prefix="town-", dir=harness.logs)
        self.clients = []
        self.bridges = []
        self.server = None
        # What was said and is to be heard: (speaker's UUID, hearer) -> [(kind, group, content)], and where its events begin.
        self.due = collections.defaultdict(list)
        self.from_here = collections.Counter()
        self.said = 0
        # What every server and bridge is told of who may take part.
        self.security = []
        # LANs that are on their own now.
        self.cut = set()

    # -- who is there ------------------------------------------------------------------------------

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o600)
        return path

    def secret(self, text=None):
        """A secret in a file, as options."""
        name = f"secret-{secrets.token_hex(4)}"
        return ["--secret-file", self.file(name, (text or secrets.token_hex(32)) + "\n")]

    def state(self):
        """A place for the key that a secret alone makes."""
        return os.path.join(self.folder, f"state-{secrets.token_hex(4)}")

    def start(self, *wanted):
        """Starts all of them at once; each is (kind, name, host, options). Waits until they run."""
        peers = []
        for kind, name, host, options in wanted:
            peer = Peer(kind, name, host, [*options, *self.report.options(name)])
            self.report.watch(peer)
            peers.append(peer)
        for peer in peers:
            event = peer.expect(event="start", within=20)
            peer.uuid, peer.endpoint = event["uuid"], event.get("endpoint")
        return peers

    def populate(self, lan, kinds, options=(), prefix=None):
        """Clients on a LAN, one of each kind, each in the group and with a header."""
        prefix = prefix or f"lan{lan.number}"
        wanted = [(kind, f"{prefix} {kind} {n}", lan.host(),
                   ["--group", GROUP, "--header", f"X-PLACE={prefix}", *options]) for n, kind in enumerate(kinds)]
        return lan, wanted, prefix

    def settle_in(self, *populations):
        """Starts what `populate` says, all at once."""
        wanted = [one for _, wanted, _ in populations for one in wanted]
        places = [(lan, prefix) for lan, wanted, prefix in populations for _ in wanted]
        fresh = self.start(*wanted)
        for client, (lan, prefix) in zip(fresh, places):
            client.lan, client.place, client.groups = lan, prefix, {GROUP}
        self.clients += fresh
        return fresh

    def serve(self, lan, *options, security=None, name="server"):
        host = lan.hosts[0] if lan.hosts else lan.host()
        self.server, = self.start(("server", name, host, [
            "--state", self.state(), *(self.security if security is None else security), *options]))
        self.server.host = host
        return self.server

    def bridge(self, lan, *options, host=None, security=None, name=None, server=None, state=None):
        """A bridge on a host of its own, that knows the server."""
        host = host or lan.host()
        name = name or f"bridge of lan{lan.number}"
        state = state or self.state()
        bridge, = self.start(("bridge", name, host, [
            "--server", server or self.server.host.address, "--state", state,
            *(self.security if security is None else security), *options]))
        bridge.host, bridge.lan, bridge.state = host, lan, state
        self.bridges.append(bridge)
        return bridge

    def on(self, lan):
        return [client for client in self.clients if client.lan is lan]

    def elsewhere(self, lan):
        return [client for client in self.clients if client.lan is not lan]

    def gone(self, *clients):
        """They ended; nobody need see them any more."""
        for client in clients:
            self.clients.remove(client)

    # -- what they are told ------------------------------------------------------------------------

    def apart(self, one, other):
        """Whether there is no way from one client to another."""
        return one.lan is not other.lan and bool(self.cut & {one.lan, other.lan})

    def wrong(self, client):
        """What a client was told and should not have been, or should have been and was not."""
        told, wrong = seen(client), []
        for other in self.clients:
            if other is client:
                continue
            one = told[other.uuid]
            far = other.lan is not client.lan
            if one.here == self.apart(client, other):
                wrong.append(f"{other.name} is {'here' if one.here else 'not here'}")
            elif one.here:
                if one.name != other.name or one.headers.get("X-PLACE") != other.place:
                    wrong.append(f"{other.name} is called {one.name!r} with {one.headers}")
                if one.groups != other.groups:
                    wrong.append(f"{other.name} is in {sorted(one.groups)}, not in {sorted(other.groups)}")
                via = one.headers.get("X-ONCE-VIA")
                if bool(via) != far:
                    wrong.append(f"{other.name} says X-ONCE-VIA: {via}")
        known = {other.uuid for other in self.clients}
        for uuid, one in told.items():
            if one.here and uuid not in known and "X-ONCE" not in one.headers:
                wrong.append(f"{one.name} ({uuid}) is here, and should not be")
        return wrong

    def all_see(self, within=BRIDGED, clients=None):
        """Waits until each client, or each of these, sees all that it has a way to, as they are, and nobody else."""
        began = time.monotonic()
        while True:
            wrong = {client: self.wrong(client) for client in clients or self.clients}
            wrong = {client: found for client, found in wrong.items() if found}
            if not wrong:
                return f"after {time.monotonic() - began:.1f} s"
            if time.monotonic() - began > within:
                told = [f"{client.name} ({client.kind}): {'; '.join(found[:4])}" for client, found in wrong.items()]
                raise AssertionError(f"{len(wrong)} of {len(clients or self.clients)} clients do not see what is there: "
                                     + " | ".join(told[:6]))
            time.sleep(0.05)

    def positions(self):
        """How much each client was told so far, for `unmoved`."""
        return {client: len(client.drain()) for client in self.clients}

    def unmoved(self, positions, seconds=0.0, but=None):
        """Nobody but this UUID came or went for any client since then, and for this time; bridges may, on their own LAN."""
        time.sleep(seconds)
        for client in self.clients:
            other = {but, *(bridge.uuid for bridge in self.bridges if bridge.lan is client.lan)}
            moved = [one for one in movements(client, positions.get(client, 0)) if one[1] not in other]
            assert not moved, f"{client.name} ({client.kind}) was told {moved[:4]}"

    def once_each(self, clients=None):
        """Each client was told once of each other one, and of nobody's exit."""
        for client in clients or self.clients:
            told = seen(client)
            for other in self.clients:
                if other is not client:
                    one = told[other.uuid]
                    assert (one.enters, one.exits) == (1, 0), \
                        f"{client.name} was told of {other.name}: ENTER {one.enters} times, EXIT {one.exits} times"

    # -- what they say -----------------------------------------------------------------------------

    @staticmethod
    def heard_of(content, hearer):
        """zyre.js keeps the first frame only."""
        return content[:1] if hearer.kind == "zyre.js" else content

    def whisper(self, speaker, hearer, content):
        speaker.send(do="whisper", peer=hearer.uuid, content=content)
        self.due[speaker.uuid, hearer].append(("whisper", None, self.heard_of(content, hearer)))
        self.said += 1

    def shout(self, speaker, group, content):
        speaker.send(do="shout", group=group, content=content)
        for hearer in self.clients:
            if hearer is not speaker and group in hearer.groups and not self.apart(speaker, hearer):
                self.due[speaker.uuid, hearer].append(("shout", group, self.heard_of(content, hearer)))
                self.said += 1

    def heard(self, lossy=False, within=HEARD, rest=REST):
        """Everything that was said arrived, once each, in order and as it is, and nothing else did. `lossy`: some of it may be lost."""
        deadline = time.monotonic() + within
        hearers = {hearer for _, hearer in self.due}
        count = {hearer: sum(len(due) for (_, who), due in self.due.items() if who is hearer) for hearer in hearers}

        def here(hearer):
            events = hearer.drain()[self.from_here[hearer]:]
            return [e for e in events if e["event"] in ("whisper", "shout")]

        while not lossy and time.monotonic() < deadline and any(len(here(h)) < count[h] for h in hearers):
            time.sleep(0.02)
        time.sleep(rest if not lossy else max(rest, 4.0))
        total = 0
        for hearer in self.clients:
            told = collections.defaultdict(list)
            for event in here(hearer):
                told[event["peer"]].append((event["event"], event.get("group"), event["content"]))
            for speaker in set(told) | {speaker for speaker, who in self.due if who is hearer}:
                total += len(told[speaker])
                self.compare(speaker, hearer, told[speaker], self.due[speaker, hearer], lossy)
        self.forget()
        return f"{total} of {sum(count.values())} messages"

    def compare(self, speaker, hearer, found, due, lossy):
        names = {client.uuid: client.name for client in self.clients}
        who = f"{names.get(speaker, speaker)} -> {hearer.name} ({hearer.kind})"
        if lossy:
            rest = iter(due)
            for one in found:
                assert any(one == other for other in rest), \
                    f"{who}: {short(one)} came twice, late, or was never said"
            return
        if found != due:
            at = next((n for n, pair in enumerate(zip(found, due)) if pair[0] != pair[1]), min(len(found), len(due)))
            got, want = ([short(one) for one in many[at:at + 2]] for many in (found, due))
            raise AssertionError(f"{who}: {len(found)} of {len(due)} came; message {at} is {got} instead of {want}")

    def forget(self):
        """What was said so far is of no interest any more."""
        self.due.clear()
        for client in self.clients:
            self.from_here[client] = len(client.drain())

    def chat(self, speakers=None, hearers=None, what=None, lossy=False):
        """Each whispers to each and shouts, and all of it arrives. What each says is unlike anything said before."""
        speakers, hearers = speakers or self.clients, hearers or self.clients
        for speaker in speakers:
            for name, content in (what or {"text": ["hello"]}).items():
                if len(content) > 1 and speaker.kind == "zyre.js":
                    continue
                for hearer in hearers:
                    if hearer is not speaker and not self.apart(speaker, hearer):
                        self.whisper(speaker, hearer, [*content])
                        if len(content) == 1 and len(str(content)) < 100:
                            self.whisper(speaker, hearer, [f"{name} {self.said} of {speaker.name}"])
                self.shout(speaker, GROUP, [*content])
            self.shout(speaker, GROUP, [f"shout {self.said} of {speaker.name}"])
        return self.heard(lossy=lossy)

    def moves(self, group="BETA"):
        """Each joins another group and leaves it, and is heard by its members only meanwhile."""
        for client in self.clients:
            client.send(do="join", group=group)
            client.groups.add(group)
        self.all_see()
        for client in self.clients:
            self.shout(client, group, [f"to {group} {self.said}"])
        told = self.heard()
        left = self.clients[::2]
        for client in left:
            client.send(do="leave", group=group)
            client.groups.discard(group)
        self.all_see()
        for client in self.clients:
            self.shout(client, group, [f"to the rest of {group} {self.said}"])
        self.heard()
        for client in self.clients:
            if group in client.groups:
                client.send(do="leave", group=group)
                client.groups.discard(group)
        self.all_see()
        return told

    def leave(self, client, within=3.0):
        """Stops a client politely; each other one is told soon."""
        since = self.positions()
        began = time.monotonic()
        status = client.stop()
        assert status == 0, f"exit status {status}"
        self.gone(client)
        return self.missed(client, since, began, within)

    def kill(self, client, hearers, within=5.0):
        """SIGKILL of a client; these others are told soon."""
        since = self.positions()
        began = time.monotonic()
        client.kill()
        self.gone(client)
        return self.missed(client, since, began, within, hearers)

    def missed(self, client, since, began, within, hearers=None):
        """These clients, or all, are told that one is gone."""
        latest = 0.0
        for other in hearers or self.clients:
            while not (exits := [e for e in other.drain()[since[other]:] if e["event"] == "exit"
                                 and e["peer"] == client.uuid]):
                assert time.monotonic() - began < within, f"{other.name} ({other.kind}) is not told that {client.name} is gone"
                time.sleep(0.01)
            latest = max(latest, exits[0]["seen"] - began)
        return f"EXIT within {round(latest * 1000)} ms"

    # -- bridges -----------------------------------------------------------------------------------

    def died(self):
        """Servers and bridges that ended by themselves."""
        return [peer.name for peer in [self.server, *self.bridges] if peer and peer in harness.running
                and peer.process.poll() is not None]

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def town(report):
    with report.network(Internet) as net:
        place = Town(report, net)
        try:
            yield place
            report.check("no bridge and no server ended by itself", lambda: assert_none(place.died()))
        except GivenUp:
            raise
        finally:
            place.close()


def assert_none(found):
    assert not found, found
