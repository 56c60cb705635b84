"""How much of a block is trimmed, and how a block begins."""

from __future__ import annotations

import pytest

from safety.blocks import Block, OpenBlock, average, interval_s
from safety.completion_limits import CompletionLimits


@pytest.mark.parametrize(
    ("tens", "mean_w"),
    [
        (14, (9.5 + 14 * 10.0 + 11.0) / 16),  # 18 readings: one on each side
        (15, (9.5 + 15 * 10.0 + 11.0) / 17),
        (16, 10.0),  # 20 readings: two
        (17, 10.0),
    ],
)
def test_a_tenth_on_each_side_is_trimmed(tens: int, mean_w: float) -> None:
    """Whole readings, rounded down, at least one."""
    found_w, pulsed = average((9.0, 9.5, *(10.0,) * tens, 11.0, 12.0))
    assert found_w == pytest.approx(mean_w)
    assert not pulsed


def test_a_block_begins_empty() -> None:
    """Nothing known, nothing disturbed."""
    assert OpenBlock() == OpenBlock(None, 0.0, (), disturbed=False)
    assert Block(1.0) == Block(1.0, disturbed=False, pulsed=False)


@pytest.mark.parametrize(("t_s", "known_s"), [(9.5, 0.0), (10.0, 0.0), (10.5, 0.5), (25.0, 15.0), (25.1, 0.0)])
def test_what_is_known_between_two_readings(t_s: float, known_s: float) -> None:
    """Up to the longest gap; a reading that is not newer adds nothing, and takes nothing away."""
    assert interval_s(OpenBlock(last_s=10.0), t_s, CompletionLimits()) == known_s
