"""Hubs in a line and in a cycle, of both kinds; gossip and beacons side by side."""

import functools
import time

from checks import ms
from checks.gossip import GROUP, Gossip, Load, met, stable, talk, told
from checks.meet import start
from checks.secure import Keys


def line(report, keys=None, cycle=False):
    """A hub of C and one of ours, one of them a client of the other, or each of the other."""
    with report.network() as net:
        gossip = Gossip(report, net, keys)
        shape = "a cycle" if cycle else "a line"
        gossip.host("hub"), gossip.host("bub")
        ours = gossip.start("atonce", "hub", ["bub"] if cycle else [], bind=True)
        theirs = gossip.start("zyre", "bub", ["hub"], bind=True)
        leaves = [gossip.start(kind, name, [at]) for kind, name, at in
                  (("zyre", "ann", "hub"), ("atonce", "uma", "hub"), ("zyre", "ben", "bub"), ("atonce", "vic", "bub"))]
        nodes = [ours, theirs, *leaves]
        report.must(f"two hubs in {shape}: those at either meet those at the other", lambda: met(nodes))
        with Load(leaves) as load:
            time.sleep(1.5)
        report.check("what they shout comes everywhere, once and in order", load.arrived)
        report.check("they talk, each with each", lambda: talk(nodes))
        report.check("nobody came twice or went", lambda: stable(nodes))
        if cycle:
            return
        # The hub between them dies and comes back.
        theirs.kill()
        time.sleep(0.5)
        again = gossip.start("zyre", "bub", ["hub"], bind=True)
        report.check("the hub of C is killed and back: it is told of all", lambda: met([ours, again, *leaves]))
        late = gossip.start("atonce", "wes", ["bub"])
        report.check("and tells of all", lambda: met([ours, again, *leaves, late]))
        report.check("nobody came twice or went", lambda: stable([ours, again, *leaves, late]))


def mixed(report):
    """Beacons on the LAN, gossip beside it: nodes of C that know one of them, and ours that know both."""
    with report.network() as net:
        gossip = Gossip(report, net)
        hub = gossip.start("atonce", "hub", bind=True, beacons=True)
        both = [gossip.start("atonce", name, ["hub"], beacons=True) for name in ("uma", "vic")]
        gossips = [gossip.start("zyre", name, ["hub"]) for name in ("ann", "ben")]
        beacons = []
        for kind, name in (("zyre", "cid"), ("zyre", "dan"), ("atonce", "wes")):
            node = start(report, kind, name, net.host(), ["--group", GROUP])
            beacons.append(node)

        def both_meet():
            # C in gossip hears no beacons, and C with beacons no gossip, but each is greeted by ours.
            met([hub, *both, *gossips])
            met([hub, *both, *beacons])
            return f"{ms(told(hub, 'join')[-1], hub.started)} after the hub was started"

        report.must("ours with both meet those who have one of them", both_meet)

        def once():
            time.sleep(3)
            stable([hub, *both, *gossips])
            stable([hub, *both, *beacons])

        report.check("each is one peer, and is told once", once)
        report.check("they talk", lambda: (talk([hub, *both, *gossips]), talk([hub, *both, *beacons])))


def secure(report, cycle):
    with Keys("hub", "bub", "ann", "ben", "uma", "vic", "wes") as keys:
        line(report, keys, cycle)


def jobs():
    for cycle in (False, True):
        shape = "a cycle" if cycle else "a line"
        yield f"gossip, {shape} of hubs", functools.partial(line, cycle=cycle)
        yield f"gossip with CURVE, {shape} of hubs", functools.partial(secure, cycle=cycle)
    yield "gossip and beacons", mixed
