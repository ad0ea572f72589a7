"""Who may not take part: a wrong secret, a key that is not listed, a proof from another time, lies of one who may."""

import json
import os
import secrets
import struct
import time

import harness
from checks.once import GROUP, seen, town, words
from checks.once.plain import GET_ENDPOINTS
from checks.once.words import octets
from checks.secure import Keys, octets_of

VECTORS = os.path.join(harness.HERE, "..", "spec", "vectors", "once.json")

# For so long nothing happens that must not happen, in seconds.
NEVER = 8.0


def apart(here, lan):
    """The clients of a LAN and the others never hear of each other."""
    for client in here.clients:
        told = seen(client)
        for other in here.clients:
            if (client.lan is lan) != (other.lan is lan):
                assert told[other.uuid].enters == 0, f"{client.name} was told of {other.name}"


def wrong_secret(report):
    with town(report) as here:
        a, b, c, place = (here.net.lan() for _ in range(4))
        here.security = here.secret()
        other = here.secret()
        here.cut = {c}
        here.serve(place)
        here.settle_in(*(here.populate(lan, kinds) for lan, kinds in
                         ((a, ["zyre", "pyre"]), (b, ["zyre.js", "atonce"]), (c, ["zyre", "pyre"]))))
        first = here.bridge(a)
        here.bridge(b)
        report.must("two that have the secret show their LANs", here.all_see)
        stranger = here.bridge(c, security=other, name="stranger")

        def refused():
            here.server.expect(event="refused", peer=stranger.uuid, within=15, anywhere=True)
            stranger.expect(event="refused", peer=here.server.uuid, within=15, anywhere=True)

        report.check("one with another secret is refused by the server: both tell", refused)
        direct = here.bridge(c, security=other, name="direct", server=first.host.address)

        def refused_directly():
            first.expect(event="refused", peer=direct.uuid, within=15, anywhere=True)
            direct.expect(event="refused", peer=first.uuid, within=15, anywhere=True)

        report.check("and by another bridge, that it contacts itself", refused_directly)

        def never():
            since = here.positions()
            here.unmoved(since, NEVER)
            here.all_see(within=1)
            apart(here, c)
            here.chat()
            return f"for {NEVER:.0f} s"

        report.check("its LAN is never seen, and sees nobody; the others talk", never)
        report.check("it met nobody", lambda: met_nobody(stranger, direct))


def met_nobody(*bridges):
    for bridge in bridges:
        found = [e for e in bridge.drain() if e["event"] in ("met", "enter")]
        assert not found, f"{bridge.name}: {found}"


def unlisted(report):
    """Keys, and folders of those that are trusted."""
    with Keys("server", "one", "two", unlisted=["stranger"]) as keys, town(report) as here:
        a, b, c, place = (here.net.lan() for _ in range(4))
        here.cut = {c}
        here.serve(place, security=keys.options("server"))
        here.settle_in(*(here.populate(lan, kinds) for lan, kinds in
                         ((a, ["zyre"]), (b, ["pyre", "atonce"]), (c, ["zyre", "zyre.js"]))))
        here.bridge(a, security=keys.options("one"), name="one")
        here.bridge(b, security=keys.options("two"), name="two")
        report.must("two whose keys are listed show their LANs, without a secret", here.all_see)
        report.check("the mechanism is CURVE", lambda: here.bridges[0].expect(
            event="met", peer=here.server.uuid, mechanism="CURVE", anywhere=True) and None)
        stranger = here.bridge(c, security=keys.options("stranger"), name="stranger")

        def refused():
            key = stranger.expect(event="start", anywhere=True)["key"]
            event = here.server.expect(event="refused", key=key, us=False, within=20, anywhere=True)
            assert event["address"].startswith(f"{stranger.host.address}:"), event
            return f"{event['address']}: {event['text']}"

        report.check("one whose key is not listed is refused, which is told", refused)

        def never():
            since = here.positions()
            here.unmoved(since, NEVER)
            here.all_see(within=1)
            apart(here, c)
            met_nobody(stranger)
            here.chat()
            return f"for {NEVER:.0f} s"

        report.check("its LAN is never seen, and sees nobody; the others talk", never)
        keys.list("stranger")
        here.cut.clear()

        def let_in():
            # Whoever was refused ten times is left alone for a minute, and beacons come twice in one.
            took = here.all_see(within=130)
            here.chat()
            return took

        report.check("its key is listed: it is let in", let_in)


class Insider:
    """A node of C Zyre with keys, near the server, that says @Once by hand: it knows the secret, and is up to no good."""

    def __init__(self, here, host, secret):
        self.secret = secret.encode()
        self.node, = here.start(("zyre", "insider", host, [
            "--cert", "new", "--trust", "any", "--port", "5671", "--header", "X-ONCE=bridge beacon=5671"]))
        self.uuid = self.node.uuid
        self.key = octets_of(self.node.expect(event="start", anywhere=True)["key"])
        self.sessions = {}
        self.number = 0
        # What was whispered and nobody asked for yet, and where that which is not looked at begins.
        self.waiting = []
        self.at = 0

    def say(self, peer, first, *more):
        self.node.send(do="whisper", peer=peer, content=[words.frame(first), *more])

    def hear(self, peer, *kinds, within=10.0):
        """(id, fields) of the next message of one of these kinds from a peer."""
        deadline = time.monotonic() + within
        while True:
            fresh = [e for e in self.node.drain()[self.at:] if e["event"] == "whisper"]
            self.at = len(self.node.events)
            self.waiting += [(e["peer"], words.read(octets(e["content"][0]))) for e in fresh]
            for n, (who, found) in enumerate(self.waiting):
                if who == peer and found and found[1] == 2 and found[0] in kinds:
                    del self.waiting[n]
                    return found[0], found[2]
            if time.monotonic() > deadline:
                others = [f"{found[0]:02X}" for who, found in self.waiting if who == peer and found]
                raise AssertionError(f"no {[f'{kind:02X}' for kind in kinds]} came from {peer}, but {others}")
            time.sleep(0.01)

    def refused(self, peer, about, code):
        """NOPE comes, about this and with this code."""
        _, fields = self.hear(peer, words.NOPE)
        found = fields.number(1), fields.number(2), fields.text()
        fields.end()
        assert found[:2] == (about, code), f"NOPE about {found[0]:02X}, code {found[1]}: {found[2]}"
        return f"NOPE {code}: {found[2]}"

    def meets(self, peer):
        """Waits until a node is here; its HELLO says its key, which C dials. What it says it is."""
        event = self.node.expect(event="enter", peer=peer, anywhere=True, within=20)
        key = octets_of(event["headers"]["X-PUBLICKEY"])
        self.sessions[peer] = words.Session(self.secret, (self.uuid, self.key), (peer, key))
        return event["headers"].get("X-ONCE", "")

    def answers(self, peer):
        """Its CHALLENGE, our AUTHENTICATE, which is returned."""
        _, fields = self.hear(peer, words.CHALLENGE)
        said = self.sessions[peer].answer(fields)
        self.say(peer, said)
        return said

    def proves(self, peer, role):
        """Both prove that they have the secret; a server begins, and of two bridges that with the lower UUID."""
        session = self.sessions[peer]
        if role == "server" or peer < self.uuid:
            said = self.answers(peer)
            _, fields = self.hear(peer, words.OK)
            assert session.accepted(fields) > 0, "it is good for 0 s"
            return said
        self.say(peer, session.challenge())
        _, fields = self.hear(peer, words.AUTHENTICATE)
        self.say(peer, session.accept(fields))
        return None

    def lists(self, *uuids, server, within=15):
        """Waits until the server's list has these bridges; its entries by UUID."""
        deadline = time.monotonic() + within
        while True:
            _, fields = self.hear(server, words.LIST_ENDPOINTS, within=deadline - time.monotonic())
            found = {one["uuid"]: one for one in words.contacts(fields)}
            if set(uuids) <= set(found):
                return found

    def claims(self, peer, *who):
        """A roster for another bridge."""
        self.number += 1
        self.say(peer, words.roster(self.epoch, self.number, list(who)))

    epoch = int.from_bytes(secrets.token_bytes(8), "big") | 1


def insider(report):
    """Who has the secret still proves for himself only, and only what is his; a proof is good once."""
    secret = secrets.token_hex(32)
    with town(report) as here:
        a, b, place = (here.net.lan() for _ in range(3))
        here.security = here.secret(secret)
        server = here.serve(place)
        here.settle_in(here.populate(a, ["zyre", "pyre"]), here.populate(b, ["zyre.js", "zyre"]))
        one, two = here.bridge(a, name="one"), here.bridge(b, name="two")
        report.must("two LANs see each other", here.all_see)
        report.check("they talk", here.chat)
        quiet = here.positions()
        rogue = Insider(here, place.host(), secret)
        said = []

        def comes_in():
            role = rogue.meets(server.uuid)
            assert role.startswith("server"), role
            said.append(rogue.proves(server.uuid, "server"))
            server.expect(event="met", peer=rogue.uuid, mechanism="SECRET", within=5, anywhere=True)
            listed = rogue.lists(one.uuid, two.uuid, server=server.uuid)
            assert rogue.uuid not in listed, "the list has who asked"
            assert server.uuid not in listed, "the list has the server"
            for bridge in (one, two):
                entry = listed[bridge.uuid]
                assert entry["name"] == bridge.name, entry
                assert entry["beacon"] == (bridge.host.address, 5671), entry
                assert entry["key"] is not None, entry

        report.must("C Zyre, with the words of the specification said by hand, proves that it has the secret; it is told of the bridges",
                    comes_in)

        def again():
            rogue.say(server.uuid, said[0])
            return rogue.refused(server.uuid, words.AUTHENTICATE, words.NOBODY_ASKED)

        report.check("its proof once more, in the same session: nobody asked", again)

        def meets_bridges():
            for bridge in (one, two):
                role = rogue.meets(bridge.uuid)
                assert role.startswith("bridge"), role
                rogue.say(bridge.uuid, words.roster(rogue.epoch, 0, []))
                rogue.refused(bridge.uuid, words.ROSTER, words.NOT_PROVED)
                rogue.proves(bridge.uuid, "bridge")
                bridge.expect(event="met", peer=rogue.uuid, mechanism="SECRET", within=10, anywhere=True)

        report.must("the bridges contact it; what it says before it proved anything counts nothing, then it is one of them", meets_bridges)
        (at_one, other_at_one), at_two = here.on(a), here.on(b)[1]
        own = "0123456789ABCDEF0123456789ABCDEF"

        def claims():
            for bridge in (one, two):
                rogue.claims(bridge.uuid, words.peer(own, "its own", [GROUP], [("X-PLACE", "inside")]),
                             words.peer(at_one.uuid, "stolen", [GROUP]))
                bridge.expect(event="claimed", bridge=rogue.uuid, peer=at_one.uuid, holder=one.uuid, within=10, anywhere=True)
            for client in here.clients:
                deadline = time.monotonic() + 10
                while not seen(client)[own].here:
                    assert time.monotonic() < deadline, f"{client.name} does not see its own peer"
                    time.sleep(0.05)
            here.unmoved(quiet, 1.0, but=own)
            for client in here.clients:
                name = seen(client)[at_one.uuid].name
                assert client is at_one or name == at_one.name, f"{client.name}: {name}"
            here.chat()

        report.check("it claims a client of another LAN: both bridges tell, nobody believes it, and its own peer is shown", claims)

        def speaks_for_another():
            # The first it claimed, of the second it never spoke.
            for number, name in ((1, at_one), (2, other_at_one)):
                message = words.remote_whisper(rogue.epoch, number, name.uuid, at_two.uuid)
                rogue.say(two.uuid, message, "not from him")
                _, fields = rogue.hear(two.uuid, words.UNDELIVERABLE)
                assert (fields.number(8), fields.number(8)) == (rogue.epoch, number)
                assert fields.take(16).hex().upper() == name.uuid
                assert fields.number(1) == 0 and fields.take(16).hex().upper() == at_two.uuid
                reason = fields.number(1)
                fields.end()
                assert reason == words.NOT_IN_YOUR_ROSTER, f"reason {reason}"
            two.expect(event="not-yours", bridge=rogue.uuid, peer=other_at_one.uuid, within=5, anywhere=True)
            here.heard()  # nothing
            return f"UNDELIVERABLE {reason}"

        report.check("it whispers in the name of clients of another LAN: refused, and told", speaks_for_another)

        def speaks():
            rogue.say(two.uuid, words.remote_whisper(rogue.epoch, 3, own, at_two.uuid), "from its own", words.frame(bytes(range(256))))
            event = at_two.expect(event="whisper", peer=own, within=10)
            assert event["content"] == ["from its own", words.frame(bytes(range(256)))], event["content"]
            rogue.say(two.uuid, words.remote_whisper(rogue.epoch, 3, own, at_two.uuid), "the same number again")
            at_two.send(do="whisper", peer=own, content=["answer"])
            _, fields = rogue.hear(two.uuid, words.REMOTE_WHISPER)
            fields.take(16)
            assert (fields.take(16).hex().upper(), fields.take(16).hex().upper()) == (at_two.uuid, own)
            heard = [e for e in at_two.drain() if e["event"] == "whisper" and e["peer"] == own]
            assert len(heard) == 1, f"{len(heard)} whispers"
            here.forget()

        report.check("in the name of its own it may, once for each number; and is answered", speaks)

        def replays():
            """Frozen for longer than the expiry, it enters anew under the same UUID and key."""
            rogue.node.freeze()
            for other in (server, one, two):
                other.expect(event="lost", peer=rogue.uuid, within=45)
            for client in here.clients:
                deadline = time.monotonic() + 5
                while seen(client)[own].here:
                    assert time.monotonic() < deadline, f"{client.name} still sees its own peer"
                    time.sleep(0.05)
            rogue.node.drain()
            rogue.at, rogue.waiting = len(rogue.node.events), []
            rogue.node.freeze(False)
            _, fields = rogue.hear(server.uuid, words.CHALLENGE, within=30)
            rogue.say(server.uuid, said[0])
            told = rogue.refused(server.uuid, words.AUTHENTICATE, words.WRONG_PROOF)
            server.expect(event="refused", peer=rogue.uuid, within=5)
            return told

        report.check("it enters anew, and says the proof of before: wrong, and told", replays)
        report.check("nobody of the others was disturbed by any of it", lambda: here.unmoved(quiet, but=own))


def vectors(report):
    """The words that are said by hand are those of the specification."""
    with open(VECTORS) as file:
        known = json.load(file)
    good = {one["name"]: one for one in known["good"]}
    first = {name: bytes.fromhex(one["frames"][0]) for name, one in good.items() if one["frames"]}

    def read():
        _, _, fields = words.read(first["list-endpoints"])
        assert [one["name"] for one in words.contacts(fields)] == ["office", "home", ""]
        _, _, fields = words.read(first["v1-list-endpoints"])
        assert fields.texts() == good["v1-list-endpoints"]["fields"]["endpoints"]
        assert first["v1-get-endpoints"] == GET_ENDPOINTS

    def written():
        wanted = good["roster"]["fields"]
        peers = [words.peer(one["uuid"], one["name"], one["groups"], sorted(one["headers"].items()), one["endpoint"],
                            one["key"] and bytes.fromhex(one["key"])) for one in wanted["peers"]]
        assert words.roster(wanted["epoch"], wanted["number"], peers) == first["roster"]
        wanted = good["remote-whisper"]["fields"]
        said = words.remote_whisper(wanted["epoch"], wanted["number"], wanted["from"], wanted["to"])
        assert said == first["remote-whisper"]

    def proven():
        for one in known["proven"]:
            parties = [(one[who]["uuid"], one[who]["key"] and bytes.fromhex(one[who]["key"])) for who in ("challenger", "answerer")]
            for we in (0, 1):
                session = words.Session(b"", parties[we], parties[1 - we])
                session.challenger = we == 0
                texts = b"".join(words.text(mechanism) for mechanism in one["mechanisms"])
                session.offered = struct.pack(">I", len(one["mechanisms"])) + texts + bytes.fromhex(one["challenge"])
                session.chosen = words.text(one["mechanism"]) + bytes.fromhex(one["nonce"])
                assert session.proven(b"AUTHENTICATE").hex().upper() == one["authenticate"], one["name"]
                assert session.proven(b"OK", struct.pack(">I", one["seconds"])).hex().upper() == one["ok"], one["name"]
        return f"{len(known['proven'])} vectors"

    report.check("words.py reads what spec/vectors/once.json has", read)
    report.check("and writes it", written)
    report.check("and proofs are over what it says", proven)


def jobs():
    yield "once: words", vectors
    yield "once: a wrong secret", wrong_secret
    yield "once: a key that is not listed", unlisted
    yield "once: one who may, and lies", insider
