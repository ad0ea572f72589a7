"""Autoconfiguration on networks of their own: servers that announce themselves, clients that find them and say hello.

A `Link` is one network with all of them. A server is ours (`atonce announce`), or a REP of libzmq that `announce --no-bind` announces;
a client is ours (`atonce find --name`), or a REQ of libzmq that is told the endpoint by `atonce find --json`. Both kinds have the same
methods, so that each check can be made with any of them.
"""

import contextlib
import os
import signal
import time

import harness
from harness import ATONCE, ZMTP, Missing, Peer
from netns import Network

SERVICE = "printing"
KINDS = ["ours", "pyzmq"]

# So soon has a client its OK, once it and a server are there; seconds. What is drawn in between takes 0.6 of them at most, the rest is for
# a busy machine. Announcements every 15 s, or questions after 1, 2, 4 and 8 s, would be too late.
SOON = 4
# So long does a client go on, and what else is waited for; seconds.
PATIENCE = 25

PORT = 5674


class Process(Peer):
    """One process on a host; it is told no device, and uses all that the host has."""

    def __init__(self, kind, name, host, argv):
        self.host = host
        super().__init__(kind, name, argv=host.argv(list(map(str, argv))), named=False)

    def said(self):
        """What it said to people."""
        with open(self.log, errors="replace") as log:
            return log.read()

    def ends(self, status, within=PATIENCE):
        """Waits for its end, by itself."""
        found = self.process.wait(within)
        harness.running.discard(self)
        while self._pull(PATIENCE):
            pass
        assert found == status, f"{self.name}: exit status {found}, not {status}: {self.said().strip()[-300:]}"

    def stops(self, how=signal.SIGTERM, status=0, within=5):
        self.process.send_signal(how)
        self.ends(status, within)

    def is_listening(self):
        """Whether it hears announcements: it has a socket at their port. Also when it has already ended."""
        pid = self.process.pid
        try:
            files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            for table in ("udp", "udp6"):
                with open(f"/proc/{pid}/net/{table}") as rows:
                    fields = [row.split() for row in rows][1:]
                if any(row[1].endswith(f":{PORT:04X}") and f"socket:[{row[9]}]" in files for row in fields):
                    return True
        except OSError:
            pass
        return self.process.poll() is not None

    def wait_until_listening(self):
        end = time.monotonic() + PATIENCE
        while not self.is_listening():
            if time.monotonic() > end:
                raise Missing(f"{self.name} ({self.kind}) hears no announcements")
            time.sleep(0.01)


class Link:
    """A network, and who is on it."""

    def __init__(self, report, net):
        self.report = report
        self.net = net
        self.count = 0

    def hosts(self, count):
        return [self.net.host() for _ in range(count)]

    def name(self, what):
        """One that nobody had before."""
        self.count += 1
        return f"{what} {self.count}"

    def process(self, kind, host, *argv, name=None):
        process = Process(kind, name or self.name(kind), host, argv)
        self.report.watch(process)
        return process

    def done(self, *processes):
        """They have ended, and nothing has to be told of them when something fails later."""
        for process in processes:
            process.kill()
            with contextlib.suppress(ValueError):
                self.report.watched.remove(process)

    def atonce(self, kind, host, *words):
        return self.process(kind, host, ATONCE, *words, "--json", "-v")

    def announce(self, host, *words):
        """An announcer, as soon as it says that it is one."""
        process = self.atonce("announce", host, "announce", *words)
        process.start = process.expect(event="start", within=PATIENCE)
        return process

    def serve(self, host, kind="ours", service=SERVICE, **options):
        return SERVERS[kind](self, host, service, **options)

    def client(self, host, kind="ours", service=SERVICE, **options):
        return CLIENTS[kind](self, host, service, **options)

    def watch(self, host, *words):
        """A client that is told who comes and goes."""
        process = self.atonce("watch", host, "find", "--watch", *words)
        process.wait_until_listening()
        return process

    def nobody(self, host, *words, wait=1, service=SERVICE):
        """Nobody is there for a client that comes now."""
        process = self.atonce("find", host, "find", service, "--wait", wait, *words)
        process.ends(1)
        assert "no server of" in process.said(), process.said()
        self.done(process)


class Ours:
    """`atonce announce`: announces its REP and answers there."""

    def __init__(self, link, host, service, at="tcp://*:0", options=()):
        self.link = link
        self.process = link.announce(host, service, at, *options)
        self.began = self.process.start["seen"]
        self.places = self.process.start["endpoints"]

    def greets(self, *names):
        """Each of these said hello, once, and nobody else."""
        for name in names:
            self.process.expect(event="hello", name=name, anywhere=True)
        came = sorted(e.get("name") for e in self.process.drain() if e["event"] in ("hello", "said"))
        assert came == sorted(names), f"{came} said hello, not {names}"

    def kill(self):
        self.process.kill()
        self.link.done(self.process)

    def stop(self, how=signal.SIGTERM):
        self.process.stops(how)
        assert self.process.events[-1]["event"] == "stop", self.process.events[-1]
        self.link.done(self.process)


class Theirs:
    """A REP of libzmq, which `atonce announce --no-bind` announces."""

    def __init__(self, link, host, service, answer='["OK"]', options=(), curve=None, claims=None, at=None):
        self.link = link
        address = at or host.address or f"[{host.address6}]"
        security = ["--curve", "server", "--secret", curve] if curve else []
        words = ["--answer", answer] if answer is not None else []
        # With it libzmq says of an address of IPv4 that it is one of IPv6.
        family = ["--ipv6"] if address[0] in "[*" else []
        self.rep = link.process(
            "pyzmq REP", host, *ZMTP, "--type", "REP", *family, "--bind", f"tcp://{address}:*", *words, *security)
        start = self.rep.expect(event="start", within=PATIENCE)
        self.endpoint = start["endpoint"]
        if address == "*":
            # It says [::], which is one of two families.
            self.endpoint = f"tcp://*:{self.endpoint.rpartition(':')[2]}"
        claims = claims or start["key"]
        key = ["--key", claims] if claims else []
        # What is announced was bound before.
        self.announcer = link.announce(host, service, self.endpoint, "--no-bind", *key, *options)
        self.process = self.announcer
        self.began = self.announcer.start["seen"]
        self.places = self.announcer.start["endpoints"]

    def greets(self, *names):
        for name in names:
            self.rep.expect(event="message", content=[f"{name} HI"], anywhere=True)
        came = sorted(e["content"] for e in self.rep.drain() if e["event"] == "message")
        assert came == sorted([f"{name} HI"] for name in names), f"{came} came, not from {names}"

    def kill(self):
        self.rep.kill()
        self.announcer.kill()
        self.link.done(self.rep, self.announcer)

    def stop(self):
        self.announcer.stops()
        self.rep.stop("term")
        self.link.done(self.rep, self.announcer)


class OurClient:
    """`atonce find SERVICE --name NAME`."""

    def __init__(self, link, host, service, options=(), wait=PATIENCE):
        self.link = link
        self.name = link.name("client")
        self.process = link.atonce("find", host, "find", service, "--name", self.name, "--wait", wait, *options)
        self.began = time.monotonic()

    def seeks(self):
        self.process.wait_until_listening()
        self.began = time.monotonic()

    def welcomed(self, *servers):
        """It has its OK, from one of these; from which, and when that was."""
        event = self.process.expect(event="welcome", within=PATIENCE, anywhere=True)
        self.process.ends(0)
        self.link.done(self.process)
        return whose([event["endpoint"]], servers), event["seen"]


class TheirClient:
    """A REQ of libzmq, for which `atonce find SERVICE` finds the endpoint."""

    def __init__(self, link, host, service, options=(), req_options=(), wait=PATIENCE):
        self.link = link
        self.host = host
        self.name = link.name("client")
        self.req_options = req_options
        self.process = link.atonce("find", host, "find", service, "--wait", wait, *options)
        self.began = time.monotonic()

    seeks = OurClient.seeks

    def connect(self):
        found = self.process.expect(event="found", within=PATIENCE, anywhere=True)
        self.process.ends(0)
        self.link.done(self.process)
        security = ["--curve", found["key"]] if found["key"] else []
        return found, self.link.process(
            "pyzmq REQ", self.host, *ZMTP, "--type", "REQ", "--ipv6", "--linger", 0, "--connect", found["endpoints"][0],
            *security, *self.req_options)

    def welcomed(self, *servers):
        found, req = self.connect()
        server = whose(found["endpoints"], servers)
        req.expect(event="start", within=PATIENCE)
        req.send(do="send", content=[f"{self.name} HI"])
        event = req.expect(event="message", within=PATIENCE)
        assert event["content"] == ["OK"], event
        req.stop("term")
        self.link.done(req)
        # How long its own start took is not ours to answer for.
        return server, found["seen"]


SERVERS = {"ours": Ours, "pyzmq": Theirs}
CLIENTS = {"ours": OurClient, "pyzmq": TheirClient}


def strip_zone(endpoint):
    """The endpoint as the server said it: zones mean something to one machine only."""
    host, bracket, port = endpoint.partition("]")
    return f"{host.partition('%')[0]}{bracket}{port}"


def whose(endpoints, servers):
    """The server that is at all of these, which are some."""
    places = {strip_zone(endpoint) for endpoint in endpoints}
    for server in servers:
        if places and places <= set(server.places):
            return server
    raise AssertionError(f"{places} are not the places of {' or '.join(str(server.places) for server in servers)}")


def all_welcomed(server, clients, soon=SOON):
    """Each has its OK, once, and soon enough; how soon the last one had it."""
    late = 0
    for client in clients:
        _, at = client.welcomed(server)
        late = max(late, at - max(client.began, server.began))
    server.greets(*(client.name for client in clients))
    assert late < soon, f"the last one had its OK after {late:.2f} s"
    return f"after {late * 1000:.0f} ms at most"


def start_in_order(link, place, hosts, position, gap=0.0, server="ours", clients=None, service=SERVICE, **options):
    """Starts the server after so many of the clients, one after the other; gives it and them."""
    kinds = clients or ["ours"] * len(hosts)
    made, serving = [], None
    for n in range(len(hosts) + 1):
        if n == position:
            serving = link.serve(place, server, service, **options)
            time.sleep(gap)
        if n < len(hosts):
            made.append(link.client(hosts[n], kinds[n], service))
            if n < position:
                made[-1].seeks()
            time.sleep(gap)
    return serving, made


def in_order(link, place, hosts, position, soon=SOON, **how):
    """One server and its clients, in this order; then all of them end."""
    server, clients = start_in_order(link, place, hosts, position, **how)
    told = all_welcomed(server, clients, soon)
    server.stop()
    return told


ORDERS = {0: "the server first", 5: "the server last"}


def order(position):
    return ORDERS.get(position, f"the server after {position} of the clients")


@contextlib.contextmanager
def link(report, **network):
    with report.network(lambda: Network(**network)) as net:
        yield Link(report, net)
