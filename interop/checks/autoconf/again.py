"""Servers that are killed, stop, move and come back, and clients that watch them."""

import functools
import signal
import time

from checks.autoconf import KINDS, PATIENCE, SOON, all_welcomed, link, strip_zone
from harness import Missing
from netns import ip

# Announcements of every second are good for three.
EACH_SECOND = ["--interval", "1"]
TTL = 3
# So much later something is told on a busy machine; seconds.
LATE = 1.5


def timely(events, since, within):
    late = max(event["seen"] for event in events) - since
    assert late < within + LATE, f"it was told after {late:.1f} s"
    return f"after {late * 1000:.0f} ms at most"


class Watched:
    """Five clients that watch a service, and say hello when they are told that a server is there."""

    def __init__(self, link):
        self.link = link
        self.place, *self.hosts = link.hosts(6)
        self.watchers = [link.watch(host, "printing") for host in self.hosts]

    def told(self, since, within, **wanted):
        """Each watcher is told this, once, so soon after that moment; how late the last one was told."""
        events = [watcher.expect(within=within + 2 * LATE, anywhere=True, **wanted) for watcher in self.watchers]
        for watcher in self.watchers:
            same = [e for e in watcher.drain() if watcher.matches(e, wanted)]
            assert len(same) == 1, f"{watcher.name} was told {same}"
        return timely(events, since, within)

    def found(self, server, within=0):
        """Each is told that this server is there, where it is; takes down under which instance."""
        events = [self.found_by(watcher, server) for watcher in self.watchers]
        server.instance, = {event["instance"] for event in events}
        return timely(events, server.began, within)

    @staticmethod
    def found_by(watcher, server):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for event in watcher.drain():
                # Which of its addresses count depends on how it was heard first.
                if event["event"] == "found" and {strip_zone(at) for at in event["endpoints"]} <= set(server.places):
                    return event
            time.sleep(0.02)
        raise Missing(f"{watcher.name}: it is not told of {server.places}")

    def hello(self, server):
        return all_welcomed(server, [self.link.client(host) for host in self.hosts])

    def lost(self, server, since, within, reason):
        return self.told(since, within, event="lost", instance=server.instance, reason=reason)

    def stays(self, server):
        """It was found once, and nothing bad was told of it."""
        for watcher in self.watchers:
            told = [e["event"] for e in watcher.drain() if e.get("instance") == server.instance]
            assert told.count("found") == 1 and set(told) <= {"found", "changed"}, f"{watcher.name}: {told}"

    def there(self, server):
        self.link.report.must("five clients that watch are told of the server", lambda: self.found(server))
        self.link.report.check("and each has its OK", lambda: self.hello(server))


def move(host, six):
    """Gives the host another address, and a device that is another one to its neighbours."""
    here = host.address6 if six else host.address
    there = here + "01" if six else here.rpartition(".")[0] + ".201"
    ip("-n", host.namespace, "link", "set", "dev", host.device, "down")
    ip("-n", host.namespace, "link", "set", "dev", host.device, "address", "02:00:00:00:77:01")
    ip("-n", host.namespace, "link", "set", "dev", host.device, "up")
    if not six:
        host.remove(here)  # those of IPv6 are gone with the device
    host.add(there)
    host.wait_until_running()
    if six:
        host.address6 = there
    else:
        host.address = there


# AUTO-22, AUTO-31
def killed(report, kind, six):
    """It dies, and comes back on another port of another address."""
    network = {"ipv4": False, "ipv6": "fd77::"} if six else {"ipv6": False}
    with link(report, **network) as net:
        here = Watched(net)
        first = net.serve(here.place, kind, options=EACH_SECOND)
        here.there(first)
        died = time.monotonic()
        first.kill()
        report.check("it is killed: they are told when what it announced is over",
                     lambda: here.lost(first, died, TTL, "expired"))
        report.check("nobody is there for a client that comes now", lambda: net.nobody(here.hosts[0]))
        # Some seek before it is back.
        early = [net.client(host) for host in here.hosts[:2]]
        for client in early:
            client.seeks()
        move(here.place, six)
        second = net.serve(here.place, kind, options=EACH_SECOND)

        def moved():
            at, before = ({place.rpartition(":")[0] for place in server.places} for server in (second, first))
            ports = {place.rpartition(":")[2] for server in (first, second) for place in server.places}
            assert not at & before and len(ports) == 2, f"{second.places} after {first.places}"
            return f"{', '.join(first.places)}, then {', '.join(second.places)}"

        report.must("it comes back on another port of another address", moved)
        report.check("they are told of it at once", lambda: here.found(second))

        def welcomed():
            late = [net.client(host, kind) for host, kind in zip(here.hosts[2:], KINDS + ["ours"], strict=True)]
            return all_welcomed(second, early + late)

        report.check("two clients that sought meanwhile and three that come now have their OK", welcomed)
        report.check("and it stays", lambda: here.stays(second))


def same_place(report):
    """What is announced is good for 45 s. Who comes back at the same place is found at once, and who was there is lost (AUTO-35)."""
    with link(report, ipv6=False) as net:
        here = Watched(net)
        at = f"tcp://{here.place.address}:50053"
        first = net.serve(here.place, at=at)
        here.there(first)
        first.kill()
        second = net.serve(here.place, at=at)

        def found():
            how = here.told(second.began, 0, event="doubted", instance=first.instance)
            for watcher in here.watchers:
                watcher.gather(0.1)
                new, = (e for e in watcher.events if e["event"] == "found" and e["instance"] != first.instance)
                assert new["endpoints"] == [at], new
                second.instance = new["instance"]
            return how

        report.must("it is killed and comes back at the same place: they are told of the new one, and doubt the old one", found)
        report.check("and lose the old one", lambda: here.lost(first, second.began, 2, "silent"))
        report.check("each has its OK again", lambda: here.hello(second))
        report.check("and the new one stays", lambda: here.stays(second))


# AUTO-24, AUTO-34
def stopped(report, how):
    """A goodbye is told at once."""
    with link(report) as net:
        here = Watched(net)
        server = net.serve(here.place, at=f"tcp://{here.place.address}:0")
        here.there(server)
        began = time.monotonic()
        server.stop(how)
        report.check(f"{how.name}: they are told at once", lambda: here.told(
            began, 0, event="doubted", instance=server.instance))
        report.check("nobody is there for a client that comes now", lambda: net.nobody(here.hosts[0]))
        report.check("nobody says a word for it, so it is lost", lambda: here.lost(server, began, 2, "left"))
        again = net.serve(here.place, at=f"tcp://{here.place.address}:0")
        here.there(again)


# AUTO-14, AUTO-22, AUTO-31
def living(report):
    """What happens to a server that goes on: its address is another one, its cable is pulled."""
    with link(report, ipv6=False) as net:
        here = Watched(net)
        place = here.place
        server = net.serve(place, options=EACH_SECOND)
        here.there(server)
        port = server.places[0].rpartition(":")[2]
        began = time.monotonic()
        move(place, False)
        server.places = [f"tcp://{place.address}:{port}"]
        server.began = time.monotonic()
        old = server.instance
        # It looks every two seconds which addresses it has.
        report.must("its address becomes another one: they are told where it is now", lambda: here.found(server, within=2))
        report.check("and lose where it was", lambda: here.told(began, 2 + TTL, event="lost", instance=old))

        def hello():
            # Those that came before are in its books.
            clients = [net.client(host) for host in here.hosts]
            for client in clients:
                client.welcomed(server)
                server.process.expect(event="hello", name=client.name, anywhere=True)

        report.check("each has its OK there", hello)
        pulled = time.monotonic()
        place.switched(False)
        report.check("its cable is pulled: they are told when what it announced is over",
                     lambda: here.lost(server, pulled, TTL, "expired"))
        plugged = time.monotonic()
        place.switched(True)

        def back():
            for watcher in here.watchers:
                watcher.taken = len(watcher.events)
            events = [watcher.expect(event="found", instance=server.instance) for watcher in here.watchers]
            return timely(events, plugged, 1)

        report.check("it is plugged in: they are told of it again", back)
        report.check("each has its OK again", hello)


# AUTO-35, AUTO-39, AUTO-53
def silent(report, what):
    """Somebody announces a place where nobody answers, and was there first; a client goes on to who answers."""
    with link(report, ipv6=False) as net:
        place, other, *hosts = net.hosts(5)
        # One that is mute takes the question and does not answer.
        first = net.serve(place, "pyzmq", answer=None if what == "mute" else '["OK"]')
        if what == "frozen":
            first.rep.freeze()
        elif what == "dead":
            first.rep.kill()
        clients = [net.client(host) for host in hosts]
        for client in clients:
            client.process.expect(event="unanswered", within=PATIENCE, endpoints=first.places)
        report.say("         three clients had no answer")
        server = net.serve(other)
        report.check("a server that answers comes: each has its OK",
                     lambda: all_welcomed(server, clients, soon=PATIENCE))


# AUTO-54
def between(report, elsewhere):
    """A server is killed when it has the question of a client and not yet answered; the client is still the same."""
    with link(report, ipv6=False) as net:
        place, host = net.hosts(2)
        first = net.serve(place, "pyzmq", answer=None)
        client = net.client(host)
        first.rep.expect(event="message", content=[f"{client.name} HI"], within=PATIENCE)
        first.kill()
        if elsewhere:
            move(place, False)
        second = net.serve(place)
        # Nobody says that nobody is at an address: the client waits for each of two more tries.
        report.check(f"killed between question and answer, back on another {'address' if elsewhere else 'port'}: the client has its OK",
                     lambda: all_welcomed(second, [client], soon=SOON + (6 if elsewhere else 0)))


# AUTO-55
def clients_die(report):
    """Clients that are killed while they ask are no reason for a server to stop."""
    with link(report) as net:
        place, *hosts = net.hosts(4)
        server = net.serve(place)
        for n in range(3):
            for host in hosts:
                client = net.client(host, "pyzmq")
                _, req = client.connect()
                req.expect(event="handshake", within=PATIENCE)
                # Its question, its death, or both come first.
                req.send(do="send", content=[f"{client.name} HI"])
                if n:
                    time.sleep(0.02 * n)
                req.kill()
                net.done(req)
        clients = [net.client(host) for host in hosts]

        def welcomed():
            for client in clients:
                client.welcomed(server)
                server.process.expect(event="hello", name=client.name, anywhere=True)

        report.check("nine clients of pyzmq are killed around their question: others have their OK", welcomed)


def jobs():
    for six in (False, True):
        for kind in KINDS:
            yield (f"autoconf: killed, {kind}, IPv{'6' if six else '4'}",
                   functools.partial(killed, kind=kind, six=six))
    yield "autoconf: the same place", same_place
    for how in (signal.SIGTERM, signal.SIGINT):
        yield f"autoconf: stopped by {how.name}", functools.partial(stopped, how=how)
    yield "autoconf: it goes on", living
    for what in ("dead", "mute", "frozen"):
        yield f"autoconf: no answer, {what}", functools.partial(silent, what=what)
    for elsewhere in (False, True):
        yield (f"autoconf: killed between question and answer, {'elsewhere' if elsewhere else 'here'}",
               functools.partial(between, elsewhere=elsewhere))
    yield "autoconf: clients die", clients_die
