"""What attacks: nodes and connections spoken by hand, with the fewest octets and any of them wrong."""

import errno
import secrets
import selectors
import socket
import struct
import threading
import time

import raw

READY_ROUTER = raw.ready("ROUTER", b"")


def join(group, status):
    return raw.string(group) + bytes([status])


def hello(sequence=1, endpoint="tcp://10.77.0.3:41003", groups=("G",), name="atk", headers=None, status=None):
    status = len(groups) if status is None else status
    body = raw.hello_body(endpoint, groups, status, name, headers or {})
    return raw.zre(raw.HELLO, sequence, body)


class Wire:
    """One TCP connection to the node. Whatever it refuses is no error of ours."""

    def __init__(self, host, address, port, timeout=5):
        with host.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.ended = None           # when the node closed it, by our clock
        try:
            self.socket.connect((address, port))
        except OSError:
            self.ended = time.monotonic()

    def put(self, octets):
        """Sends; False when the node closed the connection, or does not read."""
        try:
            self.socket.sendall(octets)
            return True
        except TimeoutError:
            return False
        except OSError:
            self.ended = self.ended or time.monotonic()
            return False

    def greet(self, identity, socket_type="DEALER"):
        return self.put(raw.GREETING + raw.ready(socket_type, identity))

    def message(self, *frames):
        return self.put(b"".join(raw.frame(f, more=i < len(frames) - 1) for i, f in enumerate(frames)))

    def read(self, seconds):
        """What comes within this time; sets `ended` when the node closed it."""
        octets = b""
        deadline = time.monotonic() + seconds
        while self.ended is None and (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(1 << 16)
            except TimeoutError:
                break
            except OSError:
                more = b""
            if not more:
                self.ended = time.monotonic()
            octets += more
        self.socket.settimeout(5)
        return octets

    def is_closed(self, within=0.0):
        self.read(max(within, 0.001))
        return self.ended is not None

    def closed_after(self, since, within=5.0):
        """Seconds from then until the node closed it; None when it did not in time."""
        self.read(within)
        return None if self.ended is None else self.ended - since

    def close(self, reset=False):
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


class Attacker:
    """A UUID with a mailbox and connections to the node. Its mailbox `reads`, `stalls` after READY, says octets of the case's
    instead of greeting and READY, or is not there (None)."""

    def __init__(self, bench, uuid=None, name="atk", port=41003, mailbox="reads", host=None, answers=True, rate=None):
        self.bench = bench
        self.host = host or bench.hosts["attacker"]
        self.uuid = bytes.fromhex(uuid) if uuid else secrets.token_bytes(16)
        self.hex = self.uuid.hex().upper()
        self.identity = b"\x01" + self.uuid
        self.name = name
        self.port = port
        self.endpoint = f"tcp://{self.host.address}:{port}"
        self.answers = answers      # PING with PING-OK
        self.heard = []             # (id, sequence) of what came to the mailbox
        self.answer_hellos = 0
        self.wires = []
        self.wire = None
        self.sequence = 0
        self.lock = threading.RLock()
        self.mode = mailbox
        self.accepted = 0
        self.mailbox = _loop().listen(self) if mailbox else None

    def dial(self, identity=None, greet=True, timeout=5):
        """A connection to the node's mailbox, past our half of the handshake."""
        wire = Wire(self.host, self.bench.address, self.bench.port, timeout)
        self.wires.append(wire)
        if greet:
            wire.greet(self.identity if identity is None else identity)
        return wire

    def greet(self, groups=("G",), **fields):
        """Becomes a peer: dials, says HELLO."""
        self.wire = self.dial()
        with self.lock:
            self.sequence = 1
            fields.setdefault("endpoint", self.endpoint)
            self.wire.message(hello(1, groups=groups, name=self.name, **fields))
        return self

    def enter(self, **fields):
        self.greet(**fields)
        self.bench.entered(self)
        return self

    def say(self, kind, body=b"", *content):
        with self.lock:
            self.sequence = self.sequence % 65535 + 1 if self.sequence == 65535 else self.sequence + 1
            return self.wire.message(raw.zre(kind, self.sequence, body), *content)

    def on_message(self, bodies):
        head = bodies[0]
        if len(head) < 6:
            return
        kind, sequence = head[2], int.from_bytes(head[4:6], "big")
        self.heard.append((kind, sequence))
        if kind == raw.PING and self.answers and self.wire:
            self.say(raw.PING_OK)
        if kind == raw.HELLO and self.answer_hellos and self.wire:
            self.answer_hellos -= 1
            with self.lock:
                self.sequence = 1
                self.wire.message(hello(1, endpoint=self.endpoint, name=self.name))

    def hellos(self):
        return sum(1 for kind, _ in self.heard if kind == raw.HELLO)

    def close(self):
        if self.mailbox:
            self.mailbox.close()
            self.mailbox = None
        for wire in self.wires:
            wire.close()

    # ---- datagrams

    def datagram(self, octets, to=None):
        """One datagram from our own address, to everybody or to one."""
        with self.host.inside():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            udp.sendto(octets, (to or f"{self.host.network.subnet}.255", 5670))

    def forged(self, source, octets, to):
        """One datagram to the node that says it comes from another address of the network."""
        udp = struct.pack(">HHHH", 5670, 5670, 8 + len(octets), 0) + octets
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                           socket.inet_aton(source), socket.inet_aton(to))
        with self.host.inside():
            raw_socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw_socket:
            raw_socket.sendto(head + udp, (to, 0))


def beacon(uuid, port, version=1, tail=b""):
    return b"ZRE" + bytes([version]) + uuid + struct.pack(">H", port) + tail


# -- mailboxes -------------------------------------------------------------------------------------

class Mailbox:
    def __init__(self, loop, attacker):
        self.loop = loop
        self.attacker = attacker
        self.streams = []
        with attacker.host.inside():
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if attacker.mode == "stalls":
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.listener.bind((attacker.host.address, attacker.port))
        self.listener.listen(1024)
        self.listener.setblocking(False)

    def close(self):
        self.loop.remove(self)

    def cut(self):
        """Ends the node's connections to it, and goes on listening."""
        with self.loop.lock:
            for stream in self.streams:
                self.loop.selector.unregister(stream.socket)
                stream.socket.close()
            self.streams = []


class Stream:
    """What the node says to a mailbox."""

    def __init__(self, mailbox, connection):
        self.mailbox = mailbox
        self.socket = connection
        self.octets = bytearray()
        self.greeted = False
        self.ready = False
        self.bodies = []

    def take(self):
        octets = self.octets
        if not self.greeted:
            if len(octets) < 64:
                return
            del octets[:64]
            self.greeted = True
        at = 0
        while len(octets) - at >= 2:
            flags = octets[at]
            head = 9 if flags & 2 else 2
            if len(octets) - at < head:
                break
            size = int.from_bytes(octets[at + 1:at + head], "big")
            if len(octets) - at < head + size:
                break
            body = bytes(octets[at + head:at + head + size])
            at += head + size
            if flags & 4:
                self.ready = True
                continue
            self.bodies.append(body)
            if not flags & 1:
                bodies, self.bodies = self.bodies, []
                self.mailbox.attacker.on_message(bodies)
        del octets[:at]


class Loop(threading.Thread):
    """All mailboxes of this process on one thread."""

    def __init__(self):
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.lock = threading.RLock()
        self.start()

    def listen(self, attacker):
        mailbox = Mailbox(self, attacker)
        with self.lock:
            self.selector.register(mailbox.listener, selectors.EVENT_READ, mailbox)
        return mailbox

    def remove(self, mailbox):
        with self.lock:
            for thing in [mailbox.listener, *(stream.socket for stream in mailbox.streams)]:
                try:
                    self.selector.unregister(thing)
                except (KeyError, ValueError):
                    pass
                thing.close()

    def run(self):
        while True:
            ready = self.selector.select(0.05) if self.selector.get_map() else time.sleep(0.02) or []
            with self.lock:
                for key, _ in ready:
                    if key.fileobj.fileno() < 0:
                        continue
                    if isinstance(key.data, Mailbox):
                        self.accept(key.data)
                    else:
                        self.read(key.data)

    def accept(self, mailbox):
        try:
            connection, _ = mailbox.listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EMFILE):
                raise
            return
        connection.setblocking(True)
        stream = Stream(mailbox, connection)
        mailbox.streams.append(stream)
        mailbox.attacker.accepted += 1
        if mailbox.attacker.mode == "mute":
            return
        if mailbox.attacker.mode == "http":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + bytes(64))
            return
        mode = mailbox.attacker.mode
        connection.sendall(mode if isinstance(mode, bytes) else raw.GREETING + READY_ROUTER)
        self.selector.register(connection, selectors.EVENT_READ, stream)

    def read(self, stream):
        try:
            octets = stream.socket.recv(1 << 18)
        except OSError:
            octets = b""
        if not octets:
            self.selector.unregister(stream.socket)
            stream.socket.close()
            stream.mailbox.streams.remove(stream)
            return
        stream.octets += octets
        stream.take()
        if stream.ready and stream.mailbox.attacker.mode == "stalls":
            self.selector.unregister(stream.socket)


_the_loop = []


def _loop():
    if not _the_loop:
        _the_loop.append(Loop())
    return _the_loop[0]
