"""What passes the device of a host, packet by packet, and what of it can be read by anybody.

    with Packets(host) as packets:
        ...
    for flow in packets.flows(): ...

The kernel hands a copy of every packet, in and out, to a packet socket; nothing else runs, and nothing is left behind.
"""

import collections
import ipaddress
import socket
import struct
import threading
import time

ETH_P_ALL = 3
ETH_P_IP = 0x0800
SOL_PACKET = 263
PACKET_STATISTICS = 6
SO_RCVBUFFORCE = 33

# What the kernel keeps for us while we are slow: all that a check says, several times over.
BUFFER = 512 << 20

Datagram = collections.namedtuple("Datagram", "source port to octets")


class Flow:
    """One direction of a TCP connection: all octets, in order."""

    def __init__(self, source, port, to, to_port):
        self.source, self.port, self.to, self.to_port = source, port, to, to_port
        self.first = None      # sequence number of the first octet
        self.pieces = []

    def add(self, sequence, octets, syn):
        if syn:
            self.first = (sequence + 1) % (1 << 32)
        if octets:
            self.pieces.append((sequence, octets))

    def octets(self):
        """Everything; fails when the begin or a piece of it was not seen."""
        assert self.first is not None or not self.pieces, f"the begin of {self} was not seen"
        whole, end = bytearray(), 0
        placed = [((sequence - self.first) % (1 << 32), octets) for sequence, octets in self.pieces]
        for at, octets in sorted(placed, key=lambda piece: piece[0]):
            assert at <= end, f"{at - end} octets of {self} were not seen"
            whole[at:at + len(octets)] = octets
            end = max(end, at + len(octets))
        return bytes(whole)

    def __str__(self):
        return f"{self.source}:{self.port} -> {self.to}:{self.to_port}"


class Packets:
    def __init__(self, host):
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self.socket.bind((host.device, ETH_P_ALL))
        self.socket.settimeout(0.1)
        self.packets = []
        self.ended = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                self.packets.append(self.socket.recv(1 << 18))
            except TimeoutError:
                if self.ended:
                    return

    def close(self):
        if not self.ended:
            time.sleep(0.1)
            self.ended = True
            self.thread.join()
            statistics = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
            self.lost = struct.unpack("II", statistics)[1]
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self):
        """(flows, datagrams, what is neither): all IPv4 of the packets, taken apart."""
        self.close()
        assert self.lost == 0, f"{self.lost} packets were not seen"
        flows, datagrams, others = {}, [], []
        for packet in self.packets:
            if int.from_bytes(packet[12:14], "big") != ETH_P_IP:
                others.append(packet)
                continue
            ip = packet[14:14 + int.from_bytes(packet[16:18], "big")]
            if packet[16:18] == b"\0\0":
                ip = packet[14:]  # larger than the field can say: a packet that is yet to be cut to size
            assert int.from_bytes(ip[6:8], "big") & 0x3FFF == 0, "a fragment"
            source, to = (str(ipaddress.IPv4Address(ip[at:at + 4])) for at in (12, 16))
            body = ip[(ip[0] & 15) * 4:]
            ports = struct.unpack(">HH", body[:4])
            if ip[9] == socket.IPPROTO_UDP:
                datagrams.append(Datagram(source, ports[1], to, body[8:]))
            elif ip[9] == socket.IPPROTO_TCP:
                flow = flows.setdefault((source, to, *ports), Flow(source, ports[0], to, ports[1]))
                sequence = int.from_bytes(body[4:8], "big")
                flow.add(sequence, body[(body[12] >> 4) * 4:], bool(body[13] & 2))
            else:
                others.append(packet)
        return list(flows.values()), datagrams, others


def frames(octets):
    """A direction of a ZMTP connection: its greeting, and its frames as (flags, body). The last one may be cut."""
    greeting, at, found = octets[:64], 64, []
    while at < len(octets):
        flags = octets[at]
        head = 9 if flags & 2 else 2
        size = int.from_bytes(octets[at + 1:at + head], "big")
        found.append((flags, octets[at + head:at + head + size]))
        at += head + size
    return greeting, found
