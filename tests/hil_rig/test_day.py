"""Promises of the simulated day: real objects on a clock that jumps, and what they write and send is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest
import structlog

from hil_rig import day
from hil_rig.clock_world import ClockWorld
from hil_rig.day import Figures, run, table
from hil_rig.day_loop import DayLoop

if TYPE_CHECKING:
    from pathlib import Path


def test_time_jumps_where_nobody_works_and_stands_still_where_somebody_does() -> None:
    """An hour of waiting takes no time; a thread's work takes none of the world's."""
    world = ClockWorld(1_785_513_600_000)
    order: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.gather(wait("late", 3600.0), wait("soon", 0.5))
        await asyncio.to_thread(time.sleep, 0.2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60.0):
                await asyncio.Event().wait()
        return loop.time()

    begun_s = time.monotonic()
    loop = DayLoop(world)
    try:
        assert loop.run_until_complete(main()) == pytest.approx(3660.0, abs=0.01)
    finally:
        loop.close()
    assert world.boottime_ms == pytest.approx(3_660_000, abs=10)
    assert order == ["soon", "late"]
    assert time.monotonic() - begun_s < 30.0


def test_a_few_sessions_are_lived_through_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions start by scan and by card and end; the backend has every fact once; disk and wire are counted."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        monkeypatch.setattr(day, "STORED", 2)  # loading all of them takes longer than the rest
        figures = run(0.35, 3, place=tmp_path)
    finally:
        structlog.reset_defaults()
    assert figures.sessions == figures.ended == 3
    assert figures.kinds["checkpoint"].facts >= 9
    assert figures.stored > 15
    assert 0 < figures.sent < 60_000
    assert figures.publishes["ev"] >= 3
    assert [failure for failure in figures.failures if "publishes" not in failure and "MB" not in failure] == []
    assert figures.commits >= 10
    assert figures.calls > 4096 * figures.commits
    assert any(line.startswith("checkpoint") for line in table(figures))


def test_a_day_over_any_promise_fails() -> None:
    """Each of the three is judged at its limit."""
    good = {"written": 25_000_000, "wire": {"ev": 350_000}, "publishes": {"ev": 150}}
    for worse, words in (
        ({}, []),
        ({"written": 25_010_001}, ["25.01 MB written to the disk, 25.00 promised"]),
        ({"wire": {"ev": 360_000}}, ["0.36 MB sent upstream, 0.35 promised"]),
        ({"publishes": {"ev": 151}}, ["151.00 publishes, 150.00 promised"]),
        ({"sessions": 1}, ["0 of 1 sessions ended"]),
    ):
        figures = Figures(24.0, **(good | worse))  # type: ignore[arg-type]
        figures.judge()
        assert figures.failures == words
