"""What real networks have besides beacons: host names, direct contact, cut links, CZMQ's beacons."""

import functools
import socket
import subprocess
import time

from checks import end, ms
from checks.gone import both_enter, settle
from checks.meet import OPTIONS, enters, heard, leaves, says, start
from harness import ZBEACON, Peer
from netns import ip

HELLO = {"text": ["hello"]}


def host_name(report):
    """A HELLO whose endpoint is a host name that nobody can look up."""
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        place = net.host()
        options = [*OPTIONS, "--tcp-port", "50505", "--advertise", "tcp://some.name.invalid:50505"]
        theirs = start(report, "zyre", "bert", place, options)

        def meets():
            event = ours.expect(event="enter", peer=theirs.uuid)
            assert event["endpoint"] == "tcp://some.name.invalid:50505", event
            theirs.expect(event="enter", peer=ours.uuid)
            says(ours, theirs, HELLO)
            says(theirs, ours, HELLO)
            return event["endpoint"]

        report.must("zyre tells a host name for its endpoint", meets)
        report.check("nobody is missed", lambda: settle(ours, theirs))
        report.check("and it leaves", lambda: leaves(theirs, ours))


def every_interface(report):
    """C Zyre on interface `*` beacons to 255.255.255.255 and names the machine in its HELLO."""
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        place = net.host()
        # It sends to everybody: that needs a way out, which is this network and nothing else.
        ip("-n", place.namespace, "route", "add", "default", "dev", place.device)
        theirs = start(report, "zyre", "bert", place, [*OPTIONS, "--interface", "*"])

        def meets():
            event = ours.expect(event="enter", peer=theirs.uuid, within=6)
            theirs.expect(event="enter", peer=ours.uuid)
            says(ours, theirs, HELLO)
            says(theirs, ours, HELLO)
            named = not event["endpoint"].startswith("tcp://10.")
            return "its endpoint is the machine's name" if named else "its endpoint is an address"

        report.must("zyre on interface `*`", meets)


def direct_to_zyre(report):
    """Without beacons: ours is told where a C node is that has an endpoint and no beacon."""
    with report.network() as net:
        place = net.host()
        theirs = start(report, "zyre", "bert", place,
                       [*OPTIONS, "--endpoint", f"tcp://{place.address}:50505",
                        "--evasive", "1000", "--expired", "3000"])
        endpoint = f"tcp://{place.address}:50505"
        ours = start(report, "atonce", "anna", net.host(),
                     [*OPTIONS, "--port", "0", "--peer", endpoint])
        report.must("--peer to a zyre without beacons", lambda: both_enter(ours, theirs))
        report.check("they talk", lambda: says(ours, theirs, HELLO))
        report.check("both ways", lambda: says(theirs, ours, HELLO))
        report.check("nobody is missed for five seconds, with an expiry of three at theirs",
                     lambda: (theirs.never(5, "exit"), ours.never(0.1, "exit"))[0])
        report.check("it stops (GOODBYE on the link)", lambda: leaves(theirs, ours))
        again = start(report, "zyre", "bert2", place, [*OPTIONS, "--endpoint", endpoint])
        report.check("another one at the same endpoint is found again",
                     lambda: both_enter(ours, again))

        # Without beacons C hears a goodbye by GOODBYE, which goes to those that are known to know it.
        began = time.monotonic()
        end(ours)
        gone = [e for e in again.gather(2) if e["event"] == "exit"]
        report.say(f"         (ours stops: {'EXIT ' + ms(gone[0], began) if gone else 'no EXIT'}"
                   " at a zyre without beacons)")


def late_peer(report):
    """Ours is started first and finds the peer when it comes, without beacons."""
    with report.network() as net:
        place = net.host()
        endpoint = f"tcp://{place.address}:50505"
        ours = start(report, "atonce", "anna", net.host(),
                     [*OPTIONS, "--port", "0", "--peer", endpoint])
        time.sleep(1.5)
        theirs = start(report, "zyre", "bert", place, [*OPTIONS, "--endpoint", endpoint])
        began = theirs.started

        def found():
            event = ours.expect(event="enter", peer=theirs.uuid, within=8)
            enters(theirs, ours)
            return f"{ms(event, began)} after its start"

        report.check("a zyre that comes later at the endpoint of --peer", found)


def direct_to_ours(report):
    """C Zyre is told where ours is, both without beacons (zyre_require_peer)."""
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), [*OPTIONS, "--port", "0"])
        place = net.host()
        theirs = start(report, "zyre", "bert", place,
                       [*OPTIONS, "--endpoint", f"tcp://{place.address}:*"])
        theirs.send(do="connect", peer=ours.uuid, endpoint=ours.endpoint)
        report.must("zyre dials ours", lambda: both_enter(ours, theirs))
        report.check("they talk", lambda: says(ours, theirs, HELLO))
        report.check("both ways", lambda: says(theirs, ours, HELLO))


def connect_command(report):
    """Two of ours without beacons, by the command `connect`."""
    with report.network() as net:
        a = start(report, "atonce", "anna", net.host(), [*OPTIONS, "--port", "0"])
        b = start(report, "atonce", "bert", net.host(), [*OPTIONS, "--port", "0"])
        b.send(do="connect", endpoint=a.endpoint)
        report.must("`connect`", lambda: both_enter(a, b))
        report.check("they talk", lambda: says(a, b, HELLO))
        report.check("and part", lambda: leaves(a, b))


def cut_links(report, kind):
    """All TCP connections between them are destroyed: what is said before and after arrives, or
    the application is told that it may not have."""
    with report.network() as net:
        home = net.host()
        ours = start(report, "atonce", "anna", home, OPTIONS)
        theirs = start(report, kind, "bert", net.host(), OPTIONS)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))

        def cut():
            says(ours, theirs, HELLO)
            subprocess.run(home.argv(["ss", "-K", "dst", net.hosts[1].address]), check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1)
            lost = settle(ours, theirs)
            exits = [e.get("detail", e.get("reason")) for e in ours.events if e["event"] == "exit"]
            # One for each direction, as they end one after the other; zyre.js needs two HELLOs of ours
            # before it takes one.
            assert len(exits) <= (3 if kind == "zyre.js" else 2), exits
            return f"ours was told {exits or 'nothing'}; EXIT at theirs: {lost}"

        report.check(f"every connection with {kind} is destroyed", cut)


def beacons(report):
    """CZMQ's own beacon actor hears ours, and ours takes what it publishes for a hint."""
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        place = net.host()
        with place.inside(), socket.socket() as listener:
            listener.bind((place.address, 0))
            listener.listen(4)
            listener.settimeout(5)
            port = listener.getsockname()[1]
            uuid = "AB" * 16
            argv = [ZBEACON, place.device, "5670", f"5A524501{uuid}{port:04X}", "300"]
            z = Peer("zbeacon", "zbeacon", argv=place.argv(argv), named=False)
            report.watch(z)

            def hears():
                event = z.expect(event="beacon", within=5)
                mailbox = int(ours.endpoint.rpartition(":")[2])
                assert event["hex"] == f"5A524501{ours.uuid}{mailbox:04X}", event
                return event["hex"]

            def dials():
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    first = connection.recv(10)
                assert first[:1] == b"\xff" and first[9:10] == b"\x7f", first

            report.check("CZMQ's zbeacon hears ours", hears)
            report.check("ours dials what zbeacon publishes", dials)

            def goodbye():
                end(ours)
                for _ in range(40):
                    event = z.expect(event="beacon", within=5)
                    if event["hex"] == f"5A524501{ours.uuid}0000":
                        return
                raise AssertionError("no beacon with port 0")

            report.check("zbeacon hears the goodbye of ours", goodbye)


def jobs():
    yield "odd: a host name for an endpoint", host_name
    yield "odd: zyre on every interface", every_interface
    yield "odd: contact a zyre", direct_to_zyre
    yield "odd: contact a zyre that comes later", late_peer
    yield "odd: contacted by a zyre", direct_to_ours
    yield "odd: connect two of ours", connect_command
    for kind in ("zyre", "pyre", "zyre.js", "atonce"):
        yield f"odd: cut links with {kind}", functools.partial(cut_links, kind=kind)
    yield "odd: beacons of CZMQ", beacons
