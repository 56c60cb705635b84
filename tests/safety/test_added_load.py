"""A second charger beside the first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.blocks import Block
from safety.completion_limits import CompletionLimits
from safety.load_change import Added, watch_added
from safety.past import Past, remember
from safety.verdict import Verdict

LIMITS = CompletionLimits()
#: 20 min at constant current.
CHARGED = Past(means_w=(100.0,) * 20, plateau_w=100.0, count=20, quiet=19)


def added(*means_w: float, tapered: bool = False, disturbed: int | None = None) -> tuple[int | None, Verdict | None]:
    """Return after how many blocks there was which verdict."""
    past, state = Past(), Added()
    for i, mean_w in enumerate(means_w):
        past = remember(past, Block(mean_w, disturbed=i == disturbed), LIMITS, hold_plateau=state.blocks > 0)
        state, verdict = watch_added(state, past, LIMITS, tapered=tapered)
        if verdict is not None:
            return i + 1, verdict
    return None, None


@pytest.mark.parametrize(
    ("old_w", "new_w", "found"),
    [
        (200.0, 235.0, False),
        (200.0, 237.0, True),
        (100.0, 119.0, False),
        (100.0, 121.0, True),
        (100.0, 399.0, True),
        (100.0, 401.0, False),
        (34.9, 80.0, False),
        (35.1, 80.0, True),
    ],
)
def test_a_second_charger(old_w: float, new_w: float, found: bool) -> None:  # noqa: FBT001 - a table of facts
    """max(20 W, 18 %) more, less than four times as much, out of at least 35 W: three blocks of it are enough."""
    at, verdict = added(*(old_w,) * 15, *(new_w,) * 10)
    assert at == (18 if found else None)
    if verdict is not None:
        assert verdict == Verdict("added_load", f"from {old_w:.0f} W to {new_w:.0f} W in one step")


def test_at_its_limit_a_step_counts() -> None:
    """Rise and floor are reached, plateau and ratio must be kept away from."""
    limits = replace(LIMITS, added_share=0.25, added_above_share=0.25, added_floor_w=40.0, added_ratio=3.0)
    for old_w, new_w, plateau_w, found in (
        (80.0, 100.0, 79.0, True),
        (80.0, 99.9, 79.0, False),
        (80.0, 100.0, 80.0, False),
        (40.0, 100.0, 40.0, True),
        (39.9, 100.0, 40.0, False),
        (40.0, 120.0, 40.0, False),
    ):
        past = Past(means_w=(old_w,) * 9 + (new_w,), plateau_w=plateau_w, step=1.0)
        state = Added(old_w=old_w, blocks=2, held=2, sum_w=2 * new_w)
        assert (watch_added(state, past, limits, tapered=False)[1] is not None) is found, (old_w, new_w)


@pytest.mark.parametrize(
    ("steady", "dip_w", "examined"), [(9, 80.0, True), (8, 80.0, False), (9, 79.9, False), (9, 60.0, False)]
)
def test_what_is_steady(steady: int, dip_w: float, examined: bool) -> None:  # noqa: FBT001 - a table of facts
    """Nine quiet blocks that agree within 20 % of the highest; the one before them does not matter."""
    past = Past(means_w=(500.0, dip_w, *(100.0,) * 7, 99.0, 150.0), plateau_w=100.0, step=1.5)
    state, _ = watch_added(Added(steady=steady), past, LIMITS, tapered=False)
    assert state.blocks == int(examined)
    assert state.old_w == (99.0 if examined else 0.0)


def test_a_step_that_takes_two_blocks_is_seen() -> None:
    """It begins somewhere in a minute: the power before it is that of the block before the first part."""
    at, verdict = added(*(100.0,) * 15, 110.0, *(125.0,) * 5)
    assert at == 19
    assert verdict is not None
    assert verdict.detail.startswith("from 100 W to 125 W")


@pytest.mark.parametrize(("before", "found"), [(9, False), (10, True)])
def test_steady_before_the_step(before: int, found: bool) -> None:  # noqa: FBT001 - a table of facts
    """Nine quiet blocks, the first of which has one before it."""
    at, _ = added(*(100.0,) * before, *(150.0,) * 10)
    assert (at is not None) is found


def test_pulses_are_not_steady() -> None:
    """Blocks that do not agree within 20 % before the step are no level to step from."""
    assert added(*(100.0, 70.0) * 10, *(190.0,) * 6)[1] is None


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_short_rise_is_no_load(blocks: int) -> None:
    """It must hold for three blocks."""
    assert added(*(100.0,) * 15, *(150.0,) * blocks, *(100.0,) * 20)[1] is None


def test_back_to_the_plateau_is_no_load() -> None:
    """Derating ends: the step is large but does not lead 12 % above the plateau."""
    derated = (*(100.0,) * 15, *(60.0,) * 15)
    assert added(*derated, *(111.0,) * 10)[1] is None
    assert added(*derated, *(113.0,) * 10)[1] is not None


def test_after_a_taper_any_large_step_is_a_load() -> None:
    """A pack in its tail does not take more by itself."""
    tail = (*(100.0,) * 15, *(50.0,) * 15)
    assert added(*tail, *(75.0,) * 10)[1] is None
    assert added(*tail, *(75.0,) * 10, tapered=True)[1] is not None
    assert added(*tail, *(69.0,) * 10, tapered=True)[1] is None


@pytest.mark.parametrize("disturbed", [29, 30])
def test_after_an_outage_only_more_than_the_plateau_is_a_load(disturbed: int) -> None:
    """A lead-acid charger draws more for some minutes after the supply came back."""
    tail = (*(100.0,) * 15, *(50.0,) * 15)
    assert added(*tail, *(75.0,) * 10, tapered=True, disturbed=disturbed)[1] is None
    assert added(*tail, *(130.0,) * 10, tapered=True, disturbed=disturbed)[1] is not None


def test_a_plug_changed_in_a_moment() -> None:
    """An examination may begin with a fall of up to four minutes, and then the taper does not count."""
    assert added(*(100.0,) * 15, 30.0, 0.0, *(150.0,) * 5)[1] is not None
    assert added(*(100.0,) * 15, *(0.0,) * 4, *(150.0,) * 5)[1] is not None
    assert added(*(100.0,) * 15, *(0.0,) * 5, *(150.0,) * 5)[1] is None
    assert added(*(100.0,) * 15, *(50.0,) * 15, 2.0, *(75.0,) * 10, tapered=True)[1] is None


def test_the_plateau_is_held_while_a_step_is_examined() -> None:
    """``blocks`` tells that an examination is on."""
    past = remember(CHARGED, Block(150.0, disturbed=False), LIMITS, hold_plateau=False)
    state, _ = watch_added(Added(steady=19), past, LIMITS, tapered=False)
    assert state.blocks == 1
    past = remember(CHARGED, Block(100.0, disturbed=False), LIMITS, hold_plateau=False)
    state, _ = watch_added(Added(steady=19), past, LIMITS, tapered=False)
    assert (state.blocks, state.steady) == (0, 20)
