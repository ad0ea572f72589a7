"""Peers that die, stop, are cut off or slow: no attack, and nobody else may notice."""

import signal
import time

from . import case

ANOTHER = {"enter peer": 1, "join peer G": 1}


def another(b, *options, name="peer", piped=False):
    host = b.hosts.get(name) or b.hosts.setdefault(name, b.network.host())
    program = b.start(host, ["listen", "--name", name, "--group", "G", "--json", *options], piped=piped)
    program.uuid = program.expect(event="start")["uuid"]
    b.node.expect(event="enter", peer=program.uuid)
    program.expect(event="enter", peer=b.uuid)
    return program


@case("17a", "kill -9 of a peer", {**ANOTHER, "exit peer lost": 1})
def killed(b):
    peer = another(b)
    began = time.monotonic()
    peer.process.kill()
    gone = b.node.expect(5, event="exit", peer=peer.uuid)
    took = gone["seen"] - began
    b.check(took < 2, f"EXIT after {took:.1f} s")
    b.note(f"EXIT after {took * 1000:.0f} ms")


@case("17b", "SIGSTOP of a peer for 40 s",
      {"enter peer": 2, "join peer G": 2, "evasive peer": 1, "silent peer": 1, "exit peer expired": 1,
       "exit peer left": 1})
def stopped(b):
    peer = another(b)
    began = time.monotonic()
    peer.process.send_signal(signal.SIGSTOP)
    gone = b.node.expect(36, event="exit", peer=peer.uuid)
    took = gone["seen"] - began
    b.check(28 < took < 33, f"EXIT after {took:.1f} s")
    time.sleep(max(0, began + 40 - time.monotonic()))
    peer.process.send_signal(signal.SIGCONT)
    b.node.expect(5, event="enter", peer=peer.uuid, count=2)
    time.sleep(1)
    peer.stop()
    b.node.expect(5, event="exit", peer=peer.uuid, count=2)


@case("17c", "a link cut for 40 s, and for 10 s",
      {"enter peer": 2, "join peer G": 2, "evasive peer": 2, "silent peer": 2, "exit peer expired": 1,
       "recovered peer": 1, "exit peer left": 1})
def cut(b):
    peer = another(b)
    host = b.hosts["peer"]
    host.cable(False)
    time.sleep(10)
    host.cable(True)
    b.node.expect(8, event="recovered", peer=peer.uuid)
    time.sleep(1)
    host.cable(False)
    began = time.monotonic()
    gone = b.node.expect(36, event="exit", peer=peer.uuid)
    took = gone["seen"] - began
    b.check(28 < took < 33, f"EXIT after {took:.1f} s")
    time.sleep(max(0, began + 40 - time.monotonic()))
    host.cable(True)
    b.node.expect(8, event="enter", peer=peer.uuid, count=2)
    time.sleep(1)
    peer.stop()
    b.node.expect(5, event="exit", peer=peer.uuid, count=2)


@case("17d", "a restart on the same port under a new UUID",
      {"enter peer": 2, "join peer G": 2, "exit peer lost": 1, "exit peer left": 1})
def restarted(b):
    peer = another(b, "--tcp-port", "45000")
    began = time.monotonic()
    peer.process.kill()
    peer.process.wait()
    reborn = another(b, "--tcp-port", "45000")
    gone = b.node.expect(5, event="exit", peer=peer.uuid)
    took = gone["seen"] - began
    b.check(took < 2, f"EXIT of the old one after {took:.1f} s")
    b.note(f"EXIT of the old one after {took * 1000:.0f} ms")
    time.sleep(1)
    reborn.stop()
    b.node.expect(5, event="exit", peer=reborn.uuid)


@case("17e", "a peer whose application reads nothing for 15 s, and then all of it",
      {**ANOTHER, "exit peer left": 1}, driven=True)
def slow_reader(b):
    peer = another(b, piped=True)
    peer.reading.clear()
    # As much as waits in pipes, in its inbox and in ours, and no more.
    for n in range(1_000):
        b.node.command(do="whisper", peer=peer.uuid, content=[f"{n}", "x" * 8_000])
    time.sleep(15)
    peer.reading.set()
    peer.expect(10, event="whisper", count=1_000)
    numbers = [int(e["content"][0]) for e in peer.find(event="whisper")]
    b.check(numbers == list(range(1_000)), "messages are missing or out of order")
    b.check(not peer.find(event="exit"), "the slow reader saw an EXIT")
    peer.stop()
    b.node.expect(5, event="exit", peer=peer.uuid)


@case("17f", "the node itself stopped for 12 s",
      {**ANOTHER, "exit peer left": 1})
def stopped_ourselves(b):
    peer = another(b)
    since = time.monotonic()
    b.node.process.send_signal(signal.SIGSTOP)
    time.sleep(12)
    b.node.process.send_signal(signal.SIGCONT)
    b.exempt.append((since, time.monotonic() + 1))
    time.sleep(2)
    b.check(not peer.find(event="exit"), "the peer saw an EXIT")
    peer.stop()
    b.node.expect(5, event="exit", peer=peer.uuid)
