#!/usr/bin/env python3
"""A node of C Zyre (libzyre 2.x on libzmq), driven by JSON lines.

Every call is made on one thread, as zyre_t demands. The node's own thread hands its events over
through a ZeroMQ socket whose descriptor the loop polls; that descriptor is edge-triggered, so the
socket is drained each time, and looked at again at every tick.
"""

import sys
import time
from ctypes import byref, c_void_p

import common
import czmq_api as c

POLLIN = 1


class CZyre(common.Driver):
    def node_start(self):
        o = self.options
        if o.uuid:
            raise SystemExit("C Zyre chooses its UUID: --uuid is not supported")
        self.node = c_void_p(c.zyre_new(o.name.encode() if o.name else None))
        if not self.node:
            raise SystemExit("zyre_new failed")
        node = self.node
        self.auth = None
        self.key = None
        self.gossip = bool(o.gossip_bind or o.gossip_connect)
        if o.verbose:
            c.zyre_set_verbose(node)
        if o.interface:
            c.zyre_set_interface(node, o.interface.encode())
        c.zyre_set_port(node, o.port)
        if o.tcp_port:
            c.zyre_set_beacon_peer_port(node, o.tcp_port)
        for option, setter in ((o.interval, c.zyre_set_interval),
                               (o.evasive, c.zyre_set_evasive_timeout),
                               (o.silent, c.zyre_set_silent_timeout),
                               (o.expired, c.zyre_set_expired_timeout)):
            if option:
                setter(node, option)
        for key, value in o.header:
            c.zyre_set_header(node, key.encode(), b"%s", value.encode())
        if o.cert:
            self.secure(node)
        if o.advertise:
            c.zyre_set_advertised_endpoint(node, o.advertise.encode())
        if o.endpoint and c.zyre_set_endpoint(node, b"%s", o.endpoint.encode()) != 0:
            raise SystemExit(f"cannot bind {o.endpoint}")
        # libzyre has no call that tells a node's own endpoint. Looked up here while the mailbox
        # is the only socket that listens, or below once a node with beacons has bound it.
        mailbox = common.own_mailbox() if o.endpoint else None
        if o.gossip_bind:
            c.zyre_gossip_bind(node, b"%s", o.gossip_bind.encode())
        for hub in o.gossip_connect:
            where, _, key = hub.partition("|")
            if key:
                c.zyre_gossip_connect_curve(node, key.encode(), b"%s", where.encode())
            else:
                c.zyre_gossip_connect(node, b"%s", where.encode())
        for group in o.contest:
            c.zyre_set_contest_in_group(node, group.encode())
        for group in o.group:
            c.zyre_join(node, group.encode())
        self.uuid = c.text(c.zyre_uuid(node))
        self.socket = c.zyre_socket(node)
        if c.zyre_start(node) != 0:
            raise SystemExit("zyre_start failed")
        extra = {"key": self.key} if self.key else {}
        self.emit("start", uuid=self.uuid, name=c.text(c.zyre_name(node)), endpoint=mailbox or common.own_mailbox(),
                  kind="zyre", version=version(), libzmq=c.libzmq_version(), **extra)

    def secure(self, node):
        o = self.options
        if not c.zmq_has(b"curve"):
            raise SystemExit("this libzmq has no CURVE")
        cert = c_void_p(c.zcert_new() if o.cert == "new" else c.zcert_load(o.cert.encode()))
        if not cert:
            raise SystemExit(f"cannot load {o.cert}")
        if o.trust:
            self.auth = c_void_p(c.zactor_new(c.zauth, None))
            if o.verbose:
                c.zstr_sendx(self.auth, b"VERBOSE", None, None, None)
                c.zsock_wait(self.auth)
            where = b"*" if o.trust == "any" else o.trust.encode()
            c.zstr_sendx(self.auth, b"CURVE", where, None, None)
            c.zsock_wait(self.auth)
        if o.zap_domain:
            c.zyre_set_zap_domain(node, o.zap_domain.encode())
        self.key = c.text(c.zcert_public_txt(cert))
        c.zyre_set_zcert(node, cert)
        # C Zyre drops a HELLO without this header in secure mode, yet leaves it to the
        # application to set it.
        c.zyre_set_header(node, b"X-PUBLICKEY", b"%s", self.key.encode())
        c.zcert_destroy(byref(cert))

    def node_sources(self):
        return [(c.zsock_fd(self.socket), self.node_tick)]

    def node_tick(self):
        while c.zsock_events(self.socket) & POLLIN:
            event = c_void_p(c.zyre_event_new(self.node))
            if not event:
                self.running = False
                return
            try:
                self.report(event)
            finally:
                c.zyre_event_destroy(byref(event))

    def report(self, event):
        kind = c.text(c.zyre_event_type(event)).lower()
        if kind == "stop":
            return
        fields = {"peer": c.text(c.zyre_event_peer_uuid(event)),
                  "name": c.text(c.zyre_event_peer_name(event))}
        if kind == "enter":
            fields["endpoint"] = c.text(c.zyre_event_peer_addr(event))
            fields["headers"] = c.hash_to_dict(c.zyre_event_headers(event))
        elif kind in ("join", "leave", "leader", "shout"):
            fields["group"] = c.text(c.zyre_event_group(event))
        if kind in ("whisper", "shout"):
            frames = c.frames_of(c.zyre_event_msg(event))
            fields["content"] = [common.frame_to_json(frame) for frame in frames]
        self.emit(kind, **fields)

    def do_join(self, command):
        c.zyre_join(self.node, command["group"].encode())

    def do_leave(self, command):
        c.zyre_leave(self.node, command["group"].encode())

    def do_whisper(self, command):
        message = c.message_of(common.frames_from_json(command))
        c.zyre_whisper(self.node, self.resolve(command["peer"]).encode(), byref(message))

    def do_shout(self, command):
        message = c.message_of(common.frames_from_json(command))
        c.zyre_shout(self.node, command["group"].encode(), byref(message))

    def do_peers(self, command):
        rows = []
        for uuid in c.owned_list(c.zyre_peers(self.node)):
            row = dict(self.peers.get(uuid) or {
                "peer": uuid, "name": "", "headers": {}, "groups": [], "state": "connecting"})
            row["endpoint"] = c.owned_string(c.zyre_peer_address(self.node, uuid.encode()))
            rows.append(row)
        self.emit("peers", id=command.get("id"), peers=rows)

    def do_groups(self, command):
        self.emit("groups", id=command.get("id"),
                  groups=c.owned_list(c.zyre_own_groups(self.node)))

    def do_connect(self, command):
        """A draft of libzyre: it wants the peer's UUID (and Z85 key) besides its endpoint."""
        key = command.get("key")
        c.zyre_require_peer(self.node, command["peer"].upper().encode(),
                            command["endpoint"].encode(), (key or "").encode())

    def node_stop(self):
        c.zyre_stop(self.node)
        if self.gossip:
            time.sleep(0.1)  # GOODBYE is queued on sockets that zyre_destroy closes at once
        self.node_tick()
        c.zyre_destroy(byref(self.node))
        if self.auth:
            c.zactor_destroy(byref(self.auth))
        c.zsys_shutdown()


def version():
    number = c.zyre_version()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def main():
    p = common.parser("a node of C Zyre")
    p.add_argument("--silent", type=int, help="milliseconds before SILENT")
    p.add_argument("--tcp-port", type=int, help="fixed port of the mailbox")
    p.add_argument("--endpoint", metavar="EP", help="bind here; turns beacons off, needs gossip")
    p.add_argument("--advertise", metavar="EP", help="endpoint told to others")
    p.add_argument("--gossip-bind", metavar="EP")
    p.add_argument("--gossip-connect", metavar="EP[|KEY]", action="append", default=[])
    p.add_argument("--contest", metavar="G", action="append", default=[])
    p.add_argument("--cert", metavar="FILE|new", help="CURVE with this certificate of CZMQ")
    p.add_argument("--trust", metavar="any|DIR", help="start CZMQ's ZAP handler with this policy")
    p.add_argument("--zap-domain", metavar="D")
    common.main(CZyre, p.parse_args())


if __name__ == "__main__":
    sys.exit(main())
