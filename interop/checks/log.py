"""ZRE/LOG: our nodes log to a SUB of libzmq, and a PUB of libzmq to `atonce log`. The nodes beside them are real peers."""

import functools
import os
import re
import tempfile
import time

import harness
from checks import end
from checks.zap import keygen
from harness import Peer

ZRELOG = [harness.PYTHON, "-B", os.path.join(harness.HERE, "peers", "zrelog.py")]

# Nodes that can be told to have a header.
KINDS = ["zyre", "pyre", "zyre.js", "atonce"]
QUICK = ["--interval", "250"]

INFO, WARNING, ERROR = 3, 2, 1
JOIN, ENTER, EXIT = 1, 3, 4


def tag(endpoint):
    value = 0
    for octet in endpoint.encode():
        value = (33 * value ^ octet) & 0xFFFF
    return value


def socket(report, name, host, *options):
    peer = Peer("zrelog", name, argv=host.argv([*ZRELOG, *options]), named=False)
    report.watch(peer)
    peer.endpoint = peer.expect(event="start", within=15)["endpoint"]
    return peer


def node(report, kind, name, host, *options):
    peer = Peer(kind, name, host, [*QUICK, *options])
    report.watch(peer)
    event = peer.expect(event="start", within=15)
    peer.uuid, peer.endpoint = event["uuid"], event["endpoint"]
    return peer


def of(event, **fields):
    wrong = {name: event[name] for name, value in fields.items() if event[name] != value}
    assert not wrong, f"{event}: {wrong}"


def to_theirs(report, kind):
    """LOG-10: a collector as the guide has it: a node with the header, and a SUB."""
    with report.network() as net:
        place = net.host()
        sub = socket(report, "sub", place, "--bind", f"tcp://{place.address}:*")
        home = node(report, kind, "home", place, "--header", f"X-ZRELOG={sub.endpoint}")
        kitchen = node(report, "atonce", "kitchen", net.host(), "--group", "CLIMATE", "--log")
        me = tag(kitchen.endpoint)

        def begins():
            joined = sub.expect(event="log", happened=JOIN, within=10)
            of(joined, level=INFO, node=me, about=0, data="CLIMATE")
            assert abs(joined["time"] - time.time()) < 60, joined
            # The collector's own ENTER is the proof that nothing is lost at the beginning.
            entered = sub.expect(event="log", happened=ENTER)
            assert entered["data"].endswith(" home"), entered
            of(entered, level=INFO, node=me, about=tag(entered["data"].split()[0]))

        def says():
            kitchen.send(do="log", level="warning", text="the milk boils over")
            of(sub.expect(event="log", level=WARNING), happened=0, node=me, about=0, data="the milk boils over")
            kitchen.send(do="log", level="error", text="ä" * 200)
            of(sub.expect(event="log", level=ERROR), data="ä" * 126 + "…")
            kitchen.send(do="join", group="CHAT")
            of(sub.expect(event="log", happened=JOIN), data="CHAT", node=me)

        def others():
            guest = node(report, kind, "guest", net.host())
            entered = sub.expect(event="log", happened=ENTER, within=8)
            assert entered["data"].endswith(" guest"), entered
            end(guest)
            gone = sub.expect(event="log", happened=EXIT, within=8)
            of(gone, level=INFO, node=me, about=entered["about"])
            assert gone["data"].endswith(" guest: left"), gone

        def ends():
            end(kitchen)
            of(sub.expect(event="log", data="stopped"), level=INFO, node=me)
            assert not [e for e in sub.drain() if e["event"] == "other"], sub.events

        report.must(f"a SUB announced by {kind} hears JOIN and ENTER from the beginning", begins)
        report.check("what the application says, also too much of it", says)
        report.check("who enters and exits", others)
        report.check("and its last word", ends)


def levels(report):
    """LOG-30: a SUB that wants errors alone is sent nothing else."""
    with report.network() as net:
        place = net.host()
        sub = socket(report, "sub", place, "--bind", f"tcp://{place.address}:*", "--level", str(ERROR))
        node(report, "zyre", "home", place, "--header", f"X-ZRELOG={sub.endpoint}")
        kitchen = node(report, "atonce", "kitchen", net.host(), "--group", "CLIMATE", "--log")

        def errors():
            kitchen.expect(event="enter", within=8)
            for level in ("info", "warning", "error"):
                kitchen.send(do="log", level=level, text=level)
            of(sub.expect(event="log", within=8), level=ERROR, data="error")

        report.check("a SUB that wants errors hears errors", errors)
        report.check("and nothing else", lambda: sub.never(1, "log", "other"))


def comes_back(report):
    """LOG-16, LOG-27: a SUB that dies and one at the same port."""
    with report.network() as net:
        place = net.host()
        sub = socket(report, "sub", place, "--bind", f"tcp://{place.address}:9992")
        home = node(report, "zyre", "home", place, "--header", f"X-ZRELOG={sub.endpoint}")
        # An address of IPv6 comes some time later, and is logged whenever that is.
        kitchen = node(report, "atonce", "kitchen", net.host(), "--log", "--family", "ipv4")

        def goes_on():
            sub.expect(event="log", happened=ENTER, within=10)
            sub.kill()
            time.sleep(0.5)
            kitchen.send(do="log", level="info", text="meanwhile")
            again = socket(report, "again", place, "--bind", f"tcp://{place.address}:9992")
            kitchen.send(do="log", level="info", text="after")
            of(again.expect(event="log", within=35), data="meanwhile")
            of(again.expect(event="log"), data="after")
            return again

        report.check("a SUB that was killed and comes back gets what it did not get", goes_on)
        report.check("and nobody is missed", lambda: (kitchen.never(0.2, "exit"), home.never(0.1, "exit"))[0])


def from_theirs(report, kind):
    """A PUB as the guide has it, at the endpoint that a real peer is told."""
    with report.network() as net:
        place = net.host()
        log = Peer("atonce-log", "archive", argv=place.argv([
            harness.ATONCE, "log", "--json", "-v", "--name", "archive", "--interface", place.device, *QUICK]),
            named=False)
        report.watch(log)
        log.uuid = log.expect(event="start", within=15)["uuid"]
        other = net.host()
        bert = node(report, kind, "bert", other)
        told = []

        def header():
            event = bert.expect(event="enter", peer=log.uuid, within=8)
            told.append(event["headers"]["X-ZRELOG"])
            assert re.fullmatch(rf"tcp://{re.escape(place.address)}:\d+", told[0]), told
            return told[0]

        report.must(f"{kind} is told X-ZRELOG", header)
        pub = socket(report, "pub", other, "--connect", told[0])
        me = tag(bert.endpoint)

        def say(**fields):
            return {"level": INFO, "event": 0, "node": me, "peer": 0, "time": 1352700000, "data": "", **fields}

        def hears():
            # What a PUB says before a SUB came is lost: it says it until it is heard.
            deadline = time.monotonic() + 10
            while not [e for e in log.drain() if e["event"] == "log" and e["data"] == "there?"]:
                assert time.monotonic() < deadline, "nobody hears it"
                pub.send(do="log", **say(data="there?"))
                time.sleep(0.1)
            pub.send(do="log", **say(event=ENTER, peer=me, data=bert.endpoint))
            heard = log.expect(event="log", happened="ENTER")
            of(heard, level="info", node=f"{me:04X}", name="bert", about=f"{me:04X}", about_name="bert",
               time=1352700000, data=bert.endpoint)

        def odd():
            pub.send(do="log", **say(level=200, event=100, data={"base64": "/xtbMko="}))
            of(log.expect(event="log", level="level 200"), happened="event 100", data={"base64": "/xtbMko="})
            pub.send(do="log", **say(time=1352700000250, data="ms"))
            of(log.expect(event="log", data="ms"), time=1352700000)
            pub.send(do="raw", hex="AAA201030000")
            assert "LOG.node" in log.expect(event="error")["message"]
            pub.send(do="raw", hex="68656C6C6F")
            pub.send(do="log", **say(data="and on"))
            log.expect(event="log", data="and on")

        report.must("`atonce log` hears what a PUB says, and knows who that is", hears)
        report.check("levels, events and octets without a name, milliseconds, and what is no record", odd)
        end(bert)

        def ends():
            status = log.stop("signal")
            assert status == 0, f"exit status {status}"

        report.check("it ends when it is told to", ends)


def sealed(report, kind):
    """LOG-15: in a secure network the SUB is a CURVE server with the keys of its node."""
    with report.network() as net, tempfile.TemporaryDirectory(prefix="atonce-log-") as folder:
        keys = {name: keygen(folder, name)[0] for name in ("home", "kitchen")}
        with open(keys["home"] + "_secret") as file:
            secret = re.search(r'secret-key = "(.*)"', file.read())[1]
        place = net.host()
        bind = f"tcp://{place.address}:*"
        sub = socket(report, "sub", place, "--bind", bind, "--curve", "server", "--secret", secret)
        clear = socket(report, "clear", place, "--bind", bind)
        secure = ["--trust", "any"]
        node(report, kind, "home", place, "--cert", keys["home"], *secure, "--header", f"X-ZRELOG={sub.endpoint}")
        kitchen = node(report, "atonce", "kitchen", net.host(), "--cert", keys["kitchen"], *secure, "--log")
        report.check(f"a CURVE SUB with the key of {kind} hears it",
                     lambda: of(sub.expect(event="log", happened=ENTER, within=10), node=tag(kitchen.endpoint)))
        # Its key is right, and what it says it listens at is no CURVE server.
        node(report, "atonce", "liar", place, "--cert", keys["home"], *secure, "--header", f"X-ZRELOG={clear.endpoint}",
             "--uuid", "1" * 32)

        def nothing():
            sub.expect(event="log", happened=ENTER, within=10)
            kitchen.send(do="log", level="error", text="secret")
            sub.expect(event="log", data="secret")
            clear.never(1, "log", "other")

        report.check("and a SUB without CURVE hears nothing", nothing)


def jobs():
    for kind in KINDS:
        yield f"log: ours to a SUB announced by {kind}", functools.partial(to_theirs, kind=kind)
    for kind in ("zyre", "pyre"):
        yield f"log: a PUB beside {kind} to ours", functools.partial(from_theirs, kind=kind)
    yield "log: levels", levels
    yield "log: a SUB comes back", comes_back
    for kind in ("zyre", "atonce"):
        yield f"log: sealed, announced by {kind}", functools.partial(sealed, kind=kind)
