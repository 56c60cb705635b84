"""The names of all paths and their parts: the words that a technician reads are found by them."""

from __future__ import annotations

from safety import budget
from safety.budget import MeterTiming, line_timing
from safety.limits import PortLimits

LIMITS = PortLimits()
OWN = MeterTiming(line_timing(9600, "N", 1, 0.1), fast=(20,))
END = ["tick", "release"]


def test_every_path_and_every_part_has_its_name() -> None:
    """From the hazard to the relay, in this order."""
    dwelling = budget.dwelling(OWN, [OWN], 1, LIMITS, 0.02)
    paths = [
        budget.seen(OWN, [OWN], 1, LIMITS, 0.02),
        budget.silence(OWN, LIMITS, 0.02),
        budget.contact(0.1, 0.02),
        budget.contact(0.1, 0.02, "smoke"),
        *dwelling,
        budget.weld(OWN, [], 0, LIMITS, 0.1),
        budget.heat(4, 2.0, 10.0, 60.0, 0.02),
    ]
    found = [(path.name, [term.name for term in path.terms]) for path in paths]
    borne = ["refresh", "missed", "wait", "first", "dwell", *END]
    assert found == [
        ("seen", ["refresh", "missed", "wait", "first", "confirm", *END]),
        ("silence", ["refresh", "sample", "age", "unconfirmed", *END]),
        ("contact", ["look", "debounce", *END]),
        ("smoke", ["look", "debounce", *END]),
        ("over_current_1.1", borne),
        ("over_current_1.2", borne),
        ("over_current_1.4", borne),
        ("voltage", borne),
        ("weld", ["settle", "refresh", "samples", *END]),
        ("heat", ["probes", "dwell", *END]),
    ]
