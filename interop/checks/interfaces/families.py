"""IPv6 alone, and both versions of IP on one network, with C Zyre that was told to use IPv6 (ZSYS_IPV6) and as it is."""

import functools
import time

from checks.interfaces import about, both_enter, enters, kinds_of, leaves, nothing_else, start, talk
from netns import Network

NETWORKS = {
    # C Zyre takes the first address of the device, which is that of the net where there is one.
    "addresses of the net": {"ipv4": False, "ipv6": "fd77::"},
    # What the kernel gives, a second or two after the start.
    "addresses of the link": {"ipv4": False},
}


def settled(hosts):
    """Addresses that the kernel gives are good: C Zyre does not start without one."""
    time.sleep(2.5)
    return hosts


# ZRE-160, ZRE-161, ZRE-104
def alone(report, kind, addresses, first):
    """No host has an address of IPv4."""
    with report.network(functools.partial(Network, **NETWORKS[addresses])) as net:
        hosts = settled([net.host(), net.host()])
        kinds = ("atonce", kind) if first == "ours" else (kind, "atonce")
        one = start(report, kinds[0], "anna", hosts[0])
        time.sleep(0.3)
        two = start(report, kinds[1], "bert", hosts[1])
        report.must(f"IPv6 only, {addresses}: ours and {kind} meet", lambda: both_enter(one, two))
        report.must("they talk", lambda: talk(one, two))

        def told():
            for x, y in ((one, two), (two, one)):
                event = enters(x, y)
                assert "10." not in event["endpoint"] and ":" in event["endpoint"], event
                nothing_else(x, y)

        time.sleep(2)
        report.check("nobody came twice, or went", told)
        report.check("one leaves", lambda: leaves(two, one))


# ZRE-166
def mixed(report, addresses):
    """Hosts with both; nodes with either or both."""
    with report.network(functools.partial(Network, **addresses)) as net:
        hosts = settled([net.host() for _ in range(6)])
        anna = start(report, "atonce", "anna", hosts[0])
        ann4 = start(report, "atonce", "ann4", hosts[1], "--family", "ipv4")
        ann6 = start(report, "atonce", "ann6", hosts[2], "--family", "ipv6")
        erin = start(report, "atonce", "erin", hosts[3])
        cleo = start(report, "zyre", "cleo", hosts[4])
        bert = start(report, "zyre6", "bert", hosts[5])
        pairs = [(anna, other) for other in (ann4, ann6, erin, cleo, bert)] + [(ann4, cleo), (ann6, bert), (erin, ann4), (erin, ann6)]
        for x, y in pairs:
            report.check(f"{x.name} and {y.name} meet", functools.partial(both_enter, x, y))
        for x, y in pairs:
            report.check(f"{x.name} and {y.name} talk", functools.partial(talk, x, y))
        time.sleep(6)

        def told():
            for x in (anna, ann4, ann6, erin):
                for y in (anna, ann4, ann6, erin, cleo, bert):
                    came = kinds_of(about(x, y))
                    assert came in ([], ["enter"]), f"{x.name} was told of {y.name}: {came}"
            for x, y in pairs:
                nothing_else(x, y)
                nothing_else(y, x)
            strangers = kinds_of(about(ann4, ann6) + about(ann6, ann4))
            assert not strangers, strangers

        report.check("each is one peer: nobody came twice, or went, and those without a version in common never met", told)
        report.check("ours leaves C Zyre", lambda: leaves(anna, bert))
        report.check("C Zyre leaves ours", lambda: leaves(bert, erin))


def jobs():
    for name in NETWORKS:
        for kind in ("zyre6", "atonce"):
            for first in ("ours", "theirs") if kind == "zyre6" else ("ours",):
                yield f"IPv6 only, {kind}, {name}, {first} first", functools.partial(alone, kind=kind, addresses=name, first=first)
    yield "both versions, addresses of the net", functools.partial(mixed, addresses={"ipv6": "fd77::"})
    yield "both versions, addresses of the link", functools.partial(mixed, addresses={})
