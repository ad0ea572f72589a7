"""Memory, queues and slow readers."""

import secrets
import threading
import time

import raw

from . import case, of_attackers
from .bench import MIB
from .messages import refused

MORE_X = b"\x01\x01x"


@case("3e", "READY with a property of 16 MiB, and with 60,000 properties")
def large_ready(b):
    atk = b.attacker()
    large = raw.string("READY") + raw.string("X") + raw.longstr(bytes(16 << 20))
    many = raw.string("READY") + raw.string("Socket-Type") + raw.longstr("DEALER") + b"".join(
        raw.string("X") + raw.longstr("") for _ in range(60_000))
    worst = 0
    for body in (large, many):
        wire = atk.dial(greet=False)
        wire.put(raw.GREETING)
        wire.read(0.05)
        since = time.monotonic()
        wire.put(raw.frame(body, command=True))
        worst = max(worst, refused(b, wire, since, f"READY of {len(body)} octets"))
    b.note(f"refused within {worst * 1000:.0f} ms")


@case("14a", "three million frames of a message without end, before HELLO and from a peer", of_attackers())
def endless_message(b):
    stranger = b.attacker(mailbox=None).dial()
    stranger.read(0.05)
    stranger.put(MORE_X * 3_000_000)
    b.check(stranger.is_closed(5), "the stranger is not refused")
    atk = b.attacker().enter()
    atk.wire.put(MORE_X * 3_000_000)
    b.exited(atk)


@case("14b", "a frame of 256 MiB before HELLO, 1 MiB of small messages before HELLO")
def large_before_hello(b):
    atk = b.attacker(mailbox=None)
    wire = atk.dial()
    wire.read(0.05)
    since = time.monotonic()
    wire.put(b"\x02" + (256 * MIB).to_bytes(8, "big"))
    refused(b, wire, since, "256 MiB declared")
    wire = atk.dial()
    for _ in range(40):
        if not wire.put(raw.frame(bytes(64 << 10))):
            break
    b.check(wire.is_closed(2), "2.5 MiB before HELLO are not refused")


@case("14c", "1 GiB declared by 20 strangers and by 20 peers; 256 MiB declared by 20 peers",
      of_attackers(40))
def declared(b):
    for _ in range(20):
        wire = b.attacker(mailbox=None).dial()
        wire.put(b"\x02" + (1 << 30).to_bytes(8, "big") + b"x")
        b.check(wire.is_closed(2), "a stranger is not refused")
    for n in range(20):
        atk = b.attacker(port=42_000 + n).enter()
        atk.wire.put(b"\x02" + (1 << 30).to_bytes(8, "big") + b"x")
        b.exited(atk)
    peers = [b.attacker(port=43_000 + n).enter() for n in range(20)]
    for atk in peers:
        with atk.lock:
            atk.wire.put(b"\x02" + (256 * MIB).to_bytes(8, "big") + b"x")
    time.sleep(1)
    b.note(f"{b.node.rss() // MIB} MiB while they wait")


@case("14d", "200 connections that say READY and nothing more")
def nothing_more(b):
    atk = b.attacker(mailbox=None)
    began = time.monotonic()
    wires = [atk.dial(identity=b"\x01" + secrets.token_bytes(16)) for _ in range(200)]
    for wire in wires:
        wire.read(0.001)
    b.check(b.node.descriptors() >= b.descriptors_before + 200, "they are not there")
    time.sleep(max(0, began + 29.5 - time.monotonic()))
    early = sum(wire.is_closed() for wire in wires)
    b.check(early == 0, f"{early} were closed before their deadline")
    time.sleep(1.5)
    late = sum(not wire.is_closed() for wire in wires)
    b.check(late == 0, f"{late} were not closed at their deadline of 30 s")


@case("14e", "a peer that never reads while it is sent 8,000 × 64 KiB",
      {"enter atk": 1, "join atk G": 1, "exit atk overrun": 1, "evasive atk": (0, 1),
       "silent atk": (0, 1), "error *": (6_000, 8_000)}, driven=True)
def never_reads(b):
    atk = b.attacker(mailbox="stalls").enter()
    content = "x" * (64 << 10)
    before = b.node.rss()
    for _ in range(8_000):
        b.node.command(do="whisper", peer=atk.hex, content=[content])
    grown = b.node.peak() - before
    b.note(f"{grown / MIB:.0f} MiB more at the peak")
    b.check(grown < 40 * MIB, f"{grown / MIB:.0f} MiB for one queue of 8 MiB")
    exit_ = b.exited(atk, 15)
    b.check(exit_["reason"] == "overrun", exit_["reason"])


@case("14f", "floods of PING, ZRE's and ZMTP's, whose answers are never read",
      {"enter atk": 1, "join atk G": 1, "exit atk lost": (0, 1), "exit atk overrun": (0, 1)})
def ping_floods(b):
    atk = b.attacker(mailbox="stalls", answers=False).enter()
    octets = b"".join(raw.frame(raw.zre(raw.PING, 2 + n)) for n in range(60_000))
    atk.wire.put(octets)
    wire = b.attacker(mailbox=None).dial()
    wire.read(0.05)
    ping = raw.frame(b"\4PING\0\0" + b"context", command=True)
    wire.socket.settimeout(2)
    for _ in range(40):
        if not wire.put(ping * 10_000):
            break
    time.sleep(1)


@case("14g", "a peer that never reads its echoes: 500 × 64 KiB, and another one",
      {"enter atk": 2, "join atk G": 2, "whisper atk": (200, 1_000), "exit atk overrun": 2,
       "evasive atk": (0, 2), "silent atk": (0, 2)})
def never_reads_echoes(b):
    left = []
    for n in range(2):
        atk = b.attacker(port=41003 + n, mailbox="stalls", answers=False).enter()
        for _ in range(500):
            if not atk.say(raw.WHISPER, b"", bytes(64 << 10)):
                break
        b.exited(atk, 14)
        left.append(b.node.rss())
    grown = left[1] - left[0]
    b.check(grown < 4 * MIB, f"the second one left {grown / MIB:.1f} MiB more than the first")


def flood(b, peers, seconds, first):
    """Two peers talk as fast as they may while the application takes nothing; then it takes all of it."""
    content, sent, over = bytes(1024), [0, 0], threading.Event()

    def talk(n):
        while not over.is_set():
            if not peers[n].say(raw.WHISPER, b"", b"%d" % (first[n] + sent[n]), content):
                break
            sent[n] += 1

    since = time.monotonic()
    b.node.reading.clear()
    threads = [threading.Thread(target=talk, args=(n,), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(seconds - 5)
    busy = b.node.busy(2)
    b.check(busy < 30, f"{busy:.0f} % of a processor while nobody takes events")
    with raw.RawNode(b.hosts["healthy"], secrets.token_hex(16)) as listener:
        listener.drain_beacons()
        heard = [listener.next_beacon(1.5) for _ in range(2)]
    b.check(all(heard), "no beacons while nobody takes events")
    time.sleep(max(0, since + seconds - time.monotonic()))
    over.set()
    b.node.reading.set()
    for thread in threads:
        thread.join(15)
    for n, peer in enumerate(peers):
        b.node.expect(60, event="whisper", peer=peer.hex, count=first[n] + sent[n])
        numbers = [int(e["content"][0]) for e in b.node.find(event="whisper", peer=peer.hex)]
        b.check(numbers == list(range(first[n] + sent[n])), "messages are missing or out of order")
    # The echo is the application's own, and waits with it.
    b.exempt.append((since, time.monotonic() + 0.5))
    time.sleep(1)
    return [first[n] + sent[n] for n in range(2)]


CUTS = 80


@case("14i", "an application that takes no events for 25 s while a peer's link is cut every 0.3 s",
      {"enter atk": 2, "join atk G": 2, "exit atk lost": 2, "whisper atk": 500, "enter cut": (10, 40),
       "join cut G": (10, 40), "exit cut lost": (10, 40), "evasive cut": (0, 40), "silent cut": (0, 40)}, piped=True)
def cuts_of_a_deaf_node(b):
    talker, quiet = (b.attacker(port=41003 + n).enter() for n in range(2))
    # It confirms nothing, so that every cut may have cost something.
    cut = b.attacker(port=41005, name="cut", answers=False).enter()
    since = time.monotonic()
    b.node.reading.clear()
    # The pipe to the application is full, and it waits for it.
    for _ in range(500):
        talker.say(raw.WHISPER, b"", bytes(1024))
    time.sleep(0.5)
    for _ in range(CUTS):
        connected = cut.accepted
        cut.mailbox.cut()
        # On a busy machine the node is back later. A link that was up for less than 250 ms is dialled with growing pauses.
        waited = time.monotonic() + 2
        while cut.accepted == connected and time.monotonic() < waited:
            time.sleep(0.01)
        time.sleep(0.35)
        if time.monotonic() - since > 24:  # it is silent, and expires after 30 s
            break
    begun = len(quiet.heard)
    quiet.say(raw.PING)
    time.sleep(0.5)
    b.check(raw.PING_OK in [kind for kind, _ in quiet.heard[begun:]], "no PING-OK while nobody takes events")
    cuts = cut.accepted - 1
    # Each is two changes, and 64 may wait.
    b.check(cuts >= 45, f"only {cuts} cuts")
    b.node.reading.set()
    b.node.expect(10, event="whisper", peer=talker.hex, count=500)
    b.exempt.append((since, time.monotonic() + 0.5))
    time.sleep(1)
    changes = [e["event"] for e in b.node.find(peer=cut.hex) if e["event"] != "join"]
    b.check(60 <= len(changes) <= 70, f"{len(changes)} changes told, not 64 and a few")
    moves = [change for change in changes if change in ("enter", "exit")]
    b.check(moves == ["enter", "exit"] * (len(moves) // 2) + ["enter"], "ENTER and EXIT do not take turns")
    b.note(f"{cuts} cuts told as {moves.count('exit')}, {len(changes)} changes in all")


@case("14h", "an application that takes no events for 25 s, after 8 s, under a flood of two peers",
      of_attackers(2, **{"whisper atk": (1_000, 10_000_000)}), piped=True)
def slow_application(b):
    peers = [b.attacker(port=41003 + n).enter() for n in range(2)]
    for peer in peers:
        peer.wire.socket.settimeout(60)
    sent = flood(b, peers, 8, [0, 0])
    before = b.node.rss()
    sent = flood(b, peers, 25, sent)
    b.note(f"{sum(sent)} messages, all delivered in order")
    grown = b.node.rss() - before
    b.check(grown < 4 * MIB, f"the second flood left {grown / MIB:.1f} MiB more than the first")
