"""The messages of @Once that a check says itself, written anew from spec/once.md: nothing of ours is used."""

import base64
import hashlib
import hmac
import secrets
import struct

from raw import Reader

CHALLENGE, AUTHENTICATE, OK, NOPE, STOP = 0x10, 0x11, 0x12, 0x13, 0x14
GET_ENDPOINTS, LIST_ENDPOINTS = 0x20, 0x21
GET_ROSTER, ROSTER, ENTER, EXIT, JOIN, LEAVE = range(0x30, 0x36)
REMOTE_WHISPER, REMOTE_SHOUT, UNDELIVERABLE = 0x40, 0x41, 0x42

# Codes of NOPE, and reasons of UNDELIVERABLE.
NOT_PROVED, WRONG_PROOF, NOBODY_ASKED = 3, 4, 8
NOT_IN_YOUR_ROSTER = 2


def octets(frame):
    """A frame as drivers tell it."""
    return frame.encode() if isinstance(frame, str) else base64.b64decode(frame["base64"])


def frame(octets):
    return {"base64": base64.b64encode(octets).decode()}


def text(words):
    words = words.encode() if isinstance(words, str) else words
    return struct.pack(">I", len(words)) + words


def option(octets):
    return b"\0" if octets is None else b"\1" + octets


def message(kind, fields=b"", version=2):
    return b"\xaa\xa2" + bytes((kind, version)) + fields


class Words(Reader):
    """The fields of a message."""

    def text(self):
        return self.take(self.number(4)).decode()

    def option(self, count):
        return self.take(count) if self.number(1) else None

    def texts(self):
        return [self.text() for _ in range(self.number(4))]

    def end(self):
        assert self.at == len(self.octets), f"{len(self.octets) - self.at} octets are left over"


def read(first):
    """(id, version, fields) of a first frame; None when it is none of @Once."""
    if first[:2] != b"\xaa\xa2" or len(first) < 4:
        return None
    return first[2], first[3], Words(first[4:])


def contacts(fields):
    """The entries of LIST-ENDPOINTS, version 2."""
    found = []
    for _ in range(fields.number(4)):
        one = {"uuid": fields.take(16).hex().upper(), "name": fields.text(), "endpoint": fields.text()}
        family = fields.number(1)
        if family:
            address = fields.take({4: 4, 6: 16}[family])
            one["beacon"] = (".".join(map(str, address)) if family == 4 else address.hex(), fields.number(2))
        one["key"] = fields.option(32)
        found.append(one)
    fields.end()
    return found


def peer(uuid, name, groups=(), headers=(), endpoint=None, key=None):
    octets = bytes.fromhex(uuid) + text(name) + option(endpoint and text(endpoint)) + option(key)
    octets += struct.pack(">I", len(headers)) + b"".join(text(name) + text(value) for name, value in headers)
    return octets + struct.pack(">I", len(groups)) + b"".join(text(group) for group in sorted(groups))


def roster(epoch, number, peers):
    return message(ROSTER, struct.pack(">QQHHI", epoch, number, 0, 1, len(peers)) + b"".join(peers))


def change(kind, epoch, number, rest):
    return message(kind, struct.pack(">QQ", epoch, number) + rest)


def remote_whisper(epoch, number, sender, receiver):
    return message(REMOTE_WHISPER, struct.pack(">QQ", epoch, number) + bytes.fromhex(sender) + bytes.fromhex(receiver))


class Session:
    """The proofs of two: `we` and `they` are (UUID in hexadecimal, key in octets or None)."""

    def __init__(self, secret, we, they):
        self.secret = secret
        self.we, self.they = ((bytes.fromhex(uuid) + option(key)) for uuid, key in (we, they))
        self.offered = self.chosen = None
        self.challenger = None  # whether it is we

    def proven(self, label, last=b""):
        first, second = (self.we, self.they) if self.challenger else (self.they, self.we)
        return b"@Once 2 " + label + b"\0" + first + second + self.offered + self.chosen + last

    def proof(self, label, last=b""):
        return hmac.new(self.secret, self.proven(label, last), hashlib.sha256).digest()

    def challenge(self):
        self.challenger = True
        self.offered = struct.pack(">I", 1) + text("SECRET") + secrets.token_bytes(32)
        return message(CHALLENGE, self.offered)

    def answer(self, fields):
        """To a CHALLENGE."""
        self.challenger = False
        self.offered = fields.octets
        mechanisms = fields.texts()
        assert "SECRET" in mechanisms, mechanisms
        self.chosen = text("SECRET") + secrets.token_bytes(32)
        return message(AUTHENTICATE, self.chosen + self.proof(b"AUTHENTICATE"))

    def accept(self, fields):
        """An AUTHENTICATE: our OK."""
        self.chosen = fields.octets[:-32]
        assert fields.octets[-32:] == self.proof(b"AUTHENTICATE"), "the proof of AUTHENTICATE is wrong"
        seconds = struct.pack(">I", 3600)
        return message(OK, self.proof(b"OK", seconds) + seconds)

    def accepted(self, fields):
        """An OK: for how long it is good."""
        proof, seconds = fields.take(32), fields.take(4)
        fields.end()
        assert proof == self.proof(b"OK", seconds), "the proof of OK is wrong"
        return int.from_bytes(seconds, "big")
