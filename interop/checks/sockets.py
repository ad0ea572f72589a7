"""Our sockets (examples/socket.rs of atonce-std) and those of libzmq (pyzmq), on loopback: every legal pair of types.

Both are programs that do one command after the other and say what came of it (`peers/zmqsocket.py` has the commands), so that a
check reads as what each does in turn, and is the same whoever is on which side.
"""

import functools
import itertools
import os
import shutil
import tempfile
import time

import harness
from checks.zmtp import CLIENT_KEYS, SERVER_KEYS
from harness import Missing, Peer

EXAMPLE = os.path.abspath(os.environ.get("ATONCE_SOCKET") or os.path.join(
    harness.HERE, "..", "target", "release", "examples", "socket"))
THEIRS = [harness.PYTHON, "-B", os.path.join(harness.HERE, "peers", "zmqsocket.py")]

MIB = 1 << 20
ANYWHERE = "tcp://127.0.0.1:0"

# The legal pairs, as RFC 23 has them. Each is there from both sides: ours first.
PARTNERS = {
    "REQ": ["REP", "ROUTER"],
    "REP": ["REQ", "DEALER"],
    "DEALER": ["REP", "DEALER", "ROUTER"],
    "ROUTER": ["REQ", "DEALER", "ROUTER"],
    "PUB": ["SUB", "XSUB"],
    "XPUB": ["SUB", "XSUB"],
    "SUB": ["PUB", "XPUB"],
    "XSUB": ["PUB", "XPUB"],
    "PUSH": ["PULL"],
    "PULL": ["PUSH"],
    "PAIR": ["PAIR"],
}
PAIRS = [(ours, theirs) for ours, those in PARTNERS.items() for theirs in those]
SENDING = {"PUB", "XPUB", "PUSH"}
RECEIVING = {"SUB", "XSUB", "PULL"}

# How many, of how many octets, in how many frames. PUB and its peers hold a thousand messages.
SIZES = [(5, 0, 1), (3, 0, 5), (100, 1, 1), (300, 255, 1), (300, 256, 1), (100, 3_000, 5), (20, 65_536, 1), (5, MIB, 3),
         (2, 16 * MIB, 1)]  # fmt: skip
# Each of these is a round trip.
ASKED = [(5, 0, 1), (3, 0, 5), (50, 1, 1), (50, 255, 1), (50, 256, 1), (20, 3_000, 5), (5, 65_536, 1), (2, MIB, 3),
         (1, 16 * MIB, 1)]  # fmt: skip

# Identities where somebody sends to them.
IDENTITY = {"ours": "ours", "theirs": "theirs"}


class Socket(Peer):
    """A program with a socket; `who` is `ours` or `theirs`."""

    def __init__(self, report, who, name):
        super().__init__(who, name, argv=[EXAMPLE] if who == "ours" else THEIRS, named=False)
        self.report = report
        self.at = 0
        self.told = 0

    def _ahead(self, index, deadline):
        """Whether there is an event with this index before the deadline."""
        while index >= len(self.events):
            left = deadline - time.monotonic()
            if not self._pull(left):
                if left <= 0 or self.process.poll() is not None and not self._pull(0):
                    return False
        return True

    def answer(self, wanted, within=30):
        """What the command came to that was begun first of those that are not answered."""
        deadline = time.monotonic() + within
        while self._ahead(self.at, deadline):
            event = self.events[self.at]
            self.at += 1
            if event["event"] != "monitor":
                assert event["event"] in wanted.split(), f"{self.name}: {event}, and {wanted} was wanted"
                return event
        raise Missing(f"{self.name}: not {wanted} within {within} s")

    def begin(self, command, **fields):
        self.send(do=command, **fields)

    def do(self, command, wanted, **fields):
        self.begin(command, **fields)
        return self.answer(wanted)

    def monitored(self, what, within=5):
        """What the monitor tells of this next, others left out."""
        deadline = time.monotonic() + within
        while self._ahead(self.told, deadline):
            event = self.events[self.told]
            self.told += 1
            if event["event"] == "monitor" and event["what"] in what.split():
                return event
        heard = [e["what"] for e in self.events if e["event"] == "monitor"]
        raise Missing(f"{self.name}: the monitor tells no {what} within {within} s, but {heard}")

    # ---- commands

    def open(self, kind, **options):
        self.do("open", "opened", type=kind, **options)
        return self

    def bind(self, endpoint=ANYWHERE):
        return self.do("bind", "bound", endpoint=endpoint)["endpoint"]

    def connect(self, endpoint):
        self.do("connect", "connecting", endpoint=endpoint)

    def say(self, *content):
        self.do("send", "sent", content=list(content))

    def hear(self, *content):
        heard = self.do("recv", "message")["content"]
        assert heard == list(content), f"{self.name}: {heard} instead of {list(content)}"

    def hear_nothing(self, within=200):
        self.do("recv", "nothing", within=within)

    def refused(self, command, why, **fields):
        refusal = self.do(command, "refused", **fields)
        assert refusal["why"] == why, f"{refusal} instead of {why}"

    def close(self):
        self.do("close", "closed")

    def __exit__(self, error, *_):
        if error:
            self.report.tell(self)
        self.kill()


def curve(server):
    """What a server and its client are told, as ours or as theirs. Ours lets in whom it knows."""
    return {"secret": SERVER_KEYS[1], "allow": [CLIENT_KEYS[0]]} if server else \
        {"secret": CLIENT_KEYS[1], "server": SERVER_KEYS[0]}


def meet(ours, theirs, kinds, bound, server, endpoint=ANYWHERE, **options):
    """Opens both, one bound and the other connected; `server` is who is the server of CURVE, or none is."""
    those = {"ours": (ours, kinds[0]), "theirs": (theirs, kinds[1])}
    for who, (socket, kind) in those.items():
        more = dict(options)
        if "ROUTER" in kinds:
            more["identity"] = IDENTITY[who]
        if kind == "ROUTER":
            more["mandatory"] = True
        if server:
            more["curve"] = curve(who == server)
        socket.open(kind, **more)
        if kind == "SUB":
            socket.do("subscribe", "subscribed", prefix="")
    first, second = (ours, theirs) if bound == "ours" else (theirs, ours)
    second.connect(first.bind(endpoint))
    for socket in (ours, theirs):
        socket.monitored("Ready")


# ---- what each pair does


def transfer(sender, receiver, sizes=SIZES, head=(), skip=0):
    for count, size, frames in sizes:
        sender.begin("pour", count=count, size=size, frames=frames, head=list(head))
        receiver.begin("drain", count=count, size=size, frames=frames, skip=skip)
        sender.answer("poured")
        compare(receiver.answer("drained"), count, size)


def ask(asker, answerer, head=(), skip=0):
    for count, size, frames in ASKED:
        answerer.begin("serve", count=count)
        asker.begin("ask", count=count, size=size, frames=frames, head=list(head), skip=skip)
        compare(asker.answer("asked"), count, size)
        answerer.answer("served")


def there_and_back(sender, server, head=(), skip=0):
    """All of them are sent before the first is back."""
    for count, size, frames in SIZES:
        server.begin("serve", count=count)
        sender.do("pour", "poured", count=count, size=size, frames=frames, head=list(head))
        sender.begin("drain", count=count, size=size, frames=frames, skip=skip)
        compare(sender.answer("drained"), count, size)
        server.answer("served")


def compare(result, count, size):
    assert (result["messages"], result["wrong"], result["octets"]) == (count, 0, count * size), \
        f"{result}, and {count} of {size} octets were sent"


def both_ways(one, other):
    transfer(one, other)
    transfer(other, one)
    for socket in (one, other):
        socket.begin("pour", count=200, size=1_000)
        socket.begin("drain", count=200, size=1_000)
    for socket in (one, other):
        socket.answer("poured")
        compare(socket.answer("drained"), 200, 1_000)


def subscribed(sender, receiver, kinds):
    """The receiver has subscribed to everything, and the sender knows."""
    if kinds[1] == "XSUB":
        receiver.say("\x01")
    if kinds[0] == "XPUB":
        sender.hear("\x01")
        return
    # A PUB does not tell who subscribed, and what it says before goes nowhere.
    deadline = time.monotonic() + 5
    while True:
        sender.say("again")
        if receiver.do("recv", "message nothing", within=20)["event"] == "message":
            break
        assert time.monotonic() < deadline, "the subscription does not arrive"
    sender.say("go")
    while receiver.do("recv", "message")["content"] != ["go"]:
        pass


def topics(sender, receiver, kinds):
    """What was subscribed to comes, and nothing else: counted, by prefix, until it is cancelled."""
    def change(yes, prefix):
        if kinds[1] == "XSUB":
            receiver.say(("\x01" if yes else "\0") + prefix)
        else:
            receiver.do(*(("subscribe", "subscribed") if yes else ("unsubscribe", "unsubscribed")), prefix=prefix)
        if kinds[0] == "XPUB":
            sender.hear(("\x01" if yes else "\0") + prefix)

    change(True, "news.")
    change(True, "end")
    change(False, "")
    wait = None if kinds[0] == "XPUB" else "\x7fsync"
    if wait:
        # Changes come in the order in which they were made: the cancel has arrived when this comes and what is before it does not.
        change(True, wait)
        deadline = time.monotonic() + 5
        heard = []
        while heard != [wait]:
            assert time.monotonic() < deadline, "the changes do not arrive"
            sender.say("other")
            sender.say(wait)
            heard = []
            while wait not in heard and (came := receiver.do("recv", "message nothing", within=200))["event"] == "message":
                heard += came["content"]
    for content in (["news.at", "one"], ["new"], [""], ["old.news."], ["news."], ["end"]):
        sender.say(*content)
    heard = []
    while not heard or heard[-1] != ["end"]:
        heard.append(receiver.do("recv", "message")["content"])
    heard = [message for message in heard if message != [wait]]
    assert heard == [["news.at", "one"], ["news."], ["end"]], heard
    receiver.hear_nothing(50)


def talk(ours, theirs, kinds):
    """Everything that a pair can say."""
    first, second = kinds
    if first in SENDING or first in RECEIVING:
        sender, receiver = (ours, theirs) if first in SENDING else (theirs, ours)
        way = kinds if first in SENDING else (second, first)
        if way[0] != "PUSH":
            subscribed(sender, receiver, way)
        transfer(sender, receiver)
        if way[0] != "PUSH":
            topics(sender, receiver, way)
        return
    if first == second == "ROUTER":
        transfer(ours, theirs, head=[IDENTITY["theirs"]], skip=1)
        transfer(theirs, ours, head=[IDENTITY["ours"]], skip=1)
        return
    if first == second:
        both_ways(ours, theirs)
        return
    # REQ asks, and then DEALER; REP and ROUTER answer.
    asks = first == "REQ" or first == "DEALER" and second != "REQ"
    asker, answerer = (ours, theirs) if asks else (theirs, ours)
    way = kinds if asks else (second, first)
    envelope = {"head": [""], "skip": 1} if way == ("DEALER", "REP") else {}
    ask(asker, answerer, **envelope)
    if way[0] == "DEALER":
        there_and_back(asker, answerer, **envelope)
    if way == ("DEALER", "ROUTER"):
        # A ROUTER may begin as well.
        who = "ours" if asker is ours else "theirs"
        transfer(answerer, asker, head=[IDENTITY[who]])


SECURITIES = {"NULL": None, "CURVE, our server": "ours", "CURVE, their server": "theirs"}


def pair(report, kinds):
    with Socket(report, "ours", f"our {kinds[0]}") as ours, Socket(report, "theirs", f"their {kinds[1]}") as theirs:
        for bound, (security, server) in itertools.product(("ours", "theirs"), SECURITIES.items()):
            way = "bound" if bound == "ours" else "connected"

            def run(bound=bound, server=server):
                meet(ours, theirs, kinds, bound, server)
                talk(ours, theirs, kinds)
                ours.close()
                theirs.close()

            # What is left of one that failed says nothing of the next.
            report.must(f"our {kinds[0]}, {way}, and their {kinds[1]}: {security}", run)


# ---- other ways to meet


def ipc(report):
    """The same over Unix sockets: in a file, and in the abstract namespace of Linux."""
    folder = tempfile.mkdtemp(prefix="atonce-ipc-")
    kinds = [("REQ", "REP"), ("REP", "REQ"), ("PUSH", "PULL"), ("SUB", "PUB")]
    for number, (those, bound) in enumerate(itertools.product(kinds, ("ours", "theirs"))):
        for endpoint in (f"ipc://{folder}/{number}", f"ipc://@{os.path.basename(folder)}-{number}"):
            where = "in a file" if "/" in endpoint[6:] else "abstract"

            def run(those=those, bound=bound, endpoint=endpoint):
                with Socket(report, "ours", f"our {those[0]}") as ours, \
                        Socket(report, "theirs", f"their {those[1]}") as theirs:
                    meet(ours, theirs, those, bound, None, endpoint)
                    talk(ours, theirs, those)
                    ours.close()
                    theirs.close()

            report.check(f"our {those[0]}, {'bound' if bound == 'ours' else 'connected'} {where}, their {those[1]}", run)
    # libzmq leaves its own behind.
    mine = [str(number) for number, (_, bound) in enumerate(itertools.product(kinds, ("ours", "theirs"))) if bound == "ours"]
    report.check("no file is left of what we bound", lambda: equal([it for it in mine if it in os.listdir(folder)], []))
    shutil.rmtree(folder)


def equal(seen, expected):
    assert seen == expected, f"{seen} instead of {expected}"


def connect_first(report):
    """Whoever is bound may come later: what was said before waits."""
    for ours_first, kinds in itertools.product((True, False), (("PUSH", "PULL"), ("DEALER", "ROUTER"), ("REQ", "REP"))):
        def run(ours_first=ours_first, kinds=kinds):
            with Socket(report, "ours" if ours_first else "theirs", f"first {kinds[0]}") as first, \
                    Socket(report, "theirs" if ours_first else "ours", f"then {kinds[1]}") as then:
                # The port of one that is closed again.
                then.open(kinds[1])
                endpoint = then.bind()
                then.close()
                first.open(kinds[0], reconnect=50)
                first.connect(endpoint)
                first.say("early")
                time.sleep(0.3)
                then.open(kinds[1])
                then.bind(endpoint)
                heard = then.do("recv", "message")["content"]
                equal(heard[-1], "early")
                if kinds[0] != "PUSH":
                    then.say(*heard)
                    first.hear("early")

        report.check(f"{'our' if ours_first else 'their'} {kinds[0]} connects before a {kinds[1]} is bound", run)


def several(report):
    """Several peers: taken in turn, both out and in, and several endpoints of one socket."""
    def out(ours_sends):
        who = ("ours", "theirs") if ours_sends else ("theirs", "ours")
        with Socket(report, who[0], "the PUSH") as push, Socket(report, who[1], "a PULL") as one, \
                Socket(report, who[1], "a PULL too") as other:
            push.open("PUSH")
            one.open("PULL").connect(push.bind())
            other.open("PULL").connect(push.bind())
            for _ in range(2):
                push.monitored("Ready")
            for number in range(10):
                push.say(str(number))
            shares = [[int(it.do("recv", "message")["content"][0]) for _ in range(5)] for it in (one, other)]
            equal(sorted(map(sorted, shares)), [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]])
            equal(shares, list(map(sorted, shares)))

    def fair(ours_receives):
        who = ("ours", "theirs") if ours_receives else ("theirs", "ours")
        with Socket(report, who[0], "the PULL") as pull, Socket(report, who[1], "a PUSH") as one, \
                Socket(report, who[1], "a PUSH too") as other:
            pull.open("PULL")
            for socket, name in ((one, "one"), (other, "other")):
                socket.open("PUSH").connect(pull.bind())
                pull.monitored("Ready")
                for _ in range(20):
                    socket.say(name)
            time.sleep(0.2)
            heard = [pull.do("recv", "message")["content"][0] for _ in range(40)]
            equal(sorted(heard), ["one"] * 20 + ["other"] * 20)
            # Neither waits until the other has said all.
            assert len(set(heard[:10])) == 2, heard

    for ours in (True, False):
        whose = "our" if ours else "their"
        report.check(f"{whose} PUSH shares out in turn", functools.partial(out, ours))
        report.check(f"{whose} PULL takes from both in turn", functools.partial(fair, ours))


def illegal(report):
    """Types that make no pair do not talk, and ours tells."""
    for kinds, bound in itertools.product((("PULL", "PUB"), ("REQ", "PUSH"), ("PAIR", "DEALER"), ("SUB", "PUSH")),
                                          ("ours", "theirs")):
        def run(kinds=kinds, bound=bound):
            with Socket(report, "ours", f"our {kinds[0]}") as ours, \
                    Socket(report, "theirs", f"their {kinds[1]}") as theirs:
                ours.open(kinds[0])
                theirs.open(kinds[1])
                first, second = (ours, theirs) if bound == "ours" else (theirs, ours)
                second.connect(first.bind())
                event = ours.monitored("Refused Denied Disconnected")
                assert "Ready" not in [e.get("what") for e in ours.drain()], ours.events
                return event["text"][:120]

        report.check(f"our {kinds[0]}, {'bound' if bound == 'ours' else 'connected'}, and their {kinds[1]}", run)


def strangers(report):
    """CURVE: whoever is not known stays out, on both sides."""
    def kept_out(**client):
        with Socket(report, "ours", "our REP") as ours, Socket(report, "theirs", "their REQ") as theirs:
            ours.open("REP", curve=curve(True))
            theirs.open("REQ", **client).connect(ours.bind())
            # One that was refused before this has nobody to ask.
            theirs.do("send", "sent refused", content=["let me in"], within=500)
            ours.hear_nothing(500)
            assert "Ready" not in [e.get("what") for e in ours.drain()], ours.events

    unknown = {"secret": SERVER_KEYS[1], "server": SERVER_KEYS[0]}
    mistaken = {"secret": CLIENT_KEYS[1], "server": CLIENT_KEYS[0]}
    report.check("a client that is not listed", lambda: kept_out(curve=unknown))
    report.check("a client that takes us for another", lambda: kept_out(curve=mistaken))
    report.check("a client without CURVE", kept_out)

    def stays_out():
        with Socket(report, "ours", "our REQ") as ours, Socket(report, "theirs", "their REP") as theirs:
            theirs.open("REP", curve={"secret": SERVER_KEYS[1]})
            ours.open("REQ", curve=mistaken).connect(theirs.bind())
            ours.say("are you who you say?")
            theirs.hear_nothing(500)

    report.check("a server that is another", stays_out)


def jobs():
    for kinds in PAIRS:
        yield f"sockets {kinds[0]} {kinds[1]}", functools.partial(pair, kinds=kinds)
    yield "sockets ipc", ipc
    yield "sockets connect before bind", connect_first
    yield "sockets in turn", several
    yield "sockets illegal pairs", illegal
    yield "sockets strangers", strangers
