"""Hosts on two networks, and networks that come later."""

import time

from checks.autoconf import PATIENCE, link
from netns import ip


def second_device(host, network, number):
    """Plugs the host into one more network."""
    device, port = "veth1", f"{network.prefix[-6:]}q{number}"
    ip("-n", host.namespace, "link", "add", device, "type", "veth", "peer", "name", port, "netns", network.bridge)
    ip("-n", network.bridge, "link", "set", port, "master", "br0", "up")
    address = f"{network.subnet}.{number}"
    ip("-n", host.namespace, "address", "add", f"{address}/24", "broadcast", f"{network.subnet}.255", "dev", device)
    ip("-n", host.namespace, "link", "set", device, "up")
    return device, address


# AUTO-12, AUTO-13
def chosen(report):
    """What goes out, and comes in, by which device; by name and by address."""
    with link(report, ipv6=False) as here, link(report, subnet="10.78.0", ipv6=False) as there:
        place, near = here.hosts(2)
        far, = there.hosts(1)
        device, address = second_device(place, there.net, 77)
        sides = [(here, near, place.address), (there, far, address)]

        def served(options, expected):
            """A server with these options is found on these networks, at its address there, and on no others."""
            server = here.serve(place, options=options)
            for side, host, own in sides:
                if own not in expected:
                    side.nobody(host)
                    continue
                client = side.client(host)
                event = client.process.expect(event="welcome", within=PATIENCE)
                assert event["endpoint"].startswith(f"tcp://{own}:"), event
                client.process.ends(0)
                side.done(client.process)
            server.stop()

        both = [place.address, address]
        for options, expected in (([], both), (["--interface", device], [address]), (["--interface", "veth0"], [place.address]),
                                  (["--interface", address], [address]), (["--interface", place.address], [place.address]),
                                  (["--interface", device, "--interface", place.address], both)):
            where = " ".join(options) or "no --interface"
            report.check(f"a server on two networks, {where}: it is found on {' and '.join(expected)}",
                         lambda: served(options, expected))

        def sought(options, expected):
            """A client with these options finds servers of these networks, and of no others."""
            servers = [side.serve(host, options=["--property", f"at={own}"]) for side, host, own in sides]
            watcher = here.watch(place, *options)
            watcher.gather(1)
            assert sorted(e["properties"]["at"] for e in watcher.events) == sorted(expected), watcher.events
            here.done(watcher)
            for server in servers:
                server.stop()

        for options, expected in (([], both), (["--interface", device], [address]), (["--interface", place.address], [place.address])):
            where = " ".join(options) or "no --interface"
            report.check(f"a client on two networks, {where}: it finds who is on {' and '.join(expected)}",
                         lambda: sought(options, expected))

        def unknown():
            for words in (["announce", "printing", "tcp://*:0"], ["find", "printing"]):
                for what in ("eth7", "10.99.0.1", "fe80::7"):
                    process = here.atonce("unknown", place, *words, "--interface", what)
                    process.ends(2)
                    said = process.said()
                    assert all(name in said for name in (what, f"veth0 ({place.address})", f"veth1 ({address})")), said
                    here.done(process)

        report.check("one that is not there is told, with those that are", unknown)


# AUTO-12
def later(report):
    """Server and clients are there before their network is."""
    with link(report, ipv6=False) as here:
        place, *hosts = here.hosts(6)
        for host in (place, *hosts):
            ip("-n", host.namespace, "link", "set", "dev", host.device, "down")
        server = here.serve(place)

        def waits():
            assert server.places == [], server.places

        report.check("a server without a network has no place", waits)
        clients = [here.client(host) for host in hosts]
        time.sleep(1)
        for host in (place, *hosts):
            ip("-n", host.namespace, "link", "set", "dev", host.device, "up")
        began = time.monotonic()

        def welcomed():
            last = 0
            for client in clients:
                event = client.process.expect(event="welcome", within=PATIENCE)
                assert event["endpoint"].startswith(f"tcp://{place.address}:"), event
                client.process.ends(0)
                last = max(last, event["seen"] - began)
            server.greets(*(client.name for client in clients))
            # Each looks every two seconds.
            assert last < 5, f"the last one had its OK after {last:.1f} s"
            return f"after {last:.1f} s at most"

        report.check("the network comes: five clients have their OK", welcomed)


def jobs():
    yield "autoconf: interfaces", chosen
    yield "autoconf: a network that comes later", later
