"""What servers, clients and strangers say besides what they should, and what is told of it."""

import json
import socket

from checks.autoconf import PATIENCE, PORT, link
from harness import ZMTP

# What a server answers, and what a client is told.
ANSWERS = {
    "another text": (["NOT TODAY, hällo"], "NOT TODAY, hällo"),
    "nearly OK": (["ok"], "ok"),
    "OK and more": (["OK\n"], "OK\n"),
    "nothing": ([""], ""),
    "two frames": (["O", "K"], "OK"),
    "OK in the first of two": (["OK", "?"], "OK?"),
    "no text": ([{"base64": "/wD+"}], {"base64": "/wD+"}),
    "what a terminal would obey": (["\x1b[2J\x1b]0;x\x07"], "\x1b[2J\x1b]0;x\x07"),
    "512 octets": (["x" * 512], "x" * 512),
    "more than is kept": (["x" * 2000], "x" * 512),
}


# AUTO-52
def answers(report):
    """A REP of pyzmq that answers something else."""
    with link(report, ipv6=False) as here:
        place, host = here.hosts(2)
        for what, (answer, told) in ANSWERS.items():
            def reported():
                server = here.serve(place, "pyzmq", answer=json.dumps(answer))
                client = here.client(host)
                event = client.process.expect(event="answered", within=PATIENCE)
                assert event["content"] == [told] and event["endpoint"] == server.places[0], event
                client.process.ends(1)
                said = client.process.said()
                assert "did not answer OK but" in said, said
                assert not isinstance(told, str) or not told.isprintable() or told[:60] in said, said
                assert "\x1b[2J" not in said and "\x07" not in said, "it reaches the terminal"
                server.greets(client.name)
                server.stop()
                here.done(client.process)
                return said.strip().splitlines()[-1][:100]

            report.check(f"a server answers {what}: its text is told", reported)


QUESTIONS = {
    "something else": (["what is this?"], ["what is this?"], "OK"),
    "nothing": ([""], [""], "OK"),
    "a hello of nobody": ([" HI"], [" HI"], "OK"),
    "a hello with control characters": (["a\tb HI"], ["a\tb HI"], "OK"),
    "no text": ([{"base64": "/wD+"}], [{"base64": "/wD+"}], "OK"),
    "512 octets": (["x" * 512], ["x" * 512], "OK"),
    "513 octets": (["x" * 513], ["x" * 512], "TOO MUCH"),
    "1 MiB": (["x" * (1 << 20)], ["x" * 512], "TOO MUCH"),
    "two frames": (["anna", " HI"], ["anna HI"], "TOO MUCH"),
}


# AUTO-51
def questions(report):
    """A REQ of pyzmq that says something else."""
    with link(report, ipv6=False) as here:
        place, host = here.hosts(2)
        server = here.serve(place)
        client = here.client(host, "pyzmq")
        _, req = client.connect()
        for what, (question, told, answer) in QUESTIONS.items():
            def answered():
                req.send(do="send", content=question)
                event = req.expect(event="message")
                assert event["content"] == [answer], event
                event = server.process.expect(event="said")
                assert event["content"] == told, event
                return answer

            report.check(f"a client says {what}: it is answered and told", answered)

        def names():
            for name in ("client 0", "a", "ünï", "x" * 255, " ", "HI"):
                req.send(do="send", content=[f"{name} HI"])
                assert req.expect(event="message")["content"] == ["OK"]
                event = server.process.expect(event="hello")
                assert event["name"] == name, event

        report.check("all kinds of names", names)

        def strangers():
            """What is no REQ, and what is no ZMTP."""
            address = server.places[0]
            for kind in ("DEALER", "ROUTER", "SUB", "PULL", "REP"):
                odd = here.process(f"pyzmq {kind}", host, *ZMTP, "--type", kind, "--connect", address, "--linger", 0)
                if kind == "DEALER":
                    odd.send(do="send", content=["no delimiter"])
                    odd.send(do="send", content=["", "d HI"])
                    assert odd.expect(event="message", within=PATIENCE)["content"] == ["", "OK"]
                    server.process.expect(event="hello", name="d")
                else:
                    odd.expect(event="connected", within=PATIENCE)
                odd.kill()
                here.done(odd)
            later = here.client(host)
            later.welcomed(server)
            server.process.expect(event="hello", name=later.name)

        report.check("others than REQ come, and one that forgets the delimiter: the next client has its OK", strangers)


GROUP = "239.255.167.12"


def overheard(here, stranger, host):
    """An announcement, as a stranger hears it who asks for one by a client of his."""
    with stranger.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        ear.bind((GROUP, PORT))
        joined = socket.inet_aton(GROUP) + socket.inet_aton(stranger.address)
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        ear.settimeout(5)
        asking = here.atonce("find", host, "find", "printing")
        asking.ends(0)
        here.done(asking)
        while True:
            datagram = ear.recv(2000)
            if datagram.startswith(bytes.fromhex("AAAC0102")):
                return datagram


def say(stranger, datagrams):
    """Says all of these to everybody, as a stranger."""
    with stranger.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(stranger.address))
        for datagram in datagrams:
            mouth.sendto(datagram, (GROUP, PORT))


# AUTO-1, AUTO-3
def noise(report):
    """Datagrams of strangers at the port of announcements, of all sizes, and what is nearly right."""
    with link(report, ipv6=False) as here:
        place, stranger, host = here.hosts(3)
        server = here.serve(place)
        watcher = here.watch(host)
        found = watcher.expect(event="found")
        announced = overheard(here, stranger, host)
        noise = [announced[:n] for n in range(len(announced))] + [announced + b"\0", b"", b"\0" * 1200, b"x" * 1500]
        noise += [announced[:at] + bytes([announced[at] ^ bit]) + announced[at + 1:] for at in range(4) for bit in (1, 128)]
        say(stranger, noise)

        def unmoved():
            events = watcher.gather(1)
            assert not events, events
            client = here.client(host)
            client.welcomed(server)
            return f"{len(noise)} datagrams"

        report.check("an announcement cut off anywhere, and other noise, mean nothing", unmoved)

        def forged():
            """A stranger says goodbye in its name (AUTO-34)."""
            say(stranger, [bytes.fromhex("AAAC0103") + announced[4:20]])
            watcher.expect(event="doubted", instance=found["instance"])
            watcher.expect(event="trusted", instance=found["instance"])
            assert not [e for e in watcher.gather(2.5) if e["event"] == "lost"]
            client = here.client(host)
            client.welcomed(server)

        report.check("a forged goodbye is doubted, asked about, and not believed", forged)

        def contested():
            """A stranger announces another place under its instance (AUTO-36)."""
            at = announced.index(bytes([4, *map(int, place.address.split("."))]))
            other = announced[:at + 1] + bytes(map(int, stranger.address.split("."))) + announced[at + 5:]
            say(stranger, [other])
            event = watcher.expect(event="contested", instance=found["instance"])
            assert event["endpoints"] == found["endpoints"] and event["by"].startswith(stranger.address), event
            # That one is another server, behind this one.
            second = watcher.expect(event="found", anywhere=True, endpoints=[
                found["endpoints"][0].replace(place.address, stranger.address)])
            assert second["instance"] == found["instance"], second
            client = here.client(host)
            client.welcomed(server)

        report.check("who announces another place under its instance changes nothing of it", contested)


def jobs():
    yield "autoconf: answers", answers
    yield "autoconf: questions", questions
    yield "autoconf: noise", noise
