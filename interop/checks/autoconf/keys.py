"""With CURVE: the key is announced, clients pin it, and who has another one is not believed."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time

from checks.autoconf import KINDS, PATIENCE, SERVICE, all_welcomed, in_order, link, order
from checks.zmtp import CLIENT_KEYS, SERVER_KEYS
from harness import ATONCE
from packets import Packets


@contextlib.contextmanager
def certificates(*names):
    """A folder with a certificate of each of these names; gives the path of each."""
    folder = tempfile.mkdtemp(prefix="atonce-autoconf-")
    try:
        for name in names:
            subprocess.run([ATONCE, "keygen", os.path.join(folder, name)], check=True, stderr=subprocess.DEVNULL)
        yield lambda name: os.path.join(folder, name)
    finally:
        shutil.rmtree(folder)


def key_of(certificate):
    """The public key of a certificate, as its file has it."""
    with open(certificate) as file:
        line = next(line for line in file if "public-key" in line)
    return line.split('"')[1]


def secure(kind, files):
    """Options of a server of this kind, with its key."""
    if kind == "ours":
        return {"options": ["--cert", files("server"), "--trust", "any"]}, key_of(files("server"))
    return {"curve": SERVER_KEYS[1]}, SERVER_KEYS[0]


def read_by_others(packets, *words):
    """Which of these words stand in a packet, for anybody to read."""
    packets.close()
    return [word for word in words if any(word.encode() in packet for packet in packets.packets)]


# AUTO-6
def orders(report):
    with certificates("server") as files, link(report) as here:
        place, *hosts = here.hosts(6)
        for kind in KINDS:
            how, _ = secure(kind, files)
            for position in (0, 5):
                for clients in (["ours"] * 5, ["ours", "pyzmq"] * 2 + ["pyzmq"]):
                    report.check(f"CURVE, {kind} serves, {order(position)}, {clients.count('pyzmq')} of five clients are "
                                 "pyzmq's: all have their OK",
                                 lambda: in_order(here, place, hosts, position, server=kind, clients=clients, **how))


# AUTO-6, AUTO-30
def pinned(report, kind):
    with certificates("server", "other") as files, link(report, ipv6=False) as here:
        place, host, stranger = here.hosts(3)
        how, key = secure(kind, files)
        with Packets(place) as packets:
            server = here.serve(place, kind, **how)

            def announced():
                assert server.process.start["key"] == key, server.process.start
                found = here.watch(host).expect(event="found", within=PATIENCE)
                assert found["key"] == key, found
                return key

            report.check("the key is announced", announced)
            pins = [["--key", key], ["--key", key_of(files("other")), "--key", key]]
            pins += [["--key", files("server")]] if kind == "ours" else []

            def welcomed():
                return all_welcomed(server, [here.client(host, options=pin) for pin in [*pins, []]], soon=PATIENCE)

            report.check("who pins it, as one of two or as a certificate, and who pins none have their OK", welcomed)
            for client in KINDS:
                def refused():
                    here.nobody(host, "--key", key_of(files("other")), *(["--name", "x"] if client == "ours" else []))

                report.check(f"who pins another key knows of nobody ({client})", refused)
            server.stop()

        # NULL shows what could have been read.
        with Packets(place) as open_packets:
            plain = here.serve(place, kind)
            report.check("without keys it goes on as before", lambda: all_welcomed(plain, [here.client(host)]))
            report.check("a server without a key is nobody for who pins one",
                         lambda: here.nobody(host, "--key", key))
            plain.stop()

        def sealed():
            words = ["client ", " HI"]
            assert read_by_others(open_packets, *words) == words, "nothing is seen at all"
            assert not read_by_others(packets, *words), "names are in clear"

        report.check("others on the network do not read who says hello", sealed)

        def impostors():
            """They announce its key and have another one, or none. They are there first, so they are asked first."""
            false = [here.serve(stranger, "pyzmq", curve=CLIENT_KEYS[1], claims=key), here.serve(stranger, "pyzmq", claims=key)]
            client = here.client(host, options=["--key", key])
            for one in false:
                client.process.expect(event="unanswered", within=PATIENCE, endpoints=one.places, anywhere=True)
            true = here.serve(place, kind, **how)
            client.welcomed(true)
            for one in false:
                one.greets()
            true.stop()

        report.check("who announces its key and does not have it says no word to who pins it", impostors)


def trusted(report):
    """The server knows its clients by their keys."""
    with certificates("server", "anna", "bert") as files, link(report, ipv6=False) as here:
        place, host = here.hosts(2)
        friends = files("friends")
        with open(friends, "w") as file:
            file.write(f"{key_of(files('anna'))}\n{CLIENT_KEYS[0]}\n")
        server = here.serve(place, options=["--cert", files("server"), "--trust", friends])

        def listed():
            clients = [here.client(host, options=["--cert", files("anna")]),
                       here.client(host, "pyzmq", req_options=["--secret", CLIENT_KEYS[1]])]
            return all_welcomed(server, clients, soon=PATIENCE)

        report.check("who is listed has its OK, also one of pyzmq", listed)

        def stranger(*options):
            began = time.monotonic()
            client = here.client(host, options=options, wait=2)
            client.process.expect(event="unanswered", within=PATIENCE)
            client.process.ends(1)
            assert f"no server of {SERVICE} answered" in client.process.said(), client.process.said()
            here.done(client.process)
            return f"after {time.monotonic() - began:.1f} s"

        report.check("who is not listed has none", lambda: stranger("--cert", files("bert")))
        report.check("and neither who says nothing of himself", stranger)

        def pyzmq():
            client = here.client(host, "pyzmq")
            _, req = client.connect()
            req.expect(event="handshake_failed", within=PATIENCE)
            req.kill()
            here.done(req)

        report.check("nor one of pyzmq", pyzmq)


def jobs():
    yield "autoconf: CURVE, orders", orders
    for kind in KINDS:
        yield f"autoconf: CURVE, pinned, {kind}", lambda report, kind=kind: pinned(report, kind)
    yield "autoconf: CURVE, trusted", trusted
