"""One hub, of either kind, with nodes of both: they meet and talk; the hub is killed under load, and comes back."""

import functools
import time

from checks import end, ms
from checks.gossip import HUBS, Gossip, Load, met, stable, talk, told
from checks.secure import Keys

THEIRS = ["ann", "ben", "cid"]
OURS = ["uma", "vic", "wes"]


def hub(report, kind, keys=None):
    with report.network() as net:
        gossip = Gossip(report, net, keys)
        first = gossip.start(kind, "hub", bind=True)
        began = time.monotonic()
        nodes = [gossip.start(who, name, ["hub"])
                 for pair in zip(THEIRS, OURS, strict=True)
                 for who, name in zip(HUBS, pair, strict=True)]

        def all_meet():
            met([first, *nodes])
            last = max(e["seen"] for node in nodes for e in told(node, "join"))
            return f"{round((last - began) * 1000)} ms after the first was started"

        report.must(f"three of C and three of ours meet at a hub of {kind}, each once", all_meet)
        report.check("they talk, each with each", lambda: talk([first, *nodes]))
        with Load(nodes) as load:
            time.sleep(0.5)
            first.kill()
            time.sleep(0.8)
            again = gossip.start(kind, "hub", bind=True)
            report.check("the hub is killed under load, and comes back: it is told of all",
                         lambda: met([again, *nodes]))
            time.sleep(1)
        report.check("what they said meanwhile came everywhere, once and in order", load.arrived)
        late = gossip.start("zyre", "late", ["hub"])
        report.check("every tuple is back: one that comes now meets all", lambda: met([late, again, *nodes]))

        def gone():
            for node in nodes:
                event = node.expect(event="exit", peer=first.uuid, within=10, anywhere=True)
            return f"the last one {ms(event, began)} after the start"

        report.check("the old hub exits everywhere", gone)

        def nobody_flapped():
            # C dials what each tuple says, and a hub of C goes on saying where the one before it was, dead or not: it may be greeted twice.
            stable([again, late, *nodes], greeted_anew=(again, late) if kind == "zyre" else None)
            for node in nodes:
                found = len(told(node, "enter")), len(told(node, "exit"))
                # Five others, one that came late, the hub before and after.
                assert found == (8, 1), f"{node.name} ({node.kind}): {found} times ENTER, EXIT of anybody"

        report.check("nobody came twice or went: 8 ENTER and 1 EXIT each", nobody_flapped)
        ended = nodes[-1]

        def leaves():
            rest = [node for node in [again, late, *nodes] if node is not ended]
            began = time.monotonic()
            end(ended)
            for node in rest:
                event = node.expect(event="exit", peer=ended.uuid, within=5, anywhere=True)
            return f"{ms(event, began)} later"

        report.check("one of ours that ends says goodbye to all", leaves)
        ended = nodes[0]
        nodes = nodes[:-1]

        def theirs_leaves():
            rest = [node for node in [again, late, *nodes] if node is not ended]
            began = time.monotonic()
            end(ended)
            for node in rest:
                event = node.expect(event="exit", peer=ended.uuid, within=5, anywhere=True)
                assert node.kind == "zyre" or event["reason"] == "left", event
            return f"{ms(event, began)} later"

        report.check("so does one of C", theirs_leaves)


def secure(report, kind):
    with Keys("hub", "late", *THEIRS, *OURS) as keys:
        hub(report, kind, keys)


def jobs():
    for kind in HUBS:
        yield f"gossip, a hub of {kind}", functools.partial(hub, kind=kind)
        yield f"gossip with CURVE, a hub of {kind}", functools.partial(secure, kind=kind)
