"""What the checks of interfaces share: nodes of ours and of C Zyre, with either version of IP, and how they talk."""

import time

from checks import end
from harness import KINDS, OURS, Missing, Peer

# The time between two beacons, of everybody here; seconds.
INTERVAL = 1

# ours; C Zyre as it is; C Zyre whose application, or user, turned IPv6 on.
ARGV = {"zyre": KINDS["zyre"], "zyre6": ["env", "ZSYS_IPV6=1", *KINDS["zyre"]]}

# What is an event about somebody's presence.
PRESENCE = ("enter", "exit", "evasive", "silent")


def start(report, kind, name, host, *options, device=None):
    """A node that runs, in the group ALL. Ours uses all interfaces that there are, unless it is told otherwise."""
    options = ["--group", "ALL", *map(str, options)]
    argv = ARGV.get(kind)
    if argv:
        argv = host.argv([*argv, "--interface", device or host.device])
        peer = Peer(kind, name, argv=argv, options=options)
    else:
        peer = Peer(kind, name, argv=host.argv(OURS["atonce"]), options=options)
    report.watch(peer)
    event = peer.expect(event="start", within=15)
    peer.uuid, peer.endpoint = event["uuid"], event["endpoint"]
    return peer


def enters(x, y, within=6.0):
    """x is told once that y is there, and in the group; the event."""
    event = x.expect(event="enter", peer=y.uuid, anywhere=True, within=within)
    assert event["name"] == y.name, event
    x.expect(event="join", peer=y.uuid, group="ALL", anywhere=True)
    return event


def both_enter(x, y, within=6.0):
    enters(x, y, within)
    enters(y, x, within)


def says(x, y, within=5.0):
    """What x whispers and shouts comes to y."""
    for command, wanted in (({"do": "whisper", "peer": y.uuid}, {"event": "whisper"}),
                            ({"do": "shout", "group": "ALL"}, {"event": "shout", "group": "ALL"})):
        content = [f"{command['do']} of {x.name} to {y.name} at {time.monotonic()}"]
        x.send(**command, content=content)
        y.expect(**wanted, peer=x.uuid, content=content, anywhere=True, within=within)


def talk(x, y):
    says(x, y)
    says(y, x)


def about(x, y, *kinds):
    """What x was told of the presence of y."""
    return [e for e in x.drain() if e["event"] in (kinds or PRESENCE) and e.get("peer") == y.uuid]


def kinds_of(events):
    return [e["event"] for e in events]


def nothing_else(x, y):
    """y entered, and that was all. C Zyre says of anybody who is silent for five seconds that he is evasive."""
    told = kinds_of(about(x, y, *(PRESENCE if x.kind == "atonce" else ("enter", "exit"))))
    assert told == ["enter"], f"{x.name} was told of {y.name}: {told}"


def leaves(x, y):
    """x stops politely; y is told soon."""
    end(x)
    event = y.expect(event="exit", peer=x.uuid, within=3)
    if y.kind == "atonce":
        assert event["reason"] == "left", event


def since(event, began):
    return event["seen"] - began


def waits(what, within=10.0):
    """Waits until it is so."""
    deadline = time.monotonic() + within
    while not (found := what()):
        if time.monotonic() > deadline:
            raise Missing(f"not within {within} s")
        time.sleep(0.02)
    return found

