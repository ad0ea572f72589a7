"""The sequence wraps after 65,535 messages, the status after 256 changes: what each pair makes of it.

Kinds differ: C Zyre goes on from 65535 to 0, Pyre and zyre.js from 65534 to 0. Ours takes both. It
spends its own first 65535 on a PING and waits for what the peer makes of it: those two forget us, and
are greeted anew. That is one EXIT and ENTER at theirs; no message is lost, and ours is told nothing.
"""

import functools
import time

from checks import PEERS
from checks.gone import both_enter, settle
from checks.meet import OPTIONS, start

COUNT = 65_600

# Messages under way. Pyre closes its own link when 3,000 wait, and libzmq counts in steps of 1,500.
WINDOW = 1_000

# They never send 65535 and do not expect it.
EARLY = ["pyre", "zyre.js"]


class Stream:
    """Numbered WHISPERs from x to y; what y saw of them, and who came and went meanwhile."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.seen = []
        self.moves = []    # (who, event, number under way)

    def note(self, peer, event):
        if event["event"] in ("enter", "exit"):
            who = "receiver" if peer is self.y else "sender"
            self.moves.append((who, event["event"], event.get("reason"), self.sent))
        elif event["event"] == "error":
            self.errors.append(event["message"])

    def run(self, count, within):
        deadline = time.monotonic() + within
        self.sent, self.errors = 0, []
        stuck = 0
        while len(self.seen) < count and time.monotonic() < deadline:
            room = min(count, (self.seen[-1] + 1 if self.seen else 0) + WINDOW) - self.sent
            if room >= WINDOW // 2 or (room and self.sent + room == count):
                self.x.send_all({"do": "whisper", "peer": self.y.uuid, "content": [str(n)]}
                                for n in range(self.sent, self.sent + room))
                self.sent += room
            while (event := self.x.next(0)) is not None:
                self.note(self.x, event)
            event = self.y.next(0.5)
            if event is None:
                stuck += 1
                if stuck > 8:
                    if self.sent == count:
                        break
                    # What was under way is lost: go on behind it.
                    self.seen.append(self.sent - 1)
                    self.lost = True
                    stuck = 0
                continue
            stuck = 0
            if event["event"] == "whisper" and event["peer"] == self.x.uuid:
                self.seen.append(int(event["content"][0]))
            else:
                self.note(self.y, event)
        return self

    def missing(self):
        return sorted(set(range(self.sent)) - set(self.seen))


def stream(x, y, within=60):
    """Everything arrives in order, or what is missing is told."""
    began = time.monotonic()
    s = Stream(x, y).run(COUNT, within)
    assert s.sent == COUNT, f"only {s.sent} were sent; {s.moves}, {s.errors[:3]}"
    return s, time.monotonic() - began


def spans(numbers):
    """1 2 3 7 8 as "1–3, 7–8"."""
    out = []
    for n in numbers:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join(f"{a}–{b}" for a, b in out[:4]) or "nothing"


def clean(x, y):
    s, seconds = stream(x, y)
    missing = s.missing()
    assert not missing, f"{len(missing)} missing: {spans(missing)}; {s.moves}; {s.errors[:3]}"
    assert s.seen == list(range(COUNT)), "out of order"
    assert not s.moves, s.moves
    return f"{COUNT} messages in order in {seconds:.1f} s, nobody comes or goes"


def price(x, y):
    """The first wrap towards one that wraps early."""
    s, seconds = stream(x, y)
    missing = s.missing()
    assert not missing, f"{len(missing)} missing: {spans(missing)}; {s.moves}; {s.errors[:3]}"
    assert s.seen == list(range(COUNT)), "out of order"
    moves = [(who, event) for who, event, _, _ in s.moves]
    assert moves == [("receiver", "exit"), ("receiver", "enter")], s.moves
    return f"{COUNT} messages in order in {seconds:.1f} s, one EXIT and ENTER at theirs"


def sequence(report, kind):
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        theirs = start(report, kind, "bert", net.host(), OPTIONS)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))
        if kind in EARLY:
            report.check(f"ours -> {kind}, first wrap", lambda: price(ours, theirs))
            report.check(f"ours -> {kind}, second wrap", lambda: clean(ours, theirs))
        else:
            report.check(f"ours -> {kind}", lambda: clean(ours, theirs))


def sequence_back(report, kind):
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        theirs = start(report, kind, "bert", net.host(), OPTIONS)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))
        report.check(f"{kind} -> ours", lambda: clean(theirs, ours))
        if kind in EARLY:
            report.check(f"ours -> {kind}, which wrapped before", lambda: clean(ours, theirs))


CHANGES = 310


def changes(x, y, count=CHANGES):
    for n in range(count):
        x.send(do="leave" if n % 2 else "join", group="DELTA")
        # The drivers take a while for each; nothing is to be won by hurrying them.
        if n % 50 == 49:
            time.sleep(0.02)
    for n in range(count):
        y.expect(event="leave" if n % 2 else "join", group="DELTA", peer=x.uuid, within=10)
    moved = [e for e in y.events if e["event"] == "exit"]
    assert not moved, moved


def status(report, kind):
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        theirs = start(report, kind, "bert", net.host(), OPTIONS)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))
        # C and Pyre compare what they count with what they are told, and stop when it differs.
        report.check(f"ours -> {kind}: {CHANGES} JOIN and LEAVE", lambda: changes(ours, theirs))
        report.check(f"{kind} lives on", lambda: settle(ours, theirs, quiet=0.5))
        if kind != "pyre":
            report.check(f"{kind} -> ours: {CHANGES} JOIN and LEAVE",
                         lambda: changes(theirs, ours))
            report.check("and they talk", lambda: settle(ours, theirs, quiet=0.5))
            return

        def pyre_dies():
            changes(theirs, ours, 254)  # it was one with its first group
            theirs.send(do="join", group="LAST")
            theirs.send(do="leave", group="LAST")
            event = ours.expect(event="exit", peer=theirs.uuid, within=8)
            return f"254 arrive, its own sender fails at the 256th, EXIT {event['reason']}"

        report.check("pyre -> ours: as many JOIN and LEAVE as it can count", pyre_dies)


def jobs():
    for kind in [*PEERS, "atonce"]:
        yield f"wrap of ours to {kind}", functools.partial(sequence, kind=kind)
        if kind != "atonce":
            yield f"wrap of {kind} to ours", functools.partial(sequence_back, kind=kind)
        yield f"status {kind}", functools.partial(status, kind=kind)
