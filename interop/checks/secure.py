"""Secure networks, with certificates: what ours and C Zyre say, what others can read of it, who is not let in."""

import contextlib
import functools
import os
import secrets
import shutil
import socket
import struct
import tempfile
import time

import harness
from checks import end, gone, meet, ms, odd, wrap
from checks.certs import run, theirs
from checks.gone import both_enter, count
from checks.meet import enters, heard, leaves, start
from harness import Missing
from netns import Network
from packets import Packets, frames
from raw import GREETING, RawNode, decode_beacon, frame, ready

# What passes is read octet by octet, and packets.py reads IPv4.
IPV4 = functools.partial(Network, ipv6=False)

PORT = 5670
INTERVAL = 0.2  # seconds between two beacons: what must not happen has many occasions
OPTIONS = [*meet.OPTIONS, "--interval", f"{round(INTERVAL * 1000)}"]
# For so long nothing happens that must not happen, in seconds: twenty beacons of each.
NEVER = 4.0

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def octets_of(key):
    """The 32 octets of a key in Z85."""
    found = b""
    for at in range(0, len(key), 5):
        number = 0
        for character in key[at:at + 5]:
            number = number * 85 + Z85.index(character)
        found += number.to_bytes(4, "big")
    return found


class Keys:
    """A certificate for each name, and a folder with those that everybody trusts who is not told otherwise."""

    def __init__(self, *listed, unlisted=()):
        self.folder = tempfile.mkdtemp(prefix="atonce-secure-")
        self.trusted = os.path.join(self.folder, "trusted")
        os.mkdir(self.trusted)
        self.of = {}
        self.trust = {}
        for name in (*listed, *unlisted):
            self.make(name)
        for name in listed:
            self.list(name)

    def path(self, name):
        return os.path.join(self.folder, f"{name}.cert")

    def make(self, name):
        """That of bert is made by CZMQ, the others by ours."""
        path = self.path(name)
        while name not in self.of or octets_of(self.of[name])[0] == 0:
            # C does not see beacons of a key that begins with zero, and makes some.
            if name == "bert":
                self.of[name] = theirs("save", path)["public"]
            else:
                self.of[name] = run([harness.ATONCE, "keygen", path]).strip()

    def list(self, name):
        shutil.copy(self.path(name), os.path.join(self.trusted, f"{name}.cert"))

    def options(self, name):
        """Those of a node: `anna2` has the certificate of `anna`."""
        name = name.rstrip("0123456789")
        if name not in self.of:
            return []
        trust = self.trust.get(name, self.trusted)
        return ["--cert", self.path(name), *(["--trust", trust] if trust else [])]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


def secured(report, job, owners=("anna", "bert"), **more):
    """A job of plain networks in a secure one."""
    with Keys(*owners) as keys:
        report.options = keys.options
        job(report, **more)


def absent(uuid, *peers):
    """Nobody was ever told that it is here."""
    for peer in peers:
        found = count(peer, "enter", uuid)
        assert found == 0, f"{peer.name} ({peer.kind}) is told that {uuid} enters"


def lonely(*peers):
    """Those were never told that anybody is here."""
    for peer in peers:
        peer.gather(0.01)
        found = [e for e in peer.events if e["event"] in ("enter", "whisper", "shout")]
        assert not found, f"{peer.name} ({peer.kind}) heard {found}"


def calm(*peers):
    """Nobody who was here was missed or left. (C tells of nobodies, too, and is alarmed when nobody speaks for 5 s.)"""
    for peer in peers:
        peer.gather(0.01)
        here = {e["peer"] for e in peer.events if e["event"] == "enter"}
        alarms = ("exit", "silent") if peer.kind == "zyre" else ("exit", "silent", "evasive")
        found = [e for e in peer.events if e["event"] in alarms and e["peer"] in here]
        assert not found, f"{peer.name} ({peer.kind}) heard {found}"


def chat(x, y, seconds=0.0):
    """Whispers and shouts both ways, again and again for this time."""
    rounds, until = 0, time.monotonic() + seconds
    while True:
        rounds += 1
        for one, other in ((x, y), (y, x)):
            for kind, where in (("whisper", {"peer": other.uuid}), ("shout", {"group": "ALPHA"})):
                content = [f"{kind} {rounds} of {one.name}", meet.frame(secrets.token_bytes(40))]
                one.send(do=kind, content=content, **where)
                heard(other, kind, content, peer=one.uuid, content=content)
        if time.monotonic() >= until:
            return f"{rounds} rounds"
        time.sleep(0.1)


def mailbox(peer):
    address, _, port = peer.endpoint.removeprefix("tcp://").rpartition(":")
    return address, int(port)


# -- what can be read -------------------------------------------------------------------------------

SPEAKERS = ("anna", "bert")
NAMES = {"anna": "anna of the far away hall", "bert": "bert of the far away hall"}
TOGETHER, APART = "GROUP OF THOSE IN THE HALL", "GROUP THAT IS JOINED LATER"
HEADER = "X-PLACE-TO-BE", "the hall far away"
SAID = "words that are for those in the hall"
LARGE = 5 << 20


def converse(report, kind, host, net):
    """All that two nodes say to each other in their lives; what of it is nobody's business, and the two."""
    options = ["--group", TOGETHER, "--header", "X-PLACE=hall", "--header", "=".join(HEADER), "--interval", "200"]
    ours = start(report, "atonce", NAMES["anna"], host, options)
    theirs = start(report, kind, NAMES["bert"], net.host(), options)
    enters(ours, theirs, group=TOGETHER)
    enters(theirs, ours, group=TOGETHER)
    large = secrets.token_bytes(LARGE)
    secret = {
        "a group of both": TOGETHER, "a group that is joined": APART, "a name": NAMES["anna"],
        "the other name": NAMES["bert"], "the name of a header": HEADER[0],
        "the value of a header": HEADER[1], "text": SAID, "the Identity": bytes.fromhex(ours.uuid),
        "the other Identity": bytes.fromhex(theirs.uuid), "an endpoint": ours.endpoint,
        "the other endpoint": theirs.endpoint, "the type of a socket": "DEALER",
        "the type of the other socket": "ROUTER",
    }
    secret |= {f"large content at {at}": large[at:at + 16] for at in range(0, LARGE - 16, LARGE // 25)}
    for x, y in ((ours, theirs), (theirs, ours)):
        contents = {"text": [SAID], "frames": [SAID, "", meet.frame(meet.ALL_OCTETS)],
                    "5 MiB": [meet.frame(large)]}
        for content in contents.values():
            x.send(do="whisper", peer=y.uuid, content=content)
            heard(y, "whisper", content, peer=x.uuid, content=content)
            x.send(do="shout", group=TOGETHER, content=content)
            heard(y, "shout", content, peer=x.uuid, group=TOGETHER, content=content)
        x.send(do="join", group=APART)
        y.expect(event="join", peer=x.uuid, group=APART)
        x.send(do="leave", group=APART)
        y.expect(event="leave", peer=x.uuid, group=APART)
    calm(ours, theirs)
    leaves(theirs, ours)
    end(ours)
    # The goodbye that is the last beacon.
    time.sleep(0.3)
    secret = {what: text if isinstance(text, bytes) else text.encode() for what, text in secret.items()}
    return secret, ours, theirs


def listened(report, kind):
    """Converses, and what passes the device of ours meanwhile."""
    with report.network(IPV4) as net:
        host = net.host()
        with Packets(host) as packets:
            secret, ours, theirs = converse(report, kind, host, net)
        flows, datagrams, others = packets.read()
    # Of the rest nothing is of ours: who has which address, and what the kernel says for IPv6 and of groups.
    kinds = {packet[12:14] for packet in others if packet[23] != socket.IPPROTO_IGMP}
    assert kinds <= {b"\x08\x06", b"\x86\xdd"}, kinds
    stray = [d for d in datagrams if d.port != PORT]
    assert not stray, stray
    spoken = [flow for flow in flows if flow.pieces]
    return secret, (ours, theirs), [(flow, flow.octets()) for flow in spoken], datagrams


def beacons_of(datagrams, peer):
    found = [d.octets for d in datagrams if decode_beacon(d.octets)["uuid"] == peer.uuid]
    assert len(found) >= 2, f"{len(found)} beacons of {peer.name}"
    return found


def handshake(flow, octets):
    """Takes a direction of a connection apart: it is CURVE to the last octet. What its commands are."""
    greeting, units = frames(octets)
    assert greeting[12:32] == b"CURVE".ljust(20, b"\0"), f"{flow}: {greeting}"
    names = []
    for flags, body in units:
        size = body[0]
        name = body[1:1 + size].decode()
        names.append(name)
        assert bool(flags & 4) == (name != "MESSAGE") and not flags & 1, (flow, flags, name)
    # When one of ours leaves, the other dials it anew for a moment, and hears no more than a greeting.
    assert names[:2] in (["HELLO", "INITIATE"], ["WELCOME", "READY"], ["HELLO"], []), (str(flow), names[:3])
    assert set(names[2:]) <= {"MESSAGE"}, (str(flow), set(names))
    return names


def read(report, kind):
    """Two nodes talk, once in clear and once with keys; what somebody between them learns."""
    plain = secret = None

    def control():
        nonlocal plain
        plain = listened(report, kind)
        wanted, peers, streams, datagrams = plain
        whole = b"\n".join(octets for _, octets in streams)
        missing = [what for what, octets in wanted.items() if octets not in whole]
        assert not missing, f"not found: {missing}"
        for peer in peers:
            assert {len(beacon) for beacon in beacons_of(datagrams, peer)} == {22}
        return f"{len(wanted)} of {len(wanted)} found in {len(whole)} octets"

    report.must(f"with {kind}, without keys: names, groups, headers and content can be read", control)
    with Keys(*SPEAKERS) as keys:
        report.options = lambda name: keys.options(name.split()[0])

        def talked():
            nonlocal secret
            secret = listened(report, kind)

        report.must("with keys they say the same", talked)
        wanted, peers, streams, datagrams = secret

        def unreadable():
            tcp = {"a key": octets_of(keys.of["anna"]), "the other key": octets_of(keys.of["bert"]),
                   "a key in Z85": keys.of["anna"].encode(), "the other key in Z85": keys.of["bert"].encode(),
                   "a header": b"X-PUBLICKEY", "a property": b"Identity", "another property": b"Socket-Type"}
            whole = b"\n".join(octets for _, octets in streams)
            assert len(whole) > 4 * LARGE, f"{len(whole)} octets"
            found = [what for what, octets in (wanted | tcp).items() if octets in whole]
            assert not found, f"in clear: {found}"
            told = b"\n".join(d.octets for d in datagrams)
            found = [what for what, octets in wanted.items() if octets in told and "Identity" not in what]
            assert not found, f"in clear in beacons: {found}"
            return f"0 of {len(wanted) + len(tcp)} found in {len(whole)} octets"

        def sealed():
            commands = [handshake(flow, octets) for flow, octets in streams]
            first = sorted(names[0] for names in commands if len(names) > 1)
            # A connection each way, and nobody came twice.
            assert first == ["HELLO", "HELLO", "WELCOME", "WELCOME"], first
            return f"{sum(names.count('MESSAGE') for names in commands)} frames MESSAGE"

        def beacons():
            for name, peer in zip(SPEAKERS, peers):
                ports = set()
                for octets in beacons_of(datagrams, peer):
                    beacon = decode_beacon(octets)
                    assert len(octets) == 54 and beacon["version"] == 3, beacon
                    assert bytes.fromhex(beacon["key"]) == octets_of(keys.of[name]), beacon
                    ports.add(beacon["port"])
                assert ports == {mailbox(peer)[1], 0}, f"{name}: {ports}"
            return f"{len(datagrams)} beacons"

        report.check("nothing of it can be read", unreadable)
        report.check("every octet on TCP is a greeting, a handshake of CURVE, or within its MESSAGE", sealed)
        report.check("every beacon is version 3 with the key of its node, also the last with port 0", beacons)


# -- who is not let in ------------------------------------------------------------------------------

def dials(flows, x, y):
    """The connections that x made to the mailbox of y, as [(what x said, what y said)]."""
    address, port = mailbox(y)
    one = {flow.port: flow for flow in flows
           if (flow.source, flow.to, flow.to_port) == (mailbox(x)[0], address, port)}
    back = {flow.to_port: flow for flow in flows
            if (flow.to, flow.source, flow.port) == (mailbox(x)[0], address, port)}
    # A piece that was said twice, or never arrived, is of no interest here.
    return [(flow.octets(), back[at].octets() if at in back else b"") for at, flow in one.items()]


ERROR_400 = b"\x04\x0a\x05ERROR\x03400"


def stranger_of_ours(report):
    """A node of ours whose key nobody listed, beside one of ours and one of C, which let in those that are listed."""
    with Keys("anna", "bert", unlisted=["eve"]) as keys, report.network(IPV4) as net:
        report.options = keys.options
        keys.trust["eve"] = "any"
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        bert = start(report, "zyre", "bert", net.host(), [*OPTIONS, "--verbose"])
        report.must("two that are listed meet", lambda: both_enter(anna, bert))
        place = net.host()
        with Packets(place) as packets:
            eve = start(report, "atonce", "eve", place, OPTIONS)

            def never():
                said = chat(anna, bert, NEVER)
                absent(eve.uuid, anna, bert)
                lonely(eve)
                return f"{NEVER:.0f} s, {said} of the others"

            report.check("a third that is not never enters, at either side", never)
            report.check("the others miss nobody", lambda: calm(anna, bert))
            flows, datagrams, _ = packets.read()

        def refused():
            beacons = len(beacons_of(datagrams, eve))
            assert beacons >= NEVER / INTERVAL / 2, f"{beacons} beacons"
            counts = []
            for other in (anna, bert):
                tries = dials(flows, eve, other)
                assert tries and all(answer.endswith(ERROR_400) for _, answer in tries), \
                    f"{other.name}: {[answer[-30:] for _, answer in tries]}"
                # After ten it leaves them alone for a minute.
                assert len(tries) <= 10, f"it came {len(tries)} times to {other.name}"
                counts.append(len(tries))
            assert not dials(flows, anna, eve), "anna dials a stranger"
            theirs = dials(flows, bert, eve)
            report.say(f"         (C does not look at the key of whom it dials: {len(theirs)} connections to"
                       f" the stranger, {max((len(said) for said, _ in theirs), default=0)} octets)")
            return f"{beacons} beacons of it; it came {counts[0]} and {counts[1]} times, each time ERROR 400"

        report.check("both tell it 400, and ours says nothing to it", refused)

        def listed():
            keys.list("eve")
            began = time.monotonic()
            try:
                event = anna.expect(event="enter", peer=eve.uuid, within=3)
                report.say(f"         (once it is listed it enters at ours after {ms(event, began)})")
            except Missing:
                report.say("         (once it is listed it is not back within 3 s)")
            eve.kill()
            again = start(report, "atonce", "eve2", place, OPTIONS)
            both_enter(anna, again)
            both_enter(bert, again)
            chat(anna, again)
            chat(bert, again)

        report.check("it is listed, and started again: it enters", listed)


def stranger_of_c(report):
    """A node of C whose key nobody listed, and which lets in everybody, beside two of ours."""
    with Keys("anna", "carl", unlisted=["bert"]) as keys, report.network(IPV4) as net:
        report.options = keys.options
        keys.trust["bert"] = "any"
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        carl = start(report, "atonce", "carl", net.host(), OPTIONS)
        report.must("two of ours that are listed meet", lambda: both_enter(anna, carl))
        place = net.host()
        with Packets(place) as packets:
            bert = start(report, "zyre", "bert", place, [*OPTIONS, *gone.QUICK["zyre"]])

            def never():
                chat(anna, carl, NEVER)
                absent(bert.uuid, anna, carl)
                lonely(bert)

            report.check("a node of C that is not listed never enters, at either side", never)
            report.check("the others miss nobody", lambda: calm(anna, carl))
            flows, datagrams, _ = packets.read()

        def refused():
            assert len(beacons_of(datagrams, bert)) >= NEVER / INTERVAL / 2
            counts = []
            for other in (anna, carl):
                tries = dials(flows, bert, other)
                assert tries and all(answer.endswith(ERROR_400) for _, answer in tries), \
                    f"{other.name}: {[answer[-30:] for _, answer in tries]}"
                counts.append(len(tries))
                assert not dials(flows, other, bert), f"{other.name} dials a stranger"
            return f"it came {counts[0]} and {counts[1]} times"

        report.check("ours tell it 400, and say nothing to it", refused)

        def listed():
            keys.list("bert")
            began = time.monotonic()
            for other in (anna, carl):
                event = other.expect(event="enter", peer=bert.uuid, within=12)
                enters(bert, other, within=12)
            # After ERROR 400 its connection is dead until it expires us, also when ours reached it meanwhile: it forgets
            # what we said, and greets us. That is when it enters at ours; its next expiry puts it right.
            for other in (anna, carl):
                gone.settle(other, bert, quiet=5, within=30)
                chat(other, bert)
            last = max(e["seen"] for e in bert.events if e["event"] == "enter")
            return f"{ms(event, began)} later at ours, {(last - began):.1f} s later for good; C expires after 3 s"

        report.check("it is listed, and enters", listed)


def plain_beside_secure(report):
    """Nodes without keys on the network and the port of nodes with keys."""
    with Keys("anna", "bert") as keys, report.network() as net:
        report.options = keys.options
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        bert = start(report, "zyre", "bert", net.host(), OPTIONS)
        dora = start(report, "atonce", "dora", net.host(), OPTIONS)
        zeno = start(report, "zyre", "zeno", net.host(), OPTIONS)
        report.must("two with keys meet", lambda: both_enter(anna, bert))
        report.must("two without keys meet", lambda: both_enter(dora, zeno))

        def never():
            for pair in ((anna, bert), (dora, zeno)):
                chat(*pair, NEVER / 2)
            for secure in (anna, bert):
                for plain in (dora, zeno):
                    absent(secure.uuid, plain)
                    absent(plain.uuid, secure)

        report.check("neither two ever hear of the other two", never)
        with RawNode(net.host(), "00112233445566778899AABBCCDDEEFF", name="raw", groups=["ALPHA"]) as node:
            def dialled():
                return ", ".join(f"{peer.kind}: {answer_in_clear(node, peer)}" for peer in (anna, bert))

            def talked_down():
                for peer in (anna, bert):
                    for port in (0, node.mailbox):
                        octets = b"ZRE\x01" + bytes.fromhex(peer.uuid) + struct.pack(">H", port)
                        for _ in range(3):
                            node.udp.sendto(octets, (f"{net.subnet}.255", PORT))
                    node.beacon()
                    time.sleep(0.2)
                chat(anna, bert, 1)
                came = callers(node.listener)
                plain = {mailbox(peer)[0] for peer in (dora, zeno)}
                assert came == plain, f"{came} dialled it and not {plain}"

            report.check("neither says READY to who comes without CURVE", dialled)
            report.check("beacons without a key say nothing: no goodbye, no move, no newcomer", talked_down)
        report.check("nobody is missed", lambda: calm(anna, bert, dora, zeno))


def answer_in_clear(node, peer):
    """What a mailbox with a key says to a DEALER without: its greeting, and no word of ZMTP."""
    with node.host.inside(), socket.create_connection(mailbox(peer), 5) as connection:
        connection.settimeout(1)
        connection.sendall(GREETING + ready("DEALER", node.identity) + frame(node.hello()))
        octets, ended = b"", "it stays connected"
        try:
            while piece := connection.recv(4096):
                octets += piece
            ended = "it hangs up"
        except TimeoutError:
            pass
        except ConnectionResetError:
            ended = "it hangs up"
    assert len(octets) <= 64 and b"READY" not in octets, octets
    return f"{len(octets)} octets, then {ended}"


def callers(listener):
    """The addresses of those who connected, and who come again within a second."""
    listener.settimeout(0.2)
    found, until = set(), time.monotonic() + 1
    while time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            connection, (address, _) = listener.accept()
            found.add(address)
            connection.close()
    return found


# -- who speaks for another -------------------------------------------------------------------------

def reported(watcher, uuid, key, holder):
    """Ours tells its application who came as whom."""
    event = watcher.expect(event="error", within=5)
    for said in (uuid, key, holder):
        assert said in event["message"], event
    return event["message"]


def impostor(report, kind):
    """One with a listed key comes under the UUID of a peer that is here, and stays when that one leaves."""
    with Keys("anna", "bert", "eve") as keys, report.network() as net:
        report.options = keys.options
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        place = net.host()
        bert = start(report, kind, "bert", place, OPTIONS)
        report.must(f"{kind} and ours meet", lambda: both_enter(anna, bert))
        eve = start(report, "atonce", "eve", net.host(), [*OPTIONS, "--uuid", bert.uuid])
        report.check("ours reports one that comes under its UUID with another key",
                     lambda: reported(anna, bert.uuid, keys.of["eve"], keys.of["bert"]) and None)

        def undisturbed():
            said = chat(anna, bert, NEVER)
            calm(anna)
            assert count(anna, "enter", bert.uuid) == 1, "it enters"
            lonely_with_one(eve, anna)
            if kind == "atonce":
                calm(bert)
                assert count(bert, "enter", anna.uuid) == 1
            told = count_errors(anna)
            assert told == 1, f"reported {told} times"
            return said

        report.check("it never enters, and the owner goes on undisturbed", undisturbed)

        def keeps():
            left = time.monotonic()
            end(bert)
            event = anna.expect(event="exit", peer=bert.uuid, within=3)
            assert event["reason"] == "left", event
            anna.gather(NEVER)
            assert count(anna, "enter", bert.uuid) == 1, "the impostor enters"
            lonely_with_one(eve, anna)
            return ms(event, left)

        report.check(f"the owner leaves, and nobody takes its place for {NEVER:.0f} s", keeps)
        if kind != "atonce":
            return
        again = start(report, kind, "bert2", place, [*OPTIONS, "--uuid", bert.uuid])

        def returns():
            enters(again, anna)
            event = anna.expect(event="enter", name="bert2", peer=bert.uuid, within=6)
            chat(anna, again, 2)
            assert count(anna, "enter", bert.uuid) == 2 and count(anna, "exit", bert.uuid) == 1
            return ms(event, again.started)

        report.check("the owner returns", returns)


def lonely_with_one(eve, *others):
    for other in others:
        absent(other.uuid, eve)
    lonely(eve)


def count_errors(peer):
    peer.gather(0.01)
    return sum(e["event"] == "error" for e in peer.events)


def bound(report):
    """A trust file says whose UUID it is: another cannot even have it while the owner was never here."""
    uuid = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
    with Keys("anna", "bert", "eve") as keys, report.network() as net:
        report.options = keys.options
        trust = os.path.join(keys.folder, "trust")
        with open(trust, "w") as file:
            file.write(f"{keys.of['bert']} {uuid}\n{keys.of['eve']}\n")
        keys.trust["anna"] = trust
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        place = net.host()
        eve = start(report, "atonce", "eve", place, [*OPTIONS, "--uuid", uuid])
        report.check("one that comes first under a UUID that is bound to another key is reported",
                     lambda: reported(anna, uuid, keys.of["eve"], keys.of["bert"]) and None)

        def never():
            anna.gather(NEVER)
            absent(uuid, anna)
            lonely(eve)

        report.check("it never enters", never)
        bert = start(report, "atonce", "bert", net.host(), [*OPTIONS, "--uuid", uuid])
        report.must("the owner enters beside it", lambda: both_enter(anna, bert))
        report.check("and is not disturbed", lambda: (chat(anna, bert, 2), calm(anna, bert))[0])
        eve.kill()
        own = start(report, "atonce", "eve2", place, OPTIONS)
        report.check("under a UUID of its own the other may come in", lambda: both_enter(anna, own))


def impostor_at_c(report):
    """What a node of C makes of the same: it is no better for having a key."""
    with Keys("anna", "bert", "eve") as keys, report.network() as net:
        report.options = keys.options
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        bert = start(report, "zyre", "bert", net.host(), OPTIONS)
        report.must("C and ours meet", lambda: both_enter(anna, bert))
        bert.gather(0.01)
        eve = start(report, "atonce", "eve", net.host(), [*OPTIONS, "--uuid", anna.uuid])
        events = [e for e in bert.gather(NEVER) if e.get("peer") == anna.uuid]
        told = [f"{e['event'].upper()} {e.get('name')}" for e in events if e["event"] in ("enter", "exit")]
        report.say(f"         (C lets the impostor in: {', '.join(told) or 'nothing'})")
        anna.gather(0.01)
        at_ours = [e["event"].upper() for e in anna.events if e["event"] in ("enter", "exit")]
        report.say(f"         (ours, meanwhile, about C: {', '.join(at_ours)})")
        end(eve)

        def recovers():
            gone.settle(anna, bert, within=15)

        report.check("once the impostor has left, C and ours have each other again", recovers)

        def talked_down():
            bert.gather(0.01)
            with Liar(net.host()) as liar:
                for _ in range(10):
                    # The first may be lost: the port of the bridge is new.
                    liar.say(anna.uuid, 0, secrets.token_bytes(32))
                    if any(e["event"] == "exit" for e in bert.gather(0.3)):
                        break
                else:
                    raise AssertionError("no EXIT")
            gone.settle(anna, bert, quiet=3, within=20)

        report.check("C believes a goodbye of ours with another key, and they have each other again", talked_down)


def without_handler(report):
    """C without a handler of ZAP, as its own programs are by default: it lets everybody in, and ours does not."""
    with Keys("anna", "bert", unlisted=["eve"]) as keys, report.network() as net:
        report.options = keys.options
        keys.trust |= {"bert": None, "eve": "any"}
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        bert = start(report, "zyre", "bert", net.host(), OPTIONS)
        report.must("zyre without a handler of ZAP and ours meet", lambda: both_enter(anna, bert))
        eve = start(report, "atonce", "eve", net.host(), OPTIONS)
        report.check("a stranger comes in there", lambda: both_enter(eve, bert))

        def never():
            chat(anna, bert, NEVER)
            absent(eve.uuid, anna)
            absent(anna.uuid, eve)
            calm(anna, bert)

        report.check("and not at ours", never)


# -- lies about keys --------------------------------------------------------------------------------

class Liar:
    """Sends beacons from a host that others are on as well."""

    def __init__(self, host):
        self.to = f"{host.network.subnet}.255", PORT
        with host.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.bind((host.address, 0))

    def say(self, uuid, port, key):
        self.socket.sendto(b"ZRE\x03" + bytes.fromhex(uuid) + struct.pack(">H", port) + key, self.to)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def lies(report, kind):
    """Beacons with keys that are not those of who answers, before and after a node is there."""
    other_key, other_uuid = secrets.token_bytes(32), "DEADBEEF" * 4
    with Keys("anna", "bert") as keys, report.network() as net:
        report.options = keys.options
        # A liar needs a key that is let in, to be believed at all.
        keys.trust["anna"] = "any"
        anna = start(report, "atonce", "anna", net.host(), OPTIONS)
        place = net.host()
        with Liar(place) as there, Liar(net.host()) as elsewhere:
            for _ in range(10):
                there.say(other_uuid, 50505, other_key)
                time.sleep(0.1)
            bert = start(report, kind, "bert", place, [*OPTIONS, "--tcp-port", "50505"])

            def found():
                began = bert.started
                # Lies go on, twice as many as true ones.
                until = time.monotonic() + 6
                while time.monotonic() < until and not count(anna, "enter", bert.uuid):
                    there.say(other_uuid, 50505, other_key)
                    time.sleep(INTERVAL / 2)
                event = anna.expect(event="enter", peer=bert.uuid, anywhere=True, within=1)
                enters(bert, anna)
                chat(anna, bert)
                return f"{ms(event, began)} after its start"

            report.must(f"{kind} is found at an endpoint that was told with another key, and still is", found)
            mine = mailbox(bert)[1]
            key = octets_of(keys.of["bert"])

            def believed(liars, *lie):
                for _ in range(3):
                    for liar in liars:
                        liar.say(*lie)
                    chat(anna, bert, INTERVAL)
                chat(anna, bert, 1)
                calm(anna)
                assert count(anna, "enter", bert.uuid) == 1
                absent(other_uuid, anna)

            for what, liars, lie in (
                    ("a goodbye with another key", (there, elsewhere), (bert.uuid, 0, other_key)),
                    ("a move with another key", (elsewhere,), (bert.uuid, 1, other_key)),
                    ("another node with another key at the same endpoint", (there,), (other_uuid, mine, other_key)),
                    ("another node with the same key at the same endpoint", (there,), (other_uuid, mine, key)),
                    ("a key of zeros", (there,), (bert.uuid, mine, bytes(32)))):
                report.check(f"{what}: ours goes on with {kind}", functools.partial(believed, liars, *lie))


def wrong_key_at_c(report):
    """What C makes of a beacon with the UUID and the endpoint of ours and another key, before the true one."""
    with Keys("anna", "bert") as keys, report.network() as net:
        report.options = keys.options
        place = net.host()
        uuid = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
        bert = start(report, "zyre", "bert", net.host(), [*OPTIONS, *gone.QUICK["zyre"]])
        with Liar(place) as liar:
            for _ in range(10):
                liar.say(uuid, 50505, secrets.token_bytes(32))
                time.sleep(0.1)
        anna = start(report, "atonce", "anna", place, [*OPTIONS, "--uuid", uuid, "--tcp-port", "50505"])

        def recovers():
            # C goes on with the first key that it heard until it expires us, whatever it hears of us.
            anna.expect(event="enter", peer=bert.uuid, within=15)
            gone.settle(anna, bert, quiet=5, within=30)
            chat(anna, bert)
            told = []
            for peer in (anna, bert):
                moves = [f"{e['event'].upper()} {e['seen'] - anna.started:.1f} s" for e in peer.events
                         if e["event"] in ("enter", "exit") and e.get("name")]
                told.append(f"{peer.kind} hears {', '.join(moves)}")
            return "; ".join(told)

        report.check("C was told another key of ours first: they have each other in the end", recovers)


# -- contact ----------------------------------------------------------------------------------------

def contact(report):
    """Without beacons, each in its turn is told where the other is, and its key."""
    with Keys("anna", "bert") as keys, report.network() as net:
        report.options = keys.options
        place = net.host()
        endpoint = f"tcp://{place.address}:50505"
        bert = start(report, "zyre", "bert", place, [*OPTIONS, "--endpoint", endpoint])
        home = net.host()
        anna = start(report, "atonce", "anna", home,
                     [*OPTIONS, "--port", "0", "--peer", f"{endpoint}|{keys.of['bert']}"])
        report.must("--peer with its key to a zyre without beacons", lambda: both_enter(anna, bert))
        report.check("they talk", lambda: chat(anna, bert))
        report.check("it stops", lambda: leaves(bert, anna))
        end(anna)
        anna = start(report, "atonce", "anna2", home, [*OPTIONS, "--port", "0"])
        bert = start(report, "zyre", "bert2", place, [*OPTIONS, "--endpoint", endpoint])
        bert.send(do="connect", peer=anna.uuid, endpoint=anna.endpoint, key=keys.of["anna"])
        report.must("zyre is told of ours, with its key", lambda: both_enter(anna, bert))
        report.check("they talk", lambda: chat(anna, bert))
    with Keys("anna", "bert") as keys, report.network() as net:
        report.options = keys.options
        place = net.host()
        endpoint = f"tcp://{place.address}:50505"
        bert = start(report, "zyre", "bert", place, [*OPTIONS, "--endpoint", endpoint])
        wrong = f"{endpoint}|{keys.of['anna']}"
        anna = start(report, "atonce", "anna", net.host(), [*OPTIONS, "--port", "0", "--peer", wrong])

        def never():
            anna.gather(NEVER)
            bert.gather(0.01)
            lonely(anna, bert)

        report.check("with a wrong key for it nobody enters", never)


def jobs():
    partial = functools.partial
    yield "secure: what can be read, with zyre", partial(read, kind="zyre")
    yield "secure: what can be read, with atonce", partial(read, kind="atonce")
    for kind in ("zyre", "ingescape", "atonce"):
        for first in ("ours", "theirs") if kind != "atonce" else ("ours",):
            yield f"secure: meet {kind}, {first} first", partial(secured, job=meet.talk, kind=kind, first=first)
        yield f"secure: kill {kind}", partial(secured, job=gone.killed, kind=kind)
        if kind == "ingescape":
            continue
        yield f"secure: freeze {kind}", partial(secured, job=gone.frozen, kind=kind)
        yield f"secure: unplug {kind}", partial(secured, job=gone.unplugged, kind=kind)
        yield f"secure: cut links with {kind}", partial(secured, job=odd.cut_links, kind=kind)
        yield f"secure: an impostor of {kind}", partial(impostor, kind=kind)
        yield f"secure: lies about {kind}", partial(lies, kind=kind)
    yield "secure: same uuid atonce", partial(secured, job=gone.same_uuid, kind="atonce")
    yield "secure: listen to zyre", partial(secured, job=meet.listen, kind="zyre", owners=("ears", "mouth", "again"))
    yield "secure: a stranger of ours", stranger_of_ours
    yield "secure: a stranger of C", stranger_of_c
    yield "secure: beside plain nodes", plain_beside_secure
    yield "secure: whose UUID it is", bound
    yield "secure: an impostor at C", impostor_at_c
    yield "secure: a wrong key at C", wrong_key_at_c
    yield "secure: wrap of ours to zyre", partial(secured, job=wrap.sequence, kind="zyre")
    yield "secure: wrap of zyre to ours", partial(secured, job=wrap.sequence_back, kind="zyre")
    yield "secure: zyre without a handler", without_handler
    yield "secure: contact", contact
