#!/usr/bin/env python3
"""Records what each real peer puts on the wire, as data in spec/vectors/captured/.

    interop/capture.py [KIND…]          writes one JSON file for each kind

A node spoken by hand (raw.py) lets the peer greet it, makes it send one message of each sort, and
keeps the octets as they came out of the socket, ZMTP framing included. Whatever a value was is
said beside the octets. UUIDs, ports and addresses differ from run to run where the peer chooses.
"""

import argparse
import json
import os
import pathlib
import struct
import sys
import time

from harness import HERE, KINDS, Peer
from netns import Network
from raw import (ELECT, GOODBYE, GREETING, HELLO, JOIN, LEADER, LEAVE, PING, PING_OK, SHOUT,
                 WHISPER, Link, RawNode, Reader, decode_beacon, decode_ready, longstr, string)

OUT = pathlib.Path(HERE).parent / "spec" / "vectors" / "captured"

OUR_UUID = "00112233445566778899AABBCCDDEEFF"
FIXED_UUID = "A1B2C3D4E5F60718293A4B5C6D7E8F90"

BINARY = {"base64": "AP/+"}  # 00 FF FE
SEVERAL = ["first", "", BINARY]
LONG = "0123456789" * 30  # 300 octets: a frame with a length of 8 octets


def printable(octets):
    return octets.hex().upper()


class Recording:
    def __init__(self):
        self.vectors = []

    def add(self, name, what, octets, **fields):
        self.vectors.append({"name": name, "what": what, "hex": printable(octets), **fields})

    def message(self, name, what, got):
        if got is None:
            raise SystemExit(f"{name}: the peer did not send it")
        wire, bodies, fields = got
        self.add(name, what, wire, frames=[printable(body) for body in bodies], fields=fields)


def handshake(recording, side, link, what):
    recording.add(f"zmtp-greeting-{side}", f"the greeting of {what}", link.greeting,
                  octets_before_any_of_ours=link.before_ours)
    recording.add(f"zmtp-ready-{side}", f"the READY command of {what}", link.ready,
                  fields=decode_ready(link.ready[2:]))


def options_for(kind):
    options = ["--header", "X-COLOUR=blue", "--header", "X-UMLAUT=grün", "--group", "ALPHA",
               "--evasive", "1500", "--expired", "20000", "--interval", "500"]
    if kind in ("pyre", "zyre.js"):
        options += ["--uuid", FIXED_UUID]
    if kind == "zyre":
        options += ["--contest", "GAMMA"]
    if kind == "ingescape":
        at = options.index("--evasive")
        del options[at:at + 2]
        options += ["--hostname", "example"]
    return options


def capture(kind):
    recording = Recording()
    several = kind != "zyre.js"
    with Network() as net, \
            RawNode(net.host(), OUR_UUID, name="capture", groups=["ALPHA", "GAMMA"]) as node, \
            Peer(kind, "subject", net.host(), options_for(kind)) as peer:
        start = peer.expect(event="start")

        octets, address, source_port = node.next_beacon()
        beacon = decode_beacon(octets)
        recording.add("beacon", "the beacon it broadcasts", octets, fields=beacon,
                      from_udp_port="the port of beacons" if source_port == node.port
                      else "a port of its own")

        out = node.dial(address, beacon["port"])
        handshake(recording, "router", out, "its mailbox (ROUTER), which we dialled")
        out.send(node.hello())
        link = node.accept()
        if link is None:
            raise SystemExit(f"{kind} does not dial us")
        handshake(recording, "dealer", link, "the connection (DEALER) it made to our mailbox")
        recording.message("hello", "its first message: HELLO", link.expect(HELLO))
        peer.expect(event="enter", name="capture")

        if kind == "zyre":
            elections(recording, node, out, link)

        def speak(name, what, message, **command):
            peer.send(**command)
            recording.message(name, what, link.expect(message))

        speak("join", "JOIN of the group BETA", JOIN, do="join", group="BETA")
        speak("leave", "LEAVE of the group BETA", LEAVE, do="leave", group="BETA")
        speak("whisper", "WHISPER of one frame, 'hello'", WHISPER,
              do="whisper", peer=OUR_UUID, content=["hello"])
        speak("whisper-empty", "WHISPER of one empty frame", WHISPER,
              do="whisper", peer=OUR_UUID, content=[""])
        speak("whisper-long", "WHISPER of one frame of 300 octets", WHISPER,
              do="whisper", peer=OUR_UUID, content=[LONG])
        if several:
            speak("whisper-several", "WHISPER of the frames 'first', empty, 00 FF FE", WHISPER,
                  do="whisper", peer=OUR_UUID, content=SEVERAL)
        speak("shout", "SHOUT to ALPHA of one frame, 'hello'", SHOUT,
              do="shout", group="ALPHA", content=["hello"])
        if several:
            speak("shout-several", "SHOUT to ALPHA of the frames 'first', empty, 00 FF FE", SHOUT,
                  do="shout", group="ALPHA", content=SEVERAL)

        out.send(node.message(PING))
        recording.message("ping-ok", "PING-OK, its answer to our PING", link.expect(PING_OK))
        # We fall silent, and send no beacons: it asks.
        recording.message("ping", "PING, when nothing was heard from us for a while",
                          link.expect(PING, within=15))
        out.send(node.message(PING_OK))

        node.drain_beacons()
        peer.send(do="stop")
        while (got := node.next_beacon(3)) is not None:
            if decode_beacon(got[0])["port"] == 0:
                recording.add("beacon-goodbye", "its last beacon: the port is 0", got[0],
                              fields=decode_beacon(got[0]))
                break
        else:
            print(f"{kind}: no beacon with port 0 was heard", file=sys.stderr)
        peer.process.wait(5)

    about = {key: start[key] for key in ("kind", "version", "libzmq")}
    if kind == "zyre":
        secure_beacon(recording)
        gossip(recording)
    return {"peer": about, "ours": {"uuid": OUR_UUID, "name": "capture"}, "vectors": recording.vectors}


def elections(recording, node, out, link):
    """It stands for leader of GAMMA, of which we are a member: it challenges, we echo."""
    got = link.expect(ELECT)
    recording.message("elect", "ELECT: it stands for leader of GAMMA", got)
    fields = got[2]
    out.send(node.message(ELECT, string("GAMMA") + string(fields["challenger"])))
    recording.message("leader", "LEADER, after every member of GAMMA echoed its ELECT",
                      link.expect(LEADER))
    out.send(node.message(LEADER, string("GAMMA") + string(fields["challenger"])))


def secure_beacon(recording):
    with Network() as net, RawNode(net.host(), OUR_UUID) as node, \
            Peer("zyre", "secure", net.host(), ["--cert", "new"]) as peer:
        key = peer.expect(event="start")["key"]
        octets = node.next_beacon()[0]
        recording.add("beacon-curve", "the beacon of a node with a certificate", octets,
                      fields=decode_beacon(octets), key_z85=key)
        peer.stop()


def gossip(recording):
    """We are the hub of a gossip client; then a node that it hears of; then it says GOODBYE."""
    with Network() as net, RawNode(net.host(), OUR_UUID, name="capture") as node:
        host = net.host()
        hub = RawNode(node.host, OUR_UUID, port=0)
        with hub, Peer("zyre", "subject", host,
                       ["--endpoint", f"tcp://{host.address}:49900",
                        "--gossip-connect", hub.endpoint]) as peer:
            link = hub.accept()
            for name, message in (("gossip-hello", 1), ("gossip-publish", 2)):
                wire, bodies = link.next_message()
                r = Reader(bodies[0])
                fields = {"signature": f"{r.number(2):04X}", "message": r.number(1),
                          "version": r.number(1)}
                if message == 2:
                    fields |= {"key": r.string(), "value": r.longstr(), "ttl": r.number(4)}
                recording.add(name, "zgossip, from a client to its hub", wire, fields=fields)
            link.send(struct.pack(">HBB", 0xAAA0, 2, 1) + string(OUR_UUID)
                      + longstr(node.endpoint) + struct.pack(">I", 0))
            mail = node.accept()
            recording.message("hello-gossip", "HELLO of a node that uses gossip", mail.expect(HELLO))
            out = node.dial(host.address, 49900)
            out.send(node.hello())
            peer.expect(event="enter")
            peer.send(do="stop")
            recording.message("goodbye", "GOODBYE, when a node that uses gossip stops",
                              mail.expect(GOODBYE))
            peer.process.wait(5)


def main():
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    kinds = p.parse_args().kinds
    OUT.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        record = capture(kind)
        path = OUT / f"{kind.replace('.', '')}.json"
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        print(f"{path.relative_to(OUT.parents[2])}: {len(record['vectors'])} vectors")


if __name__ == "__main__":
    main()
