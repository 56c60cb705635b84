"""Exact limits of swapped plugs and second loads, on memories that are put together by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from safety.completion_limits import CompletionLimits
from safety.load_change import Added, Plug, watch_added, watch_plug
from safety.past import Past
from safety.verdict import Sample, Verdict

LIMITS = CompletionLimits()
#: 20 min at constant current.
CHARGED = Past(means_w=(100.0,) * 20, plateau_w=100.0, count=20, quiet=19)


def test_before_a_plateau_every_step_that_holds_is_beyond_it() -> None:
    """A second charger may come before five blocks have agreed."""
    past = Past(means_w=(100.0,) * 10 + (150.0,) * 3, plateau_w=None, count=13)
    _, verdict = watch_added(Added(old_w=100.0, blocks=2, held=2, sum_w=300.0), past, LIMITS, tapered=False)
    assert verdict is not None
    assert verdict.reason == "added_load"


@dataclass
class Socket:
    """Readings of one socket at constant current, one a second."""

    plug: Plug = field(default_factory=Plug)
    verdict: Verdict | None = None

    def draw(self, power_w: float, count: int, factor: float = 0.6, known_s: float = 1.0) -> Socket:
        """Draw so much for ``count`` readings, or until there is a verdict."""
        for _ in range(count):
            if self.verdict is not None:
                break
            sample = Sample(0.0, 230.0, power_w / (230 * factor), power_w, factor)
            self.plug, self.verdict = watch_plug(self.plug, sample, known_s, CHARGED, 0.6, LIMITS, tapered=False)
        return self

    @property
    def reason(self) -> str | None:
        """Why the session is over, None while it goes on."""
        return None if self.verdict is None else self.verdict.reason


def test_the_power_factor_of_the_soft_start_does_not_count() -> None:
    """What comes back is the same charger, whatever its first 40 s look like."""
    assert Socket().draw(100.0, 5).draw(0.0, 35).draw(100.0, 41, factor=0.99).draw(100.0, 90).verdict is None


def test_a_plug_that_goes_right_after_its_examination_was_there() -> None:
    """The next reading is nothing, and so is everything after it: unplugged, not missing since the start."""
    socket = Socket().draw(100.0, 5).draw(0.0, 35).draw(100.0, 2)
    while socket.plug.back_s is not None:
        socket.draw(100.0, 1)
    socket.draw(0.0, 841)
    assert socket.reason == "unplugged"


def test_strays_that_are_not_in_a_row_are_no_load() -> None:
    """Every other reading shows something: to the meter's account, and unplugged after the same time."""
    socket = Socket().draw(100.0, 5)
    for _ in range(419):
        socket.draw(0.0, 1).draw(50.0, 1)
    assert socket.reason is None
    socket.draw(0.0, 1).draw(50.0, 1).draw(0.0, 1)
    assert socket.reason == "unplugged"


def test_what_is_counted() -> None:
    """Loads to two, nothings one by one, and an examination leaves only that something was there."""
    socket = Socket().draw(100.0, 10)
    assert socket.plug == Plug(loads=2, seen=True)
    socket.draw(0.0, 35)
    assert (socket.plug.loads, socket.plug.nothings, socket.plug.nothing_s) == (0, 35, 34.0)
    socket.draw(100.0, 130)
    assert socket.plug == Plug(loads=2, seen=True, returned=20)


def test_an_examination_ends_where_the_rise_does() -> None:
    """Two blocks of it and then the old power: nothing is left of it."""
    past = Past(means_w=(100.0,) * 10 + (150.0, 150.0, 100.0), plateau_w=100.0, count=13, quiet=0)
    added, verdict = watch_added(Added(old_w=100.0, blocks=3, held=2, sum_w=300.0), past, LIMITS, tapered=False)
    assert (added, verdict) == (Added(), None)


@pytest.mark.parametrize(("step", "counts"), [(1.05, True), (0.95, False)])
def test_only_a_rise_after_a_taper_counts_from_it(step: float, *, counts: bool) -> None:
    """An examination that begins with a small fall is that of a plug that was changed."""
    past = Past(means_w=(100.0,) * 10 + (100.0 * step,), plateau_w=100.0, count=11, step=step)
    added, _ = watch_added(Added(steady=9), past, LIMITS, tapered=True)
    assert (added.blocks, added.tapered) == (1, counts)


@pytest.mark.parametrize(("last_w", "steady"), [(80.0, True), (79.9, False)])
def test_the_block_before_the_step_must_agree_as_well(last_w: float, *, steady: bool) -> None:
    """All nine, the newest of them too."""
    past = Past(means_w=(*(100.0,) * 9, last_w, 150.0), plateau_w=100.0, count=11, step=1.5)
    added, _ = watch_added(Added(steady=9), past, LIMITS, tapered=False)
    assert (added.blocks == 1) is steady


def nothing(plug: Plug, level_w: float) -> Plug:
    """Return what is remembered after one reading of nothing, the last block having shown ``level_w``."""
    past = Past(means_w=(level_w,), plateau_w=100.0, count=20)
    return watch_plug(plug, Sample(0.0, 230.0, 0.0, 0.0, 0.0), 1.0, past, 0.6, LIMITS, tapered=False)[0]


def test_the_level_before_is_that_of_a_load_that_was_seen_and_not_under_examination() -> None:
    """A plug that is fumbled with keeps the level of its charger; before the first charger there is none."""
    assert nothing(Plug(seen=True), 30.0).level_w == 30.0
    assert nothing(Plug(seen=False), 30.0).level_w == 0.0
    assert nothing(Plug(seen=True, level_w=100.0, back_s=50.0), 30.0).level_w == 100.0


@pytest.mark.parametrize(
    ("back_s", "factor", "count", "factor_sum"),
    [(38.0, 0.6, 0, 0.0), (38.9, 0.6, 0, 0.0), (39.0, 0.6, 1, 0.6), (50.0, 0.95, 1, 0.95), (50.0, 1.05, 1, 1.0)],
)
def test_what_an_examination_takes_in(back_s: float, factor: float, count: int, factor_sum: float) -> None:
    """From 40 s on; a power factor above 1 is the meter's."""
    sample = Sample(0.0, 230.0, 1.0, 100.0, factor)
    plug = Plug(loads=2, seen=True, level_w=100.0, factor=0.6, back_s=back_s)
    after, _ = watch_plug(plug, sample, 1.0, CHARGED, 0.6, LIMITS, tapered=False)
    assert (after.factor_count, after.factor_sum, len(after.watts)) == (count, factor_sum, count)


def test_memories_begin_empty() -> None:
    """Nothing seen, nothing under examination."""
    begun = Plug()
    assert (begun.loads, begun.nothings, begun.nothing_s, begun.seen) == (0, 0, 0.0, False)
    assert (begun.level_w, begun.factor, begun.back_s, begun.watts) == (0.0, 0.0, None, ())
    assert (begun.factor_sum, begun.factor_count, begun.returned) == (0.0, 0, None)
    idle = Added()
    assert (idle.old_w, idle.blocks, idle.held, idle.sum_w) == (0.0, 0, 0, 0.0)
    assert (idle.steady, idle.disturbed, idle.tapered) == (0, False, False)


def test_without_a_plateau_nothing_is_too_little_to_be_beyond_it() -> None:
    """With limits of a tenth of a watt half a watt may become more, too."""
    limits = replace(LIMITS, added_w=0.1, added_floor_w=0.1)
    past = Past(means_w=(0.5,) * 10 + (0.7,) * 3, plateau_w=None, count=13)
    _, verdict = watch_added(Added(old_w=0.5, blocks=2, held=2, sum_w=1.4), past, limits, tapered=False)
    assert verdict is not None
