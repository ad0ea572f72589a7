"""How each real peer takes what the specification leaves open: observed, not judged.

Each probe gets a peer that has met a node spoken by hand, does one thing to it, and returns what
was seen, as text. `selfcheck --quirks` prints them; nothing here passes or fails.
"""

import contextlib
import socket
import struct
import time

from harness import Missing, Peer
from netns import Network
from raw import ELECT, HELLO, PING, PING_OK, WHISPER, RawNode, decode_beacon, decode_zre, string, zre

UUID = "00112233445566778899AABBCCDDEEFF"


class Meeting:
    """`out` is the link we dialled, `link` the one the peer made to us; both said HELLO."""

    def __init__(self, net, kind, options=()):
        self.kind = kind
        self.node = RawNode(net.host(), UUID, name="probe", groups=["G"])
        self.peer = Peer(kind, "subject", net.host(),
                         ["--group", "G", "--interval", "500", *options])
        self.peer.expect(event="start")
        octets, self.address, _ = self.node.next_beacon()
        self.port = decode_beacon(octets)["port"]
        self.out = self.node.dial(self.address, self.port)
        self.out.send(self.node.hello())
        self.link = self.node.accept()
        self.link.expect(HELLO)
        self.peer.expect(event="enter", name="probe")
        self.peer.gather(0.2)

    def whisper(self, text="x", sequence=None):
        if sequence is not None:
            self.node.sequence = sequence - 1
        self.out.send(self.node.message(WHISPER), text.encode())

    def heard(self, seconds, since=None):
        """The events of the peer within this time, with milliseconds where `since` is given."""
        words = []
        for event in self.peer.gather(seconds):
            word = event["event"]
            if word == "error":
                word += f" ({event['message']})"
            if since is not None:
                word += f" after {round((event['seen'] - since) * 1000)} ms"
            words.append(word)
        return ", ".join(words) or "no event"

    def alive(self):
        """Whether the driver, and the node behind it, still answer."""
        with contextlib.suppress(BrokenPipeError, Missing):
            self.peer.send(do="peers", id="alive")
            self.peer.expect(event="peers", id="alive", within=3)
            return "it goes on"
        return "ITS NODE ANSWERS NO MORE"

    def close(self):
        self.peer.__exit__()
        self.node.close()


@contextlib.contextmanager
def meet(kind, *options):
    with Network() as net:
        meeting = Meeting(net, kind, options)
        try:
            yield meeting
        finally:
            meeting.close()


def what_comes(link, seconds):
    """The messages on a link, by name and sequence."""
    words = []
    deadline = time.monotonic() + seconds
    while (got := link.next_message(deadline - time.monotonic())) is not None:
        fields = decode_zre(got[1][0])
        words.append(f"{fields['message']} {fields['sequence']}")
    return ", ".join(words) or "nothing"


def second_hello(kind):
    with meet(kind) as m:
        began = time.monotonic()
        m.out.send(m.node.hello())
        again = m.node.accept(within=2)
        if again:
            redialled = f"dials anew after {round((again.made - began) * 1000)} ms and says " \
                        f"{what_comes(again, 1)}"
        else:
            redialled = "does not dial anew"
        closed = "closes its old connection" if m.link.wait_closed(0.5) else "keeps its connection"
        seen = f"{m.heard(0.5)}; {closed}; {redialled}"
        m.whisper("after")
        delivered = any(e["event"] == "whisper" for e in m.peer.gather(0.7))
        seen += f"; our next WHISPER (sequence 2) is {'delivered' if delivered else 'dropped'}"
        if not again:
            m.node.beacon()
            again = m.node.accept(within=2)
            if again:
                seen += f"; at our next beacon it dials anew and says {what_comes(again, 1)}"
                seen += f" ({m.heard(0.2)})"
                m.out.send(m.node.hello())
                seen += f"; to our third HELLO: {m.heard(0.7)}"
        return seen


def hello_for_hello(kind):
    """We do what it does: answer each HELLO by a new one on the same connection."""
    with meet(kind) as m:
        rounds, until = 0, time.monotonic() + 1
        while time.monotonic() < until:
            m.out.send(m.node.hello())
            again = m.node.accept(within=1.5, patience=0)
            if not again or not again.expect(HELLO, within=1):
                break
            rounds += 1
        return f"{rounds} rounds of HELLO and HELLO in 1 s; {m.alive()}"


def we_close_its_connection(kind):
    with meet(kind) as m:
        began = time.monotonic()
        m.link.close()
        m.peer.send(do="whisper", peer=UUID, content=["1"])
        m.peer.send(do="whisper", peer=UUID, content=["2"])
        again = m.node.accept(within=5)
        if not again:
            return f"it does not reconnect within 5 s; {m.heard(0.5)}"
        seen = f"it reconnects after {round((again.made - began) * 1000)} ms, same identity, and " \
               f"sends {what_comes(again, 1)} (the HELLO was 1; it was told to WHISPER twice " \
               f"at once after the close)"
        return f"{seen}; {m.heard(0.3)}"


def we_are_away(kind):
    """Connection closed, port refused for 2 s, then open again."""
    with meet(kind) as m:
        m.node.listener.close()
        m.link.close()
        time.sleep(0.3)
        for text in "123":
            m.peer.send(do="whisper", peer=UUID, content=[text])
        time.sleep(1.7)
        with m.node.host.inside():
            m.node.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        m.node.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        m.node.listener.bind((m.node.host.address, m.node.mailbox))
        m.node.listener.listen(8)
        began = time.monotonic()
        again = m.node.accept(within=10)
        if not again:
            return f"it does not reconnect within 10 s; {m.heard(0.5)}"
        return f"it reconnects {round((again.made - began) * 1000)} ms after the port is open again," \
               f" and sends {what_comes(again, 1)} (three WHISPERs were sent while away);" \
               f" {m.heard(0.3)}"


def we_redial(kind):
    """Our DEALER's connection is lost and made again: no HELLO, the next sequence."""
    with meet(kind) as m:
        m.out.close()
        time.sleep(0.3)
        seen = f"at the close: {m.heard(0.2)}"
        m.out = m.node.dial(m.address, m.port)
        m.whisper("again")
        return f"{seen}; at the next sequence on a new connection: {m.heard(0.7)}"


def second_connection(kind):
    """A second connection with our identity while the first is open."""
    with meet(kind) as m:
        first, m.out = m.out, m.node.dial(m.address, m.port)
        closed = first.wait_closed(0.7)
        m.whisper("second")
        seen = f"the first connection is {'closed' if closed else 'left open'};" \
               f" a WHISPER on the second: {m.heard(0.5)}"
        m.out, second = first, m.out
        try:
            m.whisper("first")
            seen += f"; then the next sequence on the first: {m.heard(0.5)}"
        except OSError:
            seen += "; the first is dead"
        m.out = second
        m.whisper("second", sequence=m.node.sequence)
        seen += f"; that same sequence on the second: {m.heard(0.5)}"
        seen += f"; the first is {'closed' if first.wait_closed(0.5) else 'still open'}"
        return seen


def gap(kind):
    with meet(kind) as m:
        m.whisper("late", sequence=7)
        seen = m.heard(0.7)
        closed = "closes" if m.link.wait_closed(0.3) else "keeps open"
        seen += f"; it {closed} its connection to us"
        m.node.beacon()
        again = m.node.accept(within=2)
        seen += "; at our next beacon it " + \
            (f"dials anew and says {what_comes(again, 0.7)}" if again else "does not dial anew")
        m.out.send(m.node.hello())
        return f"{seen}; to our new HELLO: {m.heard(0.7)}"


def wrap(kind):
    """The sequence goes 65534, then 65535 or 0, then 0 or 1."""
    def survives(after):
        with meet(kind, "--expired", "60000") as m:
            batch = b"".join(b"\0\6" + zre(PING_OK, n) for n in range(2, 65535))
            m.out.socket.sendall(batch)
            for number in after:
                m.out.send(zre(WHISPER, number), str(number).encode())
            delivered = [e["content"][0] for e in m.peer.gather(20 if kind == "pyre" else 6)
                         if e["event"] == "whisper"]
            return delivered == [str(number) for number in after]
    return f"after 65534 it accepts 65535, 0: {'yes' if survives((65535, 0)) else 'no'};" \
           f" accepts 0, 1: {'yes' if survives((0, 1)) else 'no'}"


def killed(kind):
    """kill -9 of a node: its connections end at once, and nothing more comes."""
    options = ["--expired", "4000"]
    options += ["--evasive", "1500"] if kind != "ingescape" else []
    with meet(kind, *options) as m:
        m.node.beacon()
        time.sleep(0.2)
        m.peer.gather(0.1)
        began = time.monotonic()
        m.node.listener.close()
        m.out.close(reset=True)
        m.link.close(reset=True)
        return f"with --evasive 1500 --expired 4000: {m.heard(7, since=began)}"


def goodbye_beacon(kind):
    with meet(kind) as m:
        began = time.monotonic()
        m.node.beacon(port=0)
        seen = m.heard(0.5, since=began)
        closed = "closes" if m.link.wait_closed(0.3) else "keeps open"
        m.whisper("still here")
        seen += f"; it {closed} its connection; our WHISPER afterwards: {m.heard(0.5)}"
        m.node.beacon()
        again = m.node.accept(within=1.5)
        seen += "; a late beacon: " + (f"it dials anew and says {what_comes(again, 0.5)}"
                                       if again else "it does not dial")
        return f"{seen}, {m.heard(0.3)}"


def zero_frames(kind):
    with meet(kind) as m:
        m.out.send(m.node.message(WHISPER))

        def contents():
            words = [f"{e['event']} {e.get('content', '')}".strip() for e in m.peer.gather(0.7)]
            return ", ".join(words) or "no event"

        seen = f"WHISPER: {contents()}"
        m.whisper("next")
        return f"{seen}; the next one, 'next': {contents()}; {m.alive()}"


def election_message(kind):
    with meet(kind) as m:
        m.out.send(m.node.message(ELECT, string("G") + string(UUID)))
        seen = f"ELECT: {m.heard(0.7)}"
        m.whisper("next")
        return f"{seen}; the next WHISPER: {m.heard(0.7)}; {m.alive()}"


def secure_beacon(kind):
    with meet(kind) as m:
        octets = b"ZRE\x03" + bytes(range(16)) + struct.pack(">H", m.node.mailbox) + bytes(32)
        m.node.udp.sendto(octets, (f"{m.node.host.network.subnet}.255", m.node.port))
        seen = f"a beacon of 54 octets: {m.heard(0.5)}"
        m.whisper("next")
        return f"{seen}; the next WHISPER: {m.heard(0.7)}; {m.alive()}"


def restart_on_endpoint(kind):
    """Another UUID at the endpoint of a peer that is still known."""
    with meet(kind) as m:
        other = "FF" * 16
        m.node.uuid, m.node.identity = bytes.fromhex(other), b"\x01" + bytes.fromhex(other)
        m.node.beacon()
        again = m.node.accept(within=2)
        closed = "closes" if m.link.wait_closed(0.5) else "keeps open"
        said = f"dials and says {what_comes(again, 0.5)}" if again else "does not dial"
        return f"at its beacon it {said}, {closed} the connection of the first; {m.heard(0.5)}"


PROBES = {
    "second HELLO (sequence 1) from a ready peer": second_hello,
    "a HELLO for each of its HELLOs": hello_for_hello,
    "we close the connection it made": we_close_its_connection,
    "we close it and refuse connections for 2 s": we_are_away,
    "our connection is lost and made again, without HELLO": we_redial,
    "a second connection under our identity": second_connection,
    "a gap in our sequence": gap,
    "kill -9": killed,
    "a beacon with port 0, links left open": goodbye_beacon,
    "another UUID at a known endpoint": restart_on_endpoint,
    "no content frame": zero_frames,
    "ELECT": election_message,
    "a CURVE beacon": secure_beacon,
    "the sequence wraps": wrap,
}
