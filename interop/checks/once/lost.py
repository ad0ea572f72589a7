"""Bridges that are killed, stopped, cut off and come back; two bridges on one LAN."""

import time

from checks.once import GROUP, movements, seen, town

# The clients miss who is silent after this time, so that a check need not wait for half a minute; milliseconds.
EXPIRY = 6000
QUICK = ["--evasive", "2000", "--expired", f"{EXPIRY}"]

# How long a node waits by itself until a silent peer is gone; seconds.
NODE_EXPIRY = 30


def killed(report):
    """A bridge is killed: its roster leaves within the expiry; it returns: they come back."""
    with town(report) as here:
        a, b, c, place = (here.net.lan() for _ in range(4))
        here.security = ["--open"]
        here.serve(place)
        here.settle_in(here.populate(a, ["zyre", "pyre", "atonce"], QUICK), here.populate(b, ["zyre.js", "zyre"], QUICK),
                       here.populate(c, ["pyre", "zyre.js"], QUICK))
        bridge = here.bridge(a, name="bridge")
        here.bridge(b)
        here.bridge(c)
        report.must("three LANs see each other, with nothing to prove", here.all_see)
        report.check("they talk", here.chat)

        def dies():
            began = time.monotonic()
            bridge.kill()
            here.bridges.remove(bridge)
            far = [client for client in here.clients if client.lan is not a]
            here.cut = {a}
            here.all_see(NODE_EXPIRY + 5, far)
            there = time.monotonic() - began
            here.all_see(EXPIRY / 1000 + 5)
            return f"gone on the others after {there:.1f} s; here theirs after {time.monotonic() - began:.1f} s, expiry {EXPIRY} ms"

        report.must("kill -9 of a bridge: its LAN leaves the others, and they leave its LAN", dies)
        report.check("the other two talk as before", here.chat)

        def again(**more):
            nonlocal bridge
            bridge = here.bridge(a, name="bridge again", **more)
            here.cut.clear()

        def returns():
            again()
            took = here.all_see(within=40)
            here.chat()
            return f"{took} since it runs"

        report.must("it returns: they come back, and talk", returns)

        def at_once():
            """Nobody need have noticed that it was away, and so what clients see says nothing."""
            began = time.monotonic()
            bridge.kill()
            here.bridges.remove(bridge)
            again(host=bridge.host, state=bridge.state)
            for client in here.elsewhere(a):
                bridge.expect(event="enter", peer=client.uuid, anywhere=True, within=20)
            for other in here.bridges[:-1]:
                for client in here.on(a):
                    other.expect(event="enter", peer=client.uuid, bridge=bridge.uuid, anywhere=True, within=20)
            time.sleep(2)
            here.all_see(within=20)
            here.chat()
            # Whoever still believed in the old stand-ins is not told later that they are gone.
            time.sleep(EXPIRY / 1000 + 2)
            here.all_see(within=5)
            here.chat()
            return f"settled {time.monotonic() - began:.1f} s after the kill"

        report.must("killed and started again at once, in its place: they talk, also when the old stand-ins have expired", at_once)

        def stops():
            began = time.monotonic()
            status = bridge.stop("term")
            assert status == 0, f"exit status {status}"
            here.bridges.remove(bridge)
            here.cut = {a}
            here.all_see(5)
            return f"{time.monotonic() - began:.1f} s"

        report.check("it is stopped politely: everybody is told at once, on all LANs", stops)


def cut(report):
    """The way between two LANs is lost without a word, for longer than the expiry, and found again."""
    with town(report) as here:
        a, b, place = (here.net.lan() for _ in range(3))
        here.security = here.secret()
        here.serve(place)
        here.settle_in(here.populate(a, ["zyre", "pyre"]), here.populate(b, ["zyre.js", "atonce"]))
        here.bridge(a)
        here.bridge(b)
        report.must("two LANs see each other", here.all_see)
        report.check("they talk", here.chat)

        def apart():
            b.connected(False)
            here.cut = {b}
            return here.all_see(NODE_EXPIRY + 15)

        report.must("the line to one is cut: each leaves the other within the expiry", apart)

        def together():
            b.connected(True)
            here.cut.clear()
            took = here.all_see(within=60)
            here.chat()
            return took

        report.check("the line is back: they come back, and talk", together)


def both(report):
    """Two bridges on one LAN."""
    with town(report) as here:
        a, b, place = (here.net.lan() for _ in range(3))
        here.security = here.secret()
        here.serve(place)
        here.settle_in(here.populate(a, ["zyre", "pyre", "atonce"], QUICK), here.populate(b, ["zyre.js", "zyre", "pyre"], QUICK))
        one, two = here.bridge(a, name="one"), here.bridge(a, name="two")
        here.bridge(b)
        report.must("two bridges on one LAN, one on another: all see each other", here.all_see)

        def elected():
            active, standby = roles(one, two)
            standby.expect(event="standby", bridge=active.uuid, anywhere=True, within=10)
            return f"{active.name} is active"

        report.must("one of them is active", elected)
        report.check("each whisper and shout comes exactly once", here.chat)
        report.check("everybody entered once", here.once_each)
        quiet = here.positions()
        report.check("nobody comes or goes for 5 s", lambda: here.unmoved(quiet, 5.0))

        def fails_over():
            active, standby = roles(one, two)
            since = {client: len(client.drain()) for client in here.clients}
            began = time.monotonic()
            active.kill()
            here.bridges.remove(active)
            standby.expect(event="active", within=40)
            over = time.monotonic() - began
            here.all_see(within=40)
            took = time.monotonic() - began
            here.chat()
            # Whoever still believed in the old stand-ins is not told later that they are gone.
            time.sleep(EXPIRY / 1000 + 2)
            here.all_see(within=5)
            here.chat()
            most = max(len(movements(client, since[client])) for client in here.clients)
            return f"the other is active after {over:.1f} s, all see each other after {took:.1f} s; " \
                   f"no client was told more than {most} times of an ENTER or EXIT"

        report.must("the active one is killed: the other takes over, each message comes exactly once", fails_over)
        survivor, = [bridge for bridge in (one, two) if bridge in here.bridges]

        def comes_back():
            fresh = here.bridge(a, name="three")
            fresh.expect(event="standby", bridge=survivor.uuid, within=20)
            before = here.positions()
            here.unmoved(before, 6.0)
            here.chat()
            here.unmoved(before)
            return fresh

        back = []
        report.must("another one comes: it stands by, and nobody is disturbed", lambda: back.append(comes_back()))

        def while_talking():
            """What is said while one bridge stops and the other takes over may be lost, but comes neither twice nor late."""
            status = None
            for n in range(60):
                for client in here.clients:
                    for other in here.clients:
                        if other is not client:
                            here.whisper(client, other, [f"{n} while they change"])
                    here.shout(client, GROUP, [f"{n} to all while they change"])
                time.sleep(0.1)
                if n == 10:
                    status = survivor.stop("term")
                    here.bridges.remove(survivor)
            assert status == 0, f"exit status {status}"
            told = here.heard(lossy=True)
            here.all_see(within=40)
            here.chat()
            return told

        report.check("the active one stops while all talk: nothing comes twice or out of order, and all see each other again",
                     while_talking)


def roles(*bridges):
    """(the active one, the other)."""
    def active(bridge):
        told = [e["event"] for e in bridge.drain() if e["event"] in ("active", "standby")]
        return bool(told) and told[-1] == "active"

    deadline = time.monotonic() + 10
    while (found := [active(bridge) for bridge in bridges]).count(True) != 1:
        assert time.monotonic() < deadline, f"{found.count(True)} of {len(bridges)} are active"
        time.sleep(0.05)
    return bridges[found.index(True)], bridges[found.index(False)]


def twins(report):
    """A UUID on two LANs: at home it is who is there; elsewhere who was first; it is told."""
    uuid = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
    with town(report) as here:
        a, b, c, place = (here.net.lan() for _ in range(4))
        here.security = ["--open"]
        here.serve(place)
        here.settle_in(here.populate(a, ["zyre"]), here.populate(b, ["zyre", "zyre.js"]), here.populate(c, ["zyre", "pyre"]))
        bridges = {lan: here.bridge(lan) for lan in (a, b, c)}
        report.must("three LANs see each other", here.all_see)

        def called(client, name, far, within=15):
            began = time.monotonic()
            while not ((one := seen(client)[uuid]).here and one.name == name and ("X-ONCE-VIA" in one.headers) == far):
                assert time.monotonic() - began < within, \
                    f"{client.name} ({client.kind}) sees {one.name if one.here else 'nobody'} with {one.headers}"
                time.sleep(0.05)

        def all_call(names, within=15):
            for client in here.clients:
                name, far = names[client.lan]
                called(client, name, far, within)

        def start(lan, kind, name):
            twin, = here.start((kind, name, lan.host(), ["--uuid", uuid, "--group", GROUP, "--header", "X-PLACE=twin"]))
            assert twin.uuid == uuid
            return twin

        def talks(client, twin, text):
            client.send(do="whisper", peer=uuid, content=[text])
            twin.expect(event="whisper", content=[text], peer=client.uuid, within=10)
            twin.send(do="whisper", peer=client.uuid, content=[text])
            client.expect(event="whisper", content=[text], peer=uuid, within=10)

        first = start(a, "pyre", "first")
        report.must("one is on a LAN: the others see it by its stand-ins",
                    lambda: all_call({a: ("first", False), b: ("first", True), c: ("first", True)}))
        second = start(b, "atonce", "second")
        report.must("a second with its UUID starts on another LAN: there it is the one, elsewhere it is not",
                    lambda: all_call({a: ("first", False), b: ("second", False), c: ("first", True)}))

        def told():
            for lan, by, holder in ((c, b, a), (a, b, a), (b, a, b)):
                bridges[lan].expect(event="claimed", peer=uuid, bridge=bridges[by].uuid, holder=bridges[holder].uuid,
                                    anywhere=True, within=10)

        report.check("each bridge tells of the claim", told)

        def each_its_own():
            for lan, twin in ((a, first), (b, second), (c, first)):
                for client in here.on(lan):
                    talks(client, twin, f"{client.name} to {twin.name}")

        report.check("each talks with the one that he sees", each_its_own)

        def inherits():
            since = here.positions()
            end = first.stop()
            assert end == 0, f"exit status {end}"
            all_call({a: ("second", True), b: ("second", False), c: ("second", True)})
            for client in here.clients:
                talks(client, second, f"{client.name} again")
            here.unmoved(since, but=uuid)

        report.check("the first leaves: the second is seen everywhere", inherits)

        def leaves():
            second.stop("term")
            deadline = time.monotonic() + 10
            while any(seen(client)[uuid].here for client in here.clients):
                assert time.monotonic() < deadline, "it is still seen"
                time.sleep(0.05)

        report.check("and then it is seen nowhere", leaves)


def moves(report):
    """Clients that come back under their UUID: on their LAN, and on another one."""
    uuids = {kind: f"{n}0FFEE00C0FFEE00C0FFEE00C0FFEE0{n}" for n, kind in enumerate(("pyre", "zyre.js", "atonce"), 1)}
    with town(report) as here:
        a, b, place = (here.net.lan() for _ in range(3))
        here.security = ["--open"]
        here.serve(place)
        here.settle_in(here.populate(a, ["zyre", "pyre"]), here.populate(b, ["zyre", "zyre.js"]))
        here.bridge(a)
        here.bridge(b)
        report.must("two LANs see each other", here.all_see)

        def arrive(lan, kind):
            client, = here.settle_in(here.populate(lan, [kind], ["--uuid", uuids[kind]], prefix=f"{kind} at lan{lan.number}"))
            return client

        def talks(client, within=40):
            took = here.all_see(within)
            here.chat([client])
            here.chat(hearers=[client])
            return took

        for kind in uuids:
            there = []

            def comes(lan, kind=kind, there=there):
                there[:] = [arrive(lan, kind)]
                return talks(there[0])

            def goes(lan, how, kind=kind, there=there, comes=comes):
                getattr(there[0], how)()
                here.gone(there[0])
                return comes(lan)

            report.must(f"{kind} comes to one of them", lambda: comes(a))
            report.check("it stops and comes to the other", lambda: goes(b, "stop"))
            report.check("it is killed and comes to the first at once", lambda: goes(a, "kill"))
            report.check("it is killed and is there again at once", lambda: goes(a, "kill"))


def jobs():
    yield "once: a bridge is lost", killed
    yield "once: the line is cut", cut
    yield "once: two bridges on a LAN", both
    yield "once: one UUID on two LANs", twins
    yield "once: clients move", moves
