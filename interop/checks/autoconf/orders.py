"""One server and five clients, started in every order, of every kind."""

import functools

from checks.autoconf import KINDS, PATIENCE, SERVICE, Theirs, in_order, link, order


# AUTO-20, AUTO-21, AUTO-23, AUTO-32
def orders(report, gap):
    """Clients are all alike: what differs is how many of them are there before the server."""
    with link(report) as here:
        place, *hosts = here.hosts(6)
        how = f"{gap} s between two starts" if gap else "in a row"
        for position in range(6):
            report.check(f"{order(position)}, {how}: five clients have their OK",
                         lambda: in_order(here, place, hosts, position, gap=gap))


def one_machine(report):
    """All on one host: what is said over a device is heard there as well (AUTO-11)."""
    with link(report) as here:
        place, = here.hosts(1)
        for position in (0, 3, 5):
            report.check(f"{order(position)}, all on one host",
                         lambda: in_order(here, place, [place] * 5, position))


# AUTO-50, AUTO-51
def replaced(report, server, position):
    """Clients become pyzmq's one after the other, until all are."""
    with link(report) as here:
        place, *hosts = here.hosts(6)
        for theirs in range(6):
            kinds = ["pyzmq"] * theirs + ["ours"] * (5 - theirs)
            report.check(f"{order(position)}, {server}: {theirs} of five clients are pyzmq's",
                         lambda: in_order(here, place, hosts, position, server=server, clients=kinds))


# AUTO-30, AUTO-40
def services(report):
    """Six servers of three services on three hosts: a client finds one of its service, who watches all of them."""
    names = [SERVICE, "scanning", "prïnting 2"]
    # Endpoints of IPv6 would come with the zone of whoever hears them.
    with link(report, ipv6=False) as here:
        place, other, third, *hosts = here.hosts(8)
        watchers = {name: here.watch(hosts[n], name) for n, name in enumerate(names)}
        everything = here.watch(hosts[4])
        servers = {name: [here.serve(host, kind, name, options=["--property", f"kind={kind}"])
                          for host, kind in ((place, "ours"), (other, "pyzmq"))]
                   for name in names}
        # A name that another one begins with is another name.
        here.serve(third, service=SERVICE[:-1])
        bystander = here.watch(third, SERVICE[:-1])
        bystander.expect(event="found", within=PATIENCE)

        def watched():
            for watcher, seen in [*((watchers[name], [name]) for name in names), (everything, names)]:
                for name in seen:
                    for server in servers[name]:
                        found = watcher.expect(event="found", endpoints=server.places, anywhere=True)
                        assert found["service"] == name, found
                        assert found["properties"] == {"kind": KINDS[isinstance(server, Theirs)]}, found
                watcher.gather(0.2)
                events = [e for e in watcher.events if watcher is not everything or e["service"] != SERVICE[:-1]]
                assert len(events) == 2 * len(seen), events
            assert len(bystander.drain()) == 1, bystander.events

        report.check("a client that watches a service is told of its two servers, one that watches all of all six", watched)

        def each():
            clients = {name: [here.client(host, kind, name)
                              for host, kind in zip(hosts, ["ours", "pyzmq", "ours", "pyzmq", "ours"], strict=True)]
                       for name in names}
            greeted = {server: [] for name in names for server in servers[name]}
            for name in names:
                for client in clients[name]:
                    server, _ = client.welcomed(*servers[name])
                    greeted[server].append(client.name)
            for server, who in greeted.items():
                server.greets(*who)

        report.check("five clients of each service, all at once, are welcomed by a server of it", each)
        report.check("nobody is found for a service that nobody offers",
                     lambda: here.nobody(hosts[0], service="faxing"))


def jobs():
    yield "autoconf: orders, in a row", functools.partial(orders, gap=0)
    yield "autoconf: orders, with pauses", functools.partial(orders, gap=0.3)
    yield "autoconf: one machine", one_machine
    for server in ("ours", "pyzmq"):
        for position in (0, 5):
            yield (f"autoconf: replaced, {server} serves, {order(position)}",
                   functools.partial(replaced, server=server, position=position))
    yield "autoconf: services", services
