"""Beacons that are no broadcasts: heard wherever others send them, and sent where they hear."""

import functools
import select
import socket
import struct
import time

from checks.interfaces import start
from netns import Network

PORT = 5670

# Who sends there.
GROUPS = {
    "10.77.0.255": "C Zyre, Pyre",
    "255.255.255.255": "go-zeromq",
    "224.0.0.1": "go-zeromq",
    "224.0.0.250": "gyre",
    "225.25.25.25": "Pyre that may not broadcast",
    "ff02::1": "C Zyre with ZSYS_IPV6",
    "ff02::fa": "gyre",
}


def index_of(host):
    with host.inside():
        return socket.if_nametoindex(host.device)


def voice(host, group):
    """A socket that sends from the address that the host has in the family of the group, and by its device."""
    with host.inside():
        if ":" in group:
            index = index_of(host)
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("i", index))
            sock.bind((host.address6, 0))
            return sock, (group, PORT, 0, index)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(host.address))
        sock.bind((host.address, 0))
        return sock, (group, PORT)


# ZRE-162
def heard(report):
    """Raw beacons from another host, to each place where somebody sends them: ours dials whoever says one."""
    with report.network(functools.partial(Network, ipv6="fd77::")) as net:
        place, other = net.host(), net.host()
        start(report, "atonce", "anna", place)
        mailboxes = []
        for number, (group, who) in enumerate(GROUPS.items()):
            def dialled():
                sock, to = voice(other, group)
                with sock:
                    with other.inside():
                        mailbox = socket.create_server((sock.getsockname()[0], 0), family=sock.family)
                    # One for each, since all are tried again and again.
                    mailboxes.append(mailbox)
                    beacon = b"ZRE\x01" + bytes([number + 1] * 16) + struct.pack(">H", mailbox.getsockname()[1])
                    began = time.monotonic()
                    sock.sendto(beacon, to)
                    readable, _, _ = select.select([mailbox], [], [], 3)
                    assert readable, "it does not dial"
                    link, _ = mailbox.accept()
                    link.close()
                    return f"after {(time.monotonic() - began) * 1000:.0f} ms"

            report.check(f"a beacon to {group}, as {who} has it", dialled)
        for mailbox in mailboxes:
            mailbox.close()


# ZRE-161
def said(report):
    """Where ours beacons: broadcast and ff02::1, and besides where it is told."""
    with report.network(functools.partial(Network, ipv6="fd77::")) as net:
        place, other = net.host(), net.host()
        asked = {"224.0.0.250", "ff02::fa"}
        quiet = {"224.0.0.1", "225.25.25.25"}
        with other.inside():
            ears = {}
            for group in [*GROUPS, "ff02::fa"]:
                if group in ("255.255.255.255",):
                    continue
                family = socket.AF_INET6 if ":" in group else socket.AF_INET
                ear = socket.socket(family, socket.SOCK_DGRAM)
                ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    index = index_of(other)
                    ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                   socket.inet_pton(family, group) + struct.pack("i", index))
                    ear.bind((group, PORT, 0, index))
                else:
                    if not group.startswith("10."):
                        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                       socket.inet_aton(group) + socket.inet_aton(other.address))
                    ear.bind((group, PORT))
                ear.settimeout(0.01)
                ears[group] = ear

        def hears(expected):
            deadline = time.monotonic() + 2.5
            found = {}
            while time.monotonic() < deadline:
                for group, ear in ears.items():
                    try:
                        octets, source = ear.recvfrom(100)
                        found.setdefault(group, set()).add(source[0].partition("%")[0])
                        assert len(octets) == 22, octets
                    except TimeoutError:
                        pass
            assert set(found) == expected, f"beacons came to {sorted(found)}"
            for group, sources in found.items():
                # From the address of its link, over IPv6.
                assert all(s.startswith("fe80:") if ":" in group else s == place.address for s in sources), found

        default = {"10.77.0.255", "ff02::1"}
        anna = start(report, "atonce", "anna", place)
        report.check("it beacons to the subnet and to the link", lambda: hears(default))
        anna.stop()
        anna = start(report, "atonce", "anna", place, "--multicast", "224.0.0.250", "--multicast", "ff02::fa")
        report.check("and where it is told", lambda: hears(default | asked))
        assert not quiet & (default | asked)
        anna.stop()
        for ear in ears.values():
            ear.close()


def jobs():
    yield "beacons that others send", heard
    yield "beacons that ours sends", said
