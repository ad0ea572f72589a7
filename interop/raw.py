"""A ZRE node spoken by hand: plain sockets, the fewest octets, everything that comes is kept.

It shows what a real peer puts on the wire, and how it takes what a well-behaved library would
never send. It is no implementation to learn from.
"""

import select
import socket
import struct
import time

MESSAGES = {1: "HELLO", 2: "WHISPER", 3: "SHOUT", 4: "JOIN", 5: "LEAVE", 6: "PING", 7: "PING-OK",
            8: "ELECT", 9: "LEADER", 10: "GOODBYE"}
HELLO, WHISPER, SHOUT, JOIN, LEAVE, PING, PING_OK, ELECT, LEADER, GOODBYE = range(1, 11)

GREETING = b"\xff" + bytes(8) + b"\x7f" + bytes((3, 0)) + b"NULL".ljust(20, b"\0") + bytes(32)


# -- octets ----------------------------------------------------------------------------------------

def string(text):
    octets = text.encode() if isinstance(text, str) else text
    return struct.pack(">B", len(octets)) + octets


def longstr(text):
    octets = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(octets)) + octets


def frame(octets, more=False, command=False):
    flags = (1 if more else 0) | (4 if command else 0)
    if len(octets) > 255:
        return struct.pack(">BQ", flags | 2, len(octets)) + octets
    return struct.pack(">BB", flags, len(octets)) + octets


def ready(socket_type, identity):
    body = string("READY")
    for key, value in (("Socket-Type", socket_type.encode()), ("Identity", identity)):
        body += string(key) + longstr(value)
    return frame(body, command=True)


def zre(message, sequence, body=b""):
    return struct.pack(">HBBH", 0xAAA1, message, 2, sequence) + body


def hello_body(endpoint, groups, status, name, headers):
    body = string(endpoint) + struct.pack(">I", len(groups))
    for group in groups:
        body += longstr(group)
    body += struct.pack(">B", status) + string(name) + struct.pack(">I", len(headers))
    for key, value in headers.items():
        body += string(key) + longstr(value)
    return body


class Reader:
    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def take(self, count):
        piece = self.octets[self.at:self.at + count]
        if len(piece) < count:
            raise ValueError("too short")
        self.at += count
        return piece

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def string(self):
        return self.take(self.number(1)).decode("utf-8", "replace")

    def longstr(self):
        return self.take(self.number(4)).decode("utf-8", "replace")


def decode_zre(octets):
    """What the first frame of a ZRE message says, as a dict."""
    r = Reader(octets)
    signature, kind, version, sequence = r.number(2), r.number(1), r.number(1), r.number(2)
    fields = {"signature": f"{signature:04X}", "message": MESSAGES.get(kind, kind),
              "version": version, "sequence": sequence}
    if kind == HELLO:
        fields["endpoint"] = r.string()
        fields["groups"] = [r.longstr() for _ in range(r.number(4))]
        fields["status"] = r.number(1)
        fields["name"] = r.string()
        fields["headers"] = {r.string(): r.longstr() for _ in range(r.number(4))}
    elif kind == SHOUT:
        fields["group"] = r.string()
    elif kind in (JOIN, LEAVE):
        fields["group"] = r.string()
        fields["status"] = r.number(1)
    elif kind in (ELECT, LEADER):
        fields["group"] = r.string()
        fields["challenger" if kind == ELECT else "leader"] = r.string()
    if r.at != len(octets):
        fields["trailing"] = octets[r.at:].hex().upper()
    return fields


def decode_beacon(octets):
    fields = {"version": octets[3], "uuid": octets[4:20].hex().upper(),
              "port": int.from_bytes(octets[20:22], "big")}
    if len(octets) == 54:
        fields["key"] = octets[22:].hex().upper()
    return fields


def decode_ready(body):
    r = Reader(body)
    fields = {"command": r.string(), "properties": []}
    while r.at < len(body):
        key, value = r.string(), r.take(r.number(4))
        fields["properties"].append([key, value.decode() if value.isascii() and value.decode()
                                     .isprintable() else {"hex": value.hex().upper()}])
    return fields


# -- one connection --------------------------------------------------------------------------------

class Link:
    """A TCP connection with NULL security; `octets` is all that came, `units` its frames."""

    def __init__(self, connection):
        self.socket = connection
        self.local = connection.getsockname()
        self.remote = connection.getpeername()
        self.made = time.monotonic()
        self.octets = b""
        self.used = 0
        self.closed = None    # when the other side closed, or "reset"
        self.greeting = None
        self.ready = None     # octets of the READY frame
        self.before_ours = 0  # octets of the greeting that came before any of ours

    def _fill(self, timeout):
        if self.closed:
            return False
        try:
            readable, _, _ = select.select([self.socket], [], [], max(0, timeout))
            if not readable:
                return False
            octets = self.socket.recv(1 << 16)
        except OSError:
            octets = b""
        if not octets:
            self.closed = time.monotonic()
            return False
        self.octets += octets
        return True

    def _need(self, count, deadline):
        while len(self.octets) - self.used < count:
            if not self._fill(deadline - time.monotonic()):
                if self.closed or time.monotonic() >= deadline:
                    return False
        return True

    def handshake(self, socket_type, identity, within=5.0, patience=0.05, minor=0):
        """Goes through greeting and READY, as a peer of ZMTP 3.MINOR."""
        deadline = time.monotonic() + within
        # Longer than a local round trip: whatever comes now comes without a word of ours.
        wait = time.monotonic() + patience
        while time.monotonic() < wait:
            self._fill(wait - time.monotonic())
        self.before_ours = len(self.octets)
        self.socket.sendall(GREETING[:11] + bytes((minor,)) + GREETING[12:])
        if not self._need(64, deadline):
            raise TimeoutError("no greeting")
        self.greeting = self.octets[:64]
        self.used = 64
        self.socket.sendall(ready(socket_type, identity))
        unit = self.next_frame(within)
        if unit is None:
            raise TimeoutError("no READY")
        self.ready = unit[0]
        return self

    def next_frame(self, within):
        """(octets on the wire, flags, body), or None in time or at the end."""
        deadline = time.monotonic() + within
        if not self._need(2, deadline):
            return None
        flags = self.octets[self.used]
        head = 9 if flags & 2 else 2
        if not self._need(head, deadline):
            return None
        size = int.from_bytes(self.octets[self.used + 1:self.used + head], "big")
        if not self._need(head + size, deadline):
            return None
        unit = self.octets[self.used:self.used + head + size]
        self.used += head + size
        return unit, flags, unit[head:]

    def next_message(self, within=5.0):
        """(octets on the wire, [bodies]); commands after READY are answered or skipped."""
        wire, bodies = b"", []
        deadline = time.monotonic() + within
        while (unit := self.next_frame(deadline - time.monotonic())) is not None:
            octets, flags, body = unit
            if flags & 4:
                if body.startswith(b"\4PING"):
                    self.socket.sendall(frame(b"\4PONG" + body[7:23], command=True))
                continue
            wire += octets
            bodies.append(body)
            if not flags & 1:
                return wire, bodies
        return None

    def expect(self, message, within=5.0):
        """The next ZRE message of this kind: (octets, bodies, fields). Others are answered."""
        deadline = time.monotonic() + within
        while (got := self.next_message(deadline - time.monotonic())) is not None:
            wire, bodies = got
            fields = decode_zre(bodies[0])
            if fields["message"] == MESSAGES[message]:
                return wire, bodies, fields
        return None

    def send(self, *bodies):
        octets = b""
        for index, body in enumerate(bodies):
            octets += frame(body, more=index < len(bodies) - 1)
        self.socket.sendall(octets)

    def wait_closed(self, within):
        """Reads on until the other side closes; False when it did not in time."""
        deadline = time.monotonic() + within
        while not self.closed and time.monotonic() < deadline:
            self._fill(deadline - time.monotonic())
        return bool(self.closed)

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# -- the node --------------------------------------------------------------------------------------

class RawNode:
    def __init__(self, host, uuid, name="raw", port=5670, groups=(), headers=None, status=None):
        self.host = host
        self.uuid = bytes.fromhex(uuid)
        self.identity = b"\x01" + self.uuid
        self.name = name
        self.groups = list(groups)
        self.headers = headers or {}
        self.status = len(self.groups) if status is None else status
        self.port = port
        with host.inside():
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for option in (socket.SO_BROADCAST, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self.udp.setsockopt(socket.SOL_SOCKET, option, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind(("", port))
        self.listener.bind((host.address, 0))
        self.listener.listen(16)
        self.mailbox = self.listener.getsockname()[1]
        self.endpoint = f"tcp://{host.address}:{self.mailbox}"
        self.sequence = 0

    def next_beacon(self, within=5.0):
        """(octets, source address, source port) of a beacon that is not ours."""
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.udp], [], [], left)[0]:
                return None
            octets, (address, port) = self.udp.recvfrom(2048)
            if address != self.host.address:
                return octets, address, port
        return None

    def drain_beacons(self):
        while select.select([self.udp], [], [], 0)[0]:
            self.udp.recvfrom(2048)

    def beacon(self, port=None):
        octets = b"ZRE\x01" + self.uuid + struct.pack(">H", self.mailbox if port is None else port)
        self.udp.sendto(octets, (f"{self.host.network.subnet}.255", self.port))

    def dial(self, address, port, identity=None):
        """A link to the peer's mailbox, past the handshake, as a DEALER would make it."""
        with self.host.inside():
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(5)
        connection.connect((address, port))
        connection.settimeout(None)
        return Link(connection).handshake("DEALER", identity or self.identity)

    def accept(self, within=5.0, patience=0.05):
        """A link that the peer makes to our mailbox; None when it makes none in time."""
        if not select.select([self.listener], [], [], within)[0]:
            return None
        connection, _ = self.listener.accept()
        return Link(connection).handshake("ROUTER", b"", patience=patience)

    def hello(self, sequence=1):
        self.sequence = sequence
        return zre(HELLO, sequence, hello_body(self.endpoint, self.groups, self.status, self.name,
                                               self.headers))

    def message(self, kind, body=b""):
        self.sequence += 1
        return zre(kind, self.sequence, body)

    def close(self):
        self.udp.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
