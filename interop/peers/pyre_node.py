#!/usr/bin/env python3
"""A node of Pyre (PyPI `zeromq-pyre`), driven by JSON lines.

What this driver mends from outside, without changing Pyre's traffic:

- `Pyre.set_interface` of 0.3.4 does nothing. Pyre walks the list of interfaces and takes the first
  that is neither loopback nor link-local, so the driver shows it a list of one.
- The UUID and the beacon's interval cannot be set by the API, and the timeouts are constants of a
  class; the driver sets the values at their place.
- `Pyre.set_port` wants octets.
"""

import logging
import os
import sys
import uuid

import pyre
import zmq
from pyre import pyre_node, pyre_peer, zbeacon, zhelper
from pyre.pyre_event import PyreEvent

import common


def hexadecimal(identity):
    return identity.hex.upper()


class OneUuid:
    """Stands for the module `uuid` inside Pyre's node, with a generator that is not random."""

    def __init__(self, value):
        self.value = value

    def uuid4(self):
        return self.value

    def __getattr__(self, name):
        return getattr(uuid, name)


class PyreNode(common.Driver):
    def node_start(self):
        o = self.options
        if o.verbose:
            logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
        if o.uuid:
            pyre_node.uuid = OneUuid(uuid.UUID(o.uuid))
        if o.interval:
            zbeacon.INTERVAL_DFLT = o.interval / 1000
        if o.evasive:
            pyre_peer.PyrePeer.PEER_EVASIVE = o.evasive / 1000
        if o.expired:
            # The queue to a peer is bounded by this number of seconds times 100, as an integer.
            pyre_peer.PyrePeer.PEER_EXPIRED = max(1, round(o.expired / 1000))
        if o.interface:
            every = zhelper.get_ifaddrs
            chosen = [entry for entry in every() if o.interface in entry]
            if not chosen:
                raise SystemExit(f"no interface {o.interface}")
            zhelper.get_ifaddrs = lambda: chosen
        self.node = pyre.Pyre(o.name)
        self.node.set_port(str(o.port).encode())
        for key, value in o.header:
            self.node.set_header(key, value)
        for group in o.group:
            self.node.join(group)
        self.node.start()
        self.socket = self.node.socket()
        self.emit("start", uuid=hexadecimal(self.node.uuid()), name=self.node.name(),
                  endpoint=self.node.endpoint(), kind="pyre", version=pyre.__version__,
                  libzmq=zmq.zmq_version())

    def node_sources(self):
        return [(self.socket.getsockopt(zmq.FD), self.node_tick)]

    def node_tick(self):
        if not self.node.actor.thread.is_alive():
            # An exception ended Pyre's thread; whatever is asked of it now would wait for ever.
            self.emit("error", message="Pyre's node thread has ended")
            os._exit(1)
        while self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self.report(PyreEvent(self.node))

    def report(self, event):
        kind = event.type.lower()
        if kind == "stop":
            return
        fields = {"peer": hexadecimal(event.peer_uuid), "name": event.peer_name}
        if kind == "enter":
            fields["endpoint"] = event.peer_addr
            fields["headers"] = event.headers
        if kind in ("join", "leave", "shout"):
            fields["group"] = event.group
        if kind in ("whisper", "shout"):
            fields["content"] = [common.frame_to_json(frame) for frame in event.msg]
        self.emit(kind, **fields)

    def do_join(self, command):
        self.node.join(command["group"])

    def do_leave(self, command):
        self.node.leave(command["group"])

    def do_whisper(self, command):
        peer = uuid.UUID(self.resolve(command["peer"]))
        self.node.whisper(peer, common.frames_from_json(command))

    def do_shout(self, command):
        self.node.shout(command["group"], common.frames_from_json(command))

    def do_peers(self, command):
        rows = []
        for peer in self.node.peers():
            row = dict(self.peers.get(hexadecimal(peer)) or {
                "peer": hexadecimal(peer), "name": "", "headers": {}, "groups": [],
                "state": "connecting"})
            row["endpoint"] = self.node.peer_address(peer)
            rows.append(row)
        self.emit("peers", id=command.get("id"), peers=rows)

    def do_groups(self, command):
        self.emit("groups", id=command.get("id"), groups=list(self.node.own_groups()))

    def node_stop(self):
        self.node.stop()
        while self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self.report(PyreEvent(self.node))


def main():
    common.main(PyreNode, common.parser("a node of Pyre").parse_args())


if __name__ == "__main__":
    sys.exit(main())
