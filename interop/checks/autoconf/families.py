"""IPv6 alone, both families at once, addresses that are yet to be good, and each way of a datagram alone."""

import functools
import subprocess

from checks.autoconf import KINDS, PATIENCE, all_welcomed, in_order, link, order
from netns import ip

# What packets of a way are called by their receiver.
WAYS = {
    "broadcast": ("iptables", "-m", "addrtype", "--dst-type", "BROADCAST"),
    "IPv4 multicast": ("iptables", "-m", "addrtype", "--dst-type", "MULTICAST"),
    "IPv6 multicast": ("ip6tables", "-d", "ff12::a70c:a70c"),
}


def swallow(host, way):
    """Nothing that comes by this way is heard on this host, as on networks that swallow it."""
    command, *what = WAYS[way]
    subprocess.run(host.argv([command, "-w", "-A", "INPUT", "-p", "udp", *what, "-j", "DROP"]), check=True)


def swallowed(host, way):
    """How many packets that were."""
    command, *_ = WAYS[way]
    listed = subprocess.check_output(host.argv([command, "-w", "-nvxL", "INPUT"]), text=True)
    return sum(int(line.split()[0]) for line in listed.splitlines() if " DROP " in line)


# AUTO-10
def six(report, kind, at):
    """No host has an address of IPv4."""
    with link(report, ipv4=False, ipv6="fd77::") as here:
        place, *hosts = here.hosts(6)
        if at:
            at = at.format(place.address6)
        for position in (0, 3, 5):
            report.check(f"IPv6 only, {kind} at {at or place.address6}, {order(position)}: five clients have their OK",
                         lambda: in_order(here, place, hosts, position, server=kind, at=at))
        if at in ("tcp://*:0", None):
            report.check(f"IPv6 only, {kind}, and five clients of pyzmq",
                         lambda: in_order(here, place, hosts, 2, server=kind, clients=["pyzmq"] * 5, at=at))


# AUTO-38
def link_local(report):
    """Hosts have nothing but what the kernel gives them: addresses of the link, which mean something with a zone only."""
    with link(report, ipv4=False, ipv6="fd77::") as here:
        place, *hosts = here.hosts(6)
        for host in (place, *hosts):
            host.remove(host.address6)
        for position in (0, 5):
            report.check(f"addresses of the link only, {order(position)}: five clients have their OK",
                         lambda: in_order(here, place, hosts, position))

        def told():
            server = here.serve(place)
            assert len(server.places) == 1 and server.places[0].startswith("tcp://[fe80::"), server.places
            # Both have to know what the endpoint means that they are told.
            clients = [here.client(hosts[0], "pyzmq"), here.client(place, "ours"), here.client(place, "pyzmq")]
            how = all_welcomed(server, clients)
            server.stop()
            return how

        report.check("one of pyzmq, and two on the same host as the server", told)


# AUTO-25, AUTO-32
def tentative(report):
    """All are started while the kernel still asks whether others have their addresses."""
    for position in (0, 5):
        with link(report, ipv4=False) as here:
            place, *hosts = here.hosts(6)
            # Until it has asked for a second nothing can be sent; what failed is tried when it is due.
            report.check(f"addresses are still being made sure of, {order(position)}: five clients have their OK",
                         lambda: in_order(here, place, hosts, position, soon=8))


# AUTO-14, AUTO-38
def both(report):
    """A server of both families; clients of one, of the other, and of both."""
    with link(report, ipv6="fd77::") as here:
        place, four, six_only, *others = here.hosts(6)
        four.conf6("disable_ipv6", 1)
        six_only.remove(six_only.address)
        hosts = [four, six_only, *others]
        for kind, at in (("ours", "tcp://*:0"), ("ours", f"tcp://[{place.address6}]:0"), ("ours", f"tcp://{place.address}:0"),
                         ("ours", "tcp://veth0:0"), ("pyzmq", "*"), ("pyzmq", None)):
            # A client cannot reach what is only where it is not.
            reached = hosts if at in ("tcp://*:0", "*") else hosts[1:] if at and "[" in at else [four, *others]
            for position in (0, len(reached)):
                report.check(f"both families, {kind} at {at or place.address}, {order(position)}: {len(reached)} clients have their OK",
                             lambda: in_order(here, place, reached, position, server=kind, at=at))

        def everywhere():
            server = here.serve(place)
            families = ["[" in at for at in server.places]
            assert sorted(families) == [False, True, True], server.places
            found = here.watch(others[0]).expect(event="found")
            assert len(found["endpoints"]) >= 2, found
            server.stop()
            return " ".join(server.places)

        report.check("it announces all its addresses", everywhere)

        def unreachable():
            """It is announced to who cannot reach it, who is told so and goes on."""
            server = here.serve(place, at=f"tcp://[{place.address6}]:0")
            client = here.client(four)
            client.process.expect(event="unanswered", within=10)
            second = here.serve(others[0], at=f"tcp://{others[0].address}:0")
            client.welcomed(second)
            second.stop()
            server.stop()

        report.check("who cannot reach one goes on to another", unreachable)


def several(report, how):
    """A server at several ports, of which one can be reached: the last one that a client tries (AUTO-53)."""
    with link(report, ipv6=False) as here:
        place, host = here.hosts(2)
        ports = [50_061, 50_062, 50_063, 50_064, 50_065]
        for port in ports[:-1]:
            subprocess.run(place.argv(["iptables", "-w", "-A", "INPUT", "-p", "tcp", "--dport", str(port), "-j", *how]), check=True)
        at = [f"tcp://{place.address}:{port}" for port in ports]
        server = here.serve(place, at=at[0], options=at[1:])

        def reached():
            assert server.places == at, server.places
            client = here.client(host)
            event = client.process.expect(event="welcome", within=PATIENCE)
            assert event["endpoint"] == at[-1] and event["endpoints"] == at, event
            assert [e["event"] for e in client.process.drain()] == ["welcome"], client.process.events
            client.process.ends(0)
            server.greets(client.name)
            return f"after {event['seen'] - client.began:.1f} s"

        report.check(f"of five endpoints four are closed by {how[0]}: a client has its OK at the fifth", reached)


# AUTO-10
def ways(report, only):
    """Datagrams are heard by one way, or none."""
    with link(report, ipv6="fd77::") as here:
        place, *hosts = here.hosts(6)
        closed = [way for way in WAYS if way != only]
        for host in (place, *hosts):
            for way in closed:
                swallow(host, way)
        if only is None:
            server = here.serve(place)
            report.check("by no way: nobody is found", lambda: here.nobody(hosts[0], wait=2))
            server.stop()
        else:
            for position in (0, 5):
                for kind in KINDS:
                    report.check(f"by {only} only, {kind}, {order(position)}: five clients have their OK",
                                 lambda: in_order(here, place, hosts, position, server=kind))

        def proved():
            counts = {way: [swallowed(host, way) for host in (place, *hosts[:1])] for way in closed}
            assert all(count > 0 for of_way in counts.values() for count in of_way), f"nothing was swallowed: {counts}"
            return "; ".join(f"{way}: {sum(counts[way])} of two hosts" for way in closed)

        report.check("what came by other ways was swallowed", proved)


def no_multicast(report):
    """Devices that cannot do multicast, and no way for it."""
    with link(report, ipv6=False) as here:
        place, *hosts = here.hosts(6)
        for host in (place, *hosts):
            ip("-n", host.namespace, "link", "set", "dev", host.device, "multicast", "off")
            ip("-n", host.namespace, "route", "add", "prohibit", "224.0.0.0/4")
        for position in (0, 3, 5):
            report.check(f"no multicast here, {order(position)}: five clients have their OK",
                         lambda: in_order(here, place, hosts, position))


def jobs():
    for kind, at in (("ours", "tcp://*:0"), ("ours", "tcp://[::]:0"), ("ours", "tcp://[{}]:0"), ("ours", "tcp://veth0:0"),
                     ("pyzmq", None)):
        yield f"autoconf: IPv6 only, {kind}, {at}", functools.partial(six, kind=kind, at=at)
    yield "autoconf: IPv6, addresses of the link", link_local
    yield "autoconf: IPv6, not yet", tentative
    yield "autoconf: both families", both
    for how in (["REJECT", "--reject-with", "tcp-reset"], ["DROP"]):
        yield f"autoconf: several endpoints, {how[0]}", functools.partial(several, how=how)
    for way in (*WAYS, None):
        yield f"autoconf: ways, {way}", functools.partial(ways, only=way)
    yield "autoconf: ways, no multicast", no_multicast
