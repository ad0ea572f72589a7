"""Churns of a group, among C Zyre alone and with half of the nodes ours: in how many rounds all see one leader."""

import random
import shutil
import sys
import tempfile
import threading
import time

import harness
import runner
from checks import close_all
from checks.elections import GROUP, View, start
from netns import Network

PLACES = 6
# So long after a node was started, stopped, or left or joined, and so long after one was killed, who is missed by its silence.
QUIET = 4.0
MISSED = 8.0
# Of each node; milliseconds.
SILENCE = ["--evasive", "1000", "--expired", "3000"]


class Node:
    def __init__(self, kind, name, host):
        self.peer = start(kind, name, host, options=SILENCE)
        self.peer.uuid = self.peer.expect(event="start", within=30)["uuid"]
        self.view = View(self.peer)
        self.member = True


def plan(seed, rounds):
    """What happens, the same whoever the nodes are: a place, and what is done there if it can be."""
    chance = random.Random(seed)
    here, members = set(), set()
    for _ in range(rounds):
        place = chance.randrange(PLACES)
        if place not in here:
            here.add(place)
            members.add(place)
            yield place, "start"
        else:
            what = chance.choice(["stop", "kill", "leave" if place in members else "join", "start another"])
            empty = sorted(set(range(PLACES)) - here)
            if what == "start another" and empty:
                place = chance.choice(empty)
                here.add(place)
                members.add(place)
                yield place, "start"
                continue
            if what in ("stop", "kill", "start another"):
                what = "stop" if what == "start another" else what
                here.discard(place)
                members.discard(place)
            elif what == "leave":
                members.discard(place)
            else:
                members.add(place)
            yield place, what


def churn(kinds, seed, rounds, told):
    """In how many of the rounds the members saw one leader who was one of them, and of how many with two members or more."""
    good = good_many = many = 0
    with Network() as net:
        host = net.host()
        nodes = {}
        for round_, (place, what) in enumerate(plan(seed, rounds)):
            if what == "start":
                nodes[place] = Node(kinds[place], f"{kinds[place]}{place}-{round_}", host)
            elif what == "stop":
                nodes.pop(place).peer.stop(within=30)
            elif what == "kill":
                nodes.pop(place).peer.kill()
            else:
                node = nodes[place]
                node.peer.send(do=what, group=GROUP)
                node.member = what == "join"
            time.sleep(MISSED if what == "kill" else QUIET)
            members = [node for node in nodes.values() if node.member]
            for node in nodes.values():
                node.view.look()
                if not node.member:
                    # It sees nothing of a group that it is not in.
                    node.view.leader = None
            views = {node.view.leader for node in members}
            agrees = len(views) == 1 and views <= {node.peer.uuid for node in members}
            good += agrees
            if len(members) > 1:
                many += 1
                good_many += agrees
            shown = [f"{node.peer.name}:{(node.view.leader or '-')[:6]}" for node in members]
            told(f"  {round_ + 1:3} {what} at {place}: {'agree' if agrees else 'DIFFER' if members else 'nobody'} {shown}")
        for node in nodes.values():
            node.peer.kill()
    return good, good_many, many


def main(arguments):
    rounds = int(arguments[0]) if arguments else 100
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    if missing := runner.needed([("ATONCE", harness.ATONCE)]):
        print("\n".join(f"  FAILED {line}" for line in missing))
        print(f"0 passed, {len(missing)} failed")
        return 1
    harness.logs = tempfile.mkdtemp(prefix="atonce-churns-")
    casts = {"C Zyre alone": ["zyre"] * PLACES, "half of them ours": ["zyre", "atonce"] * (PLACES // 2)}
    counts, lines = {}, {name: [] for name in casts}

    def play(name):
        counts[name] = churn(casts[name], seed, rounds, lines[name].append)
    players = [threading.Thread(target=play, args=[name]) for name in casts]
    for player in players:
        player.start()
    for player in players:
        player.join()
    close_all()
    shutil.rmtree(harness.logs)
    for name in casts:
        print(f"{name}:")
        print("\n".join(lines[name]))
    if len(counts) < len(casts):
        print("0 passed, 1 failed")
        return 1
    for name, (good, good_many, many) in counts.items():
        print(f"{name}: all see one leader in {good} of {rounds} rounds, in {good_many} of {many} with two members or more")
    alone, ours = (counts[name] for name in casts)
    worse = ours[0] < alone[0] or ours[1] < alone[1]
    print("0 passed, 1 failed" if worse else "1 passed, 0 failed")
    return int(worse)


sys.dont_write_bytecode = True
