"""The stories of clocks are lived through by a station's own objects, and a lie among the sources is noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hil_rig.bench_clock import DAYS, STORIES, slots, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hil_rig.clock_rig import ClockRig


@pytest.mark.parametrize(("name", "story", "dated"), STORIES, ids=[name for name, _, _ in STORIES])
def test_order_and_durations_are_exact_and_dates_as_good_as_stated(
    name: str, story: Callable[[ClockRig, int], Awaitable[None]], dated: tuple[int, ...]
) -> None:
    """Without a clock, with one that is years off, with one that steps: the log stays what it promises to be."""
    row = asyncio.run(tell(name, story, dated, 1))
    assert row.failures == []
    assert row.durations > 5
    assert (row.dated > 0) is bool(dated)


@pytest.mark.parametrize(("name", "day", "expected"), DAYS)
def test_slots_are_those_of_a_walk_by_the_minute(name: str, day: str, expected: int) -> None:
    """Whole local days, with and without summer time."""
    assert slots(name, day, expected)[1]


def test_a_source_that_lies_fails_the_story() -> None:
    """A backend that is a minute off is worse than stated, and the row says so."""

    async def story(rig: ClockRig, _scale: int) -> None:
        await rig.hear(error_ms=60_000)

    assert asyncio.run(tell("a lie", story, (1,), 1)).failures
