"""How a peer is missed: killed, frozen, unplugged, restarted."""

import functools
import time

from checks import PEERS, end, ms
from checks.meet import OPTIONS, enters, heard, says, start
from harness import Missing

# Theirs misses a silent peer within three seconds; ingescape has no evasive timeout to set.
QUICK = {kind: ["--expired", "3000", *(["--evasive", "1000"] if kind != "ingescape" else [])]
         for kind in [*PEERS, "atonce"]}

# Kinds whose mailbox comes back at the same port, by an option or because their libraries take the
# first free port from 49152 up.
SAME_PORT = {"zyre": ["--tcp-port", "50505"], "zyre.js": ["--tcp-port", "50505"],
             "atonce": ["--tcp-port", "50505"], "ingescape": []}

# Kinds that can be given a UUID.
SAME_UUID = ["pyre", "zyre.js", "atonce"]
UUID = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"

HELLO = {"text": ["hello again"]}


def both_enter(x, y):
    enters(x, y)
    enters(y, x)


def talk(x, y):
    says(x, y, HELLO, shout=False)
    says(y, x, HELLO, shout=False)


def count(peer, kind, uuid):
    peer.gather(0.01)
    return sum(1 for e in peer.events if e["event"] == kind and e.get("peer") == uuid)


def settle(x, y, quiet=1.5, within=10):
    """Waits until nobody comes and goes any more; both have the other then. zyre.js takes a restart
    for a mistake first, and needs our next beacon and another HELLO: see the table in README.md."""
    deadline = time.monotonic() + within
    while True:
        x.gather(0.05)
        y.gather(0.05)
        moved = [e["seen"] for peer in (x, y) for e in peer.events
                 if e["event"] in ("enter", "exit")]
        if time.monotonic() - max(moved) > quiet:
            break
        assert time.monotonic() < deadline, f"still coming and going after {within} s"
    for peer, other in ((x, y), (y, x)):
        about = [e["event"] for e in peer.events
                 if e["event"] in ("enter", "exit") and e["peer"] == other.uuid]
        assert about and about[-1] == "enter", f"{peer.name}: {about}"
    talk(x, y)
    return about.count("exit")


def once(ours, uuid, enters=1, exits=1):
    found = count(ours, "enter", uuid), count(ours, "exit", uuid)
    assert found == (enters, exits), f"{found[0]} times ENTER, {found[1]} times EXIT of {uuid}"


def killed(report, kind):
    """kill -9 of theirs, which comes back at the same port; kill -9 of ours, which comes back."""
    with report.network() as net:
        place = net.host()
        options = [*OPTIONS, *SAME_PORT.get(kind, [])]
        home = net.host()
        ours = start(report, "atonce", "anna", home, OPTIONS)
        theirs = start(report, kind, "bert", place, options)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))

        def lost():
            began = time.monotonic()
            theirs.kill()
            event = ours.expect(event="exit", peer=theirs.uuid, within=5)
            assert event["reason"] == "lost", event
            took = event["seen"] - began
            assert took < 2, f"only after {took:.2f} s"
            return f"{event['detail']}, after {ms(event, began)}"

        report.check(f"kill -9 of {kind}: EXIT", lost)
        again = start(report, kind, "bert2", place, options)
        where = "the same" if again.endpoint == theirs.endpoint else "another"
        report.must(f"a new {kind} at {where} port enters", lambda: both_enter(ours, again))
        report.check("and talks", lambda: talk(ours, again))
        report.check("the old one came and went once", lambda: once(ours, theirs.uuid))

        # A supervisor is faster than any notice: no pause between the end and the start.
        again.process.kill()
        third = start(report, kind, "bert3", place, options)

        def displaced():
            enters(ours, third)
            enters(third, ours)
            ours.expect(event="exit", peer=again.uuid, within=5, anywhere=True)
            talk(ours, third)
            once(ours, again.uuid)
            once(ours, third.uuid, exits=0)

        report.check(f"killed and started at once, {kind} takes the place of the old one", displaced)
    with report.network() as net:
        theirs = start(report, kind, "bert", net.host(), [*OPTIONS, *QUICK[kind]])
        home = net.host()
        ours = start(report, "atonce", "anna", home, OPTIONS)
        report.must(f"{kind} with quick timeouts and ours meet", lambda: both_enter(ours, theirs))

        def missed():
            began = time.monotonic()
            ours.kill()
            event = theirs.expect(event="exit", peer=ours.uuid, within=7)
            return ms(event, began)

        report.check(f"kill -9 of ours: EXIT at {kind}, expiry 3 s", missed)
        again = start(report, "atonce", "anna2", home, OPTIONS)
        report.check("a new one of ours enters", lambda: both_enter(again, theirs))
        report.check("and talks", lambda: talk(again, theirs))


def same_uuid(report, kind):
    """The same UUID comes back: after a polite stop, after kill -9, and ours as well."""
    with report.network() as net:
        place = net.host()
        options = [*OPTIONS, "--uuid", UUID, *SAME_PORT.get(kind, [])]
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        theirs = start(report, kind, "bert", place, options)
        report.must(f"{kind} with a UUID and ours meet", lambda: both_enter(ours, theirs))

        def returns(before, stop):
            ours.events.clear()
            ours.taken = 0
            stop(before)
            again = start(report, kind, "bert", place, options)
            began = again.started
            exit = ours.expect(event="exit", peer=UUID, within=8)
            enter = ours.expect(event="enter", peer=UUID, within=8)
            enters(again, ours)
            settle(ours, again)
            once(ours, UUID)
            returns.peer = again
            return f"EXIT {exit['reason']}, ENTER {ms(enter, began)} after its start"

        report.must(f"{kind} stops and returns under its UUID", lambda: returns(theirs, end))
        report.must(f"{kind} is killed and returns at once", lambda: returns(
            returns.peer, lambda peer: peer.kill()))

        def we_return():
            end(ours)
            returns.peer.expect(event="exit", peer=ours.uuid)
            place_of_ours = net.hosts[1]
            uuid = ["--uuid", ours.uuid]
            again = start(report, "atonce", "anna", place_of_ours, [*OPTIONS, *uuid])
            began = again.started
            enters(again, returns.peer)
            event = returns.peer.expect(event="enter", peer=ours.uuid)
            settle(again, returns.peer)
            again.kill()
            third = start(report, "atonce", "anna", place_of_ours, [*OPTIONS, *uuid])
            enters(third, returns.peer, within=8)
            settle(third, returns.peer)
            return f"{ms(event, began)} after its start"

        report.check(f"ours returns to {kind} under its UUID, after a stop and a kill", we_return)


def unplugged(report, kind):
    """A peer is killed and started again at its port, and no packet of that reaches us."""
    with report.network() as net:
        place = net.host()
        options = [*OPTIONS, *SAME_PORT[kind]]
        ours = start(report, "atonce", "anna", net.host(), OPTIONS)
        theirs = start(report, kind, "bert", place, options)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))
        place.switched(False)
        theirs.kill()
        again = start(report, kind, "bert2", place, options)

        def taken_over():
            place.switched(True)
            began = time.monotonic()
            event = ours.expect(event="exit", peer=theirs.uuid, within=8)
            enter = ours.expect(event="enter", peer=again.uuid, within=8, anywhere=True)
            enters(again, ours)
            places = {e["endpoint"] for e in ours.events if e["event"] == "enter"}
            assert len(places) == 1, f"it is not at the same port: {places}"
            settle(ours, again)
            # A cut link is made again before it shows who is there now: the old one may come once
            # more, for some milliseconds, and the new one may be greeted twice.
            pairs = [(count(ours, "enter", peer.uuid), count(ours, "exit", peer.uuid))
                     for peer in (theirs, again)]
            assert pairs[0] in ((1, 1), (2, 2)) and pairs[1] in ((1, 0), (2, 1)), pairs
            return f"EXIT ({event.get('detail')}) {ms(event, began)}, ENTER {ms(enter, began)} " \
                   f"after packets pass; ENTER, EXIT of the old {pairs[0]}, of the new {pairs[1]}"

        report.check(f"a new {kind} at the endpoint of one that ours believes in", taken_over)


def frozen(report, kind):
    """A peer that stops for a while and goes on: evasive, silent, recovered, and nothing is lost."""
    with report.network() as net:
        ours = start(report, "atonce", "anna", net.host(), [*OPTIONS, "--evasive", "1000"])
        theirs = start(report, kind, "bert", net.host(), OPTIONS)
        report.must(f"{kind} and ours meet", lambda: both_enter(ours, theirs))

        def recovers():
            began = time.monotonic()
            theirs.freeze()
            evasive = ours.expect(event="evasive", peer=theirs.uuid, within=4)
            ours.send(do="whisper", peer=theirs.uuid, content=["said meanwhile"])
            silent = ours.expect(event="silent", peer=theirs.uuid, within=4)
            time.sleep(1)
            thawed = time.monotonic()
            theirs.freeze(False)
            back = ours.expect(event="recovered", peer=theirs.uuid, within=3)
            heard(theirs, "whisper", ["said meanwhile"], content=["said meanwhile"])
            talk(ours, theirs)
            ours.never(1.5, "exit", "evasive", "silent")
            counts = [sum(e["event"] == k for e in ours.events)
                      for k in ("evasive", "silent", "recovered", "exit")]
            assert counts == [1, 1, 1, 0], f"evasive, silent, recovered, exit: {counts}"
            return f"evasive after {ms(evasive, began)}, silent {ms(silent, began)}, " \
                   f"recovered {ms(back, thawed)} after it went on"

        report.check(f"{kind} is frozen and goes on", recovers)
    with report.network() as net:
        quick = ["--evasive", "1000", "--expired", "3000"]
        ours = start(report, "atonce", "anna", net.host(), [*OPTIONS, *quick])
        theirs = start(report, kind, "bert", net.host(), OPTIONS)
        report.must(f"{kind} and ours with quick timeouts meet", lambda: both_enter(ours, theirs))

        def we_recover():
            ours.freeze()
            for n in range(20):
                theirs.send(do="whisper", peer=ours.uuid, content=[f"{n}"])
            time.sleep(4)
            ours.freeze(False)
            for n in range(20):
                heard(ours, "whisper", [f"{n}"], content=[f"{n}"])
            talk(ours, theirs)
            ours.never(1.5, "exit", "enter")
            assert count(ours, "exit", theirs.uuid) == 0, "EXIT"

        report.check(f"ours is frozen for longer than its own expiry and does not blame {kind}",
                     we_recover)

        def expires():
            began = time.monotonic()
            theirs.freeze()
            events = [ours.expect(event=name, peer=theirs.uuid, within=6)
                      for name in ("evasive", "silent", "exit")]
            assert events[2]["reason"] == "expired", events[2]
            took = events[2]["seen"] - began
            assert 1.9 < took < 4.5, f"after {took:.2f} s"
            theirs.freeze(False)
            try:
                enter = ours.expect(event="enter", peer=theirs.uuid, within=8)
            except Missing:
                raise AssertionError("it does not enter again once it goes on") from None
            settle(ours, theirs)
            return f"EXIT after {took:.2f} s, ENTER {ms(enter, began)} after the freeze"

        report.check(f"{kind} is frozen past the expiry of 3 s, goes on and returns", expires)


def jobs():
    for kind in [*PEERS, "atonce"]:
        yield f"kill {kind}", functools.partial(killed, kind=kind)
        yield f"freeze {kind}", functools.partial(frozen, kind=kind)
        if kind in SAME_UUID:
            yield f"same uuid {kind}", functools.partial(same_uuid, kind=kind)
        if kind in SAME_PORT:
            yield f"unplug {kind}", functools.partial(unplugged, kind=kind)
