"""WHISPER of Pyre; see src/lib.rs for what a contestant is.

Pyre finds peers by beacons only, on the first interface that is no loopback, so that it has to run in a network of its own.
It gives a peer up for which some 3,000 messages wait: the sink answers after each WINDOW messages, and the source is never
more than two such answers ahead.
"""

import resource
import sys
import time
import uuid

import pyre

WINDOW = 500


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Watch:
    def __init__(self):
        self.begun, self.before = time.monotonic(), cpu()

    def report(self, messages):
        seconds, used = time.monotonic() - self.begun, cpu() - self.before
        print(f"messages={messages} seconds={seconds:.6f} cpu={used:.6f}", flush=True)


class Node:
    def __init__(self, name):
        self.pyre = pyre.Pyre(name)
        self.pyre.start()

    def next(self, kind):
        """The frames of the next event of this kind."""
        while True:
            event = self.pyre.recv()
            if event[0] == kind:
                return event

    def whisper(self, peer, content):
        self.pyre.whisper(peer, content)


def peer_of(event):
    return uuid.UUID(bytes=event[1])


def bind_and_say():
    node = Node("there")
    print("by beacons", flush=True)
    return node


def meet():
    node = Node("here")
    return node, peer_of(node.next(b"ENTER"))


def sink():
    node = bind_and_say()
    event = node.next(b"WHISPER")
    peer, count = peer_of(event), int(event[-1])
    watch = Watch()
    for heard in range(1, count + 1):
        node.next(b"WHISPER")
        if heard % WINDOW == 0 and heard < count:
            node.whisper(peer, b"heard")
    watch.report(count)
    node.whisper(peer, b"done")
    node.next(b"EXIT")
    return node


def source(count, size):
    node, peer = meet()
    content = bytes([7]) * size
    node.whisper(peer, str(count).encode())
    watch = Watch()
    owed = 0
    for said in range(1, count + 1):
        node.whisper(peer, content)
        if said % WINDOW == 0 or said == count:
            if owed:
                node.next(b"WHISPER")
            owed = 1
    node.next(b"WHISPER")
    watch.report(count)
    return node


def echo():
    node = bind_and_say()
    while True:
        event = node.next(b"WHISPER")
        # An empty message ends it.
        if not event[-1]:
            return node
        node.whisper(peer_of(event), event[-1])


def ping(count, size):
    node, peer = meet()
    content = bytes([7]) * size
    times = []
    for n in range(count + count // 10):
        if n == count // 10:
            before = cpu()
        begun = time.perf_counter()
        node.whisper(peer, content)
        node.next(b"WHISPER")
        times.append(time.perf_counter() - begun)
    used = cpu() - before
    times = sorted(times[-count:])
    at = [times[int((count - 1) * share)] * 1e6 for share in (0.5, 0.99, 0.999)]
    print(f"messages={count} p50={at[0]:.2f} p99={at[1]:.2f} p999={at[2]:.2f} cpu={used:.6f}", flush=True)
    node.whisper(peer, b"")
    time.sleep(0.2)
    return node


def main():
    role, *words = sys.argv[1:]
    if role in ("sink", "echo"):
        node = {"sink": sink, "echo": echo}[role]()
    else:
        node = {"source": source, "ping": ping}[role](*map(int, words[1:]))
    node.pyre.stop()


if __name__ == "__main__":
    main()
