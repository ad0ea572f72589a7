"""Servers that announce themselves and clients that find them, each on a host of its own; hello with pyzmq in either place."""

import functools
import json
import os
import queue
import signal
import subprocess
import threading
import time

import harness
from netns import ip

HELLO = [harness.PYTHON, "-B", os.path.join(harness.HERE, "peers", "hello.py")]
CLIENTS = 5


class Program:
    """A program on a host, whose lines are read as they come."""

    def __init__(self, host, argv):
        self.process = host.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def line(self, within=20):
        return self.lines.get(timeout=within)

    def event(self, name, within=20):
        end = time.monotonic() + within
        while True:
            line = json.loads(self.line(max(end - time.monotonic(), 0.01)))
            if line["event"] == name:
                return line

    def end(self, within=30):
        """How it ended by itself: exit code and what it said to stderr."""
        code = self.process.wait(within)
        return code, self.process.stderr.read()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(20)


def announce(host, where="tcp://*:0", service="printing", *more):
    argv = [harness.ATONCE, "announce", service, where, "--json", *more]
    server = Program(host, argv)
    return server, server.event("start")


def find(host, name, *more):
    return Program(host, [harness.ATONCE, "find", "printing", "--name", name, "--wait", "30", "--json", *more])


def welcome(client):
    told = client.event("welcome")
    code, said = client.end()
    assert code == 0, f"exit code {code}: {said}"
    return told["endpoint"]


def kill(*programs):
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
        program.process.wait()


# AUTO-20, AUTO-21, AUTO-32, AUTO-50, AUTO-51
def orders(report):
    with report.network() as net:
        hosts = [net.host() for _ in range(CLIENTS + 1)]

        def order(place):
            clients, server = [], None
            for n in range(CLIENTS + 1):
                if n == place:
                    server, _ = announce(hosts[n])
                else:
                    clients.append(find(hosts[n], f"client{len(clients)}"))
                time.sleep(0.2)
            began = time.monotonic()
            endpoints = {welcome(client) for client in clients}
            took = time.monotonic() - began
            names = sorted(server.event("hello")["name"] for _ in clients)
            assert names == [f"client{n}" for n in range(CLIENTS)], names
            assert len(endpoints) == 1 and hosts[place].address in endpoints.pop()
            assert server.stop() == 0
            return f"{round(took * 1000)} ms after the last had started"

        for place in range(CLIENTS + 1):
            report.check(f"five clients find the server that starts as number {place + 1}", functools.partial(order, place))


# AUTO-34, AUTO-35, AUTO-53, AUTO-54
def comes_back(report):
    with report.network() as net:
        first, second, where = net.host(), net.host(), net.host()
        server, start = announce(first)
        report.must("a client finds the server", lambda: welcome(find(where, "one")))

        def again(host, port):
            nonlocal server
            kill(server)
            server, _ = announce(host, f"tcp://*:{port}")
            client = find(where, "again")
            endpoint = welcome(client)
            assert endpoint == f"tcp://{host.address}:{port}", endpoint
            return endpoint

        port = int(start["endpoints"][0].rsplit(":", 1)[1])
        report.check("killed, it comes back on its port", lambda: again(first, port))
        report.check("killed, it comes back on another port", lambda: again(first, 50_054))
        report.check("killed, it comes back on another address", lambda: again(second, 50_054))

        def watched():
            watch = Program(where, [harness.ATONCE, "find", "printing", "--watch", "--json"])
            instance = watch.event("found")["instance"]
            assert server.stop() == 0
            lost = watch.event("lost", within=5)
            assert (lost["instance"], lost["reason"]) == (instance, "left"), lost
            assert watch.stop(signal.SIGINT) == 0

        report.check("stopped, it says goodbye", watched)


# AUTO-10, AUTO-38
def six(report):
    with report.network() as net:
        hosts = [net.host() for _ in range(3)]
        for host in hosts:
            ip("-n", host.namespace, "address", "flush", "dev", host.device, "scope", "global")
        # Until its address is known to be nobody else's nothing can be sent from it.
        time.sleep(3)
        server, start = announce(hosts[0])
        for n, host in enumerate(hosts[1:]):

            def greets(host=host, n=n):
                endpoint = welcome(find(host, f"six{n}"))
                assert endpoint.startswith("tcp://[fe80::"), endpoint
                assert server.event("hello")["name"] == f"six{n}"
                return endpoint

            report.check(f"without IPv4 client {n + 1} finds it at an address of the link", greets)

        def of_the_link():
            assert all("[fe80::" in endpoint for endpoint in start["endpoints"]), start

        report.check("it announced no other", of_the_link)
        assert server.stop() == 0


# AUTO-50, AUTO-51, AUTO-52
def pyzmq(report):
    with report.network() as net:
        one, two = net.host(), net.host()
        server, start = announce(one)

        def their_req():
            asked = Program(two, [*HELLO, "req", start["endpoints"][0], "pyzmq HI"])
            assert asked.line() == "OK"
            assert server.event("hello")["name"] == "pyzmq"

        report.check("a REQ of pyzmq is answered by our server", their_req)
        assert server.stop() == 0

        def their_rep(answer, code, event):
            rep = Program(one, [*HELLO, "rep", "tcp://*:50055", answer])
            assert rep.line() == "bound"
            ours, _ = announce(one, "tcp://*:50055", "printing", "--no-bind")
            client = find(two, "client0")
            assert rep.line() == "client0 HI"
            told = client.event(event)
            found, said = client.end()
            assert found == code, f"exit code {found}: {said}"
            assert ours.stop() == 0
            kill(rep)
            return str(told.get("content", ""))

        report.check("a REP of pyzmq welcomes our client", lambda: their_rep("OK", 0, "welcome"))
        report.check("another answer of it is told", lambda: their_rep("NO ROOM", 1, "answered"))


def jobs():
    yield "autoconf orders", orders
    yield "autoconf comes back", comes_back
    yield "autoconf ipv6", six
    yield "autoconf pyzmq", pyzmq
