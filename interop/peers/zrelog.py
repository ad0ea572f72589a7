#!/usr/bin/env python3
"""ZRE/LOG over libzmq (pyzmq), written from spec/log.md: a collector's SUB, or the PUB of a node that logs, by JSON lines.

    zrelog.py --bind tcp://127.0.0.1:* [--level N]…      a collector; `log` for each record, `other` for what is none
    zrelog.py --connect tcp://127.0.0.1:9992             a node; {"do":"log","level":2,"event":0,"node":7,"peer":0,"time":0,"data":"…"}
                                                         says one record, {"do":"raw","hex":"…"} any message

`--curve server` or the server's key, and `--secret`, as with zmtp.py.
"""

import argparse
import struct

import zmq

import common

PREFIX = b"\xAA\xA2\x01"
FIXED = ">BBHHQ"


def encode(level, event, node, peer, time, data):
    data = common.frame_from_json(data)
    assert len(data) <= 255
    return PREFIX + struct.pack(FIXED, level, event, node, peer, time) + bytes([len(data)]) + data


def decode(frame):
    """The fields; None when it is no record."""
    size = len(PREFIX) + struct.calcsize(FIXED)
    if not frame.startswith(PREFIX) or len(frame) < size + 1 or len(frame) != size + 1 + frame[size]:
        return None
    level, event, node, peer, time = struct.unpack(FIXED, frame[len(PREFIX):size])
    return {"level": level, "happened": event, "node": node, "about": peer, "time": time,
            "data": common.frame_to_json(frame[size + 1:])}


def tag(endpoint):
    """What stands for an endpoint in a record."""
    value = 0
    for octet in endpoint.encode():
        value = (33 * value ^ octet) & 0xFFFF
    return value


class Zrelog(common.Driver):
    def node_start(self):
        o = self.options
        self.context = zmq.Context()
        self.socket = s = self.context.socket(zmq.SUB if o.bind else zmq.PUB)
        s.linger = 1000
        if o.curve:
            s.curve_publickey, s.curve_secretkey = zmq.curve_public(o.secret.encode()), o.secret.encode()
            if o.curve == "server":
                s.curve_server = True
            else:
                s.curve_serverkey = o.curve.encode()
        if o.bind:
            for level in o.level or [None]:
                s.setsockopt(zmq.SUBSCRIBE, PREFIX + (b"" if level is None else bytes([level])))
            s.bind(o.bind)
        else:
            s.connect(o.connect)
        bound = s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        self.emit("start", endpoint=bound, kind="libzmq", version=zmq.zmq_version())

    def node_sources(self):
        return [(self.socket.getsockopt(zmq.FD), self.node_tick)]

    def node_tick(self):
        while self.options.bind and self.running and self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            frames = self.socket.recv_multipart()
            fields = decode(frames[0]) if len(frames) == 1 else None
            if fields:
                self.emit("log", **fields)
            else:
                self.emit("other", content=[frame.hex() for frame in frames])

    def do_log(self, command):
        fields = [command[name] for name in ("level", "event", "node", "peer", "time", "data")]
        self.socket.send(encode(*fields))

    def do_raw(self, command):
        self.socket.send(bytes.fromhex(command["hex"]))

    def node_stop(self):
        self.socket.close()
        self.context.term()


def main():
    p = argparse.ArgumentParser(description="ZRE/LOG over libzmq")
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument("--bind", metavar="EP")
    where.add_argument("--connect", metavar="EP")
    p.add_argument("--level", type=int, action="append", metavar="N", help="hear this level only; repeatable")
    p.add_argument("--curve", metavar="server|KEY", help="be a CURVE server, or the server's key")
    p.add_argument("--secret", metavar="Z85", help="own secret key")
    common.main(Zrelog, p.parse_args())


if __name__ == "__main__":
    main()
