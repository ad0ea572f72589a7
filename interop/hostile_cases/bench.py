"""A node under test, a healthy peer that never stops talking with it, and what is measured meanwhile.

The healthy peer is `atonce ping`, a process of its own: what it measures has nothing to do with how busy
the attacker keeps this interpreter.
"""

import collections
import json
import os
import resource
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time

from netns import Network

from .attacker import Attacker

MIB = 1 << 20

# How long after the attacker closed everything has to be as before; most cases need a second.
SETTLE = float(os.environ.get("HOSTILE_SETTLE", "35"))

# What may be more in memory afterwards, in octets: small blocks lie scattered over pages that stay.
KEPT = 4 * MIB

ECHO_EVERY = 100
LONGEST_PAUSE = 1000
PEAK = 64 * MIB
BUSY = 10.0
SERVED_WITHIN = 2.0

# At this one the node gives back what its allocator does not use (`trim.c`).
TRIM = signal.SIGRTMIN + 7

TICKS = os.sysconf("SC_CLK_TCK")


class Failed(AssertionError):
    pass


class Program:
    """An `atonce` process in a namespace; its JSON lines become events.

    They go through a file, so that an application that is slow because it is this interpreter does not count as
    one; through a pipe where the case is to be that slow application.
    """

    def __init__(self, host, argv, errors, descriptors=None, stdin=False, piped=False):
        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.errors = errors
        self.events = []
        self.changed = threading.Condition()
        self.reading = threading.Event()
        self.reading.set()
        self.listeners = []
        self.file = None if piped else tempfile.TemporaryFile()
        self.process = host.popen(argv, stdout=subprocess.PIPE if piped else self.file, stderr=errors,
                                  preexec_fn=limit, env={**os.environ, "LD_PRELOAD": os.environ["HOSTILE_TRIM"]},
                                  stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _lines(self):
        if self.file is None:
            yield from self.process.stdout
            return
        at, part = 0, b""
        while True:
            over = not self.alive()
            octets = os.pread(self.file.fileno(), MIB, at)
            at += len(octets)
            part += octets
            *lines, part = part.split(b"\n")
            yield from lines
            if not octets:
                if over:
                    return
                time.sleep(0.005)

    def _read(self):
        for line in self._lines():
            event = json.loads(line)
            event["seen"] = time.monotonic()
            keep = all([listener(event) is not False for listener in self.listeners])
            if keep:
                with self.changed:
                    self.events.append(event)
                    self.changed.notify_all()
            self.reading.wait()

    def command(self, **command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def find(self, **wanted):
        with self.changed:
            return [e for e in self.events
                    if all(e.get(key) == value for key, value in wanted.items())]

    def expect(self, within=5.0, count=1, **wanted):
        """The event with these fields, or the one that makes them so many; raises Failed in time."""
        deadline = time.monotonic() + within
        seen = 0
        while True:
            with self.changed:
                for event in self.events[seen:]:
                    seen += 1
                    count -= all(event.get(key) == value for key, value in wanted.items())
                    if count == 0:
                        return event
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failed(f"no {wanted} within {within:g} s")
                if seen == len(self.events):
                    self.changed.wait(min(left, 0.2))

    # ---- what the kernel knows of it

    def alive(self):
        return self.process.poll() is None

    def _status(self, field, base=10):
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
                for line in status:
                    if line.startswith(field):
                        return int(line.split()[1], base)
        except OSError:
            pass
        return 0

    def rss(self):
        """What it keeps, in octets: without what was freed and is not given back yet."""
        try:
            # They queue: once the second is taken, the work of the first is done.
            for _ in range(2):
                os.kill(self.pid, TRIM)
            deadline = time.monotonic() + 1
            while self._status("ShdPnd:", 16) >> (TRIM - 1) & 1 and time.monotonic() < deadline:
                time.sleep(0.001)
        except ProcessLookupError:
            pass
        return self._status("VmRSS:") * 1024

    def peak(self):
        return self._status("VmHWM:") * 1024

    def descriptors(self):
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except OSError:
            return 0

    def cpu_seconds(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / TICKS
        except OSError:
            return 0.0

    def busy(self, seconds):
        """Percent of one processor over so long."""
        before, began = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / (time.monotonic() - began)

    def connections(self):
        """(local port, remote address, remote port, state) of the TCP sockets in its namespace."""
        found = []
        with open(f"/proc/{self.pid}/net/tcp", encoding="ascii") as table:
            for line in list(table)[1:]:
                words = line.split()
                local, remote = words[1].split(":"), words[2].split(":")
                address = ".".join(str(b) for b in reversed(bytes.fromhex(remote[0])))
                found.append((int(local[1], 16), address, int(remote[1], 16), int(words[3], 16)))
        return found

    def stop(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Bench:
    """What a case works with. `with Bench(case, atonce) as bench: case.attack(bench)`, then `bench.verdict()`."""

    def __init__(self, case, atonce):
        self.case = case
        self.atonce = atonce
        self.problems = []
        self.notes = []
        self.programs = []
        self.attackers = []
        self.healthy_uuid = secrets.token_hex(16).upper()
        self.echoes = []            # (at, seen) of each
        self.newcomers = 0
        self.ping = None
        self.most_descriptors = 0
        self.over = threading.Event()
        self.exempt = []            # spans in which the echo may pause, with the reason in the case
        self.pause = 0

    # ---- begin and end

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        self.network = Network(ipv6=False)
        self.network.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        node, healthy, attacker = (self.network.host() for _ in range(3))
        self.hosts = {"node": node, "healthy": healthy, "attacker": attacker}
        with attacker.inside(), open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as ports:
            ports.write("50000 60999")      # the others are its mailboxes'
        case = self.case
        how = ["run"] if case.driven else ["listen", "--echo", "--json"]
        self.node = self.start(node, [*how, "--name", "node", "--group", "G", *case.options],
                               descriptors=case.descriptors, stdin=case.driven, piped=case.piped,
                               before=self._deaf_resolver() if case.deaf_resolver else ())
        self.uuid = self.node.expect(event="start")["uuid"]
        endpoint = self.node.find(event="start")[0]["endpoint"]
        self.address, self.port = node.address, int(endpoint.rpartition(":")[2])
        self.spoken = 0             # WHISPERs of the healthy peer, which are not kept
        self.node.listeners.append(self._of_the_healthy)
        if case.driven:
            self.node.listeners.append(self._echo)
        self.ping = self.start(healthy, [
            "ping", self.uuid, "--count", "1000000", "--every", str(ECHO_EVERY), "--timeout", "5000",
            "--name", "healthy", "--uuid", self.healthy_uuid, "--group", "G", "--json"])
        self.ping.listeners.append(self._pong)
        enter = self.node.expect(event="enter", peer=self.healthy_uuid)
        self.healthy_endpoint = enter["endpoint"]
        self.node.expect(event="join", peer=self.healthy_uuid)
        deadline = time.monotonic() + 5
        while len(self.echoes) < 8:
            if time.monotonic() > deadline:
                raise Failed("no echo before the attack")
            time.sleep(0.05)
        self.rss_before, self.descriptors_before = self.node.rss(), self.node.descriptors()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while not self.over.wait(0.03):
            self.most_descriptors = max(self.most_descriptors, self.node.descriptors())

    def _deaf_resolver(self):
        """The words before a command that give it a resolver who hears and does not answer."""
        attacker = self.hosts["attacker"]
        with attacker.inside():
            self.resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.resolver.bind((attacker.address, 53))
        self.file = tempfile.NamedTemporaryFile(prefix="resolv.")
        self.file.write(f"nameserver {attacker.address}\n".encode())
        self.file.flush()
        # `ip netns exec` made a mount namespace as well: nobody else sees this file there.
        mounts = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["sh", "-c", mounts, self.file.name]

    def start(self, host, argv, before=(), **options):
        argv = [*before, self.atonce, *argv, "--interface", host.device]
        program = Program(host, argv, self.errors, **options)
        self.programs.append(program)
        return program

    def _of_the_healthy(self, event):
        if event["event"] == "whisper" and event.get("name") in ("healthy", "newcomer"):
            self.spoken += 1
            return self.case.driven
        return None

    def _echo(self, event):
        """The node is driven by hand: its echo is made here."""
        if event["event"] == "whisper" and event.get("name") in ("healthy", "newcomer"):
            self.node.command(do="whisper", peer=event["peer"], content=event["content"])
            return False
        return None

    def _pong(self, event):
        if event["event"] == "pong":
            self.echoes.append((event["at"], event["seen"]))
            return False
        return None

    def __exit__(self, *_):
        self.over.set()
        for attacker in self.attackers:
            attacker.close()
        # The node first: what others do at their end is no business of it any more.
        for program in self.programs:
            program.stop()
        self.network.close()
        self.errors.close()

    # ---- for cases

    def attacker(self, **options):
        attacker = Attacker(self, **options)
        self.attackers.append(attacker)
        return attacker

    def check(self, true, what):
        if not true:
            self.problems.append(what)
        return true

    def capped(self, sockets):
        """The node never had so many sockets more than before, nor more than it may."""
        # A few for the newcomers, and what is being closed while the next is accepted.
        limit = min(self.descriptors_before + sockets + 16, self.case.descriptors or 1 << 20)
        most = max(self.most_descriptors, self.node.descriptors())
        self.check(most <= limit, f"{most} descriptors, more than {limit}")

    def note(self, what):
        self.notes.append(what)

    def entered(self, attacker, within=3.0):
        return self.node.expect(within, event="enter", peer=attacker.hex)

    def exited(self, attacker, within=5.0):
        return self.node.expect(within, event="exit", peer=attacker.hex)

    def newcomer(self, when):
        """A node that starts now is served in time."""
        self.newcomers += 1
        host = self.hosts.get("newcomer")
        if not host:
            host = self.hosts["newcomer"] = self.network.host()
        began = time.monotonic()
        program = self.start(host, ["ping", self.uuid, "--count", "1", "--wait", "10", "--timeout",
                                    "5000", "--name", "newcomer", "--json"])
        try:
            pong = program.expect(12, event="pong")
        except Failed:
            self.problems.append(f"newcomer {when}: not served within 10 s")
            program.stop()
            return
        took = pong["seen"] - began
        self.check(took <= SERVED_WITHIN, f"newcomer {when}: served after {took:.1f} s")
        program.process.wait(5)
        try:
            self.node.expect(3, event="exit", name="newcomer", count=self.newcomers)
        except Failed:
            self.problems.append(f"newcomer {when}: its goodbye is not believed within 3 s")

    def longest_pause(self):
        """Milliseconds between two echoes, also up to now; spans that the case exempts are left out."""
        seen = [(at, seen) for at, seen in self.echoes]
        pauses = [(b[0] - a[0], a[1], b[1]) for a, b in zip(seen, seen[1:])]
        now = time.monotonic()
        pauses.append(((now - seen[-1][1]) * 1000, seen[-1][1], now))
        counted = [ms for ms, begin, end in pauses
                   if not any(begin < until and since < end for since, until in self.exempt)]
        return round(max(counted, default=0))

    # ---- the verdict

    def verdict(self):
        """Runs the case and checks what holds for every one. The table's row, as a dict."""
        node, case = self.node, self.case
        began = time.monotonic()
        try:
            case.attack(self)
            if node.alive() and case.newcomer_during:
                self.newcomer("during")
        except Failed as failed:
            self.problems.append(str(failed))
        for attacker in self.attackers:
            attacker.close()
        took = time.monotonic() - began
        after, busy = 0, 0.0
        if node.alive():
            busy = self._calms_down()
            self.newcomer("after")
            after = self._settles()
            self.check(busy < BUSY, f"{busy:.0f} % of a processor afterwards")
        self.check(node.alive(), f"the process ended with {node.process.poll()}: {self._last_words()}")
        self.check(self.ping.alive(), f"the healthy peer lost the node: {self._last_words()}")
        self.pause = self.longest_pause()
        self.check(self.pause < LONGEST_PAUSE, f"the echo paused for {self.pause} ms")
        peak = node.peak()
        self.check(peak <= case.peak, f"{peak // MIB} MiB at the peak, more than {case.peak // MIB}")
        happened = self._events()
        return {
            "case": case.name, "what": case.what, "events": happened, "peak": peak,
            "rss_before": self.rss_before, "rss": node.rss(), "fds_before": self.descriptors_before,
            "fds": node.descriptors(), "fds_peak": self.most_descriptors, "busy": busy, "pause": self.pause, "took": took, "settled": after,
            "problems": self.problems, "notes": self.notes,
        }

    def _calms_down(self):
        """Percent of a processor over a second, right after everything was closed."""
        time.sleep(0.3)
        return self.node.busy(1.0)

    def _settles(self):
        began = time.monotonic()
        while True:
            entered = {e["peer"] for e in self.node.find(event="enter")} - {self.healthy_uuid}
            here = entered - {peer for peer in entered if self._is_gone(peer)}
            # Look-ups have a socket each.
            more = self.node.descriptors() - self.descriptors_before - 4 * self.case.deaf_resolver
            rss = self.node.rss() - self.rss_before
            if not here and more <= 0 and rss <= KEPT:
                break
            if time.monotonic() - began > SETTLE or not self.node.alive():
                self.check(not here, f"{len(here)} attackers are still peers")
                self.check(more <= 0, f"{more} descriptors more than before")
                self.check(rss <= KEPT, f"{rss / MIB:.1f} MiB more than before")
                break
            time.sleep(0.1)
        return time.monotonic() - began

    def _is_gone(self, peer):
        moves = [e["event"] for e in self.node.find(peer=peer) if e["event"] in ("enter", "exit")]
        return moves.count("enter") == moves.count("exit")

    def _events(self):
        """Every event beside the usual ones, in words, against what the case allows."""
        counts = collections.Counter()
        for event in self.node.find():
            word = self._word(event)
            if word:
                counts[word] += 1
        allowed = {
            "enter healthy": 1, "join healthy G": 1, "enter newcomer": self.newcomers,
            "exit newcomer left": self.newcomers, **self.case.events,
        }
        for word in sorted(set(counts) | set(allowed)):
            least, most = _range(allowed.get(word, 0))
            if not least <= counts[word] <= most:
                right = f"{least}" if least == most else f"{least} to {most}"
                self.problems.append(f"event {word!r} × {counts[word]}, not × {right}")
        usual = ("enter healthy", "join healthy G", "enter newcomer", "exit newcomer left")
        return {word: count for word, count in sorted(counts.items()) if word not in usual}

    def _word(self, event):
        kind, name = event["event"], event.get("name", "")
        if kind in ("start", "stop"):
            return None
        words = [kind, name]
        if kind in ("join", "leave", "shout"):
            words.append(event["group"] if len(event["group"]) == 1 else "*")
        if kind in ("whisper", "shout"):
            content = event["content"]
            if not content:
                words.append("nothing")
        if kind == "exit":
            words.append(event["reason"])
        if kind == "error":
            words = ["error", event["message"] if len(event["message"]) < 40 else "*"]
        return " ".join(words)

    def _last_words(self):
        self.errors.seek(0)
        return self.errors.read()[-300:].decode(errors="replace").strip()


def _range(allowed):
    return allowed if isinstance(allowed, tuple) else (allowed, allowed)
