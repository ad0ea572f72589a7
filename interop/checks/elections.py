"""Who leads a group: ours with C Zyre, which has the same waves, and with those who know none."""

import time

from checks import Report, end
from harness import Missing, Peer

GROUP = "LED"
WITHIN = 12.0


class View:
    """Who leads the group as one node was told."""

    def __init__(self, peer):
        self.peer = peer
        self.leader = None
        self.told = 0
        self.read = 0

    def look(self):
        self.peer.drain()
        for event in self.peer.events[self.read:]:
            kind, whom = event["event"], event.get("peer")
            if kind == "leader" and event["group"] == GROUP:
                self.leader = whom
                self.told += 1
            elif whom == self.leader and (kind == "exit" or kind == "leave" and event["group"] == GROUP):
                self.leader = None
        self.read = len(self.peer.events)
        return self.leader


def start(kind, name, host, contests=True, options=()):
    own = ["--group", GROUP, *(["--contest", GROUP] if contests else []), *options]
    return Peer(kind, name, host, own)


def wait_for_all(peers):
    """Until each is told of all others, in the group."""
    for peer in peers:
        peer.uuid = peer.expect(event="start", within=WITHIN)["uuid"]
    for peer in peers:
        for other in peers:
            if other is not peer:
                peer.expect(event="join", peer=other.uuid, group=GROUP, anywhere=True, within=WITHIN)


def agreed(peers, leader=None, within=WITHIN, viewers=None):
    """Until all, or these viewers, see one leader that is among them, and it stays so for a second; who it is, and how long it took."""
    views = [View(peer) for peer in viewers or peers]
    began = since = time.monotonic()
    while time.monotonic() - began < within:
        seen = {view.look() for view in views}
        good = len(seen) == 1 and seen <= {peer.uuid for peer in peers} and leader in (None, *seen)
        if not good:
            since = time.monotonic()
        elif time.monotonic() - since > 1:
            return seen.pop(), since - began
        time.sleep(0.02)
    raise Missing(f"they see {[(view.peer.name, view.leader) for view in views]}")


def lowest(peers):
    return min(peer.uuid for peer in peers)


def ours(report: Report):
    with report.network() as net:
        host = net.host()
        peers = [start("atonce", f"ours{n}", host, contests=n < 3) for n in range(4)]
        report.watch(*peers)
        wait_for_all(peers)
        first = lowest(peers[:3])

        def led():
            _, took = agreed(peers, first)
            return f"after {took * 1000:.0f} ms"
        report.must("the lowest that contests leads, also for one that does not", led)

        def gone():
            leader, = (peer for peer in peers if peer.uuid == first)
            peers.remove(leader)
            end(leader)
            _, took = agreed(peers, lowest([peer for peer in peers if peer.name != "ours3"]))
            return f"after {took * 1000:.0f} ms"
        report.must("it stops, and the next one leads", gone)

        def killed():
            leader, = (peer for peer in peers if peer.uuid == lowest([p for p in peers if p.name != "ours3"]))
            peers.remove(leader)
            leader.kill()
            _, took = agreed(peers)
            return f"after {took * 1000:.0f} ms"
        report.must("it is killed, and the last one leads", killed)

        def commanded():
            other = next(peer for peer in peers if peer.name == "ours3")
            last = next(peer for peer in peers if peer is not other)
            last.send(do="withdraw", group=GROUP)
            other.send(do="contest", group=GROUP)
            agreed(peers, other.uuid)
        report.check("it withdraws, and one that is told to contest leads", commanded)


def mixed(report: Report):
    with report.network() as net:
        host = net.host()
        peers = [start(kind, f"{kind}{n}", host) for n, kind in enumerate(["zyre", "atonce", "zyre", "atonce"])]
        report.watch(*peers)
        wait_for_all(peers)

        def led():
            # C Zyre's own waves can hang; ours end.
            leader, took = agreed(peers, viewers=[peer for peer in peers if peer.kind == "atonce"])
            others = [View(peer) for peer in peers if peer.kind == "zyre"]
            same = sum(view.look() == leader for view in others)
            return f"{next(p.name for p in peers if p.uuid == leader)}, after {took * 1000:.0f} ms; {same} of {len(others)} of C Zyre's see it"
        report.must("among two of each, ours see one leader", led)


def follower(report: Report):
    with report.network() as net:
        host = net.host()
        # One that does not contest is there first: C Zyre waits for its answer.
        peers = [start("atonce", "ours", host, contests=False)]
        peers += [start("zyre", f"zyre{n}", host) for n in range(2)]
        report.watch(*peers)
        wait_for_all(peers)

        def led():
            # Two of C Zyre can end with different leaders; neither has any without the answer of ours.
            agreed(peers, viewers=peers[:1])
            views = [View(peer) for peer in peers[1:]]
            assert any(view.look() for view in views), "no wave of C Zyre came to its end"
        report.check("C Zyre's wave comes back from one of ours that does not contest, and it is told", led)


def mute(report: Report):
    with report.network() as net:
        host = net.host()
        peers = [start("atonce", f"ours{n}", host) for n in range(2)]
        others = [Peer(kind, kind, host, ["--group", GROUP]) for kind in ("pyre", "zyre.js")]
        report.watch(*peers, *others)
        wait_for_all(peers + others)

        def led():
            # ELEC-2: no word of it goes to those who would drop us for it.
            agreed(peers, lowest(peers))
            for other in others:
                other.never(1.0, "exit")
                other.send(do="shout", group=GROUP, content=["still here"])
                for peer in peers:
                    peer.expect(event="shout", name=other.name, within=WITHIN)
        report.check("with Pyre and zyre.js in the group ours elect, and both stay", led)


def jobs():
    yield "ours alone", ours
    yield "ours and C Zyre", mixed
    yield "one that does not contest", follower
    yield "those who know nothing of it", mute
