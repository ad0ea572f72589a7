"""Our sockets when the other side dies, does not read, is not there, or is too many: what the RFCs promise, within the limits, told to
the caller."""

import contextlib
import functools
import os
import re
import socket
import threading
import time

import raw
from checks.sockets import MIB, Socket, equal
from checks.sockets_raw import dialled


def pair(report, ours, theirs):
    return Socket(report, "ours", f"our {ours}"), Socket(report, "theirs", f"their {theirs}")


def memory(peer):
    """Octets that are resident and its own."""
    with open(f"/proc/{peer.process.pid}/statm") as file:
        _, resident, shared, *_ = file.read().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def grown(peer, before, limit):
    more = memory(peer) - before
    assert more < limit, f"{peer.name} has grown by {more:,} octets, and {limit:,} were allowed"
    return f"{more / MIB:.1f} MiB more, {limit / MIB:.0f} were allowed"


# ---- a REP that dies between request and answer


def rep_dies(report):
    def dialled_one():
        ours, rep = pair(report, "REQ", "REP")
        with ours, Socket(report, "theirs", "the next REP") as successor:
            with rep:
                endpoint = rep.open("REP").bind()
                ours.open("REQ", reconnect=50).connect(endpoint)
                ours.say("one")
                rep.hear("one")
                killed = time.monotonic()
                rep.kill()
                ours.refused("recv", "PeerLost")
                told = time.monotonic() - killed
            # Told once: it is our turn again, and what is asked waits for whoever comes.
            ours.refused("recv", "OutOfTurn")
            ours.say("two")
            successor.open("REP").bind(endpoint)
            successor.hear("two")
            successor.say("2")
            ours.hear("2")
            return f"told after {told * 1000:.0f} ms"

    def bound_one():
        ours, rep = pair(report, "REQ", "REP")
        with ours, Socket(report, "theirs", "the next REP") as successor:
            endpoint = ours.open("REQ").bind()
            with rep:
                rep.open("REP").connect(endpoint)
                ours.say("one")
                rep.hear("one")
                rep.kill()
                ours.refused("recv", "PeerLost")
            # Nobody is there to be asked, and somebody is soon.
            ours.refused("send", "Full", content=["two"], within=200)
            ours.begin("send", content=["two"])
            successor.open("REP").connect(endpoint)
            ours.answer("sent")
            successor.hear("two")
            successor.say("2")
            ours.hear("2")

    def another_is_there():
        ours, rep = pair(report, "REQ", "REP")
        with ours, rep, Socket(report, "theirs", "the other REP") as other:
            ours.open("REQ", reconnect=50)
            those = [rep, other]
            for it in those:
                ours.connect(it.open("REP").bind())
                ours.monitored("Ready")
            ours.say("one")
            first = next(it for it in those if it.do("recv", "message nothing", within=500)["event"] == "message")
            second = next(it for it in those if it is not first)
            first.kill()
            ours.refused("recv", "PeerLost")
            # The next question may wait for the one that died, where it comes to after it: asked again, the other has it.
            for turn in range(2):
                ours.say(f"turn {turn}")
                if second.do("recv", "message nothing", within=1_000)["event"] == "message":
                    break
                ours.do("reset", "reset")
            second.say("answer")
            ours.hear("answer")

    def frozen():
        ours, rep = pair(report, "REQ", "REP")
        with ours, rep:
            ours.open("REQ", heartbeat=200, reconnect=50).connect(rep.open("REP").bind())
            ours.say("one")
            rep.hear("one")
            began = time.monotonic()
            rep.freeze()
            ours.refused("recv", "PeerLost")
            seconds = time.monotonic() - began
            rep.freeze(False)
            return f"told after {seconds:.1f} s"

    def given_up():
        ours, rep = pair(report, "REQ", "REP")
        with ours, rep:
            ours.open("REQ", reconnect=50).connect(rep.open("REP").bind())
            ours.say("one")
            rep.hear("one")
            ours.do("recv", "nothing", within=300)
            ours.do("reset", "reset")
            ours.say("two")
            # Too late, and for nobody: it is not taken for the answer to the second.
            rep.say("1")
            rep.hear("two")
            rep.say("2")
            ours.hear("2")

    report.check("a REP that our REQ dialled dies: told, and the next one is asked", dialled_one)
    report.check("a REP that dialled our REQ dies: told, and the next one is asked", bound_one)
    report.check("a REP dies and another is there", another_is_there)
    report.check("a REP is frozen: the heartbeat tells", frozen)
    report.check("a REP is too slow: given up, and its late answer is not taken for the next", given_up)

    def ours_dies():
        ours, req = pair(report, "REP", "REQ")
        with req, Socket(report, "ours", "our next REP") as successor:
            with ours:
                endpoint = ours.open("REP").bind()
                req.open("REQ", relaxed=True, correlate=True, reconnect=50).connect(endpoint)
                req.say("one")
                ours.hear("one")
                ours.kill()
            successor.open("REP").bind(endpoint)
            req.say("two")
            successor.hear("two")
            successor.say("2")
            req.hear("2")

    report.check("our REP dies: the next one at its place answers", ours_dies)


# ---- a REQ that dies after its request


def req_dies(report):
    def told(how):
        ours, req = pair(report, "REP", "REQ")
        with ours, Socket(report, "theirs", "another REQ") as other:
            endpoint = ours.open("REP").bind()
            with req:
                req.open("REQ").connect(endpoint)
                req.say("and then I die")
                ours.hear("and then I die")
                req.kill()
            if how == "known":
                ours.monitored("Disconnected")
                ours.refused("send", "PeerLost", content=["who?"])
                # Told once: it is not our turn to send.
                ours.refused("send", "OutOfTurn", content=["who?"])
            elif how == "not yet known":
                ours.do("send", "sent refused", content=["who?"])
            else:
                # An application that answers never.
                ours.monitored("Disconnected")
                ours.do("reset", "reset")
            other.open("REQ").connect(endpoint)
            other.say("hello")
            ours.hear("hello")
            ours.say("hello")
            other.hear("hello")

    for how in ("known", "not yet known", "given up"):
        report.check(f"a REQ dies after its request ({how}): our REP serves the next", functools.partial(told, how))

    def many():
        with Socket(report, "ours", "our REP") as ours, Socket(report, "theirs", "a REQ") as req:
            endpoint = ours.open("REP").bind()
            for number in range(50):
                peer = dialled(endpoint, "REQ", 1)
                peer.link.send(b"", b"dying %d" % number)
                peer.link.close(reset=number % 2 == 1)
            req.open("REQ").connect(endpoint)
            req.say("alive")
            answered = lost = 0
            while True:
                heard = ours.do("recv", "message")["content"][0]
                if ours.do("send", "sent refused", content=[heard])["event"] == "sent":
                    answered += 1
                else:
                    lost += 1
                if heard == "alive":
                    break
            req.hear("alive")
            return f"{answered} answered, {lost} told to be gone"

    report.check("fifty REQ that die after their requests do not keep a living one waiting", many)

    def malformed():
        with Socket(report, "ours", "our REP") as ours, Socket(report, "theirs", "a REQ") as req:
            endpoint = ours.open("REP").bind()
            peer = dialled(endpoint, "DEALER", 1)
            peer.link.send(b"no delimiter", b"anywhere")
            peer.link.send(b"route", b"", b"a question")
            ours.hear("a question")
            ours.say("an answer")
            peer.hears(b"route", b"", b"an answer")
            req.open("REQ").connect(endpoint)
            req.say("hello")
            ours.hear("hello")
            ours.say("hello")
            req.hear("hello")
            peer.close()

    report.check("a request without a delimiter is left out", malformed)


# ---- a SUB that does not read


def slow_sub(report):
    def ours_publishes():
        limit = 8 * MIB
        ours, fast = pair(report, "PUB", "SUB")
        with ours, fast, Socket(report, "theirs", "a slow SUB") as slow:
            endpoint = ours.open("PUB", send_octets=limit).bind()
            for it, more in ((fast, {}), (slow, {"receive_messages": 10, "receive_buffer": 65_536})):
                it.open("SUB", **more)
                it.do("subscribe", "subscribed", prefix="")
                it.connect(endpoint)
                it.monitored("Ready")
            ours.monitored("Ready")
            ours.monitored("Ready")
            time.sleep(0.3)
            slow.freeze()
            before = memory(ours)
            slowest = 0
            for _ in range(50):
                began = time.monotonic()
                ours.begin("pour", count=400, size=10_000)
                fast.begin("drain", count=400, size=10_000)
                ours.answer("poured")
                slowest = max(slowest, time.monotonic() - began)
                result = fast.answer("drained")
                equal((result["messages"], result["wrong"]), (400, 0))
            more = grown(ours, before, limit + 8 * MIB)
            assert slowest < 2, f"it took {slowest:.1f} s to publish 400 messages"
            slow.freeze(False)
            # What it missed is missing, what comes from now on comes.
            while slow.do("recv", "message nothing", within=1_000)["event"] == "message":
                pass
            ours.say("the end")
            slow.hear("the end")
            fast.hear("the end")
            dropped = ours.do("counters", "counters")["text"] if ours.kind == "ours" else ""
            return more + "; " + " ".join(re.findall(r"\w*dropped\w*: \d+", dropped))

    def nothing_dropped():
        with Socket(report, "ours", "our XPUB") as ours, Socket(report, "theirs", "a slow SUB") as slow:
            endpoint = ours.open("XPUB", no_drop=True, send_messages=100).bind()
            slow.open("SUB", receive_messages=10, receive_buffer=65_536)
            slow.do("subscribe", "subscribed", prefix="")
            slow.connect(endpoint)
            ours.hear("\x01")
            sent = 0
            while ours.do("send", "sent refused", content=[str(sent), "x" * 100_000], within=300)["event"] == "sent":
                sent += 1
                assert sent < 10_000, "there is room without end"
            for number in range(sent):
                slow.hear(str(number), "x" * 100_000)
            ours.say("the end")
            slow.hear("the end")
            return f"Full after {sent}, and all of them came"

    def ours_subscribes():
        limit = 4 * MIB
        ours, publisher = pair(report, "SUB", "PUB")
        with ours, publisher:
            endpoint = publisher.open("PUB", send_messages=100).bind()
            ours.open("SUB", receive_octets=limit)
            ours.do("subscribe", "subscribed", prefix="")
            ours.connect(endpoint)
            publisher.monitored("Ready")
            time.sleep(0.3)
            before = memory(ours)
            publisher.do("pour", "poured", count=5_000, size=10_000)
            time.sleep(0.3)
            more = grown(ours, before, limit + 8 * MIB)
            count = 0
            while ours.do("recv", "message nothing", within=500)["event"] == "message":
                count += 1
            assert count >= limit // 10_000, count
            publisher.say("the end")
            ours.hear("the end")
            return f"{more}; {count} of 5,000 came"

    report.check("a SUB does not read: our PUB drops what it misses, and nobody waits", ours_publishes)
    report.check("a SUB does not read, and our XPUB is to drop nothing: it says Full", nothing_dropped)
    report.check("our SUB does not read: its queue has a limit, and goes on when it does", ours_subscribes)


# ---- a PUSH without a PULL


def no_pull(report):
    def dialled_one():
        with Socket(report, "ours", "our PUSH") as ours, Socket(report, "theirs", "the PULL") as pull:
            pull.open("PULL")
            endpoint = pull.bind()
            pull.close()
            ours.open("PUSH", reconnect=50).connect(endpoint)
            ours.do("pour", "poured", count=1_000, size=16)
            ours.refused("send", "Full", content=["one too many"], within=200)
            pull.open("PULL").bind(endpoint)
            result = pull.do("drain", "drained", count=1_000, size=16)
            equal((result["messages"], result["wrong"]), (1_000, 0))
            ours.say("again")
            pull.hear("again")

    def octets():
        with Socket(report, "ours", "our PUSH") as ours, Socket(report, "theirs", "the PULL") as pull:
            pull.open("PULL")
            endpoint = pull.bind()
            pull.close()
            ours.open("PUSH", reconnect=50, send_octets=MIB).connect(endpoint)
            sent = 0
            while ours.do("send", "sent refused", content=["x" * 100_000], within=100)["event"] == "sent":
                sent += 1
                assert sent < 100, "there is room without end"
            assert 10 <= sent <= 12, sent
            ours.refused("send", "TooLarge", content=["x" * (MIB + 1)])
            return f"{sent} of 100,000 octets in 1 MiB"

    def nobody():
        with Socket(report, "ours", "our PUSH") as ours, Socket(report, "theirs", "a PULL") as pull:
            endpoint = ours.open("PUSH").bind()
            ours.refused("send", "Full", content=["anybody?"], within=200)
            ours.begin("send", content=["anybody?"])
            pull.open("PULL").connect(endpoint)
            ours.answer("sent")
            pull.hear("anybody?")

    def immediate():
        with Socket(report, "ours", "our PUSH") as ours, Socket(report, "theirs", "a PULL") as pull:
            pull.open("PULL")
            endpoint = pull.bind()
            pull.close()
            ours.open("PUSH", reconnect=50, immediate=True).connect(endpoint)
            ours.refused("send", "Full", content=["anybody?"], within=200)
            pull.open("PULL").bind(endpoint)
            ours.say("there you are")
            pull.hear("there you are")

    def one_dies():
        with Socket(report, "ours", "our PUSH") as ours, Socket(report, "theirs", "a PULL") as first, \
                Socket(report, "theirs", "the other PULL") as second:
            endpoint = ours.open("PUSH").bind()
            for it in (first, second):
                it.open("PULL").connect(endpoint)
                ours.monitored("Ready")
            ours.say("1")
            ours.say("2")
            first.do("recv", "message")
            second.do("recv", "message")
            first.kill()
            ours.monitored("Disconnected")
            for number in range(20):
                ours.say(str(number))
            for number in range(20):
                second.hear(str(number))

    def comes_back():
        with Socket(report, "ours", "our PUSH") as ours, Socket(report, "theirs", "the next PULL") as successor:
            with Socket(report, "theirs", "a PULL") as pull:
                endpoint = pull.open("PULL").bind()
                ours.open("PUSH", reconnect=50).connect(endpoint)
                ours.say("before")
                pull.hear("before")
                pull.kill()
            ours.monitored("Disconnected")
            for number in range(10):
                ours.say(str(number))
            successor.open("PULL").bind(endpoint)
            for number in range(10):
                successor.hear(str(number))

    report.check("our PUSH dials a PULL that is not there: a thousand wait, then Full, and all come in order", dialled_one)
    report.check("the same in octets", octets)
    report.check("our PUSH is bound and nobody comes: Full", nobody)
    report.check("our PUSH is to queue for nobody who is not there: Full", immediate)
    report.check("one of two PULL dies: the other gets the work", one_dies)
    report.check("the only PULL dies: what is sent meanwhile waits for the next at its place", comes_back)


# ---- a ROUTER and very many


class Flood:
    """Connections with identities that were never there, from a thread of its own."""

    def __init__(self, endpoint, at_once, hello):
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self.where = host, int(port)
        self.at_once = at_once
        self.hello = hello
        self.made = 0
        self.stopped = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        held = []
        while not self.stopped:
            with contextlib.suppress(OSError):
                peer = socket.create_connection(self.where, 1)
                peer.settimeout(1)
                identity = b"flood-%d-" % self.made + os.urandom(100)
                said = raw.GREETING + raw.ready("DEALER", identity) if self.hello else raw.GREETING
                peer.sendall(said + (raw.frame(b"hello") if self.hello else b""))
                held.append(peer)
                self.made += 1
            if len(held) > self.at_once:
                held.pop(0).close()
        for peer in held:
            peer.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()


def flooded(report, at_once, hello):
    """A DEALER that was there before is served as before, and a newcomer is once it is over."""
    with Socket(report, "ours", "our ROUTER") as ours, Socket(report, "theirs", "a DEALER") as dealer, \
            Socket(report, "theirs", "a newcomer") as newcomer:
        endpoint = ours.open("ROUTER", links=200, unready_links=64).bind()
        dealer.open("DEALER", identity="resident").connect(endpoint)
        ours.monitored("Ready")
        dealer.say("ping")
        ours.hear("resident", "ping")
        before, slowest, seen = memory(ours), 0, set()

        def ask(who, socket, within):
            nonlocal slowest
            began = time.monotonic()
            socket.say("ping")
            while True:
                heard = ours.do("recv", "message")["content"]
                if heard == [who, "ping"]:
                    break
                seen.add(str(heard[0]))
                equal(heard[1:], ["hello"])
                # Who is gone has no route, and it is told.
                refusal = ours.do("send", "sent refused", content=heard)
                assert refusal["event"] == "sent" or refusal["why"] in ("Unroutable", "Full"), refusal
                assert time.monotonic() - began < within, f"{who} is not heard"
            ours.say(who, "pong")
            socket.hear("pong")
            slowest = max(slowest, time.monotonic() - began)

        with Flood(endpoint, at_once, hello) as flood:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                ask("resident", dealer, 5)
            more = grown(ours, before, 24 * MIB)
        newcomer.open("DEALER", identity="newcomer", reconnect=100).connect(endpoint)
        ask("newcomer", newcomer, 10)
        ask("resident", dealer, 5)
        turned = sum(event.get("what") == "Turned" for event in ours.drain())
        assert flood.made > 500, flood.made
        return f"{flood.made} connections, {len(seen)} heard, {turned} turned away and told, {more}, {slowest * 1000:.0f} ms at most"


def names(report):
    def taken(handover):
        with Socket(report, "ours", "our ROUTER") as ours, Socket(report, "theirs", "a DEALER") as first, \
                Socket(report, "theirs", "its double") as second:
            endpoint = ours.open("ROUTER", handover=handover).bind()
            first.open("DEALER", identity="me", reconnect=10_000).connect(endpoint)
            first.say("first")
            ours.hear("me", "first")
            second.open("DEALER", identity="me", reconnect=10_000).connect(endpoint)
            second.say("second")
            if handover:
                ours.hear("me", "second")
            else:
                event = ours.monitored("Disconnected")
                assert "IdentityTaken" in event["text"], event
            ours.say("me", "to whom?")
            (second if handover else first).hear("to whom?")

    report.check("an identity that is taken: the newcomer is refused, and it is told", lambda: taken(False))
    report.check("an identity that is taken, with handover: the newcomer has it", lambda: taken(True))

    def unroutable():
        with Socket(report, "ours", "our ROUTER") as ours, Socket(report, "theirs", "a DEALER") as dealer:
            endpoint = ours.open("ROUTER").bind()
            ours.refused("send", "Unroutable", content=["nobody", "hello"])
            dealer.open("DEALER", identity="somebody").connect(endpoint)
            dealer.say("here")
            ours.hear("somebody", "here")
            ours.say("somebody", "hello")
            dealer.hear("hello")
            dealer.kill()
            ours.monitored("Disconnected")
            ours.refused("send", "Unroutable", content=["somebody", "gone?"])

    report.check("a message to nobody, and to somebody who is gone: Unroutable", unroutable)

    def full():
        with Socket(report, "ours", "our ROUTER") as ours, Socket(report, "theirs", "a slow DEALER") as slow, \
                Socket(report, "theirs", "a DEALER") as other:
            endpoint = ours.open("ROUTER", send_octets=MIB).bind()
            slow.open("DEALER", identity="slow", receive_messages=1, receive_buffer=65_536).connect(endpoint)
            other.open("DEALER", identity="other").connect(endpoint)
            for socket_, name in ((slow, "slow"), (other, "other")):
                socket_.say("here")
                ours.hear(name, "here")
            slow.freeze()
            before, sent = memory(ours), 0
            while ours.do("send", "sent refused", content=["slow", "x" * 100_000], within=100)["event"] == "sent":
                sent += 1
                assert sent < 1_000, "there is room without end"
            grown(ours, before, 8 * MIB)
            ours.say("other", "still here?")
            other.hear("still here?")
            slow.freeze(False)
            for _ in range(sent):
                equal(len(slow.do("recv", "message")["content"][0]), 100_000)
            return f"Full after {sent} of 100,000 octets, and all of them came"

    report.check("a DEALER does not read: Full for it, and for nobody else", full)


def jobs():
    yield "sockets a REP dies", rep_dies
    yield "sockets a REQ dies", req_dies
    yield "sockets a slow SUB", slow_sub
    yield "sockets no PULL", no_pull
    yield "sockets identities", names

    def floods(report):
        # More than the ROUTER lets in, and few enough for other jobs of this process, which select() among descriptors below 1,024.
        for what, at_once, hello in (("that come and go", 50, True), ("that stay", 300, True),
                                     ("that say no more than a greeting", 300, False)):
            report.check(f"a ROUTER is flooded by strangers {what}", functools.partial(flooded, report, at_once, hello))

    yield "sockets a flood", floods
