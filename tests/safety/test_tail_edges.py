"""Exact limits of the tail's rules, on memories that are put together by hand."""

from __future__ import annotations

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
