"""What a session remembers: plateau power, steps, half an hour of blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.blocks import Block
from safety.completion_limits import CompletionLimits
from safety.past import Past, remember

LIMITS = CompletionLimits()


def remembered(*means_w: float, past: Past | None = None, limits: CompletionLimits = LIMITS) -> Past:
    """Return the past after these blocks."""
    past = past or Past()
    for mean_w in means_w:
        past = remember(past, Block(mean_w, disturbed=False), limits, hold_plateau=False)
    return past


def test_the_plateau_is_unknown_until_it_has_lasted() -> None:
    """Four blocks are too few; the fifth makes it their mean."""
    assert remembered(100, 100, 100, 100).plateau_w is None
    assert remembered(100, 102, 104, 106, 108).plateau_w == pytest.approx(104)


@pytest.mark.parametrize(("last_w", "known"), [(80.0, False), (83.5, True)])
def test_a_plateau_needs_blocks_that_agree(last_w: float, known: bool) -> None:  # noqa: FBT001 - a table of facts
    """They agree within 20 % of their mean."""
    assert remembered(110, 90, 100, 100, 100).plateau_w == 100
    assert remembered(110, 89.9, 100, 100, 100).plateau_w is None
    past = remembered(100, 100, 100, 100, last_w)
    assert (past.plateau_w is not None) is known


def test_the_plateau_is_the_best_and_never_falls() -> None:
    """A taper leaves it, a higher level replaces it."""
    past = remembered(*(100,) * 5, *(90,) * 10)
    assert past.plateau_w == 100
    assert remembered(*(120,) * 5, past=past).plateau_w == 120


def test_the_plateau_is_held_while_a_step_is_examined() -> None:
    """A second charger must not become the measure it is judged by."""
    past = remembered(*(100,) * 5)
    for _ in range(6):
        past = remember(past, Block(200.0, disturbed=False), LIMITS, hold_plateau=True)
    assert past.plateau_w == 100


@pytest.mark.parametrize(
    ("old_w", "new_w", "step"),
    [
        (100.0, 102.0, False),
        (100.0, 102.1, True),
        (100.0, 98.0, False),
        (100.0, 97.9, True),
        (30.0, 31.2, False),  # 4 %, but a meter that steps by a watt does that
        (30.0, 31.3, True),
        (30.0, 28.7, True),
    ],
)
def test_a_step_stands_out_of_share_and_watts(old_w: float, new_w: float, step: bool) -> None:  # noqa: FBT001
    """Above 2 % and above 1.2 W, up or down; its factor is kept, quiet blocks count from it."""
    past = remembered(*(old_w,) * 12, new_w)
    assert past.quiet == (0 if step else 12)
    assert past.step == (pytest.approx(new_w / old_w) if step else 1.0)


def test_a_step_stands_out_of_what_is_usual() -> None:
    """In a taper of 3 % a block the next 3 % are no step, and five times as much is the limit."""
    taper = [400 * 0.97**i for i in range(14)]
    assert remembered(*taper).quiet > 0
    assert remembered(*taper, taper[-1] * 0.86).step == 1.0
    assert remembered(*taper, taper[-1] * 0.84).step == pytest.approx(0.84)


def test_one_step_does_not_hide_the_next() -> None:
    """The two largest of the last changes are not usual: a step that takes two blocks is seen in both."""
    past = remembered(*(100,) * 12, 60)
    assert past.step == pytest.approx(0.6)
    past = remembered(45, past=past)
    assert past.step == pytest.approx(0.75)
    past = remembered(40, past=past)
    assert past.step == pytest.approx(40 / 45)
    assert remembered(37.5, past=past).step == 1.0  # 6.25 %: less than five times the usual 1.4 % by now
    assert remembered(37.0, past=past).step == pytest.approx(37 / 40)


def test_only_the_last_ten_changes_are_usual() -> None:
    """What was noisy eleven blocks ago is forgotten."""
    assert remembered(100, 130, 100, 130, *(130,) * 8, 136.5).step == pytest.approx(1.05)
    assert remembered(100, 130, 100, 130, *(130,) * 7, 136.5).step == 1.0  # 5 % against five times 2.9 %


def test_quiet_counts_blocks_since_the_last_step() -> None:
    """The first block has nothing to be compared with."""
    assert (remembered(100).quiet, remembered(100).step) == (0, 1.0)
    assert Past() == Past((), None, 0, 0, 1.0, disturbed=False)
    assert remembered(100, 100, 100).quiet == 2
    assert remembered(100, 100, 100, 150, 150).quiet == 1


def test_pulses_are_not_quiet() -> None:
    """Their means may agree by chance."""
    past = remember(remembered(100, 100, 100), Block(100.0, pulsed=True), LIMITS, hold_plateau=False)
    assert (past.quiet, past.step) == (0, 1.0)


def test_nothing_at_all_is_compared_as_half_a_watt() -> None:
    """No division by zero, and no step in the noise of an empty socket."""
    past = remembered(0, 0, 0, 0.4, 0)
    assert past.quiet == 4
    assert remembered(0, 0, 2, 2).quiet == 1


def test_memory_is_half_an_hour() -> None:
    """As many blocks as the longest look back needs, and no more in twelve hours."""
    past = remembered(*(float(100 + i % 2) for i in range(720)))
    assert len(past.means_w) == 30
    assert past.count == 720
    assert len(remembered(*(100,) * 50, limits=replace(LIMITS, flat_over_s=600.0, mean_s=300.0)).means_w) == 15


def test_means_look_back() -> None:
    """``mean_w(n, back=m)`` leaves out the newest m blocks."""
    past = remembered(1, 2, 3, 4, 5, 6)
    assert past.mean_w(2) == 5.5
    assert past.mean_w(2, back=2) == 3.5
    assert past.mean_w(6) == 3.5


def test_a_disturbed_block_is_told() -> None:
    """The examination of steps must know that part of a block is missing."""
    past = remember(remembered(100), Block(100.0, disturbed=True), LIMITS, hold_plateau=False)
    assert past.disturbed
    assert past.quiet == 1
    assert not remembered(100, past=past).disturbed
