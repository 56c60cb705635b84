"""Promises of the timekeeper, on a real journal: anchors are facts, and a belief outlives its process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from hil_rig.clock_world import ClockWorld
from pilenode.station import timeline
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.station.timekeeper import Timekeeper, WallClock
from pilenode.station.wallclock import FLOOR_MS, ClockQuality
from pilenode.upstream.contract import Time
from pilenode.upstream.facts import Boot, FactKind
from pilenode.upstream.facts_time import Anchor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.pilenode.conftest import LimitedFiles

DAY = 86_400_000
NOW = FLOOR_MS + 200 * DAY


class Process:
    """The clock of one station process."""

    def __init__(self, path: Path, world: ClockWorld) -> None:
        self.world = world
        self.wall = WallClock(world.reading)
        self.journal = Journal(path, now=self.wall.stamp, reserve_bytes=0)
        self.keeper = Timekeeper(self.journal, self.wall)

    async def write(self) -> None:
        """Write some fact."""
        await self.journal.append([NewFact(FactKind.BOOT, Boot(version="1"))])

    async def anchors(self) -> list[Anchor]:
        """Return the anchors of this boot."""
        return timeline.anchors(await self.journal.anchors([self.world.boot_id])).get(self.world.boot_id, [])

    @property
    def quality(self) -> ClockQuality:
        """Return what is behind the time now."""
        return self.wall.stamp().clock


@contextlib.asynccontextmanager
async def process(directory: Path, world: ClockWorld) -> AsyncIterator[Process]:
    """Return a process that is prepared, and end it."""
    running = Process(directory / "j.db", world)
    try:
        await running.keeper.prepare()
        yield running
    finally:
        await running.journal.close()


def play(world: ClockWorld, story: Callable[[], Awaitable[None]]) -> None:
    """Run ``story`` under the clocks of ``world``."""

    async def main() -> None:
        with world.installed():
            await story()

    asyncio.run(main())


def test_the_first_trusted_moment_becomes_a_fact_and_dates_what_was_before(tmp_path: Path) -> None:
    """One anchor, written once; a fact of the time before is dated by it to the drift."""
    world = ClockWorld(NOW)

    async def story() -> None:
        async with process(tmp_path, world) as running:
            await running.write()
            world.wait(60_000)
            await running.keeper.tick()
            assert await running.anchors() == []
            world.sync()
            for _ in range(3):
                await running.keeper.tick()
                world.wait(1000)
            (anchor,) = await running.anchors()
            assert (anchor.wall_ms, anchor.quality, anchor.step_ms) == (NOW + 60_000, "ntp", 0)
            facts = await running.journal.unacked(10)
            assert [fact.clock for fact in facts] == ["none", "ntp"]
            first, _ = timeline.dated(facts, timeline.anchors(facts))
            assert (first.wall_ms, first.quality) == (NOW, ClockQuality.NTP)

    play(world, story)


def test_a_step_is_anchored_with_its_size(tmp_path: Path) -> None:
    """The service sets the clock by two hours: the next anchor says so, and status tells it."""
    world = ClockWorld(NOW)

    async def story() -> None:
        async with process(tmp_path, world) as running:
            world.wait(10_000)
            world.sync(-7_200_000)
            await running.keeper.tick()
            world.wait(10_000)
            world.sync()
            await running.keeper.tick()
            assert [anchor.step_ms for anchor in await running.anchors()] == [0, 7_200_000]
            status = running.keeper.status()
            assert (status.quality, status.anchor_step_ms, status.anchor_age_ms) == ("ntp", 7_200_000, 0)
            assert (status.system_quality, status.system_ahead_ms) == ("ntp", 0)

    play(world, story)


def test_a_step_that_happened_while_the_process_was_away_is_no_news(tmp_path: Path) -> None:
    """What this boot believed is believed by the next process of it, and not by the next boot."""
    world = ClockWorld(NOW)

    async def story() -> None:
        world.wait(10_000)
        world.sync()
        async with process(tmp_path, world) as first:
            await first.keeper.tick()
        world.wait(5000)
        world.step(3650 * DAY)
        async with process(tmp_path, world) as second:
            await second.keeper.tick()
            assert second.wall.stamp().wall_ms == NOW + 15_000
            assert len(await second.anchors()) == 1
            status = second.keeper.status()
            assert (status.system_quality, status.system_ahead_ms) == ("none", 3650 * DAY)
        world.reboot()
        async with process(tmp_path, world) as third:
            await third.keeper.tick()
            assert third.quality is ClockQuality.NONE
            assert third.keeper.status().not_before_ms == NOW + 10_000

    play(world, story)


def test_a_hardware_clock_is_not_believed_before_the_journal_was_read(tmp_path: Path) -> None:
    """It says 2036 where the journal knows of 2026: not for one fact, also when the journal opens late."""
    world = ClockWorld(NOW)

    async def story() -> None:
        world.wait(10_000)
        world.sync()
        async with process(tmp_path, world) as first:
            await first.keeper.tick()
        world.reboot(rtc_error_ms=3650 * DAY)
        late = Process(tmp_path / "j.db", world)
        assert late.quality is ClockQuality.NONE
        await late.keeper.prepare()
        assert late.quality is ClockQuality.NONE
        await late.journal.close()
        world.reboot(rtc_error_ms=60_000)
        async with process(tmp_path, world) as good:
            assert good.quality is ClockQuality.RTC

    play(world, story)


def test_the_word_of_the_server_counts_on_its_own_question_only(tmp_path: Path) -> None:
    """An answer to another question, a late one and an absurd one are refused and counted; a good one is anchored."""
    world = ClockWorld(NOW)

    async def story() -> None:
        async with process(tmp_path, world) as running:
            world.wait(20_000)
            asked_ms = world.boottime_ms
            assert not running.wall.take(Time(wall_ms=NOW + 20_000, asked_ms=asked_ms - 1), asked_ms)
            assert not running.wall.take(Time(wall_ms=FLOOR_MS - 1, asked_ms=asked_ms), asked_ms)
            assert not running.wall.take(Time(wall_ms=NOW, asked_ms=asked_ms - 10_001), asked_ms - 10_001)
            assert not running.wall.take(Time(wall_ms=NOW, asked_ms=asked_ms), None)
            assert running.wall.refused == {"foreign_time": 2, "absurd_time": 1, "late_time": 1}
            assert running.quality is ClockQuality.NONE
            world.wait(400)
            assert running.wall.take(Time(wall_ms=NOW + 20_200, asked_ms=asked_ms), asked_ms)
            await running.keeper.tick()
            (anchor,) = await running.anchors()
            assert (anchor.wall_ms, anchor.quality, anchor.uncertainty_ms) == (NOW + 20_400, "server", 1201)
            world.step(3650 * DAY)
            assert running.wall.stamp().wall_ms == NOW + 20_400

    play(world, story)


def test_an_anchor_that_could_not_be_written_is_written_later(tmp_path: Path, limited_files: LimitedFiles) -> None:
    """A storage that is full costs the anchor nothing but time."""
    world = ClockWorld(NOW)

    async def story() -> None:
        async with process(tmp_path, world) as running:
            await running.write()
            world.sync()
            limited_files.fill()
            await running.keeper.tick()
            await running.keeper.tick()
            limited_files.free()
            await running.keeper.tick()
            await running.journal.recover()
            world.wait(5000)
            await running.keeper.tick()
            await running.keeper.tick()
            (anchor,) = await running.anchors()
            assert anchor.wall_ms == NOW + 5000

    play(world, story)


def test_a_journal_that_opens_late_is_remembered_late(tmp_path: Path) -> None:
    """Nothing is raised where there is no storage; the first look after it is there takes in what it knows."""
    world = ClockWorld(NOW)
    missing = tmp_path / "not-mounted"

    async def story() -> None:
        running = Process(missing / "j.db", world)
        await running.keeper.prepare()
        await running.keeper.tick()
        assert not running.wall.recalled
        world.sync()
        missing.mkdir()
        await running.journal.recover()
        await running.keeper.tick()
        assert running.keeper.status().anchor_age_ms == 0
        await running.journal.close()

    play(world, story)


def test_newest_trusted_fact_is_found_past_untrusted_ones(tmp_path: Path) -> None:
    """A long time without a clock does not hide the last moment that was known."""
    world = ClockWorld(NOW)

    async def story() -> None:
        world.wait(10_000)
        world.sync()
        async with process(tmp_path, world) as first:
            assert await first.journal.newest_trusted() is None
            await first.write()
        world.reboot()
        async with process(tmp_path, world) as second:
            for _ in range(5):
                await second.write()
            newest = await second.journal.newest_trusted()
            assert newest is not None
            assert (newest.seq, newest.wall_ms) == (1, NOW + 10_000)
            anchor = await second.journal.newest_of(FactKind.ANCHOR)
            assert anchor is None
            await second.journal.append([NewFact(FactKind.ANCHOR, first_anchor())])
            found = await second.journal.newest_of(FactKind.ANCHOR)
            assert found is not None
            assert msgspec.json.decode(found.body, type=Anchor) == first_anchor()

    play(world, story)


def first_anchor() -> Anchor:
    """Return some anchor."""
    return Anchor(boottime_ms=1, wall_ms=NOW, quality="ntp", step_ms=0, uncertainty_ms=1)
