"""Ours and one node of each kind on one network, for a while, with everything that they say to each
other checked: at ours every event of every peer, in order; at theirs every event of ours.

Below 60,000 messages a pair and 200 changes of groups a node nothing wraps, so nobody has a reason
to come or go.
"""

import collections
import os
import random
import time

import harness
from checks import PEERS, end
from checks.meet import frame, start

GROUP = "SOAK"
OPTIONS = ["--group", GROUP, "--header", "X-PLACE=hall"]

MESSAGES = 50_000
CHANGES = 180
RATE = 80  # messages a second from one node to another, at most

RAMP = bytes(range(256)) * 258


def content(rng):
    """One frame of 0 to 64 KiB: most are small, some are text."""
    size = rng.choice((0, 1, 7, 40, 200, 255, 256, 1000, 1000, 4096, rng.randrange(65_537)))
    if rng.random() < 0.3:
        return ("grüße " * (size // 6 + 1))[:size]
    at = rng.randrange(256)
    return frame(RAMP[at:at + size])


class Soak:
    def __init__(self, nodes, seconds, rng):
        self.ours, *self.theirs = nodes
        self.nodes = nodes
        self.by_uuid = {node.uuid: node for node in nodes}
        self.rng = rng
        self.seconds = seconds
        # What is still to be heard, by hearer and speaker; one of the two is ours.
        self.due = {}
        for node in self.theirs:
            self.due[self.ours, node] = collections.deque()
            self.due[node, self.ours] = collections.deque()
        self.wrong = []
        self.heard = collections.Counter()
        self.octets = collections.Counter()
        self.changes = collections.Counter()
        self.joined = {node: False for node in nodes}
        self.gaps = collections.Counter()
        self.pace = min(RATE, MESSAGES / seconds)
        self.latest = 0.0

    def fail(self, what):
        if len(self.wrong) < 20:
            self.wrong.append(what)

    # -- saying ------------------------------------------------------------------------------------

    def expect(self, speaker, hearers, wanted):
        now = time.monotonic()
        for hearer in hearers:
            if (hearer, speaker) in self.due:
                self.due[hearer, speaker].append((wanted, now))

    def others(self, node):
        return [other for other in self.nodes if other is not node]

    def frames(self, speaker, hearers):
        several = speaker.kind != "zyre.js" and self.rng.random() < 0.2
        if several and all(hearer.kind != "zyre.js" for hearer in hearers):
            return [content(self.rng) for _ in range(self.rng.randrange(2, 6))]
        return [content(self.rng)]

    def say(self, speaker):
        if speaker is not self.ours and self.rng.random() < 0.4 or self.rng.random() < 0.15:
            hearers = self.others(speaker)
            frames = self.frames(speaker, hearers)
            self.expect(speaker, hearers, {"event": "shout", "group": GROUP, "content": frames})
            speaker.send(do="shout", group=GROUP, content=frames)
            return
        hearers = self.theirs if speaker is self.ours else [self.ours]
        for hearer in hearers:
            frames = self.frames(speaker, [hearer])
            self.expect(speaker, [hearer], {"event": "whisper", "content": frames})
            speaker.send(do="whisper", peer=hearer.uuid, content=frames)

    def move(self, node):
        if self.changes[node] >= CHANGES:
            return
        self.changes[node] += 1
        joined = self.joined[node] = not self.joined[node]
        do = "join" if joined else "leave"
        group = f"OF {node.name}"
        self.expect(node, self.others(node), {"event": do, "group": group})
        node.send(do=do, group=group)

    # -- hearing -----------------------------------------------------------------------------------

    def listen(self, seconds):
        until = time.monotonic() + seconds
        while True:
            for node in self.nodes:
                while (event := node.next(0)) is not None:
                    self.hear(node, event)
            if time.monotonic() >= until:
                return
            time.sleep(0.005)

    def hear(self, hearer, event):
        kind = event["event"]
        speaker = self.by_uuid.get(event.get("peer"))
        ours = hearer is self.ours or speaker is self.ours
        if kind in ("exit", "enter", "error") and ours:
            self.fail(f"{hearer.name} heard {kind} {event.get('name')} {event.get('reason', '')} "
                      f"{event.get('detail', event.get('message', ''))}")
        elif kind in ("evasive", "silent", "recovered") and ours:
            self.gaps[hearer.name, kind] += 1
        if kind not in ("whisper", "shout", "join", "leave"):
            return
        due = self.due.get((hearer, speaker))
        if due is None:
            return
        if not due:
            return self.fail(f"{hearer.name} heard {kind} of {speaker.name}, which it did not say")
        wanted, said = due.popleft()
        if not harness.Peer.matches(event, wanted):
            self.fail(f"{hearer.name} heard {str(event)[:100]} of {speaker.name} instead of "
                      f"{str(wanted)[:100]}")
        self.latest = max(self.latest, event["seen"] - said)
        self.heard[hearer.name, speaker.name] += 1
        self.octets[hearer.name, speaker.name] += sum(
            len(f) if isinstance(f, str) else len(f["base64"]) * 3 // 4
            for f in wanted.get("content", ()))

    # -- all of it ---------------------------------------------------------------------------------

    def run(self):
        began = time.monotonic()
        while (now := time.monotonic() - began) < self.seconds and not self.wrong:
            # Now and then everybody is silent for longer than anybody waits.
            silent = now % 60 > 50 or (self.seconds < 60 and self.seconds * 0.5 < now
                                       < self.seconds * 0.5 + 7)
            if not silent:
                for node in self.nodes:
                    for _ in range(self.rng.randrange(max(1, round(self.pace / 5)) + 1)):
                        self.say(node)
                    if self.rng.random() < min(0.2, CHANGES / (self.seconds * 10)):
                        self.move(node)
            self.listen(0.1)
        deadline = time.monotonic() + 10
        while any(self.due.values()) and time.monotonic() < deadline and not self.wrong:
            self.listen(0.1)
        for (hearer, speaker), due in self.due.items():
            if due:
                self.fail(f"{hearer.name} did not hear {len(due)} of {speaker.name}, the first: "
                          f"{str(due[0][0])[:80]}")
        return self

    def summary(self):
        lines = []
        for node in self.theirs:
            there, back = (node.name, self.ours.name), (self.ours.name, node.name)
            lines.append(
                f"{node.kind}: {self.heard[there]:6} messages and {self.octets[there] / 1e6:7.1f} MB"
                f" to it, {self.heard[back]:6} and {self.octets[back] / 1e6:7.1f} MB from it")
        lines.append(f"changes of groups: {sum(self.changes.values())}; the latest event came "
                     f"{self.latest * 1000:.0f} ms after its command")
        lines.append("evasive, silent, recovered: " + (", ".join(
            f"{who} {kind} {n} times" for (who, kind), n in sorted(self.gaps.items())) or "never"))
        return lines


def memory(process):
    with open(f"/proc/{process.pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def processor(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def soak(report, seconds, seed=None):
    """The lines of a summary; what is wrong is told by the report."""
    seed = random.randrange(1 << 32) if seed is None else seed
    lines = []
    with report.network() as net:
        nodes = [start(report, "atonce", "ours", net.host(), OPTIONS)]
        versions = []
        for kind in [*PEERS, "atonce"]:
            node = start(report, kind, kind if kind != "atonce" else "other", net.host(), OPTIONS)
            said = next(e for e in node.events if e["event"] == "start")
            versions.append(f"{kind} {said.get('version', '')}".strip())
            nodes.append(node)

        def meet():
            for node in nodes[1:]:
                enters_all(nodes[0], node)

        report.must("all meet", meet)
        for node in nodes:
            node.gather(1.5 if node is nodes[0] else 0.01)
        before = memory(nodes[0].process)

        def run():
            found = Soak(nodes, seconds, random.Random(seed)).run()
            lines.append(f"{seconds:.0f} s with {', '.join(versions)}; seed {seed}")
            lines.extend(found.summary())
            lines.append(f"memory of ours: {before:.1f} MiB before, "
                         f"{memory(nodes[0].process):.1f} MiB after; processor time "
                         f"{processor(nodes[0].process):.1f} s")
            lines.extend(f"WRONG: {wrong}" for wrong in found.wrong)
            assert not found.wrong, "; ".join(found.wrong[:3])

        report.check(f"{seconds:.0f} s of everything at once", run)

        def leave():
            for node in nodes[1:]:
                end(node)
                event = nodes[0].expect(event="exit", peer=node.uuid)
                assert event["reason"] == "left", event
            end(nodes[0])

        report.check("all leave", leave)
    return lines


def enters_all(x, y):
    for a, b in ((x, y), (y, x)):
        a.expect(event="enter", peer=b.uuid, anywhere=True)
        a.expect(event="join", peer=b.uuid, group=GROUP, anywhere=True)


def short(report):
    for line in soak(report, 25):
        report.say(f"         {line}")


def jobs():
    yield "soak of 25 s", short
