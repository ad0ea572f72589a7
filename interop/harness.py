"""What the self-check and the capture share: a peer as a process whose events can be awaited."""

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


class Missing(AssertionError):
    pass


class Peer:
    """A driver that runs; `host` is a netns.Host, or None for this machine's loopback."""

    def __init__(self, kind, name, host=None, options=(), argv=None, named=True):
        self.kind = kind
        self.name = name
        self.events = []          # every event so far, in order
        self.taken = 0            # expect() goes on behind this one
        self.incoming = queue.Queue()
        argv = list(argv or KINDS[kind]) + (["--name", name, *options] if named else [])
        if host:
            argv = host.argv(argv + ["--interface", host.device])
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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

    def send(self, **command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, how="command", within=5.0):
        """Ends it politely by a command, the end of input or SIGTERM; the exit status."""
        if how == "command":
            self.send(do="stop")
        elif how == "eof":
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
