"""Worn packs and failed chargers, by slope."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.blocks import Block
from safety.completion_limits import CompletionLimits
from safety.low import is_low
from safety.past import Past, remember
from safety.tail import Tail, watch_tail
from safety.verdict import Verdict

LIMITS = CompletionLimits()


def watch(*means_w: float, limits: CompletionLimits = LIMITS) -> tuple[Tail, int | None, Verdict | None]:
    """Return the tail, and after how many blocks there was which verdict."""
    past, tail = Past(), Tail()
    for i, mean_w in enumerate(means_w):
        past = remember(past, Block(mean_w, disturbed=False), limits, hold_plateau=False)
        tail, verdict = watch_tail(tail, past, limits, low=is_low(past, limits))
        if verdict is not None:
            return tail, i + 1, verdict
    return tail, None, None


def ramp(first_w: float, last_w: float, blocks: int) -> list[float]:
    """Return ``blocks`` levels from ``first_w`` (left out) to ``last_w``, geometrically: a taper."""
    return [first_w * (last_w / first_w) ** ((i + 1) / blocks) for i in range(blocks)]


CC = (100.0,) * 20


@pytest.mark.parametrize(("to_w", "tapered"), [(86.0, False), (84.0, True)])
def test_a_smooth_fall_makes_a_taper(to_w: float, tapered: bool) -> None:  # noqa: FBT001 - a table of facts
    """From 15 % on, by the mean of three blocks."""
    tail, _, _ = watch(*CC, *ramp(100, to_w, 12), to_w, to_w)
    assert tail.tapered is tapered


def test_a_step_makes_no_taper() -> None:
    """Derating by any amount, in one block or over two, is no fall."""
    for levels in ((80.0,), (70.0,), (85.0, 70.0), (60.0, 40.0)):
        tail, _, _ = watch(*CC, *levels, *(levels[-1],) * 60)
        assert not tail.tapered


def test_little_power_is_no_taper() -> None:
    """What happens below the threshold of full is another rule's business: standby may fall as it likes."""
    tail, _, _ = watch(*CC, *(11.0,) * 5, *ramp(11, 2, 40))
    assert not tail.tapered


def test_a_taper_is_remembered_until_power_comes_back() -> None:
    """The turn-over after it is part of it; a return to constant current ends it."""
    taper = (*CC, *ramp(100, 30, 60))
    assert watch(*taper, 3.0, 3.0)[0].tapered
    assert not watch(*taper, 3.0, 3.0, *(100.0,) * 3)[0].tapered
    assert watch(*taper, 33.0, 33.0)[0].tapered


@pytest.mark.parametrize(
    ("loss", "found"), [(0.0315, False), (0.0285, True), (0.0, True)], ids=["tapering", "slow", "level"]
)
def test_a_plateau_in_the_tail(loss: float, found: bool) -> None:  # noqa: FBT001 - a table of facts
    """Losing less than 3 % in 20 min for 8 min: a pack that will never turn over. Those that do lose 5 %."""
    per_block = (1 - loss) ** (1 / 20)
    level = [50 * per_block**i for i in range(60)]
    _, at, verdict = watch(*CC, *ramp(100, 50, 40), *level)
    assert (verdict is not None) is found
    if verdict is not None:
        assert verdict.reason == "plateau"
        assert at is not None
        assert at > 60 + 20 + 7


def test_the_detail_of_a_plateau() -> None:
    """Where it stands, for how long, and from where it came."""
    _, at, verdict = watch(*CC, *ramp(100, 50, 40), *ramp(50, 49, 60))
    assert verdict is not None
    assert verdict.reason == "plateau"
    assert verdict.detail.endswith(" W, level for 28.0 min, down from 100 W")
    assert 49.0 <= float(verdict.detail.split()[0]) <= 49.5
    assert at is not None
    assert 60 + 20 + 7 < at < 60 + 30 + 8


@pytest.mark.parametrize(("level_w", "found"), [(69.0, True), (70.0, True), (71.0, False)])
def test_high_levels_are_no_plateau(level_w: float, found: bool) -> None:  # noqa: FBT001 - a table of facts
    """Worn iron-phosphate packs hold more than 70 % for a while at constant voltage."""
    _, _, verdict = watch(*CC, *ramp(100, level_w, 30), *(level_w,) * 60)
    assert (verdict is not None) is found


def test_a_level_after_derating_is_no_plateau() -> None:
    """Without a smooth fall nothing in the tail is judged: derating, two-step chargers, iron-phosphate packs."""
    for level_w in (30.0, 60.0, 80.0):
        assert watch(*CC, *(level_w,) * 200)[2] is None


def test_a_step_in_the_tail_starts_the_wait_again() -> None:
    """Six minutes to settle, then thirty of history: a neighbour's load does not make a plateau."""
    level = (*CC, *ramp(100, 50, 40), *(50.0,) * 20)
    _, at, verdict = watch(*level, *(52.5,) * 80)
    assert verdict is not None
    assert verdict.reason == "plateau"
    assert at == len(level) + 1 + 6 + 30 + 7


def test_a_small_step_is_no_fall_and_hides_none() -> None:
    """The marks of the stage move along: 5 % up in the taper leaves the 50 % of fall what they were."""
    taper = (*CC, *ramp(100, 50, 40), *(50.0,) * 4)
    before, after = watch(*taper)[0], watch(*taper, 55.0)[0]
    assert after.crest_w == pytest.approx(before.crest_w * 1.1)
    assert after.age == before.age + 1
    assert after.tapered


@pytest.mark.parametrize(("factor", "new"), [(1.24, False), (1.26, True), (0.76, False), (0.74, True)])
def test_a_large_step_begins_a_new_stage(factor: float, new: bool) -> None:  # noqa: FBT001 - a table of facts
    """From a quarter on it is derating, a second stage or a turn-over."""
    tail, _, _ = watch(*CC, 100 * factor)
    assert (tail.age == 0) is new
    assert tail.crest_w == pytest.approx(100 * factor)


def test_rising_in_the_tail() -> None:
    """8 % above the tail's least mean for 12 min is a pack that heats itself; the alarm comes before the plateau."""
    session = (*CC, *ramp(100, 60, 30), *ramp(60, 80, 30), *ramp(80, 95, 15))
    _, at, verdict = watch(*session)
    assert verdict is not None
    assert verdict.reason == "rising"
    assert at is not None
    assert at < len(session)
    assert "at its lowest, 100 W at first" in verdict.detail


def test_rising_back_to_constant_current_is_still_rising() -> None:
    """Once there was a tail its least power stays the measure, however high the power climbs."""
    session = (*CC, *ramp(100, 82, 12), *ramp(82, 99, 20), *(99.0,) * 20)
    _, _, verdict = watch(*session)
    assert verdict is not None
    assert verdict.reason == "rising"


@pytest.mark.parametrize(("to", "found"), [(1.079, False), (1.081, True)])
def test_a_little_rise_is_no_alarm(to: float, found: bool) -> None:  # noqa: FBT001 - a table of facts
    """8 % above the least ten-minute mean, for twelve blocks in a row."""
    no_plateau = replace(LIMITS, flat_hold_s=86_400.0)
    session = (*CC, *ramp(100, 60, 30), *(60.0,) * 20, *ramp(60, 60 * to, 10))
    assert watch(*session, *(60 * to,) * 18, limits=no_plateau)[2] is None
    _, at, verdict = watch(*session, *(60 * to,) * 60, limits=no_plateau)
    assert (verdict is not None) is found
    if found:
        assert at == len(session) + 8 + 11


def rise(first_w: float, last_w: float, blocks: int) -> list[float]:
    """Return a rise from constant current to its top."""
    return ramp(first_w, last_w, blocks)


@pytest.mark.parametrize(("rise_to", "found"), [(105.5, True), (104.5, False)])
def test_power_that_rose_and_never_falls(rise_to: float, found: bool) -> None:  # noqa: FBT001 - a table of facts
    """A rise of 5 % within three hours and then nothing for 90 min: a charger without limit."""
    session = (*(100.0,) * 60, *rise(100, rise_to, 60), *(rise_to,) * 180)
    _, at, verdict = watch(*session)
    assert (verdict is not None) is found
    if verdict is not None:
        assert verdict.reason == "no_taper"
        assert at is not None
        assert 120 + 90 <= at <= 120 + 100


def test_the_detail_of_no_taper() -> None:
    """Where it stands and how far it had risen."""
    _, _, verdict = watch(*(100.0,) * 60, *rise(100, 130, 60), *(129.0,) * 60, *(127.0,) * 120)
    assert verdict == Verdict("no_taper", "127 W, risen to 129 W and not fallen since")


def test_a_rise_at_the_start_does_not_count() -> None:
    """Iron-phosphate packs rise in the first 45 min and are flat for hours while charging properly."""
    assert watch(*rise(90, 100, 44), *(100.0,) * 400)[2] is None


def test_a_rise_long_before_does_not_count() -> None:
    """Only what happened within three hours before the top."""
    slow = rise(100, 108, 400)  # 3.5 % in three hours
    assert watch(*(100.0,) * 60, *slow, *(108.0,) * 180)[2] is None


def test_power_that_still_rises_is_charging() -> None:
    """0.3 % more than the top is a new top."""
    session = (*(100.0,) * 60, *rise(100, 110, 60), *rise(110, 114, 300))
    assert watch(*session)[2] is None


def test_power_that_falls_is_tapering() -> None:
    """Losing 3 % in 20 min at the end, or 15 % since the top, is no failed charger."""
    session = (*(100.0,) * 60, *rise(100, 110, 60), *ramp(110, 30, 400))
    _, _, verdict = watch(*session)
    assert verdict is None or verdict.reason != "no_taper"
    stepped = (*(100.0,) * 60, *rise(100, 110, 60), *(110.0,) * 40, *(95.0,) * 200)
    assert watch(*stepped)[2] is not None  # a small step moves the marks: the top is 95 W now and it stays there
    stepped = (*(100.0,) * 60, *rise(100, 110, 60), *(110.0,) * 40, *(93.0,) * 200)
    assert watch(*stepped)[2] is None  # but not as low as 85 % of plateau: that is a taper in steps
    fallen = (*(100.0,) * 60, *rise(100, 110, 60), *(60.0,) * 300)
    assert watch(*fallen)[2] is None  # a large one begins a new stage, which is level from its start


def test_a_strong_float_is_full() -> None:
    """A turn-over out of a taper to below 30 % of plateau that does not rise, for 45 min."""
    turned = (*CC, *ramp(100, 45, 60), *ramp(25, 20, 60))
    _, at, verdict = watch(*turned)
    assert verdict == Verdict("full", verdict.detail if verdict else "")
    assert at == 80 + 1 + 45
    assert verdict is not None
    assert "float for 45.0 min after a taper, plateau 100 W" in verdict.detail


@pytest.mark.parametrize(
    "after", [ramp(31, 30.5, 80), ramp(25, 27, 80), ramp(25, 60, 80)], ids=["too strong", "rising", "charging"]
)
def test_a_last_stage_is_no_float(after: list[float]) -> None:
    """A multi-stage charger's last stage rises, or takes more than 30 %."""
    _, _, verdict = watch(*CC, *ramp(100, 45, 60), *after)
    assert verdict is None or verdict.reason != "full"


def test_a_second_stage_without_a_taper_is_no_float() -> None:
    """A two-step charger goes from constant current to a lower constant current."""
    assert watch(*CC, *(25.0,) * 200)[2] is None


def test_bins_are_means_of_five_blocks_after_three_quarters_of_an_hour() -> None:
    """What rises at the start is not remembered; a small step moves even the bin that is being filled."""
    tail, _, _ = watch(*rise(90, 100, 46), *(100.0,) * 10)
    assert (tail.age, tail.bins_w, tail.bin_count) == (55, (100.0, 100.0), 0)
    tail, _, _ = watch(*(100.0,) * 54)
    assert (tail.bins_w, tail.bin_w, tail.bin_count) == ((100.0,), 300.0, 3)
    tail, _, _ = watch(*(100.0,) * 54, 110.0)
    assert tail.bins_w == pytest.approx((110.0,))
    assert tail.bin_count == 4
    assert tail.bin_w == pytest.approx(440.0)


def test_memory_is_bounded() -> None:
    """After sixteen hours the long memory still holds eight."""
    tail, _, _ = watch(*(100.0 + 0.01 * i for i in range(960)))
    assert len(tail.bins_w) == 96
