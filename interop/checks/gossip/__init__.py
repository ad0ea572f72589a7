"""What the checks of gossip share: nodes of C Zyre and ours that find each other at hubs, and who was told what."""

import threading
import time

from checks.meet import start

GROUP = "ALPHA"
HUB_PORT = 5700
MAILBOX = 49900

# Either kind as the hub.
HUBS = ["zyre", "atonce"]

# A C node has no idea of its own where it is, and misses a hub that was killed by its silence alone.
QUICK = {"zyre": ["--evasive", "1000", "--expired", "4000"], "atonce": []}


class Gossip:
    """A network of nodes that hear no beacons; each is on a host of its own, which it keeps when it comes back."""

    def __init__(self, report, net, keys=None):
        self.report = report
        self.net = net
        self.keys = keys
        self.hosts = {}
        self.all = []
        if keys:
            report.options = keys.options

    def host(self, name):
        if name not in self.hosts:
            self.hosts[name] = self.net.host()
        return self.hosts[name]

    def hub_at(self, name):
        """Where a hub of this name is, as its clients are told."""
        endpoint = f"tcp://{self.host(name).address}:{HUB_PORT}"
        return f"{endpoint}|{self.keys.of[name]}" if self.keys else endpoint

    def start(self, kind, name, hubs=(), bind=False, beacons=False, more=()):
        host = self.host(name)
        options = ["--group", GROUP, "--header", "X-PLACE=hall", *QUICK[kind], *more]
        if kind == "zyre":
            options += ["--endpoint", f"tcp://{host.address}:{MAILBOX}"]
        else:
            options += ["--tcp-port", f"{MAILBOX}"]
            if not beacons:
                options += ["--port", "0"]
        if bind:
            options += ["--gossip-bind", f"tcp://{host.address}:{HUB_PORT}"]
        for hub in hubs:
            options += ["--gossip-connect", self.hub_at(hub)]
        node = start(self.report, kind, name, host, options)
        self.all.append(node)
        return node


def told(node, kind, uuid=None):
    """The events of one kind about a peer, or about anybody."""
    node.gather(0.01)
    return [e for e in node.events if e["event"] == kind and uuid in (None, e.get("peer"))]


def met(nodes, within=15):
    """Each is told of each other, and of its group."""
    end = time.monotonic() + within
    for one in nodes:
        for other in nodes:
            if one is not other:
                left = max(0.1, end - time.monotonic())
                one.expect(event="join", peer=other.uuid, group=GROUP, anywhere=True, within=left)


def stable(nodes, exits=0, greeted_anew=None):
    """Nobody of those who are here came twice, or went; unless the first of `greeted_anew` was greeted anew by the second."""
    for one in nodes:
        for other in nodes:
            if one is other:
                continue
            found = len(told(one, "enter", other.uuid)), len(told(one, "exit", other.uuid))
            right = [(1, exits)]
            if (one, other) == greeted_anew:
                right.append((2, exits + 1))
            assert found in right, f"{one.name} is told {found} times ENTER, EXIT of {other.name}"


def talk(nodes):
    """Each whispers to each other, and all of it arrives."""
    for one in nodes:
        for other in nodes:
            if one is not other:
                one.send(do="whisper", peer=other.uuid, content=[f"from {one.uuid}"])
    for one in nodes:
        for other in nodes:
            if one is not other:
                one.expect(event="whisper", peer=other.uuid, content=[f"from {other.uuid}"], anywhere=True, within=10)


class Load:
    """Each of the nodes shouts to all, over and over, until it is ended."""

    def __init__(self, nodes, pause=0.02):
        self.nodes = nodes
        self.pause = pause
        self.count = 0
        self.going = True
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while self.going:
            for node in self.nodes:
                node.send(do="shout", group=GROUP, content=[f"load {self.count}"])
            self.count += 1
            time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        self.thread.join()

    def arrived(self):
        """Everything came everywhere, once and in order."""
        wanted = [[f"load {n}"] for n in range(self.count)]
        end = time.monotonic() + 10
        for one in self.nodes:
            for other in self.nodes:
                if one is other:
                    continue
                while True:
                    found = [e["content"] for e in told(one, "shout", other.uuid)]
                    if len(found) >= len(wanted) or time.monotonic() > end:
                        break
                assert found == wanted, f"{one.name} heard {len(found)} of {len(wanted)} from {other.name}"
        pairs = len(self.nodes) * (len(self.nodes) - 1)
        return f"{self.count} from each, {self.count * pairs} in all"
