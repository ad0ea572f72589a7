"""Three LANs with unmodified clients of each kind on each: they see each other and talk as if on one."""

import time

from checks.once import BIG, CLIENTS, GROUP, SEVERAL, SMALL, seen, town


def apart(here):
    """Before there are bridges, nobody sees beyond his LAN: no broadcast passes a router."""
    here.cut = set(here.net.lans)
    here.all_see()
    before = here.positions()
    here.unmoved(before, 1.0)
    here.cut.clear()


def stand_ins_are_told(here):
    """Who is far is told to be, and at which bridge; its mailbox is that of a stand-in on this LAN."""
    bridges = {bridge.lan: bridge for bridge in here.bridges}
    for client in here.clients:
        told = seen(client)
        for other in here.elsewhere(client.lan):
            one = told[other.uuid]
            assert one.headers["X-ONCE-VIA"] == bridges[other.lan].uuid, one.headers
            at = bridges[client.lan].host.address
            assert one.endpoint.startswith(f"tcp://{at}:"), f"{other.name} is at {one.endpoint}, not at {at}"
        bridge = told[bridges[client.lan].uuid]
        assert bridge.here and bridge.headers["X-ONCE"].startswith("bridge"), bridge.headers
        far = [b.name for b in here.bridges if b.lan is not client.lan and told[b.uuid].here]
        assert not far, f"{client.name} sees {far}"
        assert here.server is None or not told[here.server.uuid].here, f"{client.name} sees the server"


def big(here):
    """Large contents, from each of one LAN to one of each other."""
    for what, content in BIG.items():
        for n, speaker in enumerate(here.clients):
            if len(content) > 1 and speaker.kind == "zyre.js":
                continue
            far = here.elsewhere(speaker.lan)
            here.whisper(speaker, far[n % len(far)], content)
        for speaker in here.clients[::5]:
            if len(content) == 1 or speaker.kind != "zyre.js":
                here.shout(speaker, GROUP, content)
    return here.heard(within=60)


def many(here, count=200):
    """Many messages in a row arrive in order: whispers and shouts mixed, from and to each LAN."""
    lans = {client.lan: client for client in here.clients}
    speakers = list(lans.values())
    for n in range(count):
        for speaker in speakers:
            for hearer in speakers:
                if hearer is not speaker:
                    here.whisper(speaker, hearer, [f"{n}"])
            if n % 3 == 0:
                here.shout(speaker, GROUP, [f"all {n}"])
                # The same again is not the same.
                here.shout(speaker, GROUP, [f"all {n}"])
    return here.heard(within=30)


def talk(report):
    with town(report) as here:
        a, b, c, place = (here.net.lan() for _ in range(4))
        here.security = here.secret()
        here.serve(place)
        here.settle_in(*(here.populate(lan, CLIENTS) for lan in (a, b, c)))
        report.must("three LANs with C Zyre, Pyre, zyre.js and ours: without bridges nobody sees beyond his own",
                    lambda: apart(here))
        began = time.monotonic()
        for lan in (a, b, c):
            here.bridge(lan)
        report.must("with bridges everybody enters everywhere, with name, headers and group, under its own UUID",
                    lambda: (here.all_see(), f"{time.monotonic() - began:.1f} s after the first was started")[1])
        report.check("once, and nobody left", here.once_each)
        report.check("a client sees its own LAN's bridge, stand-ins at its address, and of which bridge they are",
                     lambda: stand_ins_are_told(here))
        report.check(f"each WHISPERs to each and SHOUTs: {', '.join(SMALL)}", lambda: here.chat(what=SMALL))
        report.check(f"and {', '.join(SEVERAL)}", lambda: here.chat(what=SEVERAL))
        report.check("JOIN, SHOUT to who joined, LEAVE, SHOUT to who is left", here.moves)
        report.check(f"large contents: {', '.join(BIG)}", lambda: big(here))
        report.check("many messages, in order", lambda: many(here))
        report.check("nobody was missed meanwhile", here.once_each)

        since = here.positions()
        server = here.server

        def undisturbed():
            server.kill()
            here.server = None
            for bridge in here.bridges:
                bridge.expect(event="lost", peer=server.uuid, within=10)
            here.chat()
            here.unmoved(since, 5.0)
            told = here.chat()
            here.unmoved(since)
            return told

        report.check("the server is killed: nobody is missed, everything still arrives", undisturbed)
        newcomer, = here.settle_in(here.populate(b, ["zyre"], prefix="late"))

        def enters():
            took = here.all_see()
            here.chat([newcomer])
            here.chat(hearers=[newcomer])
            return took

        report.check("a client that is started without a server enters everywhere, and talks", enters)

        def returns():
            before = here.positions()
            again = here.serve(place, name="server again")
            for bridge in here.bridges:
                bridge.expect(event="met", peer=again.uuid, within=40)
            here.chat()
            here.unmoved(before)

        report.check("the server returns and is met again, and nobody is disturbed", returns)
        for client in here.on(a):
            report.check(f"{client.kind} leaves: EXIT everywhere", lambda client=client: here.leave(client))
        lost = here.on(b)[0]
        report.check(f"kill -9 of {lost.kind}: EXIT on the other LAN", lambda: here.kill(lost, here.on(c)))


def limited(report):
    """More far peers than a bridge may show."""
    with town(report) as here:
        a, b, place = (here.net.lan() for _ in range(3))
        here.security = ["--open"]
        here.serve(place)
        here.settle_in(here.populate(a, ["zyre", "pyre"]), here.populate(b, ["zyre", "zyre.js", "atonce"]))
        full = here.bridge(a, "--max-stand-ins", "2")
        here.bridge(b)

        def told():
            event = full.expect(event="too-many", within=30)
            assert event["limit"] == 2, event
            return None

        report.must("one LAN may show two of the three of another: its bridge tells that there are more", told)

        def shown(client):
            told = seen(client)
            return {other.uuid for other in here.elsewhere(client.lan) if told[other.uuid].here}

        def two_of_them():
            time.sleep(3)
            found = {frozenset(shown(client)) for client in here.on(a)}
            assert len(found) == 1 and len(min(found)) == 2, found
            for client in here.on(b):
                assert len(shown(client)) == 2, f"{client.name} sees {len(shown(client))}"
            return min(found)

        chosen = []
        report.must("two are shown there, the same ones to all, and all of it to the other", lambda: chosen.append(two_of_them()))

        def room():
            one = next(client for client in here.on(b) if client.uuid in chosen[0])
            one.stop()
            here.gone(one)
            took = here.all_see()
            here.chat()
            return took

        report.check("one of them leaves: the third takes its place, and talks", room)


def jobs():
    yield "once: three LANs", talk
    yield "once: more than may be shown", limited
