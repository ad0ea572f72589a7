"""Real authentication handlers decide who may come in to a secure node of ours: CZMQ's zauth and pyzmq's zmq.auth."""

import functools
import os
import shutil
import subprocess
import tempfile

import harness
from checks import end, ms
from harness import Peer

HANDLER = [harness.PYTHON, "-B", os.path.join(harness.HERE, "peers", "zap.py")]
ENDPOINT = "tcp://127.0.0.1:9000"


def keygen(folder, name):
    path = os.path.join(folder, f"{name}.key")
    done = subprocess.run([harness.ATONCE, "keygen", path], capture_output=True, text=True, timeout=20, check=True)
    return path, done.stdout.strip()


def handler(report, kind, host, friends):
    """One that can be asked."""
    argv = host.argv([*HANDLER, kind, ENDPOINT, friends])
    peer = Peer(kind, f"{kind}-handler", argv=argv, named=False)
    report.watch(peer)
    peer.expect(event="start", within=15)
    return peer


def node(report, kind, name, host, cert, trust):
    peer = Peer(kind, name, host, ["--cert", cert, "--trust", trust, "--group", "ALPHA", "--interval", "250"])
    report.watch(peer)
    peer.uuid = peer.expect(event="start", within=15)["uuid"]
    return peer


def apart(home, peer, seconds):
    """Neither is told that the other is there."""
    for one, other in ((peer, home), (home, peer)):
        for event in one.gather(seconds if one is peer else 0.1):
            assert event["event"] != "enter" or event["peer"] != other.uuid, f"{one.name} heard {event}"


def decides(kind, report):
    with report.network() as net, tempfile.TemporaryDirectory(prefix="atonce-zap-") as folder:
        friends = os.path.join(folder, "friends")
        os.mkdir(friends)
        keys = {}
        for name in ("home", "alice", "zoe", "mallory"):
            keys[name], _ = keygen(folder, name)
            if name in ("alice", "zoe"):
                shutil.copy(keys[name], friends)
        where = [net.host() for _ in range(4)]
        auth = handler(report, kind, where[0], friends)
        home = node(report, "atonce", "home", where[0], keys["home"], f"zap:{ENDPOINT}")

        def enters(peer):
            since = peer.started
            seen = home.expect(event="enter", peer=peer.uuid, within=10)
            peer.expect(event="enter", peer=home.uuid, anywhere=True, within=10)
            home.send(do="whisper", peer=peer.uuid, content=["hello"])
            peer.expect(event="whisper", content=["hello"], within=5)
            return f"{ms(seen, since)} after it was started"

        # ZAP-20, ZAP-11
        alice = node(report, "atonce", "alice", where[1], keys["alice"], "any")
        report.must(f"{kind} lets a node of ours in whose certificate it has", lambda: enters(alice))
        zoe = node(report, "zyre", "zoe", where[2], keys["zoe"], "any")
        report.check(f"{kind} lets a C Zyre in whose certificate it has", lambda: enters(zoe))

        def stays_out():
            mallory = node(report, "atonce", "mallory", where[3], keys["mallory"], "any")
            apart(home, mallory, 3)
            mallory.kill()

        report.check(f"{kind} lets a node without one not in", stays_out)

        def restarts():
            # ZAP-23, ZAP-24
            alice.kill()
            home.expect(event="exit", peer=alice.uuid, within=10)
            auth.kill()
            again = node(report, "atonce", "alice-again", where[1], keys["alice"], "any")
            apart(home, again, 2)
            handler(report, kind, where[0], friends)
            return enters(again)

        report.check("without its handler nobody new is let in, and with it they are", restarts)
        report.check("the node ends as always", lambda: end(home))


def silent(report):
    # ZAP-23
    with report.network() as net, tempfile.TemporaryDirectory(prefix="atonce-zap-") as folder:
        keys = {name: keygen(folder, name)[0] for name in ("home", "alice")}
        where = [net.host() for _ in range(2)]
        handler(report, "none", where[0], folder)
        home = node(report, "atonce", "home", where[0], keys["home"], f"zap:{ENDPOINT}")
        alice = node(report, "atonce", "alice", where[1], keys["alice"], "any")
        report.check("a proxy behind which nobody answers lets nobody in", lambda: apart(home, alice, 7))
        report.check("and the node ends as always", lambda: end(home))


def jobs():
    for kind in ("czmq", "pyzmq"):
        yield f"zap {kind}", functools.partial(decides, kind)
    yield "zap silent", silent
