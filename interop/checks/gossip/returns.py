"""A node that is killed and comes back under a new UUID at the same endpoint, and one that takes its tuple back."""

import functools
import time

from checks import end, ms
from checks.gossip import HUBS, Gossip, met, stable, talk, told
from checks.secure import Keys


def returns(report, kind, keys=None):
    """While the old tuple still stands at a hub of either kind."""
    with report.network() as net:
        gossip = Gossip(report, net, keys)
        hub = gossip.start(kind, "hub", bind=True)
        ann = gossip.start("zyre", "ann", ["hub"])
        uma = gossip.start("atonce", "uma", ["hub"])
        stay = [hub, ann, uma]
        for who, name in (("zyre", "ben"), ("atonce", "vic")):
            node = gossip.start(who, name, ["hub"])
            report.must(f"{name} of {who} meets those at a hub of {kind}", lambda node=node: met([*stay, node]))

            def again(node=node, who=who, name=name):
                node.kill()
                new = gossip.start(who, name, ["hub"])
                assert new.uuid != node.uuid and new.endpoint == node.endpoint, new.endpoint
                began = new.started
                met([*stay, new])
                last = max(e["seen"] for one in stay for e in told(one, "enter", new.uuid))
                again.node = new
                return f"{round((last - began) * 1000)} ms after its start"

            report.must(f"{name} of {who} is killed and back at its endpoint under a new UUID", again)
            new = again.node

            def once(node=node, new=new):
                # C is told of the old one's end by its silence, or by the one that has its endpoint.
                for one in stay:
                    one.expect(event="exit", peer=node.uuid, anywhere=True, within=10)
                time.sleep(3)
                for one in stay:
                    found = [(len(told(one, "enter", u)), len(told(one, "exit", u))) for u in (node.uuid, new.uuid)]
                    assert found == [(1, 1), (1, 0)], f"{one.name} ({one.kind}): ENTER, EXIT {found}"
                stable([*stay, new])
                talk([*stay, new])

            report.check("one EXIT of the old one and one ENTER of the new one, everywhere, and quiet then", once)

            def late(node=node, new=new):
                comer = gossip.start("atonce", "late", ["hub"])
                met([*stay, new, comer])
                time.sleep(2)
                assert not told(comer, "enter", node.uuid), "the old one enters"
                stable([*stay, new, comer])
                end(comer)
                for one in [*stay, new]:
                    one.expect(event="exit", peer=comer.uuid, anywhere=True)

            report.check("one that comes later is told both tuples, and meets the new one", late)
            end(new)
            for one in stay:
                one.expect(event="exit", peer=new.uuid, anywhere=True, within=10)


def unpublished(report, kind, keys=None):
    """One that ends takes its tuple back: nobody seeks it any more, and who comes later is none the worse for it."""
    with report.network() as net:
        gossip = Gossip(report, net, keys)
        hub = gossip.start(kind, "hub", bind=True)
        ann = gossip.start("zyre", "ann", ["hub"])
        uma = gossip.start("atonce", "uma", ["hub"])
        vic = gossip.start("atonce", "vic", ["hub"])
        met([hub, ann, uma, vic])
        end(vic)
        for one in (hub, ann, uma):
            one.expect(event="exit", peer=vic.uuid, within=5)
        late = [gossip.start("zyre", "ben", ["hub"]), gossip.start("atonce", "wes", ["hub"])]
        rest = [hub, ann, uma, *late]
        report.must(f"those who come later to a hub of {kind} meet all who are there", lambda: met(rest))

        def quiet():
            time.sleep(2)
            stable(rest)
            for one in rest:
                entered = len(told(one, "enter", vic.uuid)), len(told(one, "exit", vic.uuid))
                assert entered in ((1, 1), (0, 0)), f"{one.name} ({one.kind}): {entered}"
            talk(rest)

        report.check("and one whose tuple was taken back is nowhere", quiet)

        def anew():
            node = gossip.start("atonce", "vic", ["hub"])
            began = node.started
            met([*rest, node])
            stable([*rest, node])
            return f"{ms(told(ann, 'enter', node.uuid)[0], began)} after its start"

        report.check("it comes back at its endpoint, and enters once everywhere", anew)


def secure(report, kind, job):
    with Keys("hub", "ann", "ben", "uma", "vic", "wes", "late") as keys:
        job(report, kind, keys)


def jobs():
    for kind in HUBS:
        for what, job in (("returns", returns), ("tuples taken back", unpublished)):
            yield f"gossip, {what}, a hub of {kind}", functools.partial(job, kind=kind)
            yield f"gossip with CURVE, {what}, a hub of {kind}", functools.partial(secure, kind=kind, job=job)
