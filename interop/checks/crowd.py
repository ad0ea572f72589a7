"""Twenty nodes of ours on one machine see each other fully within three seconds of the last start."""

import time

from checks import Report, end
from harness import Peer

NODES = 20
WITHIN = 3.0


def meet(report, host, options, what):
    def act():
        peers = [Peer("atonce", f"node{n}", host, ["--group", "ALL", *options])
                 for n in range(NODES)]
        report.watch(*peers[:2])
        try:
            for peer in peers:
                peer.uuid = peer.expect(event="start")["uuid"]
            last = time.monotonic()
            latest = 0
            for peer in peers:
                others = {p.uuid for p in peers if p is not peer}
                while others:
                    event = peer.expect(event="enter", within=WITHIN + 2)
                    others.discard(event["peer"])
                    latest = max(latest, event["seen"])
            took = latest - last
            assert took < WITHIN, f"only after {took:.2f} s"
            peers[0].send(do="shout", group="ALL", content=["to all"])
            for peer in peers[1:]:
                peer.expect(event="shout", content=["to all"])
            stopping = time.monotonic()
            for peer in peers[1:]:
                end(peer)
            for peer in peers[1:]:
                event = peers[0].expect(event="exit", peer=peer.uuid, anywhere=True)
                assert event["reason"] == "left", event
            ended = time.monotonic() - stopping
            return f"{NODES} nodes, {max(took, 0):.2f} s after the last was started; " \
                   f"19 stop and leave in {ended:.2f} s"
        finally:
            for peer in peers:
                peer.kill()

    report.check(what, act)


def crowd(report: Report):
    with report.network() as net:
        host = net.host()
        meet(report, host, [], "in one namespace, on a veth")
        meet(report, host, ["--interface", "lo", "--port", "45670"], "on loopback, an own UDP port")


def jobs():
    yield "twenty nodes", crowd
