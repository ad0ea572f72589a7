#!/usr/bin/env python3
"""An ingescape agent (PyPI `ingescape`, on C Zyre), driven by JSON lines.

What an agent of 4.7.0 is on the ZRE network, as seen by a peer:

- An ordinary C Zyre node whose public name is the agent's name. It binds its publisher first and
  its log stream second, so with free ports these take 49152 and 49153 and the mailbox 49154.
- HELLO carries the headers `ingescape` (v4.7.0), `protocol` (v5), `publisher` and `logger` (TCP
  port numbers), `hostname`, `pid`, `pid_namespace`, `commandline`, `inproc` and `ipc` (endpoints).
  A peer without the header `publisher` stays a plain peer, and is sent nothing else.
- It joins `INGESCAPE_PRIVATE`, `NAME-IGS-REPLAY` and `NAME-IGS`.
- Agents introduce themselves by WHISPERs of several frames, the first a title, the last the agent's
  own id (not the UUID of the node): `EXTERNAL_DEFINITION#`, `EXTERNAL_MAPPING#`, `MUTED`, `FROZEN`,
  `LOG_IN_STREAM`, `LOG_IN_FILE`, `LOG_FILE_PATH` (with an empty frame), `REMOTE_PEER_KNOWS_AGENT`.
- A header `ipc` names a Unix socket that only matters between agents on one machine.

The driver's events are those of the network below, as `igs_observe_channels` hands them out, and
besides them {"event":"agent","change":…,"agent":ID,"name":…} for what ingescape makes of them.
"""

import collections
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_uint, c_void_p

import common
import czmq_api as c

ChannelsFn = ctypes.CFUNCTYPE(None, c_char_p, c_char_p, c_char_p, c_char_p, c_char_p,
                              c_void_p, c_void_p, c_void_p)
AgentEventsFn = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_char_p, c_void_p, c_void_p)

CHANGES = {1: "peer_entered", 2: "peer_exited", 3: "entered", 4: "updated_definition",
           5: "knows_us", 6: "exited", 7: "updated_mapping", 8: "won_election", 9: "lost_election"}

igs_version = c.declare("igs_version", c_int)
igs_agent_set_name = c.declare("igs_agent_set_name", c_int, c_char_p)
igs_agent_name = c.declare("igs_agent_name", c_void_p)
igs_agent_uuid = c.declare("igs_agent_uuid", c_void_p)
igs_output_create = c.declare("igs_output_create", c_int, c_char_p, c_int, c_void_p, ctypes.c_size_t)
igs_observe_channels = c.declare("igs_observe_channels", None, ChannelsFn, c_void_p)
igs_observe_agent_events = c.declare("igs_observe_agent_events", None, AgentEventsFn, c_void_p)
igs_net_set_discovery_interval = c.declare("igs_net_set_discovery_interval", None, c_uint)
igs_net_set_timeout = c.declare("igs_net_set_timeout", None, c_uint)
igs_peer_add_header = c.declare("igs_peer_add_header", c_int, c_char_p, c_char_p)
igs_channel_join = c.declare("igs_channel_join", None, c_char_p)
igs_channel_leave = c.declare("igs_channel_leave", None, c_char_p)
igs_channel_whisper_zmsg = c.declare("igs_channel_whisper_zmsg", c_int, c_char_p, POINTER(c_void_p))
igs_channel_shout_zmsg = c.declare("igs_channel_shout_zmsg", c_int, c_char_p, POINTER(c_void_p))
igs_log_set_console = c.declare("igs_log_set_console", None, c_bool)
igs_log_set_console_level = c.declare("igs_log_set_console_level", None, c_int)
igs_set_command_line = c.declare("igs_set_command_line", None, c_char_p)
igs_enable_security = c.declare("igs_enable_security", c_int, c_char_p, c_char_p)
igs_start_with_device = c.declare("igs_start_with_device", c_int, c_char_p, c_uint)
igs_stop = c.declare("igs_stop", None)

INTEGER = 1
CLONE_NEWUTS = 0x04000000


class IngescapeAgent(common.Driver):
    def node_start(self):
        o = self.options
        for option in ("uuid", "evasive"):
            if getattr(o, option):
                raise SystemExit(f"ingescape chooses for itself: --{option} is not supported")
        if not o.interface:
            raise SystemExit("--interface is needed")
        self.queue = collections.deque()
        self.wake_read, self.wake_write = os.pipe()
        # ctypes does not keep callbacks alive: the object does.
        self.on_channel = ChannelsFn(self.channel_event)
        self.on_agent = AgentEventsFn(self.agent_event)
        igs_log_set_console(bool(o.verbose))
        if o.verbose:
            igs_log_set_console_level(1)
        if o.name:
            igs_agent_set_name(o.name.encode())
        if o.interval:
            igs_net_set_discovery_interval(o.interval)
        if o.expired:
            igs_net_set_timeout(o.expired)
        for key, value in o.header:
            igs_peer_add_header(key.encode(), value.encode())
        igs_set_command_line(b"ingescape_agent.py")
        if o.hostname:
            set_hostname(o.hostname.encode())
        if o.cert:
            # Without a file it makes a certificate, and lets everybody in who has one.
            files = (None, None) if o.cert == "new" else (o.cert.encode(), (o.trust or "").encode())
            if igs_enable_security(*files) != 0:
                raise SystemExit("ingescape wants a certificate, and a folder of those whom it trusts")
        igs_output_create(b"out", INTEGER, None, 0)
        igs_observe_channels(self.on_channel, None)
        igs_observe_agent_events(self.on_agent, None)
        if igs_start_with_device(o.interface.encode(), o.port) != 0:
            raise SystemExit(f"ingescape does not start on {o.interface}")
        # Only from now on: a channel joined before the start is not joined.
        for group in o.group:
            igs_channel_join(group.encode())
        number = igs_version()
        self.emit("start", uuid=own_uuid(), name=c.owned_string(igs_agent_name()),
                  endpoint=common.own_mailbox(listeners=3), agent=c.owned_string(igs_agent_uuid()),
                  kind="ingescape", libzmq=c.libzmq_version(),
                  version=f"{number // 10000}.{number // 100 % 100}.{number % 100}")

    # Called on ingescape's thread, which must not wait: the loop's thread does the rest.

    def channel_event(self, event, peer, name, address, channel, headers, message, _):
        fields = {"peer": c.text(peer), "name": c.text(name)}
        kind = event.decode().lower()
        if kind == "enter":
            fields["endpoint"] = c.text(address)
            fields["headers"] = c.hash_to_dict(headers)
        if kind in ("join", "leave", "shout", "leader"):
            fields["group"] = c.text(channel)
        if kind in ("whisper", "shout"):
            fields["content"] = [common.frame_to_json(frame) for frame in c.frames_of(message)]
        self.push(kind, fields)

    def agent_event(self, event, agent, name, _data, _mine):
        self.push("agent", {"change": CHANGES.get(event, event), "agent": c.text(agent),
                            "name": c.text(name)})

    def push(self, kind, fields):
        self.queue.append((kind, fields))
        os.write(self.wake_write, b"x")

    def node_sources(self):
        return [(self.wake_read, lambda: os.read(self.wake_read, 4096))]

    def node_tick(self):
        while self.queue:
            kind, fields = self.queue.popleft()
            if kind != "stop":
                self.emit(kind, **fields)

    def do_join(self, command):
        igs_channel_join(command["group"].encode())

    def do_leave(self, command):
        igs_channel_leave(command["group"].encode())

    def do_whisper(self, command):
        message = c.message_of(common.frames_from_json(command))
        if igs_channel_whisper_zmsg(self.resolve(command["peer"]).encode(), byref(message)) != 0:
            raise ValueError("ingescape knows no such peer")

    def do_shout(self, command):
        message = c.message_of(common.frames_from_json(command))
        igs_channel_shout_zmsg(command["group"].encode(), byref(message))

    def node_stop(self):
        igs_stop()
        self.node_tick()


def set_hostname(name):
    """For this process only: ingescape tells everyone the name of the machine."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUTS) != 0 or libc.sethostname(name, len(name)) != 0:
        raise SystemExit("--hostname needs CAP_SYS_ADMIN")


def own_uuid():
    """The UUID of the node inside, which ingescape does not tell, from its Unix socket."""
    for inode, path in common.own_unix_sockets():
        last = path.rpartition("/")[2]
        if "ingescape" in path and len(last) == 32:
            return last
    return None


def main():
    p = common.parser("an ingescape agent")
    p.add_argument("--hostname", help="the machine's name in its headers, for this process only")
    p.add_argument("--cert", metavar="FILE|new", help="security with this certificate of CZMQ")
    p.add_argument("--trust", metavar="DIR", help="certificates of those that are let in")
    common.main(IngescapeAgent, p.parse_args())


if __name__ == "__main__":
    sys.exit(main())
