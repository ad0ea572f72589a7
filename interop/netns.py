"""A network of its own for every node of a test: namespaces, veth pairs, one bridge.

    with Network() as net:
        a = net.host()                       # namespace, device "veth0", address 10.77.0.1/24
        b = net.host()
        process = a.popen(["python3", "peers/czyre.py", "--interface", a.device])

`Network(ipv4=False, ipv6="fd77::")` has the other family, or both: address6 is fd77::1. Without `ipv6` a host has what the kernel gives
it, an address that is good on this link and a second or two after the start; with False it has no IPv6.

Layout: the bridge lives in a namespace that holds nothing else, so no packet reaches the machine's
own devices. Each host is a namespace with `lo` and `veth0`, whose other end is a port of the
bridge. Names carry the process id and random digits, so tests run side by side. Closing removes
everything, also after an exception or SIGINT; deleting a namespace takes its devices along.
Needs root and `ip` (iproute2). What a test left behind that was killed by SIGKILL is removed by
`python3 netns.py`.
"""

import contextlib
import ctypes
import json
import os
import re
import secrets
import subprocess
import time

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

# Networks that are open, to close them whatever happens.
networks = set()


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


def enter_namespace(file):
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    def __init__(self, network, number):
        self.network = network
        self.namespace = f"{network.prefix}-{number}"
        self.device = "veth0"
        self.address = f"{network.subnet}.{number}" if network.ipv4 else None
        self.address6 = f"{network.ipv6}{number}" if network.ipv6 else None
        self.port = f"{network.prefix[-6:]}p{number}"

    def up(self):
        net = self.network
        ip("netns", "add", self.namespace)
        net.namespaces.append(self.namespace)
        if net.ipv6 is not None:
            # With addresses of ours nobody has to be asked whether they are taken.
            self.conf6("accept_dad", 0)
            self.conf6("disable_ipv6", 0 if net.ipv6 else 1)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        # The pair is made inside the namespaces: no device ever appears on the machine itself.
        ip("-n", self.namespace, "link", "add", self.device, "type", "veth",
           "peer", "name", self.port, "netns", net.bridge)
        ip("-n", net.bridge, "link", "set", self.port, "master", "br0", "up")
        for address in (self.address, self.address6):
            if address:
                self.add(address)
        ip("-n", self.namespace, "link", "set", self.device, "up")
        self.wait_until_running()

    def conf6(self, what, value):
        """Sets an option of IPv6 of this namespace, for devices that are there and that will be."""
        with self.inside():
            for which in ("all", "default"):
                with open(f"/proc/sys/net/ipv6/conf/{which}/{what}", "w") as file:
                    file.write(f"{value}")

    def add(self, address):
        """Gives the device one more address, of either family."""
        if ":" in address:
            more = [f"{address}/64", "nodad"]
        else:
            more = [f"{address}/24", "broadcast", f"{self.network.subnet}.255"]
        ip("-n", self.namespace, "address", "add", *more, "dev", self.device)

    def remove(self, address):
        ip("-n", self.namespace, "address", "delete", f"{address}/{64 if ':' in address else 24}", "dev", self.device)

    def wait_until_running(self):
        """The kernel notices some time later that a device has a carrier; until then C Zyre finds no interface, and gives up."""
        end = time.monotonic() + 10
        show = ["ip", "-n", self.namespace, "-json", "link", "show", "dev", self.device]
        while json.loads(subprocess.check_output(show))[0]["operstate"] != "UP":
            if time.monotonic() > end:
                raise TimeoutError(f"{self.device} of {self.namespace} has no carrier")
            time.sleep(0.005)

    def argv(self, argv):
        """The command line that runs argv inside this namespace."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    def popen(self, argv, **options):
        """`ip netns exec` replaces itself by argv: the pid is that of the program."""
        return subprocess.Popen(self.argv(argv), **options)

    @contextlib.contextmanager
    def inside(self):
        """Moves this thread into the namespace. Sockets made meanwhile stay there for good."""
        with open("/proc/thread-self/ns/net") as home, \
                open(f"/run/netns/{self.namespace}") as there:
            enter_namespace(there)
            try:
                yield
            finally:
                enter_namespace(home)

    def cable(self, plugged):
        """Plugs or unplugs the host at the bridge: its own device stays up, packets are lost."""
        state = "up" if plugged else "down"
        ip("-n", self.network.bridge, "link", "set", self.port, state)

    def switched(self, on):
        """Takes the host off the bridge: packets are lost, and its device does not notice."""
        where = ["master", "br0"] if on else ["nomaster"]
        ip("-n", self.network.bridge, "link", "set", self.port, *where)


class Network:
    Host = Host

    def __init__(self, subnet="10.77.0", ipv4=True, ipv6=None):
        self.prefix = f"at{os.getpid():x}{secrets.token_hex(3)}"
        self.subnet = subnet
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.bridge = f"{self.prefix}-br"
        self.namespaces = []
        self.hosts = []

    def __enter__(self):
        networks.add(self)
        try:
            ip("netns", "add", self.bridge)
            self.namespaces.append(self.bridge)
            # No spanning tree and no multicast snooping: a port forwards at once.
            ip("-n", self.bridge, "link", "add", "br0", "type", "bridge",
               "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
            ip("-n", self.bridge, "link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise
        return self

    def host(self):
        host = self.Host(self, len(self.hosts) + 1)
        self.hosts.append(host)
        host.up()
        return host

    def close(self):
        while self.namespaces:
            subprocess.run(["ip", "netns", "delete", self.namespaces.pop()], check=False)
        networks.discard(self)

    def __exit__(self, *_):
        self.close()


def close_all():
    for network in list(networks):
        network.close()


def remove_abandoned():
    """Deletes the namespaces of tests whose process is gone."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        found = re.fullmatch(r"at([0-9a-f]+)[0-9a-f]{6}-(br|core|\d+)", name)
        if found and not os.path.exists(f"/proc/{int(found[1], 16)}"):
            subprocess.run(["ip", "netns", "delete", name], check=False)


if __name__ == "__main__":
    remove_abandoned()
