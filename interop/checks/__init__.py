"""What `interop/check` runs: each module has `jobs()`, pairs of a name and a function of a Report."""

import contextlib
import io
import sys
import time
import traceback

import harness
from netns import Network

PEERS = ["zyre", "pyre", "zyre.js", "ingescape"]


class GivenUp(Exception):
    """A check failed without which the rest of the job has no meaning."""


class Report:
    """What one job found out; printed as a whole, because jobs run side by side."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failed = 0
        self.lines = io.StringIO()
        self.began = time.monotonic()
        self.watched = []
        # More options for the node with a name, besides what a job gives it.
        self.options = lambda name: []

    def say(self, line):
        print(line, file=self.lines)

    def check(self, what, action):
        """Runs an action; what it returns is told beside `ok`. True when it passed."""
        began = time.monotonic()
        try:
            seen = action()
        except Exception as error:
            self.fail(f"{what}: {error} (after {time.monotonic() - began:.1f} s)", error)
            return False
        self.passed += 1
        self.say(f"  ok     {what}" + (f": {seen}" if isinstance(seen, str) else ""))
        return True

    def fail(self, what, error):
        self.failed += 1
        self.say(f"  FAILED {what}")
        if not isinstance(error, AssertionError):
            self.say(traceback.format_exc())
        for peer in self.watched:
            self.tell(peer)

    def must(self, what, action):
        if not self.check(what, action):
            raise GivenUp

    def watch(self, *peers):
        """Peers whose last events and logs are told when something fails."""
        self.watched += peers

    @contextlib.contextmanager
    def network(self, kind=Network):
        """A network whose nodes end with it."""
        self.watched.clear()
        with kind() as net:
            try:
                yield net
            except GivenUp:
                raise
            except Exception as error:
                self.fail(f"{self.name}: {error}", error)
                raise GivenUp from error
            finally:
                for peer in self.watched:
                    peer.kill()
                self.watched.clear()

    def run(self, function):
        try:
            function(self)
        except GivenUp:
            self.say("         the rest of this job was not reached")
        except Exception as error:
            self.fail(f"{self.name}: {error}", error)
        return self

    def tell(self, peer):
        with contextlib.suppress(Exception):
            peer.gather(0.01)
        began = self.began
        self.say(f"    {peer.name} ({peer.kind}), status {peer.process.poll()}, heard last:")
        for event in peer.events[-14:]:
            shown = {k: v for k, v in event.items() if k not in ("seen", "peer", "headers")}
            self.say(f"      {event['seen'] - began:8.3f} {str(shown)[:240]}")
        if peer.log:
            with open(peer.log, errors="replace") as log:
                for line in log.readlines()[-25:]:
                    self.say(f"      | {line.rstrip()[:300]}")


def ms(event, since):
    return f"{round((event['seen'] - since) * 1000)} ms"


def check_zero(status):
    assert status == 0, f"exit status {status}"


def end(peer, how="command"):
    check_zero(peer.stop(how))


def close_all():
    """Ends every driver that still runs, whatever it is doing; none starts any more."""
    with harness.starting:
        harness.closed = True
    for peer in list(harness.running):
        with contextlib.suppress(Exception):
            peer.kill()


sys.dont_write_bytecode = True
