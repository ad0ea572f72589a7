"""Octets that are not ZMTP, or not the ZMTP of a DEALER."""

import time

import raw

from . import case, of_attackers


def command(body):
    return raw.frame(body, command=True)


def after_ready():
    """What comes after a READY that is right: (what, octets, whether the connection is closed for it)."""
    ready = raw.ready("DEALER", b"\x01" + bytes(16))
    return [
        ("PING without TTL", bytes.fromhex("040504") + b"PING", True),
        ("PING with half a TTL", command(b"\4PING\0"), True),
        ("PING with a context of 17 octets", command(b"\4PING\0\0" + bytes(17)), True),
        ("flags 08", b"\x08\x01x", True),
        ("flags f8", b"\xf8\x01x", True),
        ("flags 05: a command with more", b"\x05\x05\x04PING", True),
        ("a length with the top bit", b"\x02\x80" + bytes(7) + b"x", True),
        ("a length of 2^64-1", b"\x02" + b"\xff" * 8, True),
        ("a command with the top bit", b"\x06\x80" + bytes(7) + b"x", True),
        ("a command without a name", command(b""), True),
        ("a command whose name is longer than it", command(b"\xffPING"), True),
        ("a second READY", ready, True),
        ("ERROR", command(raw.string("ERROR") + raw.string("go away")), True),
        ("ERROR with a wrong length", command(raw.string("ERROR") + b"\xffx"), True),
        ("READY as a message", raw.frame(ready[2:]), False),
        ("an unknown command", command(raw.string("NONSENSE") + bytes(40)), False),
        ("SUBSCRIBE", command(raw.string("SUBSCRIBE") + b"G"), False),
        ("CANCEL", command(raw.string("CANCEL") + b"G"), False),
        ("PONG that nobody asked for", command(b"\4PONG" + b"context"), False),
        ("an empty frame", raw.frame(b""), False),
        ("1,000 empty frames", b"\x01\0" * 1000 + b"\0\0", False),
    ]


@case("15a", "commands, flags and lengths that are wrong, from strangers")
def strangers(b):
    shapes = after_ready()
    for what, octets, closes in shapes:
        wire = b.attacker(mailbox=None).dial()
        wire.read(0.03)
        wire.put(octets)
        wire.put(command(b"\4PING\0\0" + b"alive?"))
        if closes:
            b.check(wire.is_closed(1), f"{what}: not closed")
        else:
            b.check(b"alive?" in wire.read(0.3) and not wire.ended, f"{what}: closed")
    b.note(f"{len(shapes)} shapes")


@case("15b", "the same from peers", of_attackers(21, **{"whisper atk": 7}))
def peers(b):
    for n, (what, octets, closes) in enumerate(after_ready()):
        atk = b.attacker(port=42_000 + n).enter()
        with atk.lock:
            atk.wire.put(octets)
            atk.say(raw.WHISPER, b"", b"still here")
        if closes:
            b.check(b.exited(atk)["reason"] == "lost", f"{what}: exit for another reason")
        else:
            b.node.expect(event="whisper", peer=atk.hex)


@case("15c", "handshakes: other types, identities, properties, lengths, versions and mechanisms")
def handshakes(b):
    atk = b.attacker(mailbox=None)
    identity = b"\x01" + bytes(16)

    def properties(*pairs):
        return command(raw.string("READY") + b"".join(raw.string(k) + raw.longstr(v) for k, v in pairs))

    dealer = ("Socket-Type", "DEALER")
    readies = [
        *[(f"a {kind}", raw.ready(kind, identity))
          for kind in ("PUB", "SUB", "XPUB", "XSUB", "PUSH", "PULL", "REP", "PAIR", "NONSENSE", "", "dealer")],
        ("no type", properties(("Identity", identity))),
        ("two types", properties(dealer, dealer)),
        ("an identity of 256 octets", raw.ready("DEALER", b"\x01" * 256)),
        ("an identity of 60,000 octets", raw.ready("DEALER", b"\x01" * 60_000)),
        ("an identity that starts with 00", raw.ready("DEALER", bytes(17))),
        ("no identity", raw.ready("DEALER", b"")),
        ("an identity that is no UUID", raw.ready("DEALER", b"\x01" + bytes(15))),
        ("an identity of another kind", raw.ready("DEALER", b"\x02" + bytes(16))),
        ("a name of length 0", properties(dealer, ("", "x"))),
        ("a length of ffffffff", command(raw.string("READY") + raw.string("Socket-Type") + b"\xff\xff\xff\xff")),
        ("a property cut short", command(raw.string("READY") + raw.string("Socket-Type") + b"\0\0")),
        ("a name cut short", command(raw.string("READY") + b"\xffSocket")),
        ("READY as a message", raw.frame(raw.ready("DEALER", identity)[2:])),
        ("a message before READY", raw.frame(b"hello")),
        ("PING before READY", command(b"\4PING\0\0")),
        ("HELLO of PLAIN", command(raw.string("HELLO") + raw.string("u") + raw.string("p"))),
        ("ERROR", command(raw.string("ERROR") + raw.string("no"))),
        ("an empty command", command(b"")),
    ]
    for what, octets in readies:
        wire = atk.dial(greet=False)
        wire.put(raw.GREETING + octets)
        b.check(wire.is_closed(1), f"{what}: not closed")

    def greeting(version=(3, 0), mechanism=b"NULL", server=0, signature=b"\xff" + bytes(8) + b"\x7f"):
        return signature + bytes(version) + mechanism.ljust(20, b"\0") + bytes([server]) + bytes(31)

    greetings = [
        ("version 1.0", b"\x01\0"), ("revision 0", raw.GREETING[:10] + b"\0"), ("revision 1", raw.GREETING[:10] + b"\x01\x05"),
        ("version 2.0", greeting((2, 0))), ("PLAIN", greeting(mechanism=b"PLAIN")), ("CURVE", greeting(mechanism=b"CURVE")),
        ("no mechanism", greeting(mechanism=b"")), ("a mechanism of junk", greeting(mechanism=b"\xff" * 20)),
        ("a wrong signature", greeting(signature=b"\xff" + bytes(8) + b"\x7e")), ("HTTP", b"GET / HTTP/1.1\r\n\r\n" * 4),
        ("TLS", bytes.fromhex("160301020001000001fc0303") + bytes(100)),
    ]
    for what, octets in greetings:
        wire = atk.dial(greet=False)
        wire.put(octets)
        b.check(wire.is_closed(1), f"{what}: not closed")
    # These may talk with a ROUTER: they have their ten seconds to say HELLO like anybody else.
    for what, octets in (("a REQ", raw.ready("REQ", identity)), ("a ROUTER", raw.ready("ROUTER", identity))):
        wire = atk.dial(greet=False)
        wire.put(raw.GREETING + octets)
        b.check(len(wire.read(0.3)) > 64 and not wire.ended, f"{what}: closed")
    for what, octets in (("version 3.9", greeting((3, 9))), ("version 4.0", greeting((4, 0))),
                         ("version 255.255", greeting((255, 255)))):
        wire = atk.dial(greet=False)
        wire.put(octets + raw.ready("DEALER", atk.identity))
        b.check(len(wire.read(0.3)) > 64 and not wire.ended, f"{what}: closed")
    b.note(f"{len(readies)} + {len(greetings) + 5} shapes")


@case("15f", "mailboxes that say to our own links what is wrong, strange, or another's",
      {"enter atk": 3, "join atk G": 3, "exit atk lost": 3, "enter flap": (0, 40), "join flap G": (0, 40),
       "exit flap lost": (0, 40), "evasive flap": (0, 6), "silent flap": (0, 6)})
def mailboxes(b):
    router = raw.ready("ROUTER", b"")
    handshakes = [
        ("a PUB", raw.GREETING + raw.ready("PUB", b"")),
        ("the identity of the healthy peer", raw.GREETING + raw.ready("ROUTER", b"\x01" + bytes.fromhex(b.healthy_uuid))),
        ("our own identity", raw.GREETING + raw.ready("ROUTER", b"\x01" + bytes.fromhex(b.uuid))),
        ("the identity of nobody", raw.GREETING + raw.ready("ROUTER", b"\x01" + bytes(16))),
        ("an identity of 256 octets", raw.GREETING + raw.ready("ROUTER", b"\x01" * 256)),
        ("READY with a length of ffffffff", raw.GREETING + command(raw.string("READY") + raw.string("X") + b"\xff" * 4)),
        ("a message before READY", raw.GREETING + raw.frame(b"hello")),
        ("PLAIN", raw.GREETING[:12] + b"PLAIN".ljust(20, b"\0") + bytes(32)),
        ("ERROR", raw.GREETING + command(raw.string("ERROR") + raw.string("no"))),
    ]
    strange = [
        ("messages", raw.frame(raw.zre(raw.GOODBYE, 2)) + raw.frame(raw.zre(raw.HELLO, 1) + b"x") * 100),
        ("an unknown command", command(raw.string("NONSENSE") + bytes(40))),
        ("1,000 PINGs", command(b"\4PING\0\0" + b"alive?") * 1000),
    ]
    wrong = [
        ("1 GiB declared", b"\x02" + (1 << 30).to_bytes(8, "big") + b"x"),
        ("PING without TTL", bytes.fromhex("040504") + b"PING"),
        ("a second READY", router),
    ]
    port, refused, here = 42_000, [], []
    for what, octets in handshakes:
        refused.append((what, b.attacker(name="no", port=port, mailbox=octets).greet()))
        port += 1
    for what, octets in strange:
        here.append((what, b.attacker(port=port, mailbox=raw.GREETING + router + octets).greet()))
        port += 1
    for _, octets in wrong:
        b.attacker(name="flap", port=port, mailbox=raw.GREETING + router + octets).greet()
        port += 1
    time.sleep(6)
    for what, atk in refused:
        b.check(1 <= atk.accepted <= 10, f"{what}: dialled {atk.accepted} times")
    for what, atk in here:
        b.check(atk.accepted == 1, f"{what}: dialled {atk.accepted} times")
        b.check(not b.node.find(event="exit", peer=atk.hex), f"{what}: gone")
    b.note(f"{port - 42_000} shapes")


@case("15d", "greetings octet by octet on 200 connections")
def drop_by_drop(b):
    atk = b.attacker(mailbox=None)
    wires = [atk.dial(greet=False) for _ in range(200)]
    octets = raw.GREETING + raw.ready("DEALER", atk.identity)[:20]
    for at in range(len(octets)):
        for wire in wires:
            wire.put(octets[at:at + 1])
        time.sleep(0.05)
    b.note(f"{b.node.descriptors()} descriptors")


@case("15e", "resets in the middle of a greeting, a READY, a frame; from 100 strangers each and a peer",
      of_attackers(1, **{"whisper atk": (0, 1)}))
def resets(b):
    atk = b.attacker(mailbox=None)
    whole = raw.GREETING + raw.ready("DEALER", atk.identity) + raw.frame(bytes(100_000))
    for cut in (0, 5, 11, 64, 70, 100, 130, 5_000):
        for _ in range(100):
            wire = atk.dial(greet=False)
            wire.put(whole[:cut])
            wire.close(reset=True)
    peer = b.attacker(port=41004).enter()
    peer.wire.put(raw.frame(bytes(100_000))[:5_000])
    peer.wire.close(reset=True)
    time.sleep(0.5)
