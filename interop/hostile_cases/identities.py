"""Who claims to be whom, and where: endpoints, UUIDs, beacons, goodbyes."""

import secrets
import socket
import struct
import time

import raw

from . import case, of_attackers
from .attacker import Wire, beacon, hello

ESTABLISHED, SYN_SENT = 1, 2


def own_connections(b):
    return [c for c in b.node.connections() if c[1] == b.address and c[3] in (ESTABLISHED, SYN_SENT)]


@case("4a", "our own endpoint in HELLOs of 50 fresh UUIDs")
def own_endpoint(b):
    for n in range(50):
        atk = b.attacker(mailbox=None)
        atk.greet(endpoint=f"tcp://{b.address}:{b.port}")
        if n == 0:
            b.check(atk.wire.is_closed(1), "not refused")
    b.check(not own_connections(b), "connected to itself")


@case("4b", "a beacon of another UUID with our port, from our own address")
def own_beacon(b):
    with b.hosts["node"].inside():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        udp.bind((b.address, 0))
        for _ in range(5):
            udp.sendto(beacon(secrets.token_bytes(16), b.port), ("10.77.0.255", 5670))
            time.sleep(0.1)
            b.check(not own_connections(b), "connected to itself")
    time.sleep(0.5)
    b.check(not own_connections(b), "connected to itself")


@case("4c", "our own UUID as identity, in HELLO and in beacons, from elsewhere")
def own_uuid(b):
    atk = b.attacker(uuid=b.uuid)
    silent = atk.dial()
    atk.greet()
    for _ in range(20):
        atk.datagram(beacon(atk.uuid, atk.port))
        atk.datagram(beacon(atk.uuid, 0))
        time.sleep(0.05)
    b.check(silent.is_closed(1) and atk.wire.is_closed(1), "a link under our own identity was left open")
    b.check(atk.accepted == 0, "dialled")


@case("5a", "the endpoint of another in HELLOs of fresh UUIDs")
def others_endpoint(b):
    for _ in range(20):
        atk = b.attacker(mailbox=None)
        atk.greet(endpoint=b.healthy_endpoint)
        time.sleep(0.1)
    time.sleep(1.5)
    b.check(atk.wire.is_closed(1), "not refused")


@case("5b", "beacons of fresh UUIDs with another's source and port, and with its UUID from elsewhere")
def others_beacon(b):
    atk = b.attacker()
    healthy = b.hosts["healthy"].address
    port = int(b.healthy_endpoint.rpartition(":")[2])
    for _ in range(20):
        atk.forged(healthy, beacon(secrets.token_bytes(16), port), b.address)
        atk.datagram(beacon(bytes.fromhex(b.healthy_uuid), atk.port))
        time.sleep(0.1)
    time.sleep(1.2)
    b.check(atk.accepted == 0, "dialled")


@case("5c", "second HELLO from a ready peer; one that answers each HELLO by another",
      {"enter atk": (2, 8), "join atk G": (2, 8), "exit atk replaced": (1, 7), "exit atk lost": (0, 1)})
def hello_loop(b):
    atk = b.attacker().enter()
    time.sleep(0.6)
    atk.answer_hellos = 10_000
    begun = atk.hellos()
    with atk.lock:
        atk.sequence = 1
        atk.wire.message(hello(1, endpoint=atk.endpoint, name="atk"))
    time.sleep(10)
    said = atk.hellos() - begun
    b.check(said < 5, f"{said} HELLOs within 10 s")
    b.note(f"{said} HELLOs within 10 s")


@case("5d", "second HELLO in the name of the healthy peer, with its endpoint and without")
def forged_hello(b):
    atk = b.attacker(uuid=b.healthy_uuid)
    for endpoint in (b.healthy_endpoint, atk.endpoint):
        for _ in range(5):
            wire = atk.dial()
            wire.message(hello(1, endpoint=endpoint, name="healthy"))
            time.sleep(0.3)
    time.sleep(1)
    b.check(wire.is_closed(1), "not refused")


@case("5e", "an honest node whose name and endpoint others use in HELLOs and beacons, and that answers every HELLO",
      {"enter honest": 1, "join honest G": 1, "exit honest lost": 1})
def honest_in_the_middle(b):
    honest = b.attacker(name="honest", host=b.network.host()).enter()
    time.sleep(0.6)
    honest.answer_hellos = 10_000
    begun, began = honest.hellos(), time.monotonic()
    for _ in range(10):
        for uuid in (honest.hex, secrets.token_hex(16)):
            b.attacker(uuid=uuid, name="honest", mailbox=None).greet(endpoint=honest.endpoint)
        atk = b.attacker(mailbox=None)
        atk.forged(honest.host.address, beacon(secrets.token_bytes(16), honest.port), b.address)
        atk.forged(honest.host.address, beacon(honest.uuid, 0), b.address)
        time.sleep(0.4)
    time.sleep(max(0, began + 10 - time.monotonic()))
    said = honest.hellos() - begun
    b.check(said < 5, f"{said} HELLOs within 10 s")
    b.note(f"{said} HELLOs within 10 s")


# -- floods ----------------------------------------------------------------------------------------

FLOOD = 2_000


def beacon_flood(b):
    atk = b.attacker(mailbox=None)
    with atk.host.inside():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for n in range(FLOOD):
            udp.sendto(beacon(secrets.token_bytes(16), 20_000 + n), ("10.77.0.255", 5670))
            if n % 20 == 0:
                time.sleep(0.005)
    time.sleep(0.5)
    b.capped(256)


def scattered_beacon_flood(b):
    """They seem to come from all over the network, where nobody answers, not even that nobody is there."""
    atk = b.attacker(mailbox=None)
    for n in range(FLOOD):
        source = f"{b.hosts['node'].network.subnet}.{100 + n % 150}"
        atk.forged(source, beacon(secrets.token_bytes(16), 20_000 + n), b.address)
    time.sleep(0.5)
    # So many hints may wait in all.
    b.capped(1024)


def connection_flood(b):
    wires = []
    host = b.hosts["attacker"]
    atk = b.attacker(mailbox=None)
    for _ in range(FLOOD):
        wire = Wire(host, b.address, b.port)
        wire.greet(b"\x01" + secrets.token_bytes(16))
        wires.append(wire)
    atk.wires.extend(wires)
    time.sleep(0.5)
    busy = b.node.busy(1)
    b.check(busy < 30, f"{busy:.0f} % of a processor while they wait")
    b.capped(256)
    b.note(f"{busy:.0f} % busy")


def greeting_flood(b):
    """Each says HELLO and names an endpoint where nobody answers at all."""
    mute = b.attacker(mailbox=None)
    for n in range(FLOOD):
        atk = b.attacker(mailbox=None)
        atk.greet(endpoint=f"tcp://{mute.host.address}:{20_000 + n}")
    time.sleep(0.5)
    # So many links that say nothing, so many that greeted, and so many dials that lead nowhere.
    b.capped(3 * 256)


for variant, limit in (("", None), (" of 1,024 descriptors", 1024), (" of 256 descriptors", 256)):
    mark = "" if limit is None else f"/{limit}"
    case(f"7a{mark}", f"2,000 beacons of fresh UUIDs and ports{variant}", descriptors=limit)(beacon_flood)
    case(f"7f{mark}", f"2,000 beacons of fresh UUIDs with sources all over{variant}", descriptors=limit)(
        scattered_beacon_flood)
    case(f"7b{mark}", f"2,000 connections of fresh identities{variant}", descriptors=limit)(connection_flood)
    case(f"7c{mark}", f"2,000 HELLOs of fresh identities and endpoints{variant}", descriptors=limit)(greeting_flood)


@case("7g", "2,000 HELLOs of fresh identities that name endpoints where nobody is")
def greetings_to_nowhere(b):
    atk = b.attacker(mailbox=None)
    for n in range(FLOOD):
        wire = atk.dial(identity=b"\x01" + secrets.token_bytes(16))
        wire.message(hello(1, endpoint=f"tcp://10.77.0.{100 + n % 150}:{20_000 + n}"))
    time.sleep(0.5)
    b.capped(3 * 256)


@case("7d/256", "150 real peers and 300 connections, of 256 descriptors",
      {"enter atk": (20, 150), "join atk G": (20, 150), "exit atk lost": (20, 150)},
      descriptors=256, newcomer_during=False)
def starved(b):
    peers = [b.attacker(port=42_000 + n).greet() for n in range(150)]
    strangers = b.attacker(mailbox=None)
    for _ in range(300):
        strangers.dial()
    time.sleep(1)
    busy = b.node.busy(3)
    b.check(busy < 30, f"{busy:.0f} % of a processor without descriptors")
    entered = len(b.node.find(event="enter")) - 1
    b.note(f"{entered} of {len(peers)} entered, {b.node.descriptors()} descriptors, {busy:.0f} % busy")


@case("7e", "300 real peers that come and go at once",
      {"enter atk": 300, "join atk G": 300, "exit atk lost": 300})
def sybils(b):
    peers = []
    for n in range(300):
        peers.append(b.attacker(port=42_000 + n).greet())
        time.sleep(0.01)
    b.node.expect(10, event="enter", count=301)


# -- take-over -------------------------------------------------------------------------------------

@case("9a", "silent connections under the identity of the healthy peer")
def silent_impostor(b):
    atk = b.attacker(uuid=b.healthy_uuid)
    for _ in range(20):
        atk.dial()
    time.sleep(6)


@case("9b", "impostors that speak: the next sequence, a wrong one, HELLO with theirs and its endpoint, goodbye")
def speaking_impostor(b):
    atk = b.attacker(uuid=b.healthy_uuid)
    for sequence in (1, 2, 77, 0, 65535):
        for message in (raw.zre(raw.WHISPER, sequence), raw.zre(raw.GOODBYE, sequence), raw.zre(raw.PING_OK, sequence)):
            wire = atk.dial()
            wire.message(message, b"forged")
            time.sleep(0.1)
    for endpoint in (atk.endpoint, b.healthy_endpoint):
        wire = atk.dial()
        wire.message(hello(1, endpoint=endpoint, name="healthy"))
        wire.message(raw.zre(raw.WHISPER, 2), b"forged")
        time.sleep(0.2)
    time.sleep(1.2)
    b.check(wire.is_closed(1), "the impostor is not refused")
    b.check(atk.accepted == 0, "dialled")


@case("9c", "one UUID on two connections, the second closing, then taking over with the next sequence",
      of_attackers(**{"whisper atk": 4}))
def two_connections(b):
    atk = b.attacker().enter()
    second = atk.dial()
    time.sleep(0.2)
    second.close()
    atk.say(raw.WHISPER, b"", b"one")
    third = atk.dial()
    time.sleep(0.2)
    atk.say(raw.WHISPER, b"", b"two")
    # The first one ends: the second goes on where it was, also with its answer to the question whether it is still there.
    with atk.lock:
        first, atk.wire = atk.wire, third
    first.close()
    time.sleep(0.2)
    atk.say(raw.WHISPER, b"", b"three")
    atk.say(raw.WHISPER, b"", b"four")
    b.node.expect(event="whisper", peer=atk.hex, content=["four"])


@case("9d", "take-overs by the next sequence from one who does not answer, and by HELLO: the old link is closed",
      {"enter atk": 2, "join atk G": 2, "whisper atk": 1, "exit atk replaced": 1, "exit atk lost": 1})
def old_links(b):
    atk = b.attacker(answers=False).enter()
    first, second = atk.wire, atk.dial()
    second.message(raw.zre(raw.WHISPER, 2), b"from another link")
    b.check(not first.is_closed(0.5), "the old link is closed before it had its second")
    b.node.expect(3, event="whisper", peer=atk.hex)
    b.check(first.is_closed(1), "the old link is left half alive after the next sequence")
    atk.greet()
    b.node.expect(3, event="enter", peer=atk.hex, count=2)
    b.check(second.is_closed(1), "the old link is left half alive after HELLO")


@case("9e", "ten who greet, say something and close at once, and whose mailbox stays: gone after a second",
      of_attackers(10, **{"whisper atk": 10}))
def closed_behind_hello(b):
    peers = []
    for n in range(10):
        atk = b.attacker(port=42_000 + n, answers=False)
        # What the node said is read, or the kernel would answer it by a reset, and what was said with it would be lost.
        atk.wire = atk.dial()
        atk.wire.read(0.05)
        atk.wire.message(hello(1, endpoint=atk.endpoint))
        atk.sequence = 1
        atk.say(raw.WHISPER, b"", b"last words")
        atk.wire.close()
        peers.append(atk)
    for atk in peers:
        entered, exited = b.entered(atk), b.exited(atk)
        took = exited["seen"] - entered["seen"]
        b.check(0.8 < took < 2, f"EXIT after {took:.1f} s")


# -- goodbye, beacons ------------------------------------------------------------------------------

@case("10", "goodbyes forged in the name of the healthy peer, once and every 0.2 s for 6 s")
def forged_goodbye(b):
    atk = b.attacker(mailbox=None)
    uuid = bytes.fromhex(b.healthy_uuid)
    atk.datagram(beacon(uuid, 0))
    time.sleep(1.5)
    for _ in range(30):
        atk.datagram(beacon(uuid, 0))
        atk.forged(b.hosts["healthy"].address, beacon(uuid, 0), b.address)
        time.sleep(0.2)
    time.sleep(1.2)


@case("11", "datagrams of 0 to 1,400 octets, wrong versions, sizes and keys, junk")
def beacon_shapes(b):
    atk = b.attacker()
    fresh = secrets.token_bytes
    low_order = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
    shapes = [beacon(fresh(16), atk.port, 1, bytes(32)),
              beacon(fresh(16), atk.port, 1, b"\0"), beacon(fresh(16), atk.port, 3),
              beacon(fresh(16), atk.port, 3, bytes(31)), beacon(fresh(16), atk.port, 3, bytes(33)),
              beacon(fresh(16), atk.port, 3, bytes(32)), beacon(fresh(16), atk.port, 3, b"\x01" + bytes(31)),
              beacon(fresh(16), atk.port, 3, low_order), beacon(fresh(16), atk.port, 3, b"\0" + fresh(31)),
              b"ZRE", b"ZRE\x01", b"zre\x01" + fresh(16) + struct.pack(">H", atk.port)]
    shapes += [beacon(fresh(16), atk.port, version) for version in (0, 2, 4, 255)]
    whole = beacon(fresh(16), atk.port)
    shapes += [whole[:n] for n in range(22)]
    shapes += [(whole + bytes(1400))[:n] for n in range(23, 1401, 7)]
    shapes += [b"\xff" + fresh(secrets.randbelow(1400)) for _ in range(500)]
    for n, octets in enumerate(shapes):
        atk.datagram(octets, to=None if n % 2 else b.address)
    time.sleep(1)
    b.check(atk.accepted == 0, f"dialled {atk.accepted} times")
    b.note(f"{len(shapes)} shapes")


# -- endpoints as weapons --------------------------------------------------------------------------

def refusals(host):
    """How many connections the kernel of this namespace refused."""
    with host.inside(), open("/proc/thread-self/net/snmp", encoding="ascii") as table:
        names, values = [line.split() for line in table if line.startswith("Tcp:")]
    return int(dict(zip(names[1:], values[1:]))["OutRsts"])


@case("13a", "endpoints that are none: names, ipc, inproc, garbage, port 0, multicast, loopback")
def strange_endpoints(b):
    # A name is dialled where the HELLO came from: nobody listens there at this port.
    endpoints = ["tcp://name.invalid:41003", "tcp://localhost:41003", "ipc:///tmp/node", "inproc://node",
                 "", "tcp://", "tcp://:", "tcp://1.2.3:70000", "udp://10.77.0.3:41003", "tcp://10.77.0.3:0",
                 "tcp://0.0.0.0:0", "tcp://224.0.0.1:41003", "tcp://255.255.255.255:41003", "tcp://127.0.0.1:5670",
                 f"tcp://127.0.0.1:{b.port}", f"tcp://0.0.0.0:{b.port}", "tcp://[::1]:41003", "tcp://[::]:41003",
                 "tcp://*:41003", "tcp://10.77.0.3:41003;tcp://10.77.0.2:41003", "\0" * 200, "\xff" * 120,
                 "tcp://" + "a" * 240 + ":1", "tcp://10.77.0.3:-1", "tcp://10.77.0.3:41003 "]
    for n, endpoint in enumerate(endpoints):
        atk = b.attacker(mailbox=None)
        atk.greet(endpoint=endpoint)
        if n % 5 == 0:
            time.sleep(0.2)
    time.sleep(2)
    strange = {c[1] for c in b.node.connections() if c[3] in (ESTABLISHED, SYN_SENT)}
    strange -= {b.hosts["healthy"].address, atk.host.address}
    b.check(not strange, f"connected to {strange}")
    b.note(f"{len(endpoints)} endpoints")


@case("13b", "a closed port of a third party, named by fresh UUIDs for 15 s")
def third_party(b):
    victim = b.network.host()
    before = refusals(victim)
    for _ in range(75):
        b.attacker(mailbox=None).greet(endpoint=f"tcp://{victim.address}:9")
        time.sleep(0.2)
    tried = refusals(victim) - before
    b.check(tried <= 10, f"dialled {tried} times")
    b.note(f"dialled {tried} times")


@case("13c", "two closed ports of a third party in turn, by one UUID, in HELLOs and forged beacons for 15 s")
def third_party_in_turn(b):
    victim = b.network.host()
    before = refusals(victim)
    uuid, another = secrets.token_hex(16), secrets.token_bytes(16)
    for n in range(75):
        atk = b.attacker(uuid=uuid, mailbox=None)
        atk.greet(endpoint=f"tcp://{victim.address}:{9 + n % 2}")
        atk.forged(victim.address, beacon(another, 19 + n % 2), b.address)
        atk.forged(victim.address, beacon(another, 0), b.address)
        time.sleep(0.2)
    tried = refusals(victim) - before
    b.check(tried <= 40, f"dialled four endpoints {tried} times")
    b.note(f"dialled four endpoints {tried} times")


@case("13d", "a port that does not speak ZMTP, and one that says nothing, for 15 s")
def not_zmtp(b):
    http, mute = b.attacker(port=80, mailbox="http"), b.attacker(port=81, mailbox="mute")
    for target in (http, mute):
        for _ in range(5):
            b.attacker(mailbox=None).greet(endpoint=target.endpoint)
    time.sleep(15)
    for target in (http, mute):
        b.check(1 <= target.accepted <= 10, f"port {target.port} dialled {target.accepted} times")
    b.note(f"dialled {http.accepted} and {mute.accepted} times")


@case("13e", "ten names to connect to and HELLOs with names, and a resolver that does not answer",
      options=[word for n in range(10) for word in ("--peer", f"tcp://name{n}.example:41003")], deaf_resolver=True)
def deaf_resolver(b):
    for n in range(20):
        b.attacker(mailbox=None).greet(endpoint=f"tcp://other{n}.example:41003")
    time.sleep(8)
    b.resolver.setblocking(False)
    asked = []
    while True:
        try:
            asked.append(b.resolver.recv(512))
        except BlockingIOError:
            break
    b.check(any(b"name" in query for query in asked), "nothing was looked up")
    b.check(not any(b"other" in query for query in asked), "a name from the network was looked up")
    with open(f"/proc/{b.node.pid}/status", encoding="ascii") as status:
        threads = next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
    b.check(threads <= 10, f"{threads} threads")
    b.note(f"{len(asked)} questions, {threads} threads")
