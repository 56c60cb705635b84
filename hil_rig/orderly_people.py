"""Who comes to a cabinet in a day, and with what: arrivals by the hour, chargers made up from physics.

The profile is an assumption, not a measurement: people plug in when they come home (18 to 22 h), some at noon, couriers
through the day. So are the shares of chargers that do not start again after a pause and of people who give up waiting.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil_rig import curves
from hil_rig.synthetic import generate

if TYPE_CHECKING:
    from hil_rig.curves import Curve

HOUR_S: Final = 3600.0
#: Arrivals of one hour against those of another, from midnight.
PROFILE: Final = (3, 2, 1, 1, 1, 2, 4, 6, 5, 4, 4, 6, 8, 6, 4, 4, 5, 8, 12, 14, 13, 10, 7, 4)
#: Kinds of made-up sessions (``hil_rig.synthetic_events``) whose charger may be fitted here, and how often.
_KINDS: Final = ("normal", "normal", "normal", "small", "precharge", "derate", "two_step", "hold", "top_off", "pulse")
#: A charger that draws more would be cut by the port's own limit of 6 A; a margin for its meter.
MOST_A: Final = 5.5
#: Shares of all people: a charger that stays off after a pause; who gives up waiting, and after how long on average.
LATCHING: Final = 0.12
_IMPATIENT, _PATIENCE_S = 0.1, 1.5 * HOUR_S
#: Regular customers, by whose card the plan knows the charger, and their share of the arrivals.
_REGULARS, _REGULAR = 12, 0.35
#: A vehicle stays plugged in so long after its charge, seconds.
_STAYS_S: Final = (300.0, 2400.0)


@dataclass(frozen=True, slots=True)
class Person:
    """One arrival. ``latches``: the charger draws nothing after power was gone. ``patience_s`` None: waits on."""

    number: int
    at_s: float
    owner: str
    curve: Curve
    latches: bool
    patience_s: float | None
    stays_s: float


def chargers(count: int, seed: int) -> list[Curve]:
    """Return ``count`` different charges that a port of 6 A and 1000 W can carry."""
    found: list[Curve] = []
    number = seed * 10_000
    while len(found) < count:
        number += 1
        _, curve, _ = generate(number, _KINDS[number % len(_KINDS)])
        if max(curve.amps) <= MOST_A:
            found.append(curve)
    return found


def stored_chargers() -> list[Curve]:
    """Return the stored charges that end by themselves (``hil_rig.curves``) and that such a port can carry."""
    normal = [name for name, label in curves.labels().items() if label["expect"] == "full"]
    return [curve for curve in map(curves.load, normal) if max(curve.amps) <= MOST_A]


def people(count: int, hours: float, fleet: list[Curve], seed: int, *, from_hour: float = 0.0) -> list[Person]:
    """Return ``count`` arrivals within ``hours`` from ``from_hour`` of the day, in order of time."""
    rng = random.Random(f"people {seed}")
    weights = [PROFILE[int(from_hour + minute / 60.0) % 24] for minute in range(max(1, int(hours * 60)))]
    minutes = sorted(rng.choices(range(len(weights)), weights, k=count))
    regulars = [(f"regular-{number}", rng.choice(fleet), rng.random() < LATCHING) for number in range(_REGULARS)]
    arrivals = []
    for number, minute in enumerate(minutes):
        owner, curve, latches = f"guest-{number}", rng.choice(fleet), rng.random() < LATCHING
        if rng.random() < _REGULAR:
            owner, curve, latches = rng.choice(regulars)
        patience_s = rng.expovariate(1 / _PATIENCE_S) if rng.random() < _IMPATIENT else None
        at_s = 60.0 * minute + rng.uniform(0.0, 60.0)
        arrivals.append(Person(number, at_s, owner, curve, latches, patience_s, rng.uniform(*_STAYS_S)))
    return sorted(arrivals, key=lambda one: one.at_s)
