"""Version 1, as the seed prints it: any peer that whispers GET-ENDPOINTS to an open server is told where beacons can be sent."""

import functools

from checks.once import town, words
from checks.once.words import octets
from harness import Missing

GET_ENDPOINTS = b"\xaa\xa2\x01\x01"
PLAIN = ["zyre", "pyre", "zyre.js"]


def ask(plain, server, within=10):
    """The entries of its LIST-ENDPOINTS."""
    plain.send(do="whisper", peer=server.uuid, content=[words.frame(GET_ENDPOINTS)])
    event = plain.expect(event="whisper", peer=server.uuid, within=within)
    first = octets(event["content"][0])
    kind, version, fields = words.read(first)
    assert (kind, version) == (2, 1), first.hex()
    entries = fields.texts()
    fields.end()
    return entries


def asked(report):
    with town(report) as here:
        a, b, place = (here.net.lan() for _ in range(3))
        here.security = ["--open"]
        server = here.serve(place)
        here.settle_in(here.populate(a, ["zyre"]), here.populate(b, ["zyre.js"]))
        here.bridge(a)
        here.bridge(b, "--wan-port", "0")
        report.must("two LANs see each other", here.all_see)
        peers = here.start(*((kind, f"plain {kind}", place.host(), ["--port", "5671"]) for kind in PLAIN))

        def told(plain):
            plain.expect(event="enter", peer=server.uuid, anywhere=True, within=15)
            entries = ask(plain, server)
            assert f"{here.bridges[0].host.address}:5671" in [entry.removeprefix("udp://") for entry in entries], entries
            assert len(entries) == 2 and any(here.bridges[1].host.address in entry for entry in entries), entries
            return f"{entries}"

        for plain in peers:
            report.check(f"{plain.kind} on port 5671 near the server asks with AA A2 01 01, and is told of both bridges",
                         functools.partial(told, plain))

        def unseen():
            """They are no bridges: nobody but the server knows of them."""
            for plain in peers:
                for bridge in here.bridges:
                    found = [e for e in bridge.drain() if e.get("peer") == plain.uuid]
                    assert not found, found
            here.all_see(within=1)
            here.once_each()

        report.check("no bridge hears of them", unseen)

        def after():
            stopped = here.bridges.pop()
            stopped.stop("term")
            server.expect(event="lost", peer=stopped.uuid, within=10)
            entries = ask(peers[0], server)
            assert len(entries) == 1, entries

        report.check("when a bridge is gone, so is its entry", after)


def closed(report):
    """A server with something to prove tells nobody."""
    with town(report) as here:
        a, place = here.net.lan(), here.net.lan()
        here.security = here.secret()
        server = here.serve(place)
        here.bridge(a)
        plain, = here.start(("zyre", "plain", place.host(), ["--port", "5671", "--cert", "new", "--trust", "any"]))

        def silent():
            plain.expect(event="enter", peer=server.uuid, anywhere=True, within=15)
            try:
                entries = ask(plain, server, within=4)
            except (Missing, AssertionError) as error:
                assert "LIST" not in str(error)
                return "no LIST-ENDPOINTS"
            raise AssertionError(f"it is told {entries}")

        report.check("a server with a secret tells a plain peer nothing", silent)


def jobs():
    yield "once: version 1", asked
    yield "once: version 1, closed", closed
