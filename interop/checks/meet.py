"""Ours and one peer of each kind: they meet, talk and part; what either is told."""

import base64
import functools
import time

from checks import PEERS, end, ms
from harness import Missing, Peer

OPTIONS = ["--group", "ALPHA", "--header", "X-PLACE=hall"]

ALL_OCTETS = bytes(range(256))
LARGE = (ALL_OCTETS * 4096)[: 1 << 20]


def frame(octets):
    """As the drivers and ours put a frame into JSON."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(octets).decode()}


# What is whispered and shouted, each to arrive as it is.
CONTENTS = {
    "text": ["hällo"],
    "all 256 octet values": [frame(ALL_OCTETS)],
    "NUL": ["\0"],
    "text with NUL": ["a\0b"],
    "an empty frame": [""],
    "1 MiB": [frame(LARGE)],
    "text of 1 MiB": ["x" * (1 << 20)],
}
SEVERAL = {
    "three frames": ["one", "", frame(ALL_OCTETS)],
    "fifty frames": [f"{n}" * n for n in range(50)],
    "two frames of 300 KiB": [frame(LARGE[:300_000]), "y" * 300_000],
}


def short(content):
    text = str(content)
    return text if len(text) < 80 else f"{text[:60]}… ({len(text)})"


def heard(receiver, kind, expected, **wanted):
    event = receiver.expect(event=kind, within=10, **wanted)
    found = event["content"]
    assert found == expected, f"{short(found)} instead of {short(expected)}"


def start(report, kind, name, host, options=()):
    """A node that runs; its uuid and endpoint are noted."""
    peer = Peer(kind, name, host, [*options, *report.options(name)])
    report.watch(peer)
    event = peer.expect(event="start", within=15)
    peer.uuid, peer.endpoint = event["uuid"], event["endpoint"]
    return peer


def enters(x, y, group="ALPHA", within=6, since=None):
    """x is told that y is there, with all that y says of itself."""
    event = x.expect(event="enter", peer=y.uuid, anywhere=True, within=within)
    assert event["name"] == y.name, event
    assert event["headers"].get("X-PLACE") == "hall", event["headers"]
    # ingescape listens on three ports, and its driver has to guess which is the mailbox.
    told = y.endpoint.rpartition(":")[0] if y.kind == "ingescape" else y.endpoint
    found = event["endpoint"]
    # Ours has one on each of its addresses, at one port, and names the one by which it goes.
    beside = y.kind in ("atonce", "listen") and found.rpartition(":")[2] == y.endpoint.rpartition(":")[2]
    assert found.startswith(told) or beside, f"{found} is not {y.endpoint}"
    if group:
        x.expect(event="join", peer=y.uuid, name=y.name, group=group, anywhere=True)
    if since is None:
        return None
    return f"{ms(event, since)} after the second was started"


def says(x, y, contents, shout=True):
    for what, content in contents.items():
        # ingescape whispers by itself: take what is ours.
        try:
            x.send(do="whisper", peer=y.uuid, content=content)
            heard(y, "whisper", content, peer=x.uuid, content=content)
            if shout:
                x.send(do="shout", group="ALPHA", content=content)
                heard(y, "shout", content, peer=x.uuid, group="ALPHA", content=content)
        except Missing as error:
            got = [short(e["content"]) for e in y.events if e["event"] in ("whisper", "shout")]
            raise AssertionError(f"{what}: {str(error)[:200]}; got {got[-3:]}") from None


def says_several(x, y):
    if x.kind == "zyre.js":
        return "it sends one frame only"
    if y.kind == "zyre.js":
        for content in SEVERAL.values():
            x.send(do="whisper", peer=y.uuid, content=content)
            heard(y, "whisper", content[:1], peer=x.uuid)
        return "it keeps only the first frame"
    return says(x, y, SEVERAL)


def moves(x, y):
    """Groups are joined and left; what is said to a group comes to its members only."""
    y.send(do="join", group="BETA")
    x.expect(event="join", peer=y.uuid, group="BETA")
    x.send(do="shout", group="BETA", content=["to the members"])
    heard(y, "shout", ["to the members"], group="BETA", peer=x.uuid)
    y.send(do="leave", group="BETA")
    x.expect(event="leave", peer=y.uuid, group="BETA")
    x.send(do="shout", group="BETA", content=["to nobody"])
    x.send(do="whisper", peer=y.uuid, content=["the next"])
    heard(y, "whisper", ["the next"], content=["the next"])
    late = [e for e in y.events if e.get("content") == ["to nobody"]]
    assert not late, "a SHOUT came to one who left the group"


def knows(x, y):
    """The query `peers` of ours."""
    x.send(do="peers", id=7)
    event = x.expect(event="peers", id=7)
    found = [p for p in event["peers"] if p["peer"] == y.uuid]
    assert len(found) == 1 and found[0]["name"] == y.name, event
    assert "ALPHA" in found[0]["groups"], found
    assert found[0]["state"] == "ready", found


def leaves(x, y, how="command"):
    """x stops politely; y is told soon."""
    stopped = time.monotonic()
    end(x, how)
    event = y.expect(event="exit", peer=x.uuid, within=3)
    took = event["seen"] - stopped
    assert took < 1.6, f"only {took:.2f} s after the stop"
    if y.kind in ("atonce", "listen"):
        assert event["reason"] == "left", event
    y.never(0.3, "enter")
    return ms(event, stopped)


def talk(report, kind, first):
    """`first` says who is started first; the other one also leaves first."""
    with report.network() as net:
        kinds = ("atonce", kind) if first == "ours" else (kind, "atonce")
        names = ("anna", "bert")
        one = start(report, kinds[0], names[0], net.host(), OPTIONS)
        began = time.monotonic()
        two = start(report, kinds[1], names[1], net.host(), OPTIONS)
        ours, theirs = (one, two) if first == "ours" else (two, one)
        report.must(f"ours sees {kind} enter",
                    functools.partial(enters, ours, theirs, since=began))
        report.must(f"{kind} sees ours enter", functools.partial(enters, theirs, ours, since=began))
        for x, y in ((ours, theirs), (theirs, ours)):
            names = ("ours", kind) if x is ours else (kind, "ours")
            arrow = " -> ".join(names)
            report.check(f"{arrow}: WHISPER and SHOUT of {', '.join(CONTENTS)}",
                         functools.partial(says, x, y, CONTENTS))
            report.check(f"{arrow}: WHISPER and SHOUT of {', '.join(SEVERAL)}",
                         functools.partial(says_several, x, y))
            report.check(f"{arrow}: SHOUT to those who joined only",
                         functools.partial(moves, x, y))
        report.check("ours tells its peers when asked", lambda: knows(ours, theirs))
        report.check("nobody was missed meanwhile", lambda: quiet(ours, theirs))
        leaver, other = (two, one)
        how = "term" if first == "ours" else "command"
        who = ("ours", kind) if leaver is ours else (kind, "ours")
        report.check(f"{who[1]} sees {who[0]} leave", lambda: leaves(leaver, other, how))
        report.check("the last one ends politely", lambda: end(other, "eof"))


def quiet(*peers):
    for peer in peers:
        for event in peer.events:
            assert event["event"] not in ("exit", "evasive", "silent"), (peer.kind, event)
        enters = [e for e in peer.events if e["event"] == "enter"]
        assert len(enters) == 1, f"{peer.kind}: {len(enters)} times ENTER"
        # ingescape's driver and others say an error when a command makes no sense.
        assert not [e for e in peer.events if e["event"] == "error"], peer.kind


def listen(report, kind):
    """`atonce listen --json`: every event, until SIGTERM."""
    with report.network() as net:
        ours = start(report, "listen", "ears", net.host(), OPTIONS)
        theirs = start(report, kind, "mouth", net.host(), OPTIONS)
        report.must(f"listen: {kind} enters", lambda: enters(ours, theirs))
        report.must(f"{kind} sees it", lambda: enters(theirs, ours))

        def hears():
            for content in (CONTENTS["text"], CONTENTS["all 256 octet values"]):
                theirs.send(do="whisper", peer=ours.uuid, content=content)
                heard(ours, "whisper", content, content=content)
                theirs.send(do="shout", group="ALPHA", content=content)
                heard(ours, "shout", content, group="ALPHA", content=content)
            theirs.send(do="join", group="BETA")
            ours.expect(event="join", group="BETA", peer=theirs.uuid)
            theirs.send(do="leave", group="BETA")
            ours.expect(event="leave", group="BETA", peer=theirs.uuid)

        report.check(f"listen: WHISPER, SHOUT, JOIN and LEAVE of {kind}", hears)
        report.check(f"listen: {kind} leaves", lambda: leaves(theirs, ours))
        again = start(report, kind, "again", net.host(), OPTIONS)
        report.check(f"listen: another {kind} enters", lambda: enters(ours, again))
        report.must(f"{kind} sees it", lambda: enters(again, ours))
        report.check(f"{kind} sees it leave on SIGTERM", lambda: leaves(ours, again, "term"))
        report.check("its last line is `stop`", lambda: ours.expect(event="stop"))


def jobs():
    for kind in [*PEERS, "atonce"]:
        for first in ("ours", "theirs") if kind != "atonce" else ("ours",):
            yield f"meet {kind}, {first} first", functools.partial(talk, kind=kind, first=first)
        yield f"listen to {kind}", functools.partial(listen, kind=kind)
