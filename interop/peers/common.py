"""What the Python drivers share: options, JSON lines, one loop on one thread.

A driver is one node of a foreign kind. It reads commands as JSON lines on stdin and writes
events as JSON lines on stdout, with the names that `atonce run --json` uses; see ../README.md.
"""

import argparse
import base64
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time


def claim_stdout():
    """Keeps stdout for JSON: whatever a library prints from now on goes to stderr."""
    sys.stdout.flush()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return lines


def frame_to_json(octets):
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(octets).decode("ascii")}


def frame_from_json(value):
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        return base64.b64decode(value["base64"], validate=True)
    raise ValueError('a frame is a string or {"base64":"…"}')


def frames_from_json(command):
    content = command.get("content")
    if not isinstance(content, list):
        raise ValueError("content is an array of frames")
    return [frame_from_json(frame) for frame in content]


def key_value(text):
    key, sep, value = text.partition("=")
    if not sep:
        raise argparse.ArgumentTypeError("K=V expected")
    return key, value


def parser(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--name", help="public name; without it the peer chooses one")
    p.add_argument("--interface", help="network device to beacon on")
    p.add_argument("--port", type=int, default=5670, help="UDP port of the beacons")
    p.add_argument("--header", type=key_value, action="append", default=[], metavar="K=V")
    p.add_argument("--group", action="append", default=[], metavar="G", help="joined before start")
    p.add_argument("--uuid", help="identity, 32 hex digits, where the kind can be given one")
    p.add_argument("--interval", type=int, help="milliseconds between beacons")
    p.add_argument("--evasive", type=int, help="milliseconds of silence before a PING")
    p.add_argument("--expired", type=int, help="milliseconds of silence before the peer is gone")
    p.add_argument("--verbose", action="store_true", help="the peer's own log, to stderr")
    return p


def own_inodes():
    inodes = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def own_unix_sockets():
    """(inode, path) of the named Unix sockets of this process."""
    mine = own_inodes()
    with open("/proc/self/net/unix") as table:
        rows = [row.split() for row in table]
    return [(row[6], row[7]) for row in rows[1:] if len(row) > 7 and row[6] in mine]


def own_mailbox(listeners=1, within=1.0):
    """The TCP endpoint of the mailbox, for libraries that do not tell; None when it is not there.

    CZMQ gives out ports upward from 49152: of so many listening sockets the mailbox, bound last,
    has the highest. IPv6 is written as C Zyre does, without brackets and without the zone.
    """
    deadline = time.monotonic() + within
    while True:
        mine = own_inodes()
        bound = []
        for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
            with open(f"/proc/self/net/{table}") as rows:
                rows = [row.split() for row in rows][1:]
            bound += [(family, *row[1].split(":")) for row in rows if row[3] == "0A" and row[9] in mine]
        if len(bound) >= listeners:
            family, address, port = max(bound, key=lambda row: int(row[2], 16))
            # Words of the host's byte order.
            octets = b"".join(bytes.fromhex(address[at:at + 8])[::-1] for at in range(0, len(address), 8))
            return f"tcp://{socket.inet_ntop(family, octets)}:{int(port, 16)}"
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)


class Driver:
    """Runs one node. A kind of peer subclasses it and fills in the `do_*` and `node_*` methods."""

    def __init__(self, options):
        self.options = options
        self.out = claim_stdout()
        self.lock = threading.Lock()
        self.born = time.monotonic()
        self.running = True
        self.peers = {}  # uuid -> what was last heard: name, endpoint, headers, groups, state

    # -- events --------------------------------------------------------------------------------

    def emit(self, event, **fields):
        self.note(event, fields)
        line = {"event": event, **fields, "at": round((time.monotonic() - self.born) * 1000)}
        with self.lock:
            try:
                self.out.write(json.dumps(line, ensure_ascii=False) + "\n")
                self.out.flush()
            except BrokenPipeError:
                self.running = False

    def note(self, event, fields):
        peer = fields.get("peer")
        if event == "enter":
            self.peers[peer] = {
                "peer": peer, "name": fields["name"], "endpoint": fields["endpoint"],
                "headers": fields["headers"], "groups": [], "state": "ready"}
        elif event == "exit":
            self.peers.pop(peer, None)
        elif peer in self.peers:
            known = self.peers[peer]
            if event == "join" and fields["group"] not in known["groups"]:
                known["groups"].append(fields["group"])
            elif event == "leave" and fields["group"] in known["groups"]:
                known["groups"].remove(fields["group"])
            known["state"] = event if event in ("evasive", "silent") else "ready"

    def log(self, *words):
        print(*words, file=sys.stderr, flush=True)

    def resolve(self, text):
        """A UUID of 32 hex digits, or a name that only one peer has."""
        if len(text) == 32 and all(c in "0123456789abcdefABCDEF" for c in text):
            return text.upper()
        found = [peer["peer"] for peer in self.peers.values() if peer["name"] == text]
        if len(found) != 1:
            raise ValueError(f"{len(found)} peers are named {text!r}")
        return found[0]

    # -- commands ------------------------------------------------------------------------------

    def obey(self, line):
        try:
            command = json.loads(line)
            if not isinstance(command, dict) or "do" not in command:
                raise ValueError('a command is an object with "do"')
            action = getattr(self, "do_" + str(command["do"]), None)
            if action is None:
                raise ValueError(f"unknown command {command['do']!r}")
            action(command)
        except KeyError as error:
            self.emit("error", message=f"{error.args[0]!r} is missing")
        except Exception as error:  # a bad line changes nothing and ends nothing
            self.emit("error", message=f"{type(error).__name__}: {error}")

    def do_stop(self, command):
        self.running = False

    def do_peers(self, command):
        self.emit("peers", id=command.get("id"), peers=list(self.peers.values()))

    # -- the loop ------------------------------------------------------------------------------

    def node_sources(self):
        """(file descriptor, what to call when it is readable) for each source of events."""
        return []

    def node_start(self):
        raise NotImplementedError

    def node_stop(self):
        raise NotImplementedError

    def node_tick(self):
        """Called at least every 100 ms, and after every command and source."""

    def run(self):
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)

        def interrupt(signum, frame):
            self.running = False
            os.write(wake_write, b"x")

        def catch_signals():
            signal.signal(signal.SIGTERM, interrupt)
            signal.signal(signal.SIGINT, interrupt)

        catch_signals()
        self.node_start()
        catch_signals()  # again: a library may have installed handlers of its own
        selector = selectors.DefaultSelector()
        selector.register(wake_read, selectors.EVENT_READ, lambda: os.read(wake_read, 64))
        for fd, ready in self.node_sources():
            selector.register(fd, selectors.EVENT_READ, ready)
        pending = bytearray()

        def read_commands():
            octets = os.read(0, 1 << 16)
            pending.extend(octets or b"\n")  # the last line may lack its end
            while self.running and (end := pending.find(b"\n")) >= 0:
                line = bytes(pending[:end]).strip()
                del pending[:end + 1]
                if line:
                    self.obey(line)
            if not octets:
                self.running = False

        try:
            selector.register(0, selectors.EVENT_READ, read_commands)
        except PermissionError:  # stdin is a plain file or /dev/null: read it at once
            while self.running:
                read_commands()
        while self.running:
            for key, _ in selector.select(0.1):
                key.data()
            self.node_tick()
        self.node_stop()
        self.emit("stop")


def main(driver_class, options):
    driver = driver_class(options)
    try:
        driver.run()
    except Exception as error:
        driver.emit("error", message=f"{type(error).__name__}: {error}")
        raise
