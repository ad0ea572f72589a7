#!/usr/bin/env python3
"""One ZeroMQ socket of libzmq (pyzmq) for tests of ZMTP alone, by JSON lines.

    zmtp.py --type ROUTER --bind tcp://127.0.0.1:* --echo
    zmtp.py --type DEALER --connect tcp://127.0.0.1:5555 --identity 01AA --send 1000 --size 65536

Events: start (with the endpoint), connected, handshake, disconnected, handshake_failed (from the
socket's monitor), message, sent, verified, error, stop. Commands: send, close, count, stop.

A message that `--send` makes is one frame of SIZE octets: its number as 8 octets, most significant
first, cut off at SIZE, then the octets (number * 31 + index) mod 256. With `--verify` the receiver
computes each message it gets again, and reports `verified` with the count, the octets and the
SHA-256 of all content once `--expect N` messages came.
"""

import argparse
import hashlib
import json
import struct
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

import common

MONITORED = {
    zmq.EVENT_CONNECTED: "connected",
    zmq.EVENT_ACCEPTED: "connected",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "handshake",
    zmq.EVENT_DISCONNECTED: "disconnected",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "handshake_failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "handshake_failed",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "handshake_failed",
}

RAMP = bytes(range(256))


def pattern(number, size):
    head = struct.pack(">Q", number)[:size]
    start = (number * 31 + len(head)) % 256
    cycles = (size - len(head) + start) // 256 + 1
    return head + (RAMP * cycles)[start:start + size - len(head)]


class Zmtp(common.Driver):
    def node_start(self):
        o = self.options
        self.context = zmq.Context()
        kind = getattr(zmq, o.type)
        self.socket = s = self.context.socket(kind)
        self.routed = kind == zmq.ROUTER
        s.linger = o.linger
        s.ipv6 = o.ipv6
        if o.identity:
            s.setsockopt(zmq.ROUTING_ID, bytes.fromhex(o.identity))
        for value, option in ((o.heartbeat_ivl, zmq.HEARTBEAT_IVL),
                              (o.heartbeat_ttl, zmq.HEARTBEAT_TTL),
                              (o.heartbeat_timeout, zmq.HEARTBEAT_TIMEOUT),
                              (o.handshake_ivl, zmq.HANDSHAKE_IVL),
                              (o.reconnect_ivl, zmq.RECONNECT_IVL),
                              (o.sndhwm, zmq.SNDHWM), (o.rcvhwm, zmq.RCVHWM),
                              (o.maxmsgsize, zmq.MAXMSGSIZE)):
            if value is not None:
                s.setsockopt(option, value)
        if self.routed:
            s.setsockopt(zmq.ROUTER_HANDOVER, 1)
            s.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if o.subscribe is not None:
            s.setsockopt(zmq.SUBSCRIBE, o.subscribe.encode())
        self.key = None
        if o.curve:
            self.curve(s)
        if o.plain:
            s.plain_username, _, s.plain_password = o.plain.partition(":")
        if o.plain_server:
            s.plain_server = True
        self.monitor = s.get_monitor_socket()
        for endpoint in o.bind:
            s.bind(endpoint)
        for endpoint in o.connect:
            s.connect(endpoint)
        self.received = 0
        self.octets = 0
        self.wrong = 0
        self.digest = hashlib.sha256()
        self.first_at = None
        self.to_send = o.send
        self.sent = 0
        bound = s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode() if o.bind else None
        self.emit("start", type=o.type, endpoint=bound, key=self.key, kind="libzmq",
                  version=zmq.zmq_version(), pyzmq=zmq.__version__)

    def curve(self, s):
        o = self.options
        if o.secret:
            public, secret = zmq.curve_public(o.secret.encode()), o.secret.encode()
        else:
            public, secret = zmq.curve_keypair()
        self.key = public.decode()
        s.curve_publickey, s.curve_secretkey = public, secret
        if o.curve == "server":
            s.curve_server = True
        else:
            s.curve_serverkey = o.curve.encode()

    def node_sources(self):
        return [(self.socket.getsockopt(zmq.FD), self.node_tick),
                (self.monitor.getsockopt(zmq.FD), self.node_tick)]

    def node_tick(self):
        while self.monitor.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            event = recv_monitor_message(self.monitor)
            name = MONITORED.get(event["event"])
            if name:
                self.emit(name, endpoint=event["endpoint"].decode(), value=event["value"])
        # A bounded turn each: neither direction starves the other, nor the commands.
        # The descriptor is edge-triggered, so go on until neither can.
        busy = True
        while busy and self.running:
            busy = self.receive_some() + self.send_some() > 0

    def receive_some(self):
        count = 0
        while count < 1000 and self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self.take(self.socket.recv_multipart())
            count += 1
        return count

    def take(self, frames):
        o = self.options
        self.first_at = self.first_at or time.monotonic()
        route = frames.pop(0) if self.routed else None
        for frame in frames:
            self.digest.update(frame)
            self.octets += len(frame)
        number = self.received
        self.received += 1
        if o.verify and (len(frames) != 1 or frames[0] != pattern(number, len(frames[0]))):
            self.wrong += 1
        if o.echo:
            self.socket.send_multipart(([route] if self.routed else []) + frames)
        if o.answer is not None:
            self.socket.send_multipart(([route] if self.routed else []) + o.answer)
        if not o.quiet:
            extra = {"from": route.hex().upper()} if self.routed else {}
            self.emit("message", content=[common.frame_to_json(f) for f in frames], **extra)
        if o.expect and self.received == o.expect:
            seconds = time.monotonic() - self.first_at
            self.emit("verified", messages=self.received, octets=self.octets, wrong=self.wrong,
                      sha256=self.digest.hexdigest(), seconds=round(seconds, 6))

    def send_some(self):
        o = self.options
        count = 0
        while self.to_send and count < 1000:
            message = pattern(self.sent, o.size)
            try:
                route = [bytes.fromhex(o.to)] if self.routed else []
                self.socket.send_multipart([*route, message], zmq.DONTWAIT)
            except zmq.ZMQError as error:
                if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                    return count
                raise
            self.sent += 1
            self.to_send -= 1
            count += 1
            if not self.to_send:
                self.emit("sent", messages=self.sent, octets=self.sent * o.size)
        return count

    def do_send(self, command):
        frames = common.frames_from_json(command)
        if self.routed:
            frames.insert(0, bytes.fromhex(command["to"]))
        for _ in range(command.get("times", 1)):
            self.socket.send_multipart(frames)

    def do_count(self, command):
        self.emit("count", id=command.get("id"), messages=self.received, octets=self.octets,
                  sent=self.sent, wrong=self.wrong, sha256=self.digest.hexdigest())

    def do_close(self, command):
        """Unbinds or disconnects, and keeps the socket."""
        for endpoint in self.options.bind:
            self.socket.unbind(self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0"))
        for endpoint in self.options.connect:
            self.socket.disconnect(endpoint)

    def node_stop(self):
        self.socket.disable_monitor()
        self.socket.close()
        self.monitor.close()
        self.context.term()


def frames(text):
    return common.frames_from_json({"content": json.loads(text)})


def main():
    p = argparse.ArgumentParser(description="one ZeroMQ socket of libzmq")
    p.add_argument("--name", help="for the log of whoever started this; not used")
    p.add_argument("--type", default="DEALER",
                   choices=["DEALER", "ROUTER", "REQ", "REP", "PUB", "SUB", "XPUB", "XSUB",
                            "PUSH", "PULL", "PAIR"])
    p.add_argument("--bind", action="append", default=[], metavar="EP")
    p.add_argument("--connect", action="append", default=[], metavar="EP")
    p.add_argument("--identity", metavar="HEX")
    p.add_argument("--subscribe", metavar="PREFIX")
    p.add_argument("--echo", action="store_true", help="send each message back where it came from")
    p.add_argument("--answer", type=frames, metavar="JSON", help="answer this to whatever comes: an array of frames")
    p.add_argument("--ipv6", action="store_true", help="IPv6 as well")
    p.add_argument("--send", type=int, default=0, metavar="N")
    p.add_argument("--size", type=int, default=64, metavar="OCTETS")
    p.add_argument("--to", default="", metavar="HEX", help="routing id that a ROUTER sends to")
    p.add_argument("--expect", type=int, default=0, metavar="N")
    p.add_argument("--verify", action="store_true", help="compare each message with the pattern")
    p.add_argument("--quiet", action="store_true", help="no event per message")
    p.add_argument("--linger", type=int, default=2000, metavar="MS")
    for name in ("heartbeat-ivl", "heartbeat-ttl", "heartbeat-timeout", "handshake-ivl",
                 "reconnect-ivl", "sndhwm", "rcvhwm", "maxmsgsize"):
        p.add_argument("--" + name, type=int, help=f"ZMQ_{name.replace('-', '_').upper()}")
    p.add_argument("--curve", metavar="server|KEY", help="be a CURVE server, or the server's key")
    p.add_argument("--secret", metavar="Z85", help="own secret key; a new pair without it")
    p.add_argument("--plain", metavar="USER:PASSWORD")
    p.add_argument("--plain-server", action="store_true")
    common.main(Zmtp, p.parse_args())


if __name__ == "__main__":
    sys.exit(main())
