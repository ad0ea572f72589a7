"""A host on two networks, of which one goes, changes and comes back: who is on the other does not notice, who is on it has it back soon."""

import functools
import json
import subprocess
import time

from checks.interfaces import INTERVAL, about, both_enter, enters, kinds_of, nothing_else, start, talk, waits
from netns import Network, ip

# What is sent before the kernel sees a carrier is lost, and TCP repeats it after a second: with the second in which the one at the old
# address may still answer that makes two, and some milliseconds of processors that are busy.
SLACK = 0.25

NUMBER = 77
DEVICE = "veth1"


class Place:
    """A host on two networks."""

    def __init__(self, here, there):
        self.host = here.host()
        self.there = there
        self.port = f"{there.prefix[-6:]}q{NUMBER}"
        self.plug()
        self.add(NUMBER)
        self.up()

    def plug(self):
        ip("-n", self.host.namespace, "link", "add", DEVICE, "type", "veth", "peer", "name", self.port, "netns", self.there.bridge)
        ip("-n", self.there.bridge, "link", "set", self.port, "master", "br0", "up")

    def unplug(self):
        """The device is gone for good; another one may come."""
        ip("-n", self.host.namespace, "link", "delete", DEVICE)

    def addresses(self, number):
        there = self.there
        found = [(f"{there.subnet}.{number}/24", "broadcast", f"{there.subnet}.255")] if there.ipv4 else []
        return found + ([(f"{there.ipv6}{number}/64", "nodad")] if there.ipv6 else [])

    def add(self, number):
        for words in self.addresses(number):
            ip("-n", self.host.namespace, "address", "add", *words, "dev", DEVICE)

    def remove(self, number):
        for address, *_ in self.addresses(number):
            ip("-n", self.host.namespace, "address", "delete", address, "dev", DEVICE)

    def down(self):
        ip("-n", self.host.namespace, "link", "set", DEVICE, "down")

    def up(self):
        """Returns when packets pass: the kernel sees a carrier up to a second after the device is up."""
        ip("-n", self.host.namespace, "link", "set", DEVICE, "up")
        for namespace, device in ((self.host.namespace, DEVICE), (self.there.bridge, self.port)):
            show = ["ip", "-n", namespace, "-json", "link", "show", "dev", device]
            waits(lambda: json.loads(subprocess.check_output(show))[0]["operstate"] == "UP")


def back(x, y, before, began):
    """x was told once that y went, and once that it is back: how soon after that time it was back, in seconds."""
    def returned():
        return kinds_of(told())[-1:] == ["enter"]

    def told():
        return about(x, y)[before:]

    deadline = time.monotonic() + 10
    while not returned():
        assert time.monotonic() < deadline, f"{x.name} does not have {y.name} back: {kinds_of(told())}"
        time.sleep(0.01)
    came = told()[-1]
    going = [kind for kind in kinds_of(told()) if kind not in ("evasive", "silent")]
    assert going == ["exit", "enter"], f"{x.name} was told of {y.name}: {going}"
    return came["seen"] - began


# ZRE-164, ZRE-165, ZRE-31
def moves(report, family):
    """Down and up as it was; with another address; another device in its place."""
    v6 = {"ipv6": "fd78::"} if family == "IPv6" else {"ipv6": False}
    with report.network(functools.partial(Network, ipv6="fd77::" if family == "IPv6" else False)) as here, \
            Network(subnet="10.78.0", ipv4=family == "IPv4", **v6) as there:
        place = Place(here, there)
        theirs = "zyre6" if family == "IPv6" else "zyre"
        # Silence is not what is looked at.
        patient = ["--evasive", 10_000]
        anna = start(report, "atonce", "anna", place.host, *patient)
        near = [start(report, kind, f"near {kind}", here.host(), *patient) for kind in ("atonce", "zyre")]
        far = [start(report, kind, f"far {kind}", there.host(), *patient) for kind in ("atonce", theirs)]
        for peer in near + far:
            report.must(f"anna and {peer.name} meet", functools.partial(both_enter, anna, peer))
            report.must("they talk", functools.partial(talk, anna, peer))

        place.down()
        time.sleep(3)
        place.up()
        if family == "IPv6":
            # Linux forgets an address of the net with the link; whoever gave it gives it again.
            place.add(NUMBER)
        began = time.monotonic()

        def lived():
            for peer in far:
                talk(anna, peer)
                nothing_else(anna, peer)
                nothing_else(peer, anna)
            took = time.monotonic() - began
            return f"all said after {took * 1000:.0f} ms"

        report.check(f"{family}, away for 3 s: those on it were told nothing, and talk on", lived)

        def changed(number, what, act, beacons=2):
            before = {(x, y): len(about(x, y)) for peer in far for x, y in ((anna, peer), (peer, anna))}
            act()
            began = time.monotonic()

            def returned():
                took = {}
                for (x, y), seen in before.items():
                    took[f"{x.name} has {y.name}"] = back(x, y, seen, began)
                for peer in far:
                    told = about(peer, anna, "enter")[-1]["endpoint"]
                    mark = f".{number}:" if family == "IPv4" else ":"
                    assert mark in told, told
                    talk(anna, peer)
                late = {who: f"{seconds:.2f} s" for who, seconds in took.items() if seconds > beacons * INTERVAL + SLACK}
                assert not late, f"later than {beacons} beacons: {late}"
                return f"after {max(took.values()) * 1000:.0f} ms at most"

            report.check(f"{family}, {what}: those on it have it back within {beacons} beacons, once", returned)
            # Whatever is late is not too late to be noticed.
            time.sleep(beacons * INTERVAL)

            def once():
                for (x, y), seen in before.items():
                    going = [kind for kind in kinds_of(about(x, y)[seen:]) if kind not in ("evasive", "silent")]
                    assert going == ["exit", "enter"], f"{x.name} was told of {y.name}: {going}"

            report.check("and nobody went again", once)

        def another_address():
            place.down()
            place.remove(NUMBER)
            place.add(NUMBER + 1)
            time.sleep(2)
            place.up()

        def another_device():
            place.unplug()
            time.sleep(2)
            place.plug()
            place.add(NUMBER + 2)
            place.up()

        if family == "IPv4":
            changed(NUMBER + 1, "another address", another_address)
        # An address of the link means something with the number of its device only, which is another now: first a beacon has to come
        # with it, then the one that is at the old address is asked.
        changed(NUMBER + 2, "another device with another address", another_device, 3 if family == "IPv6" else 2)

        def unmoved():
            for peer in near:
                talk(anna, peer)
                nothing_else(anna, peer)
                nothing_else(peer, anna)

        report.check("those on the other network noticed nothing of all that", unmoved)
        for peer in [anna, *near, *far]:
            peer.kill()


# ZRE-160
def chosen(report):
    """Of two networks one, or both, by name and by address."""
    with report.network(functools.partial(Network, ipv6="fd77::")) as here, Network(subnet="10.78.0", ipv6="fd78::") as there:
        place = Place(here, there)
        sides = {"veth0": start(report, "atonce", "near", here.host()), DEVICE: start(report, "atonce", "far", there.host())}
        with place.host.inside():
            with open("/proc/thread-self/net/if_inet6") as rows:
                rows = [row.split() for row in rows]
        local = next(row[0] for row in rows if row[5] == DEVICE and row[0].startswith("fe80"))
        local = ":".join(local[at:at + 4] for at in range(0, 32, 4))
        for number, (options, expected) in enumerate((
                ([], ["veth0", DEVICE]),
                ([DEVICE], [DEVICE]),
                ([DEVICE, "veth0"], ["veth0", DEVICE]),
                ([place.host.address], ["veth0"]),
                ([f"{there.ipv6}{NUMBER}"], [DEVICE]),
                ([f"{local}%{DEVICE}"], [DEVICE]))):
            words = [word for option in options for word in ("--interface", option)]
            name = f"anna {number}"
            anna = start(report, "atonce", name, place.host, *words)

            def met():
                for device, peer in sides.items():
                    if device in expected:
                        enters(anna, peer)
                        enters(peer, anna)
                        talk(anna, peer)
                anna.gather(1.5)
                found = sorted(e["name"] for e in anna.events if e["event"] == "enter")
                assert found == sorted(sides[device].name for device in expected), found

            report.check(f"{' '.join(words) or 'no --interface'}: it meets who is on {' and '.join(expected)}", met)
            anna.stop()
            report.watched.remove(anna)


def jobs():
    for family in ("IPv4", "IPv6"):
        yield f"a network that changes, {family}", functools.partial(moves, family=family)
    yield "chosen interfaces", chosen
