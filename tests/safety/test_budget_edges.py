"""The names of all paths and their parts: the words that a technician reads are found by them."""

from __future__ import annotations

import pytest

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
        budget.heat(6.0, 10.0, 60.0, 0.02),
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


def test_the_longest_second_reading_of_the_others_counts() -> None:
    """Where one other port shows a hazard, it is the one whose meter takes longest."""
    quick, slow = MeterTiming(OWN.line, fast=(4,)), MeterTiming(OWN.line, fast=(20, 40))
    for others in ([quick, slow], [slow, quick]):
        found_s = budget.others_s(others, 0, again=False)
        assert found_s == pytest.approx(quick.fast_s + 2 * slow.fast_s)


def test_the_first_block_stamps_a_reading_and_the_longest_is_waited_for() -> None:
    """A meter of two blocks: sampled with the first one, and silent at worst in the larger one."""
    for fast in ((20, 40), (40, 20)):
        meter = MeterTiming(OWN.line, fast=fast, slow=(4,))
        assert meter.sample_s == OWN.line.transaction_s(fast[0])
        assert meter.dead_s == pytest.approx(OWN.line.dead_s(40) + meter.fast_s + meter.slow_s)


def test_a_weld_is_seen_in_rounds_of_the_whole_bus() -> None:
    """Two readings, each after everybody's turn and a second reading of one other port; one round is begun in vain."""
    found = budget.weld(OWN, [OWN, OWN], 0, LIMITS, 0.1)
    samples = next(term for term in found.terms if term.name == "samples")
    assert samples.seconds == pytest.approx(2 * (OWN.full_s + 3 * OWN.fast_s) + OWN.full_s)


def test_a_meter_slower_than_its_age_limit_leaves_no_time_to_wait() -> None:
    """Its port is cut by age before anybody else has a turn; no wait is shorter than none."""
    found = budget.seen(OWN, [OWN], 0, PortLimits(meter_max_age_s=0.1), 0.02)
    assert next(term for term in found.terms if term.name == "wait").seconds == 0.0


def test_the_figures_that_everything_is_computed_from() -> None:
    """Each is in its source: standard, data sheet or measurement."""
    assert (budget.FIXED_SILENCE_ABOVE_BAUD, budget.FIXED_SILENCE_S) == (19_200, 0.001_75)
    assert (budget.LATENESS_S, budget.MIN_QUIET_S, budget.WAKE_LATE_S) == (0.04, 0.2, 0.01)
    assert (budget.REQUEST_BYTES, budget.OVERHEAD_BYTES) == (8, 5)
    assert (budget.TICK_S, budget.TICK_LATE_S, budget.CONVERSION_S) == (0.05, 0.01, 0.8)
    assert (budget.BULK_LIMIT_S, budget.ADC_READ_S, budget.MODULE_BYTES) == (1.0, 0.1, 16)
    assert (budget.ENERGY_APART, budget.SHOWN_MULTIPLES) == (3, (1.1, 1.2, 1.4))
    assert (MeterTiming(OWN.line, (20,)).refresh_s, MeterTiming(OWN.line, (20,)).again) == (1.0, True)
