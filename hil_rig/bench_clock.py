"""Clocks that are missing, wrong and stepping: ``python -m hil_rig.bench_clock [--short] [--json]``.

A station's journal, sessions and timekeeper live through each story under the clocks of a simulated world. For every
fact it is known when it was really written. A row is good when

- ``seq`` is the order of the truth, without a gap;
- every duration is exact: of sessions and checkpoints against guard's own, to the ms (to the s where the record has s),
  and between the facts of one boot; so is the energy, and its split into pieces with a time of day and without;
- no trusted time, live or dated afterwards, is further from the truth than is stated beside it;
- every fact that could not be dated lies between what is said of it;
- as many facts were dated in the end as the story says.

The second table counts the half-hour slots of whole local days in several zones against a walk by the minute.
Exit status 0 when every row is good.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import structlog

from hil_rig.clock_rig import ClockRig
from hil_rig.clock_world import ClockWorld
from pilenode.station import local_time, timeline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pilenode.upstream.facts import Fact

#: A Saturday in 2026.
_NOW_MS: Final = 1_785_578_400_000
_TEN_YEARS_MS: Final = 3650 * 86_400_000
_DRIFT_PPM: Final = 60
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000


@dataclass(slots=True)
class Row:
    """What became of one story. Energy in 0.001 Wh, priced by its half hour or by the fallback; errors in ms.

    ``live``: as stamped; ``dated``: afterwards.
    """

    story: str
    facts: int = 0
    boots: int = 0
    durations: int = 0
    placed_mwh: int = 0
    fallback_mwh: int = 0
    trusted_live: int = 0
    dated: int = 0
    live_error_ms: int = 0
    live_stated_ms: int = 0
    dated_error_ms: int = 0
    dated_stated_ms: int = 0
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the row of the table."""
        return (
            f"{self.story:<34} {self.facts:>5} {self.boots:>5}  {self.durations:>9} "
            f"{self.placed_mwh:>9} {self.fallback_mwh:>8} {self.trusted_live:>7} {self.dated:>6}  "
            f"{self.live_error_ms:>8} of {self.live_stated_ms:<7} "
            f"{self.dated_error_ms:>8} of {self.dated_stated_ms:<7} {'FAILED' if self.failures else 'ok'}"
        )


HEAD: Final = (
    f"{'story':<34} {'facts':>5} {'boots':>5}  {'durations':>9} "
    f"{'by slot':>9} {'fallback':>8} {'trusted':>7} {'dated':>6}  "
    f"{'live error, stated':>19} {'dated error, stated':>20}"
)


# -- the stories -----------------------------------------------------------------------------------------------


async def no_clock(rig: ClockRig, scale: int) -> None:
    """Nothing ever tells the time, through reboots."""
    for _ in range(2):
        session = await rig.start()
        await rig.go_on(600 * scale)
        await rig.stop(session)
        await rig.reboot(3 * _HOUR_MS)


async def first_time_mid_session(rig: ClockRig, scale: int) -> None:
    """Begin in 1970, until a time service comes in the middle of a session."""
    session = await rig.start()
    await rig.go_on(600 * scale)
    rig.world.sync(300)
    await rig.go_on(600 * scale)
    await rig.stop(session)


async def server_alone(rig: ClockRig, scale: int) -> None:
    """No time service; the backend tells the time after a while, the system's calendar stays in 1970."""
    session = await rig.start()
    await rig.go_on(600 * scale)
    if not await rig.hear(2000, 300, -400):
        raise RuntimeError("the server is not believed")
    await rig.go_on(3600 * scale)
    await rig.hear(50, 50)
    await rig.stop(session)


async def absurd_server(rig: ClockRig, scale: int) -> None:
    """Refuse a backend that tells 2015, 2110, and two hours off a time service."""
    rig.world.sync()
    session = await rig.start()
    await rig.go_on(300 * scale)
    for error_ms in (-11 * 365 * 86_400_000, 84 * 365 * 86_400_000, 2 * _HOUR_MS):
        if await rig.hear(error_ms=error_ms):
            raise RuntimeError(f"a server {error_ms} ms off is believed")
    await rig.go_on(300 * scale)
    await rig.stop(session)


async def good_hardware_clock(rig: ClockRig, scale: int) -> None:
    """Every boot has a hardware clock that is minutes off, never anything else."""
    for error_ms in (-200_000, 250_000):
        await rig.reboot(_HOUR_MS, error_ms)
        session = await rig.start()
        await rig.go_on(600 * scale)
        await rig.stop(session)


def hardware_clock_off(years_ms: int) -> Callable[[ClockRig, int], Awaitable[None]]:
    """Return the story of a hardware clock that lost its time, between boots that had network time."""

    async def story(rig: ClockRig, scale: int) -> None:
        rig.world.sync()
        session = await rig.start()
        await rig.go_on(300 * scale)
        await rig.stop(session)
        await rig.reboot(_HOUR_MS, years_ms)
        session = await rig.start()
        await rig.go_on(600 * scale)
        await rig.restart()
        await rig.go_on(600 * scale)
        await rig.stop(session)
        await rig.reboot(_HOUR_MS, years_ms)
        rig.world.sync(-200)
        await rig.go_on(300 * scale)

    return story


def set_by_hand(by_ms: int) -> Callable[[ClockRig, int], Awaitable[None]]:
    """Return the story of a calendar that somebody sets in the middle of a session, and of a restart after it."""

    async def story(rig: ClockRig, scale: int) -> None:
        rig.world.sync()
        session = await rig.start()
        await rig.go_on(600 * scale)
        rig.world.step(by_ms)
        await rig.go_on(600 * scale)
        await rig.restart()
        await rig.go_on(600 * scale)
        await rig.stop(session)

    return story


async def stepping(rig: ClockRig, scale: int) -> None:
    """Somebody sets the calendar every few minutes; now and then the time service puts it right."""
    rig.world.sync()
    session = await rig.start()
    for number, by_ms in enumerate((61_000, -3_700_000, _TEN_YEARS_MS, -5000, -_TEN_YEARS_MS, 1500, 86_400_000)):
        rig.world.step(by_ms)
        await rig.go_on(180 * scale)
        if number % 3 == 2:  # noqa: PLR2004 - every third time
            rig.world.sync(500)
            await rig.go_on(60)
    await rig.stop(session)


async def lost_boot(rig: ClockRig, scale: int) -> None:
    """Three boots, a session cut by each loss of power; the middle one never knew the time."""
    rig.world.sync()
    for _ in range(2):
        await rig.start()
        await rig.go_on(600 * scale)
        await rig.reboot(2 * _HOUR_MS)
    await rig.go_on(120)
    rig.world.sync(100)
    await rig.go_on(120)


#: Story, how many of its boots can be dated in the end, hardware clock of its first boot.
STORIES: Final[tuple[tuple[str, Callable[[ClockRig, int], Awaitable[None]], tuple[int, ...]], ...]] = (
    ("no clock at all", no_clock, ()),
    ("network time in mid-session", first_time_mid_session, (1,)),
    ("told by the backend only", server_alone, (1,)),
    ("a backend that talks nonsense", absurd_server, (1,)),
    ("hardware clock, minutes off", good_hardware_clock, (2, 3)),
    ("hardware clock +10 years", hardware_clock_off(_TEN_YEARS_MS), (1, 3)),
    ("hardware clock -10 years", hardware_clock_off(-_TEN_YEARS_MS), (1, 3)),
    ("set by hand +10 years", set_by_hand(_TEN_YEARS_MS), (1,)),
    ("set by hand -10 years", set_by_hand(-_TEN_YEARS_MS), (1,)),
    ("stepping all the time", stepping, (1,)),
    ("a boot between two that knew", lost_boot, (1, 3)),
)


async def tell(name: str, story: Callable[[ClockRig, int], Awaitable[None]], dated: tuple[int, ...], scale: int) -> Row:
    """Live through a story and judge it."""
    row = Row(name)
    world = ClockWorld(_NOW_MS, _DRIFT_PPM)
    with tempfile.TemporaryDirectory(prefix="pilenode-clock-") as place, world.installed():
        rig = ClockRig(Path(place), world)
        world.wait(20_000)
        await rig.begin()
        try:
            await story(rig, scale)
            judge(row, rig, await rig.facts(), {f"boot-{number}" for number in dated})
        finally:
            await rig.end()
    return row


def judge(row: Row, rig: ClockRig, facts: list[Fact], dated: set[str]) -> None:
    """Compare what the log says with what was true."""
    row.facts, row.boots = len(facts), rig.world.boot
    row.durations, row.failures = rig.durations.compared, list(rig.durations.wrong)
    for piece in rig.pieces:
        if piece.from_wall_ms is None:
            row.fallback_mwh += piece.energy_mwh
        else:
            row.placed_mwh += piece.energy_mwh
    moments = [rig.truth[fact.seq] for fact in facts]
    if [fact.seq for fact in facts] != list(range(1, len(facts) + 1)):
        row.failures.append("seq has a gap")
    if any(later.truth_ms < earlier.truth_ms for earlier, later in itertools.pairwise(moments)):
        row.failures.append("seq is not the order of the truth")
    for fact, moment in zip(facts, moments, strict=True):
        if (fact.boot, fact.boottime_ms) != (moment.boot, moment.boottime_ms):
            row.failures.append(f"fact {fact.seq}: boot clock {fact.boottime_ms} instead of {moment.boottime_ms}")
    for at, truth_ms in rig.looks:
        if at.uncertainty_ms is not None:
            row.live_error_ms = max(row.live_error_ms, abs(at.wall_ms - truth_ms))
            row.live_stated_ms = max(row.live_stated_ms, at.uncertainty_ms)
            if abs(at.wall_ms - truth_ms) > at.uncertainty_ms:
                row.failures.append(f"{at} is {at.wall_ms - truth_ms} ms off")
    row.trusted_live = sum(fact.clock != "none" for fact in facts)
    _judge_dates(row, rig, facts, dated)


def _judge_dates(row: Row, rig: ClockRig, facts: list[Fact], dated: set[str]) -> None:
    newest_ms = 0
    for fact, date in zip(facts, timeline.dated(facts, timeline.anchors(facts)), strict=True):
        truth_ms = rig.truth[fact.seq].truth_ms
        if (date.wall_ms is not None) is not (fact.boot in dated):
            row.failures.append(f"fact {fact.seq} of {fact.boot}: {date}")
        if not (date.not_before_ms or 0) <= truth_ms <= (date.not_after_ms or truth_ms):
            row.failures.append(f"fact {fact.seq} at {truth_ms} is outside {date}")
        if date.wall_ms is None or date.uncertainty_ms is None:
            continue
        row.dated += 1
        row.dated_error_ms = max(row.dated_error_ms, abs(date.wall_ms - truth_ms))
        row.dated_stated_ms = max(row.dated_stated_ms, date.uncertainty_ms)
        if abs(date.wall_ms - truth_ms) > date.uncertainty_ms or date.wall_ms < newest_ms:
            row.failures.append(f"fact {fact.seq} at {truth_ms} is not {date}")
        newest_ms = date.wall_ms


# -- slots -----------------------------------------------------------------------------------------------------

#: Zone and local days, each with the slots it has.
DAYS: Final = (
    ("Asia/Shanghai", "2026-03-29", 48),
    ("Asia/Shanghai", "1986-05-04", 46),
    ("Asia/Shanghai", "1991-09-15", 50),
    ("Europe/Berlin", "2026-03-29", 46),
    ("Europe/Berlin", "2026-10-25", 50),
    ("America/New_York", "2026-11-01", 50),
    ("Australia/Lord_Howe", "2026-04-05", 49),
    ("Australia/Lord_Howe", "2026-10-04", 47),
    ("Asia/Kathmandu", "2026-08-01", 48),
    ("Pacific/Apia", "2011-12-31", 48),
    ("UTC", "2026-08-01", 48),
)


def slots(name: str, day: str, expected: int) -> tuple[str, bool]:
    """Return the line of one local day: its slots as they are computed, and as a walk by the minute finds them."""
    zone = ZoneInfo(name)
    noon_ms = int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=zone).astimezone(UTC).timestamp()) * 1000
    begin_ms, end_ms = local_time.local_midnight_ms(noon_ms, zone), local_time.next_midnight_ms(noon_ms, zone)
    computed = [begin_ms]
    while (following := local_time.next_slot_ms(computed[-1], zone)) < end_ms:
        computed.append(following)
    walked = []
    before = None
    for now_ms in range(begin_ms - 36 * _HOUR_MS, begin_ms + 36 * _HOUR_MS, _MINUTE_MS):
        shown = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone)
        jumped = before is not None and before != shown.utcoffset()
        before = shown.utcoffset()
        if shown.date().isoformat() == day and (jumped or shown.minute % 30 == 0):
            walked.append((now_ms, (shown.hour * 60 + shown.minute) // 30))
    good = walked == [(now_ms, local_time.slot_of(now_ms, zone)) for now_ms in computed] and len(walked) == expected
    return f"{name:<22} {day}  {len(computed):>3} slots, {len(walked):>3} walked  {'ok' if good else 'FAILED'}", good


def run(scale: int) -> list[Row]:
    """Live through every story; ``scale`` stretches them."""
    return [asyncio.run(tell(name, story, dated, scale)) for name, story, dated in STORIES]


def main() -> int:
    """Run, print the tables and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bench_clock", description=__doc__)
    parser.add_argument("--short", action="store_true", help="minutes of simulated time instead of hours")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows = run(1 if arguments.short else 12)
    days = [slots(*day) for day in DAYS]
    if arguments.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "days": [line for line, _ in days]}, indent=1))
    else:
        print(HEAD, *(row.line() for row in rows), "", *(line for line, _ in days), sep="\n")
        print(*(f"{row.story}: {failure}" for row in rows for failure in row.failures), sep="\n")
    return 0 if all(good for _, good in days) and not any(row.failures for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
