"""The tail's rules at their limits, on states made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.completion_limits import CompletionLimits
from safety.past import Past
from safety.tail import Tail, watch_tail
from safety.verdict import Verdict

LIMITS = CompletionLimits()
EXACT = replace(
    LIMITS,
    fall_share=0.25,
    large_step_share=0.5,
    rising_share=0.25,
    rise_share=0.25,
    no_rise_share=0.25,
    flat_share=0.25,
)
#: Two and a half hours of bins that would be a failed charger: 80 W, a top of 100 W, and 100 W since.
BINS = ((80.0,) * 6, (100.0,) * 19)


def bins_verdict(before_w: tuple[float, ...], after_w: tuple[float, ...]) -> Verdict | None:
    """Return the verdict on a long memory, all else being quiet."""
    tail = Tail(age=1, crest_w=1.0, bins_w=before_w + after_w)
    return watch_tail(tail, Past(means_w=(100.0,), plateau_w=100.0, count=9, quiet=1), EXACT, low=False)[1]


def test_the_long_memory_at_its_limits() -> None:
    """Rise reached, top passed, fall reached, level kept: one bin decides."""
    before_w, after_w = BINS
    assert bins_verdict(before_w, after_w) is not None
    assert bins_verdict((80.0, *(100.0,) * 5), after_w) is not None
    assert bins_verdict((80.1,) * 6, after_w) is None  # a rise of less than a quarter
    assert bins_verdict(before_w, (100.0,) * 18) is None  # nothing before the last 90 min rose
    assert bins_verdict(before_w, (100.0, 125.0, *(100.0,) * 17)) is not None
    assert bins_verdict(before_w, (100.0, 125.1, *(100.0,) * 17)) is None  # still rising
    assert bins_verdict(before_w, (100.0, 75.1, *(100.0,) * 17)) is not None
    assert bins_verdict(before_w, (100.0, 75.0, *(100.0,) * 17)) is None  # fallen
    assert bins_verdict((70.0, *(99.0,) * 36, 100.0), after_w) is None  # risen more than three hours before the top
    assert bins_verdict((70.0, *(99.0,) * 35, 100.0), after_w) is not None
    assert bins_verdict((*(100.0,) * 5, 80.0), after_w) is None  # the top came before the rise


def test_the_last_half_hour_of_the_long_memory_is_level() -> None:
    """The last two bins against the two of twenty minutes before."""
    before_w, after_w = BINS
    for last_w, found in ((76.0, True), (75.1, True)):
        assert (bins_verdict(before_w, (*after_w[:-2], last_w, last_w)) is not None) is found
    high = (*after_w[:-6], 110.0, 110.0, 80.0, 80.0)
    assert bins_verdict(before_w, (*high, 90.0, 76.0)) is not None  # 166 against 165
    assert bins_verdict(before_w, (*high, 89.0, 76.0)) is None  # 165 against 165


def test_a_state_begins_empty() -> None:
    """No stage, no tail."""
    assert Tail() == Tail(0, 0.0, None, False, False, 0, 0, 0.0, 0, ())  # noqa: FBT003 - every field in order


STAGE = Tail(age=30, crest_w=100.0, least_w=60.0, tapered=True, flat=5, rising=5)


def quiet_past(level_w: float, quiet: int) -> Past:
    """Return a past at a level, ``quiet`` blocks after a step."""
    return Past(means_w=(level_w,) * 30, plateau_w=100.0, count=90, quiet=quiet)


@pytest.mark.parametrize(("level_w", "quiet", "tapered"), [(75.0, 3, True), (75.1, 3, False), (75.0, 2, False)])
def test_the_fall_is_reached_by_the_mean_of_three_blocks(level_w: float, quiet: int, tapered: bool) -> None:  # noqa: FBT001
    """A quarter here, and only when three blocks are quiet."""
    tail, _ = watch_tail(Tail(age=30, crest_w=100.0), quiet_past(level_w, quiet), EXACT, low=False)
    assert tail.tapered is tapered
    mixed = Past(means_w=(500.0,) * 27 + (80.0, 75.0, 70.0), plateau_w=100.0, count=90, quiet=3)
    assert watch_tail(Tail(age=30, crest_w=100.0), mixed, EXACT, low=False)[0].tapered


@pytest.mark.parametrize(("quiet", "flat", "rising"), [(15, 5, 5), (16, 0, 6), (35, 0, 6), (36, 6, 6)])
def test_slopes_need_blocks_that_have_settled(quiet: int, flat: int, rising: int) -> None:
    """Six to settle and ten for a mean, twenty more for the comparison."""
    stage = replace(STAGE, least_w=40.0)
    tail, _ = watch_tail(stage, quiet_past(60.0, quiet), LIMITS, low=False)
    assert (tail.flat, tail.rising) == (flat, rising)


def test_the_least_power_is_of_the_mean() -> None:
    """It falls with the tail; an eighth here is reached, not passed."""
    tail, _ = watch_tail(replace(STAGE, least_w=None), quiet_past(60.0, 16), EXACT, low=False)
    assert tail.least_w == 60.0
    assert watch_tail(replace(STAGE, least_w=48.0), quiet_past(60.0, 16), EXACT, low=False)[0].rising == 0
    assert watch_tail(replace(STAGE, least_w=47.9), quiet_past(60.0, 16), EXACT, low=False)[0].rising == 6
    assert watch_tail(replace(STAGE, least_w=70.0), quiet_past(60.0, 16), EXACT, low=False)[0].least_w == 60.0


def test_losing_exactly_the_share_is_no_plateau() -> None:
    """A quarter here."""
    for now_w, flat in ((48.0, 0), (48.1, 6)):
        past = Past(means_w=(*(64.0,) * 20, *(now_w,) * 10), plateau_w=100.0, count=90, quiet=36)
        assert watch_tail(replace(STAGE, rising=0), past, EXACT, low=False)[0].flat == flat


def test_a_step_and_low_power_end_the_counts() -> None:
    """What was level or rising before them is not after."""
    stepped = replace(quiet_past(66.0, 0), step=1.1)
    tail, _ = watch_tail(STAGE, stepped, LIMITS, low=False)
    assert (tail.flat, tail.rising, tail.age) == (0, 0, 31)
    assert tail.least_w == pytest.approx(66.0)
    tail, _ = watch_tail(STAGE, quiet_past(5.0, 20), LIMITS, low=True)
    assert (tail.flat, tail.rising, tail.least_w, tail.tapered) == (0, 0, None, True)


def test_a_stage_begins_at_half_as_much_or_half_more() -> None:
    """Reached is enough; only a step down keeps the taper and may be a float."""
    for step, tapered in ((0.5, True), (1.5, False)):
        tail, _ = watch_tail(STAGE, replace(quiet_past(50.0, 0), step=step), EXACT, low=False)
        assert (tail.age, tail.crest_w, tail.tapered, tail.floats) == (0, 50.0, tapered, tapered)
    assert watch_tail(STAGE, replace(quiet_past(50.0, 0), step=0.51), EXACT, low=False)[0].age == 31
    first, _ = watch_tail(STAGE, Past(means_w=(80.0,), count=1), LIMITS, low=False)
    assert first == Tail(crest_w=80.0)
    second, _ = watch_tail(Tail(crest_w=80.0), Past(means_w=(80.0, 80.0), count=2, quiet=1), LIMITS, low=False)
    assert second.age == 1


@pytest.mark.parametrize(
    ("level_w", "crest_w", "age", "found"),
    [
        (25.0, 25.0, 45, True),
        (25.0, 25.0, 44, False),
        (25.1, 25.0, 45, False),
        (30.0, 35.0, 45, True),
        (30.1, 35.0, 45, False),
    ],
)
def test_a_strong_float_at_its_limits(level_w: float, crest_w: float, age: int, found: bool) -> None:  # noqa: FBT001
    """45 blocks, not above where it began, not above 30 % of plateau."""
    tail = Tail(age=age - 1, crest_w=crest_w, tapered=True, floats=True)
    _, verdict = watch_tail(tail, quiet_past(level_w, 2), LIMITS, low=False)
    assert (verdict is not None) is found
    if verdict is not None:
        assert verdict == Verdict("full", f"{level_w:.1f} W of float for 45.0 min after a taper, plateau 100 W")


def test_the_detail_of_rising() -> None:
    """Where it stands now, its least power and the crest of the stage."""
    past = Past(means_w=(*(60.0,) * 20, *(80.0,) * 9, 81.0), plateau_w=100.0, count=90, quiet=20)
    _, verdict = watch_tail(replace(STAGE, rising=11), past, LIMITS, low=False)
    assert verdict == Verdict("rising", "81.0 W, 60.0 W at its lowest, 100 W at first")
