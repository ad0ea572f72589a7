"""What is measured, and how: a case of a row is something that every contestant of it does in its turn."""

import contextlib
import math
import os
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from contestants import BY_NAME, INTEROP

sys.path.insert(0, str(INTEROP))

import netns  # noqa: E402

PATIENCE = 120

# What a process may have of them, where it has many links.
DESCRIPTORS = 20_000


@dataclass(frozen=True)
class Figure:
    """What a case says of a contestant."""

    name: str
    # Whether more of it is better, less of it, or neither.
    better: str = ""


PER_SECOND = Figure("messages a second", "more")
VOLUME = Figure("GB/s")
PER_MILLION = Figure("CPU s a million, both sides", "less")
PERCENTILES = [Figure(f"{name} µs", "less") for name in ("p50", "p99", "p99.9")]
DELIVERIES = Figure("deliveries a second", "more")
PER_DELIVERY = Figure("CPU µs a delivery, both sides", "less")
MET = Figure("until all have met, ms", "less")
LINK_CPU = Figure("CPU µs a link", "less")
LINK_RESIDENT = Figure("KiB a link", "less")
LINK_MEMORY = Figure("KiB a link, pages of the program's file left out", "less")
LINK_DESCRIPTORS = Figure("descriptors a link", "less")
THREADS = Figure("threads a node", "less")
CONNECTIONS = Figure("connections a second", "more")
CONNECTION_CPU = Figure("CPU µs a connection, both sides", "less")
HELD = Figure("octets a connection", "less")
IDLE_CPU = Figure("idle: CPU ms a second", "less")
IDLE_PACKETS = Figure("idle: packets a second", "less")
IDLE_OCTETS = Figure("idle: octets a second", "less")


def numbers(line):
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line)}


def size_of(count):
    """As a label."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count // unit} {name}"
    return f"{count} B"


class Process:
    """A contestant in a role. It is ended with the block that it is made for."""

    def __init__(self, contestant, *words, host=None, core=None, descriptors=None, curve=False):
        self.name = f"{contestant.name} {' '.join(map(str, words[:4]))}"
        command = [*contestant.command, *words]
        if descriptors:
            command = ["prlimit", f"--nofile={descriptors}:{descriptors}", *command]
        if core is not None:
            command = ["taskset", "-c", core, *command]
        if host:
            command = host.argv(command)
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | dict(contestant.environment) | ({"CURVE": "1"} if curve else {}),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    @property
    def pid(self):
        return self.process.pid

    def line(self, patience=PATIENCE):
        """The next line it says; None when it says none in time. It never says two at once."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, patience))
        if not ready:
            return None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name}: ended with {self.process.wait()}")
        return line.strip()

    def needed_line(self):
        line = self.line()
        if line is None:
            sys.exit(f"{self.name}: silent for {PATIENCE} s")
        return line

    def result(self):
        """What it says at last."""
        result = numbers(self.needed_line())
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            sys.exit(f"{self.name}: does not end")
        if status:
            sys.exit(f"{self.name}: ended with {status}")
        return result

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    # ---- what it costs, as the kernel counts it

    def cpu(self):
        """Seconds, of the threads that there are."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def pages(self):
        """Octets that are resident: all of them, and without those of the program's and its libraries' files, which every
        process has in common, and which are as many however much there is to remember."""
        _, resident, shared, *_ = Path(f"/proc/{self.pid}/statm").read_text().split()
        return tuple(int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in (resident, int(resident) - int(shared)))

    def resident(self):
        return self.pages()[0]

    def octets(self):
        return self.pages()[1]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))


def play(contestant, there, here, count, size, core=None, curve=False):
    """Two processes: what the two sides say."""
    # A namespace of its own for whoever beacons, and the loopback of this machine for all others.
    with netns.Network() if contestant.beacons else contextlib.nullcontext() as network:
        host = network and network.host()
        with Process(contestant, there, host=host, core=core, curve=curve) as first:
            address = first.needed_line()
            words = (here, address, count, size)
            with Process(contestant, *words, host=host, core=core, curve=curve) as second:
                result = second.result()
            return first.result() if there == "sink" else None, result


# A case has a `row`, which is what it is called by and drawn with, a `label`, which no other case has, and a `short` one for
# its row. It `needs` something that a contestant does or does not.


@dataclass(frozen=True)
class OneWay:
    size: int
    count: int
    curve: bool = False

    figures = (PER_SECOND, VOLUME, PER_MILLION)

    @property
    def row(self):
        return "curve" if self.curve else "one-way"

    needs = row

    @property
    def label(self):
        return f"one way, {self.size:,} octets" + (", CURVE" if self.curve else "")

    @property
    def short(self):
        return size_of(self.size)

    def measure(self, contestant, scale):
        count = max(10, int(self.count * scale * contestant.share))
        sink, source = play(contestant, "sink", "source", count, self.size, curve=self.curve)
        if not sink["messages"] == source["messages"] == count:
            sys.exit(f"{contestant.name}: {sink} {source}, and {count} were sent")
        per_second = count / sink["seconds"]
        return per_second, per_second * self.size / 1e9, (sink["cpu"] + source["cpu"]) / count * 1e6


@dataclass(frozen=True)
class RoundTrip:
    size: int
    count: int
    curve: bool = False

    figures = tuple(PERCENTILES)

    @property
    def row(self):
        return "curve" if self.curve else "round-trip"

    needs = row

    @property
    def label(self):
        return f"round trip, {self.size:,} octets, both ends on one core" + (", CURVE" if self.curve else "")

    @property
    def short(self):
        return size_of(self.size)

    def measure(self, contestant, scale):
        count = max(1_000, int(self.count * scale))
        _, ping = play(contestant, "echo", "ping", count, self.size, core=0, curve=self.curve)
        if ping["messages"] != count:
            sys.exit(f"{contestant.name}: {ping}, and {count} were sent")
        return ping["p50"], ping["p99"], ping["p999"]


@dataclass(frozen=True)
class Push:
    """PUSH→PULL. A PULL cannot say that it has all: it tells us, and we tell the PUSH."""

    size: int
    count: int

    row = needs = "push"
    figures = OneWay.figures

    @property
    def label(self):
        return f"PUSH→PULL, {self.size:,} octets"

    @property
    def short(self):
        return size_of(self.size)

    def measure(self, contestant, scale):
        count = max(10, int(self.count * scale * contestant.share))
        with Process(contestant, "pull") as sink:
            address = sink.needed_line()
            with Process(contestant, "push", address, count, self.size) as source:
                pulled = sink.result()
                source.say("it has all")
                pushed = source.result()
        if not pulled["messages"] == pushed["messages"] == count:
            sys.exit(f"{contestant.name}: {pulled} {pushed}, and {count} were sent")
        per_second = count / pulled["seconds"]
        return per_second, per_second * self.size / 1e9, (pulled["cpu"] + pushed["cpu"]) / count * 1e6


@dataclass(frozen=True)
class Request:
    """REQ↔REP."""

    size: int
    count: int

    row = needs = "request"
    figures = RoundTrip.figures

    @property
    def label(self):
        return f"REQ↔REP, {self.size:,} octets, both ends on one core"

    @property
    def short(self):
        return size_of(self.size)

    def measure(self, contestant, scale):
        count = max(1_000, int(self.count * scale))
        _, ping = play(contestant, "reply", "request", count, self.size, core=0)
        if ping["messages"] != count:
            sys.exit(f"{contestant.name}: {ping}, and {count} were asked")
        return ping["p50"], ping["p99"], ping["p999"]


def window_of(size):
    """After how many messages to many they are answered: no more are under way than any contestant holds for a peer."""
    return min(max(256 * 1024 // size, 4), 256)


@dataclass(frozen=True)
class Publish:
    """PUB→SUB. A PUB drops what somebody does not take in time, and each another amount: with answers none drops anything, and
    all deliver the same."""

    size: int
    subscribers: int
    count: int

    row = needs = "publish"
    figures = (DELIVERIES, VOLUME, PER_DELIVERY)

    A_PROCESS = 25
    # Two of these are under way, and rzmq holds 256 messages.
    HELD = 100

    @property
    def label(self):
        return f"PUB→{self.subscribers} SUB, {self.size:,} octets"

    @property
    def short(self):
        return f"{size_of(self.size)}\nto {self.subscribers}"

    def measure(self, contestant, scale):
        count = max(10, int(self.count * scale * contestant.share))
        processes = self.subscribers // self.A_PROCESS
        words = ("publish", processes, count, min(window_of(self.size), self.HELD), self.size)
        with contextlib.ExitStack() as stack:
            publisher = stack.enter_context(Process(contestant, *words))
            address, back = publisher.needed_line().split()
            words = ("subscribe", self.A_PROCESS, address, back)
            those = [stack.enter_context(Process(contestant, *words)) for _ in range(processes)]
            said = publisher.result()
            heard = [it.result() for it in those]
        deliveries = count * self.subscribers
        if said["messages"] != count or sum(it["messages"] for it in heard) != deliveries:
            sys.exit(f"{contestant.name}: {said} {heard}, and {count} were published")
        per_second = deliveries / said["seconds"]
        used = said["cpu"] + sum(it["cpu"] for it in heard)
        return per_second, per_second * self.size / 1e9, used / deliveries * 1e6


@dataclass(frozen=True)
class Shout:
    size: int
    peers: int
    count: int

    row = needs = "shout"
    figures = (DELIVERIES, VOLUME, PER_DELIVERY)

    # So that nobody needs more descriptors than a process may have.
    A_PROCESS = 25

    @property
    def label(self):
        return f"shout, {self.size:,} octets to {self.peers} peers"

    @property
    def short(self):
        return f"{size_of(self.size)}\nto {self.peers}"

    def measure(self, contestant, scale):
        count = max(10, int(self.count * scale * max(contestant.share, 1 / 10)))
        addresses, ears = [], []
        with contextlib.ExitStack() as stack:
            for first in range(0, self.peers, self.A_PROCESS):
                nodes = min(self.A_PROCESS, self.peers - first)
                ear = Process(contestant, "ears", nodes, self.peers, *addresses, descriptors=DESCRIPTORS)
                ears.append(stack.enter_context(ear))
                # One address is all that Zyre's gossip needs, and it says the same one again.
                said = ear.needed_line().split()
                addresses += [address for address in said if address not in addresses]
            words = (self.peers, count, window_of(self.size), self.size)
            with Process(contestant, "shouter", *words, *addresses) as shouter:
                said = shouter.result()
            heard = [ear.result() for ear in ears]
        deliveries = count * self.peers
        if said["messages"] != count or sum(it["messages"] for it in heard) != deliveries:
            sys.exit(f"{contestant.name}: {said} {heard}, and {count} were shouted")
        per_second = deliveries / said["seconds"]
        used = said["cpu"] + sum(it["cpu"] for it in heard)
        return per_second, per_second * self.size / 1e9, used / deliveries * 1e6


@dataclass(frozen=True)
class Mesh:
    nodes: int
    processes: int

    row = needs = "mesh"

    PATIENCE = 60
    SETTLE, REST = 3, 10

    @property
    def figures(self):
        if self.nodes == 2:
            return (MET,)
        return (
            MET, LINK_CPU, LINK_RESIDENT, LINK_MEMORY, LINK_DESCRIPTORS, THREADS, IDLE_CPU, IDLE_PACKETS, IDLE_OCTETS,
        )  # fmt: skip

    @property
    def label(self):
        processes = "one process" if self.processes == 1 else f"{self.processes} processes"
        return f"mesh by beacons of {self.nodes} nodes in {processes}"

    @property
    def short(self):
        return f"{self.nodes} nodes"

    def measure(self, contestant, scale):
        with netns.Network() as network, contextlib.ExitStack() as stack:
            host = network.host()
            share = self.nodes // self.processes
            words = ("mesh", host.device, share, self.nodes)
            processes = [
                stack.enter_context(Process(contestant, *words, host=host, descriptors=DESCRIPTORS))
                for _ in range(self.processes)
            ]
            return self.watch(host, processes)

    def watch(self, host, processes):
        for process in processes:
            process.needed_line()

        def total(what):
            return sum(what(process) for process in processes)

        octets, resident, cpu = total(Process.octets), total(Process.resident), total(Process.cpu)
        end = time.monotonic() + self.PATIENCE
        for process in processes:
            process.say("begin")
        said = [process.line(end - time.monotonic()) for process in processes]
        links = self.nodes * (self.nodes - 1)
        used = (total(Process.cpu) - cpu) / links * 1e6
        if None in said:
            # It never met: there is nothing to say of its links and of its rest.
            return (math.inf, *[math.nan] * (len(self.figures) - 1))
        for process, line in zip(processes, said):
            if "seconds" not in numbers(line):
                sys.exit(f"{process.name}: {line}")
        met = max(numbers(line)["seconds"] for line in said) * 1e3
        if self.nodes == 2:
            return (met,)
        time.sleep(self.SETTLE)
        resting, packets, begun = total(Process.cpu), traffic(host), time.monotonic()
        time.sleep(self.REST)
        seconds = time.monotonic() - begun
        packets = [(after - before) / seconds for before, after in zip(packets, traffic(host))]
        return (
            met,
            used,
            (total(Process.resident) - resident) / links / 1024,
            (total(Process.octets) - octets) / links / 1024,
            total(Process.descriptors) / links,
            total(Process.threads) / self.nodes,
            (total(Process.cpu) - resting) / seconds * 1e3,
            *packets,
        )


@dataclass(frozen=True)
class Handshakes:
    """Connections that are made and ended: TCP, greeting and CURVE, until both sides are ready."""

    at_once: int
    count: int

    row = "curve"
    needs = "handshakes"
    figures = (CONNECTIONS, CONNECTION_CPU)

    @property
    def label(self):
        return "handshakes of CURVE, " + ("one at a time" if self.at_once == 1 else self.short)

    @property
    def short(self):
        return f"{self.at_once} at once"

    def measure(self, contestant, scale):
        count = max(self.at_once, int(self.count * scale))
        with Process(contestant, "echo", descriptors=DESCRIPTORS, curve=True) as echo:
            words = ("knocks", echo.needed_line(), count, self.at_once)
            before = echo.cpu()
            with Process(contestant, *words, descriptors=DESCRIPTORS, curve=True) as knocker:
                said = knocker.result()
            used = echo.cpu() - before + said["cpu"]
        if said["messages"] != count:
            sys.exit(f"{contestant.name}: {said}, and {count} were to be made")
        return count / said["seconds"], used / count * 1e6


@dataclass(frozen=True)
class HalfDone:
    """Connections whose other side says HELLO and nothing more: what the process keeps for each. Our own program makes them."""

    count: int

    row = "curve"
    needs = "half-done"
    figures = (HELD,)

    # Before it counts, so that the code of it is there.
    WARM = 16

    label = "half-done handshakes of CURVE, memory of the server's process"
    short = "half-done"

    def measure(self, contestant, scale):
        with Process(contestant, "echo", descriptors=DESCRIPTORS, curve=True) as echo:
            address = echo.needed_line()
            with self.hold(address, self.WARM):
                pass
            before = echo.octets()
            with self.hold(address, self.count):
                return ((echo.octets() - before) / self.count,)

    @contextlib.contextmanager
    def hold(self, address, count):
        with Process(BY_NAME["atonce-zmtp"], "half", address, count, descriptors=DESCRIPTORS, curve=True) as those:
            those.needed_line()
            yield


def traffic(host):
    """Packets and octets that were sent in a namespace since it was made."""
    with host.inside():
        devices = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    counts = [line.split(":")[1].split() for line in devices]
    return sum(int(count[9]) for count in counts), sum(int(count[8]) for count in counts)


# For about a second and a half each on an ordinary machine.
CASES = [
    *[
        OneWay(size, count)
        for size, count in (
            (16, 3_000_000), (64, 3_000_000), (256, 2_000_000), (4096, 500_000), (65536, 50_000), (1048576, 3_000),
        )
    ],
    RoundTrip(1024, 50_000),
    *[Push(size, count) for size, count in ((16, 3_000_000), (256, 2_000_000), (4096, 500_000))],
    *[Request(size, 50_000) for size in (16, 256, 4096)],
    *[Publish(size, 50, count) for size, count in ((16, 150_000), (256, 80_000), (4096, 10_000))],
    *[
        Shout(size, peers, count)
        for size, peers, count in (
            (64, 2, 500_000), (64, 10, 100_000), (64, 50, 20_000), (64, 200, 5_000),
            (65536, 2, 10_000), (65536, 10, 2_000), (65536, 50, 400), (65536, 200, 100),
        )
    ],
    *[Mesh(nodes, processes) for nodes, processes in ((2, 1), (50, 1), (100, 2), (200, 8))],
    OneWay(1024, 250_000, curve=True),
    OneWay(65536, 10_000, curve=True),
    RoundTrip(1024, 20_000, curve=True),
    Handshakes(1, 1_000),
    Handshakes(50, 1_000),
    HalfDone(1_000),
]  # fmt: skip

ROWS = list(dict.fromkeys(case.row for case in CASES))
