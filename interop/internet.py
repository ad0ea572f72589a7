"""Several local networks with routers between them: what a node broadcasts on its LAN never reaches another.

    with Internet() as net:
        office, home = net.lan(), net.lan("192.168.1", masquerade=True)
        a, b = office.host(), home.host()         # each a namespace, as in netns.py

Layout: a LAN is a Network whose namespace with the bridge is its router as well. Its device `br0` has the address .254, to which
hosts send what is for others; its device `wan` leads to one more namespace, which stands for everything between LANs and only
passes packets on. Behind a router that masquerades all hosts share its address, and nobody outside has a way to theirs, so that
two LANs may have the same addresses, as at home. No namespace has a way to the machine's own devices.
"""

import os
import secrets
import subprocess

from netns import Host, Network, ip, networks

FORWARD = "/proc/sys/net/ipv4/ip_forward"


def run_in(namespace, *argv):
    subprocess.run(["ip", "netns", "exec", namespace, *argv], check=True, stdin=subprocess.DEVNULL)


class Guest(Host):
    """A host of a LAN that knows the way to the other LANs."""

    def up(self):
        super().up()
        ip("-n", self.namespace, "route", "add", "default", "via", f"{self.network.subnet}.254")


class Lan(Network):
    Host = Guest

    def __init__(self, internet, number, subnet, masquerade):
        super().__init__(subnet)
        self.internet = internet
        self.number = number
        self.masquerade = masquerade
        # What others see of whoever is behind a router that masquerades.
        self.outside = f"203.0.113.{4 * number + 2}"

    def connect(self):
        """Makes the router of it, and the way to it."""
        beyond, port = self.internet.core, f"lan{self.number}"
        gateway = f"203.0.113.{4 * self.number + 1}"
        router = self.bridge
        ip("-n", router, "address", "add", f"{self.subnet}.254/24", "dev", "br0")
        ip("-n", router, "link", "add", "wan", "type", "veth", "peer", "name", port, "netns", beyond)
        ip("-n", beyond, "address", "add", f"{gateway}/30", "dev", port)
        ip("-n", beyond, "link", "set", port, "up")
        ip("-n", router, "address", "add", f"{self.outside}/30", "dev", "wan")
        ip("-n", router, "link", "set", "wan", "up")
        ip("-n", router, "route", "add", "default", "via", gateway)
        run_in(router, "sh", "-c", f"echo 1 > {FORWARD}")
        if self.masquerade:
            run_in(router, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
        else:
            ip("-n", beyond, "route", "add", f"{self.subnet}.0/24", "via", self.outside)

    def connected(self, on):
        """Plugs or unplugs the LAN: packets between it and the others are lost, and nobody is told."""
        ip("-n", self.internet.core, "link", "set", f"lan{self.number}", "up" if on else "down")
        if on and not self.masquerade:
            # The way to it went with the device.
            ip("-n", self.internet.core, "route", "replace", f"{self.subnet}.0/24", "via", self.outside)


class Internet:
    def __init__(self):
        self.core = f"at{os.getpid():x}{secrets.token_hex(3)}-core"
        self.made = False
        self.lans = []

    def __enter__(self):
        networks.add(self)
        try:
            ip("netns", "add", self.core)
            self.made = True
            run_in(self.core, "sh", "-c", f"echo 1 > {FORWARD}")
        except BaseException:
            self.close()
            raise
        return self

    def lan(self, subnet=None, masquerade=False):
        number = len(self.lans) + 1
        lan = Lan(self, number, subnet or f"10.77.{number}", masquerade)
        self.lans.append(lan)
        lan.__enter__()
        lan.connect()
        return lan

    def close(self):
        for lan in self.lans:
            lan.close()
        if self.made:
            subprocess.run(["ip", "netns", "delete", self.core], check=False)
            self.made = False
        networks.discard(self)

    def __exit__(self, *_):
        self.close()
