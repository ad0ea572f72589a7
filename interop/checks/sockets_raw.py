"""Our PUB, XPUB, SUB and XSUB with a peer that is written out, octet by octet: subscriptions as ZMTP 3.0 has them, which are
messages, and as 3.1 has them, which are commands. libzmq speaks 3.1, so that nothing else shows the other."""

import functools
import itertools
import select
import socket
import time

import raw
from checks.sockets import Socket, equal

SUBSCRIBE, CANCEL = b"\x09SUBSCRIBE", b"\x06CANCEL"


class Peer:
    """One connection of a peer of ZMTP 3.MINOR."""

    def __init__(self, link, kind, minor):
        self.link = link.handshake(kind, b"", minor=minor)
        self.minor = minor

    def change(self, yes, prefix):
        if self.minor:
            self.link.socket.sendall(raw.frame((SUBSCRIBE if yes else CANCEL) + prefix, command=True))
        else:
            self.link.send((b"\x01" if yes else b"\0") + prefix)

    def hears(self, *frames):
        got = self.link.next_message(5)
        assert got is not None, f"{list(frames)} does not come"
        equal(got[1], list(frames))

    def hears_change(self, *wanted):
        """The next changes, in any order: (True, b"prefix") is a subscription."""
        seen = []
        for _ in wanted:
            unit = self.link.next_frame(5)
            assert unit is not None, f"{seen} came, and {wanted} was wanted"
            _, flags, body = unit
            if flags & 4:
                assert self.minor, f"a command to a peer of 3.0: {body}"
                yes = body.startswith(SUBSCRIBE)
                name = SUBSCRIBE if yes else CANCEL
                assert body.startswith(name), body
                seen.append((yes, body[len(name):]))
            else:
                assert not self.minor, f"a message to a peer of 3.1: {body}"
                assert flags & 1 == 0 and body[:1] in (b"\0", b"\x01"), (flags, body)
                seen.append((body[:1] == b"\x01", body[1:]))
        equal(sorted(seen), sorted(wanted))

    def close(self):
        self.link.close()


def dialled(endpoint, kind, minor):
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), 5)
    connection.settimeout(None)
    return Peer(raw.Link(connection), kind, minor)


class Listener:
    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.socket.getsockname()[1]}"

    def accepted(self, kind, minor):
        assert select.select([self.socket], [], [], 5)[0], "nobody connects"
        return Peer(raw.Link(self.socket.accept()[0]), kind, minor)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def met(ours, bound, kind, minor):
    """A raw peer that is ready with ours, whichever is bound."""
    if bound == "ours":
        peer = dialled(ours.bind(), kind, minor)
    else:
        with Listener() as listener:
            ours.connect(listener.endpoint)
            peer = listener.accepted(kind, minor)
    event = ours.monitored("Ready")
    assert f"minor: {minor}" in event["text"], event
    return peer


def publisher(report, kinds, bound, minor):
    """A raw subscriber of ours gets what it subscribed to."""
    with Socket(report, "ours", f"our {kinds[0]}") as ours:
        ours.open(kinds[0])
        peer = met(ours, bound, kinds[1], minor)

        def changed(yes, prefix, told=True):
            """An XPUB tells its application of the first who wants something and of the last who does not any more."""
            peer.change(yes, prefix)
            if kinds[0] == "XPUB" and told:
                ours.hear(("\x01" if yes else "\0") + prefix.decode())
            elif minor:
                # It has come when what comes after it is answered.
                peer.link.socket.sendall(raw.frame(b"\x04PING\0\0mark", command=True))
                unit = peer.link.next_frame(5)
                assert unit and unit[2] == b"\x04PONGmark", unit
            else:
                time.sleep(0.1)

        changed(True, b"news.")
        changed(True, b"news.", told=False)
        ours.say("news.at", "one")
        peer.hears(b"news.at", b"one")
        ours.say("old")
        changed(True, b"")
        ours.say("anything")
        peer.hears(b"anything")
        changed(False, b"")
        # Counted: one of two is left.
        changed(False, b"news.", told=False)
        ours.say("nobody wants it")
        ours.say("news.de")
        peer.hears(b"news.de")
        changed(False, b"news.")
        ours.say("news.fr")
        assert peer.link.next_message(0.2) is None, "it was cancelled"
        # What it never subscribed to is no reason to hang up.
        peer.change(False, b"never")
        changed(True, b"last")
        ours.say("last")
        peer.hears(b"last")
        peer.close()


def subscriber(report, kinds, bound, minor):
    """A raw publisher is told what ours wants, at once and later, and again when it comes back."""
    with Socket(report, "ours", f"our {kinds[0]}") as ours:
        ours.open(kinds[0], reconnect=50)

        def change(yes, prefix):
            if kinds[0] == "XSUB":
                ours.say(("\x01" if yes else "\0") + prefix)
            else:
                ours.do(*(("subscribe", "subscribed") if yes else ("unsubscribe", "unsubscribed")), prefix=prefix)

        change(True, "early")
        change(True, "gone")
        change(False, "gone")
        change(True, "twice")
        change(True, "twice")
        peer = met(ours, bound, kinds[1], minor)
        peer.hears_change((True, b"early"), (True, b"twice"))
        change(True, "late")
        peer.hears_change((True, b"late"))
        change(False, "twice")
        change(False, "early")
        # One of two is left, so that only this is told.
        peer.hears_change((False, b"early"))
        peer.link.send(b"late.one", b"content")
        ours.hear("late.one", "content")
        if kinds[0] == "SUB":
            # What was not asked for is not believed to be wanted.
            peer.link.send(b"unwanted")
        peer.link.send(b"twice")
        ours.hear("twice")
        endpoint = None
        if bound == "ours":
            endpoint = [e for e in ours.events if e["event"] == "bound"][-1]["endpoint"]
            peer.close()
            peer = dialled(endpoint, kinds[1], minor)
            peer.hears_change((True, b"late"), (True, b"twice"))
        peer.close()


def comes_back(report, kind, minor):
    """A publisher that dies and comes back at the same place is told again."""
    partner = {"SUB": "PUB", "XSUB": "XPUB"}[kind]
    with Socket(report, "ours", f"our {kind}") as ours, Listener() as listener:
        ours.open(kind, reconnect=50)
        if kind == "XSUB":
            ours.say("\x01news")
        else:
            ours.do("subscribe", "subscribed", prefix="news")
        ours.connect(listener.endpoint)
        for number in range(3):
            peer = listener.accepted(partner, minor)
            peer.hears_change((True, b"news"))
            peer.link.send(b"news", str(number).encode())
            ours.hear("news", str(number))
            peer.link.close(reset=number == 1)


def jobs():
    for minor in (0, 1):
        def run(report, minor=minor):
            for kinds, bound in itertools.product((("PUB", "SUB"), ("PUB", "XSUB"), ("XPUB", "SUB"), ("XPUB", "XSUB")),
                                                  ("ours", "theirs")):
                way = "bound" if bound == "ours" else "connected"
                report.check(f"our {kinds[0]}, {way}, a raw {kinds[1]} of 3.{minor}", functools.partial(
                    publisher, report, kinds, bound, minor))
            for kinds, bound in itertools.product((("SUB", "PUB"), ("SUB", "XPUB"), ("XSUB", "PUB"), ("XSUB", "XPUB")),
                                                  ("ours", "theirs")):
                way = "bound" if bound == "ours" else "connected"
                report.check(f"our {kinds[0]}, {way}, a raw {kinds[1]} of 3.{minor}", functools.partial(
                    subscriber, report, kinds, bound, minor))
            for kind in ("SUB", "XSUB"):
                report.check(f"our {kind}, a raw publisher of 3.{minor} that comes back", functools.partial(
                    comes_back, report, kind, minor))

        yield f"sockets subscriptions of 3.{minor}", run
