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


class Pair:
    """Ours and libzmq's, the one bound first."""

    def __init__(self, report, ours, theirs, bound, our_options, their_options, big=False):
        address = f"127.0.0.1:{free_port()}"
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
        self.theirs.expect(event="handshake", anywhere=True)
        return event

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.report.tell(self.ours)
            self.report.tell(self.theirs)
        self.ours.kill()
        self.theirs.kill()


def ours_sends(report, ours, theirs, bound, count, size, idle=0):
    """Ours sends, libzmq echoes: it verifies what comes, ours what comes back."""
    with Pair(report, ours, theirs, bound,
              ["--send", count, "--size", size, "--heartbeat", 200, "--idle", idle],
              ["--echo", "--quiet", "--verify", "--expect", count], size > 16 * MIB) as pair:
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


def ours_echoes(report, ours, theirs, bound, count, size, idle=0):
    """libzmq sends, ours echoes."""
    to = ["--to", b"atonce".hex()] if theirs == "ROUTER" else []
    with Pair(report, ours, theirs, bound, ["--echo"],
              ["--send", count, "--size", size, "--quiet", "--verify", "--expect", count,
               *to], size > 16 * MIB) as pair:
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


def jobs():
    for ours, theirs in WAYS:
        for bound in ("ours", "theirs"):
            yield (f"zmtp {ours.lower()} {bound} bound",
                   functools.partial(sizes, ours=ours, theirs=theirs, bound=bound))
