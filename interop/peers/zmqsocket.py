#!/usr/bin/env python3
"""One ZeroMQ socket of libzmq (pyzmq) that does one command after the other, as `examples/socket.rs` of atonce-std does.

Commands are JSON lines on stdin, answers and what the monitor tells JSON lines on stdout. Each command ends with exactly one
answer of those that stand behind it, or with `error`, and the next one waits for that:

    open type=… …          opened          a new socket; the options are those of OPTIONS
    bind endpoint=…        bound           with the real endpoint
    unbind endpoint=…      unbound
    connect endpoint=…     connecting
    disconnect endpoint=…  disconnecting
    subscribe prefix=…     subscribed
    unsubscribe prefix=…   unsubscribed
    send content=…         sent, refused   within `within` milliseconds (5,000)
    recv                   message, nothing, refused
    pour count= size=      poured          so many messages, each waits for room; `frames` of each (1), `head` before them
    drain count= size=     drained         takes so many and compares them, `skip` frames of each left out (0)
    serve count=           served          sends each of so many messages back as it came
    ask count= size=       asked           pours one and drains one, so often
    close                  closed          with linger
    stop                   (the end, as is the end of the input)

A message that is poured is its number as 8 octets, most significant first, cut off at SIZE, then the octets
(number * 31 + index) mod 256, in frames of the same length, of which the last has the rest. `refused` has `why`: Full, Unroutable,
OutOfTurn. What the monitor tells is `monitor` with `what`.
"""

import json
import os
import select
import threading

import zmq
from zmq.utils.monitor import recv_monitor_message

import common

MONITORED = {
    zmq.EVENT_CONNECTED: "Connected",
    zmq.EVENT_ACCEPTED: "Accepted",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "Ready",
    zmq.EVENT_DISCONNECTED: "Disconnected",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "Refused",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "Refused",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "Denied",
}

# Options of `open`, in milliseconds, messages and octets, and what libzmq calls them.
OPTIONS = {
    "linger": zmq.LINGER,
    "send_messages": zmq.SNDHWM,
    "receive_messages": zmq.RCVHWM,
    "send_buffer": zmq.SNDBUF,
    "receive_buffer": zmq.RCVBUF,
    "heartbeat": zmq.HEARTBEAT_IVL,
    "reconnect": zmq.RECONNECT_IVL,
    "immediate": zmq.IMMEDIATE,
    "mandatory": zmq.ROUTER_MANDATORY,
    "handover": zmq.ROUTER_HANDOVER,
    "correlate": zmq.REQ_CORRELATE,
    "relaxed": zmq.REQ_RELAXED,
    "verbose": zmq.XPUB_VERBOSE,
    "no_drop": zmq.XPUB_NODROP,
}

WHY = {zmq.EAGAIN: "Full", zmq.EHOSTUNREACH: "Unroutable", zmq.EFSM: "OutOfTurn"}

RAMP = bytes(range(256)) * 2


def pattern(number, size):
    head = number.to_bytes(8, "big")[:size]
    start = number * 31 % 256
    cycle = RAMP[start:start + 256]
    return head + (cycle * (size // 256 + 1))[len(head):size]


def cut(octets, frames):
    share = len(octets) // frames
    ends = [share * n for n in range(frames)] + [len(octets)]
    return [octets[begin:end] for begin, end in zip(ends, ends[1:])]


class Refused(Exception):
    pass


class Driver:
    def __init__(self):
        self.out = common.claim_stdout()
        self.lock = threading.Lock()
        self.context = zmq.Context()
        self.socket = None

    def emit(self, event, **fields):
        with self.lock:
            self.out.write(json.dumps({"event": event, **fields}) + "\n")
            self.out.flush()

    # ---- what sends and receives

    def give(self, frames, within=5_000):
        self.socket.sndtimeo = within
        try:
            self.socket.send_multipart(frames)
        except zmq.ZMQError as error:
            if error.errno not in WHY:
                raise
            raise Refused(WHY[error.errno]) from error

    def take(self, within=20_000):
        """The frames of the next message; None when none comes in time."""
        self.socket.rcvtimeo = within
        try:
            return self.socket.recv_multipart()
        except zmq.Again:
            return None
        except zmq.ZMQError as error:
            if error.errno not in WHY:
                raise
            raise Refused(WHY[error.errno]) from error

    def needed(self):
        message = self.take()
        if message is None:
            raise ValueError("nothing comes")
        return message

    # ---- commands

    def do_open(self, command):
        if self.socket:
            raise ValueError("there is one")
        self.socket = self.context.socket(getattr(zmq, command["type"]))
        for name, value in command.items():
            if name in OPTIONS:
                self.socket.setsockopt(OPTIONS[name], int(value))
        if "identity" in command:
            self.socket.setsockopt(zmq.ROUTING_ID, command["identity"].encode())
        curve = command.get("curve")
        if curve:
            self.socket.curve_secretkey = curve["secret"].encode()
            self.socket.curve_publickey = zmq.curve_public(curve["secret"].encode())
            if "server" in curve:
                self.socket.curve_serverkey = curve["server"].encode()
            else:
                self.socket.curve_server = True
        monitor = self.socket.get_monitor_socket()
        threading.Thread(target=self.watch, args=[monitor], daemon=True).start()
        return "opened", {"type": command["type"]}

    def watch(self, monitor):
        while True:
            event = recv_monitor_message(monitor)
            if event["event"] == zmq.EVENT_MONITOR_STOPPED:
                monitor.close()
                return
            if event["event"] in MONITORED:
                self.emit("monitor", what=MONITORED[event["event"]], text=event["endpoint"].decode())

    def do_bind(self, command):
        self.socket.bind(command["endpoint"])
        return "bound", {"endpoint": self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()}

    def do_unbind(self, command):
        self.socket.unbind(command["endpoint"])
        return "unbound", {}

    def do_connect(self, command):
        self.socket.connect(command["endpoint"])
        return "connecting", {}

    def do_disconnect(self, command):
        self.socket.disconnect(command["endpoint"])
        return "disconnecting", {}

    def do_subscribe(self, command):
        self.socket.setsockopt(zmq.SUBSCRIBE, common.frame_from_json(command["prefix"]))
        return "subscribed", {}

    def do_unsubscribe(self, command):
        self.socket.setsockopt(zmq.UNSUBSCRIBE, common.frame_from_json(command["prefix"]))
        return "unsubscribed", {}

    def do_send(self, command):
        self.give(common.frames_from_json(command), command.get("within", 5_000))
        return "sent", {}

    def do_recv(self, command):
        message = self.take(command.get("within", 5_000))
        if message is None:
            return "nothing", {}
        return "message", {"content": [common.frame_to_json(frame) for frame in message]}

    def made(self, command, number):
        head = [common.frame_from_json(frame) for frame in command.get("head", [])]
        return head + cut(pattern(number, command["size"]), command.get("frames", 1))

    def do_pour(self, command):
        for number in range(command["count"]):
            self.give(self.made(command, number), 20_000)
        return "poured", {"messages": command["count"]}

    def do_drain(self, command):
        wrong = octets = 0
        for number in range(command["count"]):
            message = self.needed()[command.get("skip", 0):]
            wrong += message != cut(pattern(number, command["size"]), command.get("frames", 1))
            octets += sum(map(len, message))
        return "drained", {"messages": command["count"], "octets": octets, "wrong": wrong}

    def do_serve(self, command):
        for _ in range(command["count"]):
            self.give(self.needed(), 20_000)
        return "served", {"messages": command["count"]}

    def do_ask(self, command):
        wrong = octets = 0
        for number in range(command["count"]):
            self.give(self.made(command, number), 20_000)
            message = self.needed()[command.get("skip", 0):]
            wrong += message != cut(pattern(number, command["size"]), command.get("frames", 1))
            octets += sum(map(len, message))
        return "asked", {"messages": command["count"], "octets": octets, "wrong": wrong}

    def do_close(self, command):
        self.socket.disable_monitor()
        self.socket.close()
        self.socket = None
        # A context that ends waits until what lingers has gone.
        self.context.term()
        self.context = zmq.Context()
        return "closed", {}

    def obey(self, line):
        try:
            command = json.loads(line)
            answer, fields = getattr(self, "do_" + command["do"])(command)
        except Refused as refusal:
            answer, fields = "refused", {"why": str(refusal)}
        except Exception as error:  # told, and the next command may do better
            answer, fields = "error", {"message": f"{type(error).__name__}: {error}"}
        self.emit(answer, **fields)

    def lines(self):
        """Commands as they come. A socket of libzmq does what is due, such as to send a newcomer its subscriptions, only when it is
        called: whenever something happens there, meanwhile."""
        pending = b""
        while True:
            line, end, rest = pending.partition(b"\n")
            if end:
                pending = rest
                yield line
                continue
            sources = [0] + ([self.socket.getsockopt(zmq.FD)] if self.socket else [])
            if self.socket:
                # The descriptor tells only of what is new since this.
                self.socket.getsockopt(zmq.EVENTS)
            ready, _, _ = select.select(sources, [], [])
            if 0 in ready:
                octets = os.read(0, 1 << 16)
                if not octets:
                    return
                pending += octets

    def run(self):
        for line in self.lines():
            if json.loads(line)["do"] == "stop":
                return
            self.obey(line)


if __name__ == "__main__":
    Driver().run()
    # What lingers is not waited for: `close` does that.
    os._exit(0)
