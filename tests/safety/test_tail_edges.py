"""Exact limits of the tail's rules, on memories that are put together by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.completion_limits import CompletionLimits
from safety.past import Past
from safety.tail import Tail, watch_tail

LIMITS = CompletionLimits()


def test_without_a_plateau_nothing_is_flat() -> None:
    """Half a watt that stays is no level of a tail as long as nobody knows what it is a share of."""
    past = Past(means_w=(0.5,) * 40, plateau_w=None, count=41, quiet=40)
    tail, verdict = watch_tail(Tail(age=40, crest_w=1.0, least_w=0.5), past, LIMITS, low=False)
    assert (tail.flat, verdict) == (0, None)


def no_taper(*bins_w: float) -> bool:
    """Return whether the verdict is that the power never fell, after these five-minute means."""
    now_w = bins_w[-1]
    past = Past(means_w=(now_w,) * 20, plateau_w=max(bins_w), count=600, quiet=20)
    tail = Tail(age=600, crest_w=now_w, bins_w=bins_w[:-1], bin_w=4 * now_w, bin_count=4)
    _, verdict = watch_tail(tail, past, LIMITS, low=False)
    return verdict is not None and verdict.reason == "no_taper"


def test_what_was_before_the_top_is_the_rise_and_not_a_fall() -> None:
    """From 100 to 130 W within one bin, and there it stays for an hour and a half: found."""
    assert no_taper(*(100.0,) * 4, *(130.0,) * 20)
    assert no_taper(100.0, *(130.0,) * 20)


def test_without_a_plateau_nothing_is_a_float() -> None:
    """A share of nothing is nothing: 0.2 W for an hour after a turn-over prove no charge."""
    past = Past(means_w=(0.2,) * 40, plateau_w=None, count=100, quiet=2)
    tail = Tail(age=60, crest_w=1.0, tapered=True, floats=True)
    assert watch_tail(tail, past, LIMITS, low=False)[1] is None


def test_without_a_plateau_power_that_rose_and_stays_is_found() -> None:
    """What is high is a share of the plateau; where there is none, nothing is too low."""
    past = Past(means_w=(0.5,) * 20, plateau_w=None, count=600, quiet=20)
    tail = Tail(age=600, crest_w=0.5, bins_w=(0.4, *(0.5,) * 20), bin_w=2.0, bin_count=4)
    _, verdict = watch_tail(tail, past, LIMITS, low=False)
    assert verdict is not None
    assert verdict.reason == "no_taper"


def test_what_came_after_the_top_is_no_rise_before_it() -> None:
    """From the beginning 6 % down, and level: it never rose."""
    assert not no_taper(100.0, *(94.0,) * 20)


def test_the_first_five_minutes_after_the_top_count() -> None:
    """A fall by a fifth right after it is a taper, whatever follows."""
    assert no_taper(90.0, 100.0, 86.0, *(100.0,) * 20)
    assert not no_taper(90.0, 100.0, 80.0, *(100.0,) * 20)


def test_a_taper_stays_one_while_power_is_back_at_the_crest() -> None:
    """Within one stage it is not forgotten."""
    past = Past(means_w=(100.0,) * 10, plateau_w=100.0, count=50, quiet=9)
    tail, _ = watch_tail(Tail(age=40, crest_w=100.0, tapered=True), past, LIMITS, low=False)
    assert tail.tapered


def test_two_quiet_blocks_make_no_tail() -> None:
    """Three are needed to tell a fall from a rough block, whatever the other limits are."""
    quick = replace(LIMITS, settle_s=60.0, mean_s=61.0)
    for quiet, least_w in ((2, None), (3, 50.0)):
        past = Past(means_w=(*(100.0,) * 20, *(50.0,) * 3), plateau_w=100.0, count=23, quiet=quiet)
        tail, _ = watch_tail(Tail(age=22, crest_w=100.0), past, quick, low=False)
        assert tail.least_w == least_w


def test_a_bin_that_is_not_full_is_waited_for() -> None:
    """What is sure after it is not said before it."""
    past = Past(means_w=(130.0,) * 20, plateau_w=130.0, count=600, quiet=20)
    tail = Tail(age=600, crest_w=130.0, bins_w=(*(100.0,) * 4, *(130.0,) * 20), bin_w=130.0, bin_count=1)
    assert watch_tail(tail, past, LIMITS, low=False)[1] is None


@pytest.mark.parametrize(("now_w", "found"), [(85.0, True), (84.9, False)])
def test_far_below_the_plateau_it_is_a_taper_in_steps(now_w: float, *, found: bool) -> None:
    """From 85 W of 100 on a level that never falls is a failed charger's."""
    past = Past(means_w=(now_w,) * 20, plateau_w=100.0, count=600, quiet=20)
    tail = Tail(age=600, crest_w=now_w, bins_w=(75.0, *(now_w,) * 20), bin_w=4 * now_w, bin_count=4)
    verdict = watch_tail(tail, past, LIMITS, low=False)[1]
    assert (verdict is not None) is found


def test_the_crest_climbs_with_the_power() -> None:
    """A fall is measured from the highest power of the stage, not from its first."""
    past = Past(means_w=(110.0,) * 10, plateau_w=110.0, count=50, quiet=9)
    tail, _ = watch_tail(Tail(age=40, crest_w=100.0), past, LIMITS, low=False)
    assert tail.crest_w == pytest.approx(110.0)


@pytest.mark.parametrize(("step", "tapered"), [(0.94, True), (1.06, False)])
def test_a_step_down_out_of_a_taper_keeps_it(step: float, *, tapered: bool) -> None:
    """However small a large step may be: down it is a turn-over, up a new charge."""
    limits = replace(LIMITS, large_step_share=0.05)
    past = Past(means_w=(100.0, 100.0 * step), plateau_w=150.0, count=50, quiet=0, step=step)
    tail, _ = watch_tail(Tail(age=40, crest_w=150.0, tapered=True), past, limits, low=False)
    assert (tail.age, tail.tapered, tail.floats) == (0, tapered, tapered)


def test_a_tail_begins_empty() -> None:
    """No stage, no fall, no memory."""
    begun = Tail()
    assert (begun.age, begun.crest_w, begun.least_w, begun.tapered, begun.floats) == (0, 0.0, None, False, False)
    assert (begun.flat, begun.rising, begun.bin_w, begun.bin_count, begun.bins_w) == (0, 0, 0.0, 0, ())


def test_the_newest_block_says_how_far_below_the_plateau_it_is() -> None:
    """Not the oldest one that is remembered: power that came back is high."""
    past = Past(means_w=(60.0, *(100.0,) * 19), plateau_w=100.0, count=600, quiet=19)
    tail = Tail(age=600, crest_w=100.0, bins_w=(90.0, *(100.0,) * 20), bin_w=400.0, bin_count=4)
    verdict = watch_tail(tail, past, LIMITS, low=False)[1]
    assert verdict is not None
    assert verdict.reason == "no_taper"
