"""Every case, in the order in which they run."""

import dataclasses
from collections.abc import Callable

from .bench import PEAK

CASES = {}


@dataclasses.dataclass
class Case:
    name: str
    what: str
    attack: Callable
    # Events beside those of the healthy peer and the newcomers: how often, or (least, most).
    events: dict
    options: list
    descriptors: int | None
    peak: int
    newcomer_during: bool
    driven: bool                    # `run` instead of `listen --echo`
    piped: bool                     # the application's output can be held up
    deaf_resolver: bool             # the node's names are looked up at the attacker, who does not answer


def case(name, what, events=None, options=(), descriptors=None, peak=PEAK, newcomer_during=True, driven=False,
         piped=False, deaf_resolver=False):
    def note(attack):
        CASES[name] = Case(name, what, attack, events or {}, list(options), descriptors, peak, newcomer_during,
                           driven, piped, deaf_resolver)
        return attack
    return note


def of_attackers(entered=1, joined=None, **more):
    """The events of attackers that enter, are in G and are gone in the end; `more` with _ for the blanks."""
    events = {"enter atk": entered, "join atk G": entered if joined is None else joined,
              "exit atk lost": entered}
    events.update({word.replace("_", " "): count for word, count in more.items()})
    return {word: count for word, count in events.items() if count}


from . import messages, identities, resources, zmtp, faults  # noqa: E402,F401
