"""What the checks and the capture share: a peer as a process whose events can be awaited."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(HERE, ".venv", "bin", "python")

ZMTP = [PYTHON, os.path.join(HERE, "peers", "zmtp.py")]
ZBEACON = os.path.join(HERE, "build", "zbeacon")

KINDS = {
    "zyre": [PYTHON, os.path.join(HERE, "peers", "czyre.py")],
    "pyre": [PYTHON, os.path.join(HERE, "peers", "pyre_node.py")],
    "zyre.js": ["node", os.path.join(HERE, "peers", "zyrejs.js")],
    "ingescape": [PYTHON, os.path.join(HERE, "peers", "ingescape_agent.py")],
}

# Ours, as a node that is driven and as one that only tells what it hears. They log to stderr.
ATONCE = os.path.abspath(os.environ.get("ATONCE")
                         or os.path.join(HERE, "..", "target", "release", "atonce"))
OURS = {
    "atonce": [ATONCE, "run", "--json", "-v"],
    "listen": [ATONCE, "listen", "--json", "-v"],
    "server": [ATONCE, "server", "--json", "-v"],
    "bridge": [ATONCE, "bridge", "--json", "-v"],
}

# The option that says on which device a driver is, where it has another name.
DEVICE = {"bridge": "--lan"}

# The options of the drivers that have another name at ours.
RENAMED = {"--evasive": "--evasive-timeout", "--expired": "--expired-timeout"}

# Where the logs of the drivers go, a file each; None: to our own stderr.
logs = None
# Drivers that run, to end them whatever happens; once all are ended, none is started any more.
running = set()
closed = False
starting = threading.Lock()


class Missing(AssertionError):
    pass


class Peer:
    """A driver that runs; `host` is a netns.Host, or None for this machine's loopback."""

    def __init__(self, kind, name, host=None, options=(), argv=None, named=True):
        self.kind = kind
        self.name = name
        self.started = time.monotonic()
        if kind in OURS:
            options = [RENAMED.get(option, option) for option in options]
        self.events = []          # every event so far, in order
        self.taken = 0            # expect() goes on behind this one
        self.incoming = queue.Queue()
        argv = list(argv or KINDS.get(kind) or OURS[kind]) + (["--name", name, *options] if named else [])
        if host:
            # An option that stands here already is not to be overruled.
            option = DEVICE.get(kind, "--interface")
            own = [] if option in argv else [option, host.device]
            argv = host.argv(argv + own)
        log = open(os.path.join(logs, f"{name}-{kind}-{id(self):x}.log"), "wb") if logs else None
        with log or contextlib.nullcontext(), starting:
            if closed:
                raise RuntimeError("all has ended")
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log)
            running.add(self)
        self.log = log.name if log else None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.incoming.put((time.monotonic(), json.loads(line)))
        self.incoming.put(None)

    def _pull(self, timeout):
        """One more event into self.events; False when none came in time."""
        try:
            item = self.incoming.get(timeout=max(0, timeout))
        except queue.Empty:
            return False
        if item is None:
            self.incoming.put(None)
            return False
        at, event = item
        event["seen"] = at
        self.events.append(event)
        return True

    @staticmethod
    def matches(event, wanted):
        return all(event.get(key) == value for key, value in wanted.items())

    def expect(self, within=5.0, anywhere=False, **wanted):
        """The next event with these fields, skipping others; raises Missing in time."""
        deadline = time.monotonic() + within
        index = 0 if anywhere else self.taken
        while True:
            while index < len(self.events):
                if self.matches(self.events[index], wanted):
                    self.taken = max(self.taken, index + 1)
                    return self.events[index]
                index += 1
            if not self._pull(deadline - time.monotonic()):
                if time.monotonic() < deadline and self.process.poll() is None:
                    continue
                heard = [e["event"] for e in self.events[-8:]]
                raise Missing(f"{self.name} ({self.kind}): no {wanted}; last heard {heard}")

    def gather(self, seconds):
        """Everything that comes within this time, besides what nobody took yet."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._pull(left)
        fresh = self.events[self.taken:]
        self.taken = len(self.events)
        return fresh

    def drain(self):
        """Takes in what is there already; every event so far."""
        while self._pull(0):
            pass
        return self.events

    def next(self, timeout):
        """The next event of which nobody asked yet, and it is not kept; None when none came in time."""
        if self.taken == len(self.events):
            self.events.clear()
            self.taken = 0
            if not self._pull(timeout):
                return None
        self.taken += 1
        return self.events[self.taken - 1]

    def never(self, seconds, *kinds):
        """Fails when one of these events comes within this time, or came and nobody took it."""
        for event in self.gather(seconds):
            assert event["event"] not in kinds, f"{self.name} ({self.kind}) heard {event}"

    def send(self, **command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def send_all(self, commands):
        """Many commands at once."""
        self.process.stdin.write(b"".join(json.dumps(c).encode() + b"\n" for c in commands))
        self.process.stdin.flush()

    def freeze(self, frozen=True):
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        running.discard(self)

    def stop(self, how="command", within=5.0):
        """Ends it politely by a command, the end of input or SIGTERM; the exit status."""
        if how == "command":
            self.send(do="stop")
        elif how == "eof":
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(within)
        running.discard(self)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
