"""A link as bad as a Wi-Fi between hosts: a relay of ours between TAP devices (/dev/net/tun).

    with Radio(seed=1) as radio:
        a, b = radio.host(), radio.host()     # as those of netns.py
        radio.stand_still(20)

What a host sends takes 150 to 300 ms to each other one and keeps its order. While the radio stands still nothing passes, and all that was
sent meanwhile gets through at the end, as far as a buffer of 4 MiB for each direction holds it. The relay is a thread of this process;
its devices are in the namespaces of the hosts, and nowhere else.
"""

import collections
import fcntl
import os
import random
import selectors
import struct
import threading
import time

from netns import Host, Network, ip

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000

LEAST, MOST = 0.150, 0.300
BUFFER = 4 << 20


class Station(Host):
    """A host whose device is one end of the relay."""

    def up(self):
        net = self.network
        ip("netns", "add", self.namespace)
        net.namespaces.append(self.namespace)
        self.conf6("accept_dad", 0)
        self.conf6("disable_ipv6", 1)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        with self.inside():
            self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", self.device.encode(), IFF_TAP | IFF_NO_PI))
        self.add(self.address)
        # It runs from the moment on in which the other end is open.
        ip("-n", self.namespace, "link", "set", self.device, "up")


class Way:
    """From one host to another."""

    def __init__(self, to):
        self.to = to
        self.frames = collections.deque()  # when it arrives, what
        self.octets = 0
        self.last = 0.0


class Radio(Network):
    Host = Station

    def __init__(self, seed=None):
        super().__init__()
        self.chance = random.Random(seed)
        self.stations = []
        self.still = 0.0
        self.over = False
        self.passed = self.dropped = 0
        self.longest = 0.0
        self.ways = collections.defaultdict(list)
        self.selector = selectors.DefaultSelector()
        self.wake, self.woken = os.pipe()
        self.lock = threading.Lock()

    def __enter__(self):
        if not os.path.exists("/dev/net/tun"):
            raise FileNotFoundError("/dev/net/tun is not there: this kernel has no TAP devices")
        super().__enter__()
        self.selector.register(self.wake, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self.relay, daemon=True)
        self.thread.start()
        return self

    def host(self):
        station = super().host()
        with self.lock:
            for other in self.stations:
                self.ways[station].append(Way(other))
                self.ways[other].append(Way(station))
            self.stations.append(station)
            self.selector.register(station.tap, selectors.EVENT_READ, station)
        os.write(self.woken, b".")
        return station

    def stand_still(self, seconds):
        """Nothing passes from now on, for so long."""
        with self.lock:
            self.still = time.monotonic() + seconds

    def relay(self):
        timeout = None
        while not self.over:
            for key, _ in self.selector.select(timeout):
                if key.data is None:
                    os.read(self.wake, 64)
                else:
                    self.take(key.data)
            timeout = self.deliver()

    def take(self, station):
        """Frames that a host sends. What is for one of the others is not heard by the rest, but that is for their devices to say."""
        while True:
            try:
                frame = os.read(station.tap, 2_048)
            except (BlockingIOError, OSError):
                return
            now = time.monotonic()
            with self.lock:
                for way in self.ways[station]:
                    if way.octets + len(frame) > BUFFER:
                        self.dropped += 1
                        continue
                    # Nothing overtakes what was sent before.
                    way.last = max(way.last, now + self.chance.uniform(LEAST, MOST))
                    way.frames.append((way.last, now, frame))
                    way.octets += len(frame)

    def deliver(self):
        """What has arrived; how long until the next does."""
        now = time.monotonic()
        with self.lock:
            still = self.still
            if still > now:
                return min(0.05, still - now)
            soonest = None
            for way in (way for ways in self.ways.values() for way in ways):
                while way.frames and way.frames[0][0] <= now:
                    _, sent, frame = way.frames.popleft()
                    way.octets -= len(frame)
                    self.longest = max(self.longest, now - sent)
                    try:
                        os.write(way.to.tap, frame)
                        self.passed += 1
                    except OSError:
                        self.dropped += 1
                if way.frames:
                    soonest = min(soonest or way.frames[0][0], way.frames[0][0])
        # A new burst is noticed soon, and so is what comes from a device.
        return None if soonest is None else max(0, soonest - now)

    def close(self):
        if not self.over:
            self.over = True
            os.write(self.woken, b".")
            if hasattr(self, "thread"):
                self.thread.join(5)
            for station in self.stations:
                os.close(station.tap)
        super().close()
