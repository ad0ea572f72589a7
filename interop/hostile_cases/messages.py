"""ZRE messages that lie, end too early, count too much, or come in the wrong frames."""

import time

import raw

from . import case, of_attackers
from .attacker import hello, join

REFUSED_WITHIN = 0.1
E = "tcp://10.77.0.3:41003"


def refused(b, wire, since, what):
    took = wire.closed_after(since)
    if b.check(took is not None, f"{what}: not refused"):
        b.check(took <= REFUSED_WITHIN, f"{what}: refused after {took * 1000:.0f} ms")
        return took
    return 0


@case("1", "JOIN and LEAVE with a wrong status",
      of_attackers(**{"join atk M": 1, "leave atk M": 1, "whisper atk": 1}))
def status_lie(b):
    atk = b.attacker().enter(status=0x77)
    atk.say(raw.JOIN, join("M", 0x4D))
    atk.say(raw.LEAVE, join("M", 0x00))
    atk.say(raw.LEAVE, join("nobody", 0xFF))
    atk.say(raw.WHISPER, b"", b"still here")
    b.node.expect(event="whisper", peer=atk.hex)


@case("2a", "HELLO cut at every octet, and one in its groups")
def cut_hello(b):
    atk = b.attacker()
    whole = hello(endpoint=E, headers={"K": "V"})
    cuts = [whole[:n] for n in range(len(whole))] + [raw.zre(raw.HELLO, 1, raw.string(E) + b"\0"), whole + b"\0"]
    for octets in cuts:
        wire = atk.dial()
        wire.message(octets)
    time.sleep(1)
    b.check(atk.accepted == 0, f"dialled {atk.accepted} times")
    b.note(f"{len(cuts)} shapes")


def every_command():
    return [
        (raw.WHISPER, b""), (raw.SHOUT, raw.string("G")), (raw.JOIN, join("M", 2)), (raw.LEAVE, join("G", 2)),
        (raw.PING, b""), (raw.PING_OK, b""), (raw.ELECT, raw.string("G") + raw.string("A" * 32)),
        (raw.LEADER, raw.string("G") + raw.string("A" * 32)), (raw.GOODBYE, b""),
        (raw.HELLO, raw.hello_body(E, ("G",), 1, "atk", {"K": "V"})),
    ]


def cut_short():
    """Every command cut behind its prefix at every octet, and with one too many."""
    for kind, body in every_command():
        whole = raw.zre(kind, 2, body)
        yield from (whole[:n] for n in range(6, len(whole)))
        yield whole + b"\0"


@case("2b", "every command cut at every octet, by peers", of_attackers(len(list(cut_short())) + 1))
def cut_commands(b):
    port, shapes = 42000, 0
    for octets in cut_short():
        atk = b.attacker(port=port).enter()
        atk.wire.message(octets)
        b.check(b.exited(atk)["reason"] == "lost", "an exit for another reason")
        port, shapes = port + 1, shapes + 1
    # A cut within the prefix is no ZRE message and changes nothing: one peer takes them all.
    atk = b.attacker(port=port).enter()
    for kind, body in every_command():
        for n in range(6):
            atk.wire.message(raw.zre(kind, 2, body)[:n])
            shapes += 1
    b.check(not atk.wire.is_closed(0.5), "a stray message cost the peer its place")
    b.note(f"{shapes} shapes")


@case("3a", "HELLO that counts 2^32-1 groups or headers, with and without 16 MiB behind it")
def count_bombs(b):
    atk = b.attacker()
    before = raw.zre(raw.HELLO, 1, raw.string(E))
    groups = before + b"\xff\xff\xff\xff"
    headers = before + bytes(4) + b"\0" + raw.string("atk") + b"\xff\xff\xff\xff"
    worst = 0
    for what, octets in (("groups", groups), ("headers", headers)):
        for tail in (0, 900_000):
            wire = atk.dial()
            wire.read(0.05)
            bomb = raw.frame(octets + bytes(tail))
            since = time.monotonic()
            wire.put(bomb)
            worst = max(worst, refused(b, wire, since, f"{what}, {tail} octets"))
        wire = atk.dial()
        wire.read(0.05)
        bomb = raw.frame(octets + bytes(16 << 20))
        since = time.monotonic()
        wire.put(bomb)
        worst = max(worst, refused(b, wire, since, f"{what}, 16 MiB"))
    b.check(atk.accepted == 0, f"dialled {atk.accepted} times")
    b.note(f"refused within {worst * 1000:.0f} ms")


@case("3f", "the same count bombs with 16 MiB behind them, from peers", of_attackers(2))
def count_bombs_of_peers(b):
    before = raw.zre(raw.HELLO, 2, raw.string(E))
    groups = before + b"\xff\xff\xff\xff"
    headers = before + bytes(4) + b"\0" + raw.string("atk") + b"\xff\xff\xff\xff"
    worst = 0
    for n, octets in enumerate((groups, headers)):
        atk = b.attacker(port=42_000 + n).enter()
        with atk.lock:
            atk.wire.put(raw.frame(octets + bytes(16 << 20)))
        since = time.monotonic()
        took = b.exited(atk)["seen"] - since
        b.check(took <= REFUSED_WITHIN, f"refused after {took * 1000:.0f} ms")
        worst = max(worst, took)
    b.note(f"refused within {max(0, worst) * 1000:.0f} ms of the last octet")


HOARDERS, HOARDED = 16, 1_000


@case("3g", "16 peers that hold what they may: 1,001 long groups and 250 long headers each",
      of_attackers(2 * HOARDERS, **{"join atk *": 2 * HOARDERS * HOARDED}))
def hoarders(b):
    before, left = b.node.rss(), []
    headers = {f"X-{n}": "v" * 3_000 for n in range(250)}
    joins = [join(f"{m:0>255}", m & 255) for m in range(HOARDED)]
    for times in (1, 2):
        peers = [b.attacker(port=42_000 + n) for n in range(HOARDERS)]
        for peer in peers:
            peer.enter(headers=headers)
            with peer.lock:
                peer.wire.put(b"".join(raw.frame(raw.zre(raw.JOIN, 2 + m, body)) for m, body in enumerate(joins)))
                peer.sequence = 1 + HOARDED
        b.node.expect(15, event="join", count=1 + times * HOARDERS * (1 + HOARDED))
        left.append(b.node.rss())
        for peer in peers:
            peer.close()
            b.exited(peer)
    grown = left[0] - before
    b.check(grown < HOARDERS * (2 << 20), f"{grown / (1 << 20):.1f} MiB for what they hold")
    b.note(f"{grown / (1 << 20):.1f} MiB while they are here")
    # An allocator keeps small pieces; that the same again needs not as much again shows that they were given back to it.
    grown = left[1] - left[0]
    b.check(grown < 6 << 20, f"the second time {grown / (1 << 20):.1f} MiB more")


@case("3b", "20,000 groups in one HELLO")
def many_groups(b):
    bomb = raw.frame(hello(groups=[f"group{n}" for n in range(20_000)], status=0))
    wire = b.attacker().dial()
    wire.read(0.05)
    since = time.monotonic()
    wire.put(bomb)
    took = refused(b, wire, since, "HELLO")
    b.note(f"refused within {took * 1000:.0f} ms")


@case("3c", "20,000 groups by JOIN",
      {"enter atk": 1, "join atk G": 1, "join atk *": (1, 1023), "exit atk lost": 1})
def many_joins(b):
    atk = b.attacker().enter()
    with atk.lock:
        octets = b"".join(raw.frame(raw.zre(raw.JOIN, 2 + n, join(f"group{n}", n & 255))) for n in range(20_000))
    atk.wire.put(octets)
    b.exited(atk)


@case("3d", "20,000 JOINs and LEAVEs of one group",
      of_attackers(**{"join atk M": 20_000, "leave atk M": 20_000}))
def flapping_group(b):
    atk = b.attacker().enter()
    octets = b"".join(
        raw.frame(raw.zre(raw.JOIN if n % 2 == 0 else raw.LEAVE, 2 + n, join("M", n & 255))) for n in range(40_000))
    atk.wire.put(octets)
    atk.sequence = 40_001
    b.node.expect(15, event="leave", count=20_000)


@case("6a", "surplus frames that look like messages: another's identity, HELLO",
      of_attackers(**{"whisper atk": 1}))
def smuggling(b):
    atk = b.attacker().enter()
    h = b"\x01" + bytes.fromhex(b.healthy_uuid)
    atk.say(raw.PING_OK, b"", h, raw.zre(raw.WHISPER, 0x270F))
    atk.say(raw.PING, b"", h, hello(endpoint="tcp://10.77.0.3:9"))
    atk.say(raw.JOIN, join("G", 1), h, raw.zre(raw.GOODBYE, 2))
    atk.say(raw.WHISPER, b"", b"content", h, raw.zre(raw.GOODBYE, 0x270F))
    event = b.node.expect(event="whisper", peer=atk.hex)
    b.check(len(event["content"]) == 3, "the content is not what was sent")


@case("6b", "1,000 and 2,000 HELLOs in one message",
      of_attackers())
def many_hellos(b):
    atk = b.attacker()
    atk.wire = atk.dial()
    atk.wire.message(*[hello(name=f"atk{n or ''}") for n in range(1_000)])
    atk.sequence = 1
    b.entered(atk)
    b.check(b.node.find(event="enter", peer=atk.hex)[0]["name"] == "atk", "a later HELLO was taken")
    other = b.attacker(port=41004)
    wire = other.dial()
    wire.read(0.05)
    since = time.monotonic()
    wire.message(*[hello(name=f"atk{n}") for n in range(2_000)])
    refused(b, wire, since, "2,000 frames")


@case("6c", "a surplus frame, 20,000 times", of_attackers())
def surplus(b):
    atk = b.attacker().enter()
    octets = b"".join(raw.frame(raw.zre(raw.PING, 2 + n), more=True) + raw.frame(b"surplus" * 10)
                      for n in range(20_000))
    before = b.node.rss()
    atk.wire.put(octets)
    atk.sequence = 20_001
    deadline = time.monotonic() + 10
    while sum(kind == raw.PING_OK for kind, _ in atk.heard) < 20_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    answers = sum(kind == raw.PING_OK for kind, _ in atk.heard)
    b.check(answers == 20_000, f"{answers} PING-OKs")
    grown = b.node.rss() - before
    b.check(grown < 8 << 20, f"{grown / (1 << 20):.1f} MiB of growth")


@case("8", "WHISPER and SHOUT without content, 500 each",
      of_attackers(**{"whisper atk nothing": 500, "shout atk G nothing": 500, "whisper atk": 1}))
def no_content(b):
    atk = b.attacker().enter()
    for _ in range(500):
        atk.say(raw.WHISPER)
        atk.say(raw.SHOUT, raw.string("G"))
    atk.say(raw.WHISPER, b"", b"last")
    b.node.expect(event="whisper", peer=atk.hex, content=["last"])


@case("12", "ELECT and LEADER with garbage, unknown ids, from a peer that is then evicted",
      # What it says of itself at last is so: it leads (ELEC-22).
      of_attackers(2, **{"whisper atk": 1, "leader atk": 1}))
def elections(b):
    atk = b.attacker().enter()
    loser = b.attacker(port=41004).enter()
    for peer in (atk, loser):
        for group in ("G", "nobody", ""):
            for challenger in ("", "x", "0" * 31, "Z" * 32, "A" * 32, b.healthy_uuid, b.uuid, "9" * 255):
                peer.say(raw.ELECT, raw.string(group) + raw.string(challenger))
                peer.say(raw.LEADER, raw.string(group) + raw.string(challenger))
    for unknown in (0, *range(11, 256)):
        atk.say(unknown, b"anything")
    loser.say(raw.ELECT, b"\x01G\xff")
    b.exited(loser)
    # Its vote goes on in the mouth of another.
    for challenger in (loser.hex, loser.hex.lower(), atk.hex):
        atk.say(raw.ELECT, raw.string("G") + raw.string(challenger))
        atk.say(raw.LEADER, raw.string("G") + raw.string(challenger))
    atk.say(raw.WHISPER, b"", b"still here")
    b.node.expect(event="whisper", peer=atk.hex)


ODD_HEADERS = [
    *[("X-PUBLICKEY", value) for value in (
        "", "abc", "k" * 39, "k" * 41, " " * 40, "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "\xff" * 40, b"\xff" * 40, "k" * 60_000)],
    *[("X-ATONCE", value) for value in ("", "goodbye", "goodbye " * 8_000, ",;=\0 goodbye\n", b"\xff\xfe")],
    ("", ""), ("x" * 255, "v"),
]


@case("16", "keys and abilities of odd sizes in HELLO, to a node without security", of_attackers(len(ODD_HEADERS)))
def odd_headers(b):
    for n, (key, value) in enumerate(ODD_HEADERS):
        atk = b.attacker(port=42_000 + n).enter(headers={key: value})
        if isinstance(value, str):
            headers = b.node.find(event="enter", peer=atk.hex)[0]["headers"]
            b.check(headers.get(key) == value, f"the header {key[:20]!r} of {len(value)} is told as {headers!r:.80}")
    b.note(f"{len(ODD_HEADERS)} headers")
