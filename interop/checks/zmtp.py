"""Our ZMTP connection (examples/zmtp.rs) and a socket of libzmq, on loopback, octet by octet.

libzmq asks every 100 ms with a PING and hangs up when nothing comes within a second, so that a
pause that is longer and changes nothing says that ours answers. Ours asks as well. A PONG cannot
overtake a frame under way, and libzmq counts only what is complete: 64 MiB get ten seconds.
"""

import functools
import hashlib
import os
import socket
import sys

import harness
from checks import check_zero
from harness import ZMTP, Peer

sys.path.insert(0, os.path.join(harness.HERE, "peers"))

EXAMPLE = os.path.abspath(os.environ.get("ATONCE_ZMTP") or os.path.join(
    harness.HERE, "..", "target", "release", "examples", "zmtp"))

# The two key pairs that the manual of libzmq has: public and secret.
SERVER_KEYS = ("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")
CLIENT_KEYS = ("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs")

RAMP = bytes(range(256))
HEARTBEAT = ["--heartbeat-ivl", "100", "--heartbeat-ttl", "10000", "--heartbeat-timeout"]
MIB = 1 << 20


def pattern(number, size):
    """The content of message `number`, as peers/zmtp.py and examples/zmtp.rs make it."""
    octets = bytearray((RAMP[number * 31 % 256:] + RAMP[:number * 31 % 256]) * (size // 256 + 1))
    octets[:8] = number.to_bytes(8, "big")
    return bytes(octets[:size])


@functools.cache
def digest(count, size):
    sha = hashlib.sha256()
    for number in range(count):
        sha.update(pattern(number, size))
    return sha.hexdigest()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def curve_options(server):
    """How ours and theirs are told their keys, when `server` says whose the server is."""
    if server is None:
        return [], []
    if server == "ours":
        return (["--curve", SERVER_KEYS[1], "--allow", CLIENT_KEYS[0]],
                ["--curve", SERVER_KEYS[0], "--secret", CLIENT_KEYS[1]])
    return (["--curve", CLIENT_KEYS[1], "--server", SERVER_KEYS[0]],
            ["--curve", "server", "--secret", SERVER_KEYS[1]])


class Pair:
    """Ours and libzmq's, the one bound first."""

    def __init__(self, report, ours, theirs, bound, our_options, their_options, big=False,
                 server=None):
        address = f"127.0.0.1:{free_port()}"
        our_keys, their_keys = curve_options(server)
        our_options = [*our_keys, *our_options]
        their_options = [*their_keys, *their_options]
        # Handing out several frames by JSON needs to know to whom: a fixed identity.
        mine = [EXAMPLE, "--type", ours, f"--{'bind' if bound == 'ours' else 'connect'}", address,
                "--identity", "atonce", *map(str, our_options)]
        other = [*ZMTP, "--type", theirs,
                 f"--{'connect' if bound == 'ours' else 'bind'}", f"tcp://{address}",
                 "--identity", "01AA" if theirs == "DEALER" else "",
                 *HEARTBEAT, "10000" if big else "1000", *map(str, their_options)]

        def start(who):
            argv = mine if who == "ours" else other
            peer = Peer(who, f"{theirs}-{bound}", argv=argv, named=False)
            peer.expect(event="start")
            return peer

        self.report = report

        first = start(bound)
        second = start("theirs" if bound == "ours" else "ours")
        self.ours, self.theirs = (first, second) if bound == "ours" else (second, first)

    def ready(self):
        event = self.ours.expect(event="ready")
        assert event["version"] == "3.1", event
        # Its driver may be busy making 128 MiB.
        self.theirs.expect(event="handshake", within=20, anywhere=True)
        return event

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.report.tell(self.ours)
            self.report.tell(self.theirs)
        self.ours.kill()
        self.theirs.kill()


def ours_sends(report, ours, theirs, bound, count, size, idle=0, server=None):
    """Ours sends, libzmq echoes: it verifies what comes, ours what comes back."""
    with Pair(report, ours, theirs, bound,
              ["--send", count, "--size", size, "--heartbeat", 200, "--idle", idle],
              ["--echo", "--quiet", "--verify", "--expect", count], size > 16 * MIB,
              server) as pair:
        pair.ready()
        there = pair.theirs.expect(event="verified", within=20, anywhere=True)
        assert there["wrong"] == 0 and there["sha256"] == digest(count, size), there
        back = pair.ours.expect(event="verified", within=20)
        assert back["octets"] == count * size, back
        check_zero(pair.ours.process.wait(5 + idle / 1000))
        events = [e["event"] for e in pair.theirs.events]
        pair.theirs.expect(event="disconnected")
        assert events.count("disconnected") == 0, "libzmq hung up"
        return f"{count} of {size} octets in {back['seconds']:.2f} s"


def ours_echoes(report, ours, theirs, bound, count, size, idle=0, server=None):
    """libzmq sends, ours echoes."""
    to = ["--to", b"atonce".hex()] if theirs == "ROUTER" else []
    with Pair(report, ours, theirs, bound, ["--echo"],
              ["--send", count, "--size", size, "--quiet", "--verify", "--expect", count,
               *to], size > 16 * MIB, server) as pair:
        pair.ready()
        back = pair.theirs.expect(event="verified", within=20, anywhere=True)
        assert back["wrong"] == 0 and back["sha256"] == digest(count, size), back
        if idle:
            pair.theirs.gather(idle / 1000)
            heard = [e["event"] for e in pair.theirs.events]
            assert "disconnected" not in heard, "libzmq hung up"
            assert pair.ours.process.poll() is None, "ours ended"
        check_zero(pair.theirs.stop("eof"))
        check_zero(pair.ours.process.wait(5))
        return f"{count} of {size} octets in {back['seconds']:.2f} s"


MANY = ["one", "", {"base64": "AP/+"}, "x" * 300, "", "y" * 70_000]


def frames_there_and_back(report, ours, theirs, bound):
    """Frames with their borders: libzmq sends six, ours echoes them; ours cuts messages in five."""
    with Pair(report, ours, theirs, bound, ["--echo"], []) as pair:
        pair.ready()
        to = {"to": b"atonce".hex()} if theirs == "ROUTER" else {}
        for content in (MANY, [""], ["", ""], ["a"]):
            pair.theirs.send(do="send", content=content, **to)
            event = pair.theirs.expect(event="message")
            assert event["content"] == content, f"{event['content']} instead of {content}"
    with Pair(report, ours, theirs, bound, ["--send", 3, "--size", 1000, "--frames", 5],
              ["--echo"]) as pair:
        for number in range(3):
            event = pair.theirs.expect(event="message", within=5)
            assert len(event["content"]) == 5, event
        pair.ours.expect(event="verified", within=5)


WAYS = [("DEALER", "ROUTER"), ("DEALER", "DEALER"), ("ROUTER", "DEALER")]


def sizes(report, ours, theirs, bound):
    way = f"our {ours}, {'bound' if bound == 'ours' else 'connected'}, and their {theirs}"
    for count, size in ((5, 0), (100, 1), (300, 255), (300, 256), (3000, 3000), (100, 65_536),
                        (20, MIB), (2, 64 * MIB)):
        idle = 1500 if size == 3000 else 0
        big = size > 16 * MIB
        # 64 MiB once in each direction is enough: with two bound ones.
        if big and (ours, bound) not in (("DEALER", "theirs"), ("ROUTER", "ours")):
            continue
        report.check(f"{way}: ours sends", functools.partial(
            ours_sends, report, ours, theirs, bound, count, size, idle))
        report.check(f"{way}: ours echoes", functools.partial(
            ours_echoes, report, ours, theirs, bound, count, size, idle))
    report.check(f"{way}: several frames",
                 lambda: frames_there_and_back(report, ours, theirs, bound))


def curve(report, ours, theirs, bound, server):
    way = f"CURVE, {server} the server, our {ours}, {'bound' if bound == 'ours' else 'connected'}"
    for count, size in ((5, 0), (100, 1), (300, 222), (300, 223), (3000, 3000), (100, 65_536),
                        (10, MIB), (1, 16 * MIB), (100_000, 64)):
        idle = 1500 if size == 3000 else 0
        for name, way_round in (("sends", ours_sends), ("echoes", ours_echoes)):
            report.check(f"{way}: ours {name}", functools.partial(
                way_round, report, ours, theirs, bound, count, size, idle, server))


def curve_refusals(report):
    """Whoever has a wrong key stays out, on both sides, and is told what libzmq's are told."""
    unknown = ["--curve", SERVER_KEYS[0], "--secret", SERVER_KEYS[1]]
    wrong = ["--curve", CLIENT_KEYS[0], "--secret", CLIENT_KEYS[1]]
    ours_serves = ["--curve", SERVER_KEYS[1], "--allow", CLIENT_KEYS[0], "--echo"]

    def ours_refuses(their_options, event, told):
        with Pair(report, "ROUTER", "DEALER", "ours", ours_serves, their_options) as pair:
            # libzmq says what it made of our answer.
            if told:
                failed = pair.theirs.expect(event=told, within=5, anywhere=True)
                assert failed["value"] == 400, failed
            pair.ours.process.wait(5)
            heard = [e["event"] for e in pair.ours.gather(0.2) + pair.ours.events]
            assert "ready" not in heard, heard
            assert (event in heard) == (event is not None), heard

    report.check("CURVE: a client that is not listed", lambda: ours_refuses(
        unknown, "client", "handshake_failed"))
    report.check("CURVE: a client that takes us for another", lambda: ours_refuses(
        wrong, None, None))

    def theirs_refuses():
        options = ["--curve", CLIENT_KEYS[1], "--server", CLIENT_KEYS[0], "--send", 1]
        with Pair(report, "DEALER", "ROUTER", "theirs", options,
                  ["--curve", "server", "--secret", SERVER_KEYS[1]]) as pair:
            pair.theirs.expect(event="handshake_failed", within=5, anywhere=True)
            assert pair.ours.process.wait(5) != 0, "it goes on"

    report.check("CURVE: a server that is another", theirs_refuses)


def jobs():
    for ours, theirs, bound, server in (
            ("DEALER", "ROUTER", "theirs", "theirs"), ("ROUTER", "DEALER", "ours", "ours"),
            ("DEALER", "DEALER", "ours", "theirs"), ("DEALER", "DEALER", "theirs", "ours")):
        yield (f"zmtp curve {server} serves, {ours.lower()} {bound} bound",
               functools.partial(curve, ours=ours, theirs=theirs, bound=bound, server=server))
    yield "zmtp curve refusals", curve_refusals
    for ours, theirs in WAYS:
        for bound in ("ours", "theirs"):
            yield (f"zmtp {ours.lower()} {bound} bound",
                   functools.partial(sizes, ours=ours, theirs=theirs, bound=bound))
