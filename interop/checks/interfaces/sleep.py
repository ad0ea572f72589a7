"""A process that is stopped for a while, as a machine that sleeps: when it goes on it holds nothing against anybody."""

import time

from checks.interfaces import both_enter, nothing_else, start, talk
from netns import Network

ASLEEP = 20


# ZRE-53
def asleep(report):
    """It would miss others after 5 s, and they it after two minutes: so that whoever exits is its own doing."""
    with report.network(lambda: Network(ipv6=False)) as net:
        anna = start(report, "atonce", "anna", net.host(), "--evasive", 1000, "--expired", 5000)
        patient = ["--evasive", 60_000, "--expired", 120_000]
        others = [start(report, kind, kind, net.host(), *patient) for kind in ("atonce", "zyre")]
        for other in others:
            report.must(f"anna and {other.name} meet", lambda: both_enter(anna, other))
            report.must("they talk", lambda: talk(anna, other))
        anna.freeze()
        for other in others:
            # What waits for it is heard when it goes on.
            other.send(do="whisper", peer=anna.uuid, content=["while you slept"])
        time.sleep(ASLEEP)
        anna.freeze(False)
        began = time.monotonic()
        for other in others:
            report.check(f"{other.name} is heard that spoke meanwhile",
                         lambda: anna.expect(event="whisper", peer=other.uuid, content=["while you slept"], anywhere=True) and None)
        anna.gather(8)

        def told():
            for other in others:
                nothing_else(anna, other)
                nothing_else(other, anna)
                talk(anna, other)
            return f"for {time.monotonic() - began:.0f} s"

        report.check(f"stopped for {ASLEEP} s, which is four times as long as it waits for others: nobody went, nobody was evasive", told)


def jobs():
    yield "a process that is stopped", asleep
