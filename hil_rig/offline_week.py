"""A journal of days without a network: what a cabinet of ten busy ports writes down in seven of them, in seconds.

A hundred thousand facts of mixed kinds: sessions with a reading a minute that became durable, legs, changes, faults
that came and went, commands, refusals, boots. The times they carry are those of the days; the file is a real one.
``python -m hil_rig.offline_week FILE [--facts N]`` makes one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from hil_rig.contract.sample_bodies import BODIES
from pilenode import clock
from pilenode.station import journal_writer
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import (
    Checkpoint,
    CommandResult,
    FactKind,
    Fault,
    SessionEnded,
    SessionStarted,
    StartRefused,
)
from pilenode.upstream.facts_money import UsageMark

if TYPE_CHECKING:
    from collections.abc import Iterator

_Body = TypeVar("_Body", Checkpoint, CommandResult, Fault, SessionEnded, SessionStarted, StartRefused)

FACTS: Final = 100_000
DAYS: Final = 7
_PORTS: Final = 10
_MINUTE_MS: Final = 60_000
_MINUTES: Final = DAYS * 24 * 60
#: A boot now and then, as of a cabinet that is switched off and on.
_BOOT_MINUTES: Final = 2500


def _body(kind: FactKind, expected: type[_Body]) -> _Body:
    body = BODIES[kind]
    if not isinstance(body, expected):
        raise TypeError(kind)
    return body


class Week:
    """Yields what is written in each minute of the last seven days.

    ``prefix`` makes orders and commands unlike those of another week.
    """

    def __init__(self, seed: int = 1, prefix: str = "") -> None:
        self._begin_ms = clock.wall_ms() - _MINUTES * _MINUTE_MS
        self._random = Random(seed)
        self._prefix = prefix
        self._count = 0
        self._minute = 0
        self._running: dict[int, tuple[str, int, int]] = {}  # port: session, begun, ends (minutes)

    @property
    def stamp(self) -> Stamp:
        """Return the moment of the minute that was yielded last."""
        boot, minute = divmod(self._minute, _BOOT_MINUTES)
        wall_ms = self._begin_ms + self._minute * _MINUTE_MS
        return Stamp(f"{self._prefix}boot-{boot}", minute * _MINUTE_MS, wall_ms, ClockQuality.RTC, 2000)

    def minutes(self, count: int) -> Iterator[list[NewFact]]:
        """Yield what is written until there are ``count`` facts or more and every session has ended."""
        written = 0
        while True:
            self._minute += 1
            facts = list(self._facts(starting=written < count))
            written += len(facts)
            if facts:
                yield facts
            if written >= count and not self._running:
                return

    def _facts(self, *, starting: bool) -> Iterator[NewFact]:
        if self._minute % _BOOT_MINUTES == 0:
            yield NewFact(FactKind.BOOT, BODIES[FactKind.BOOT])
        for port in range(1, _PORTS + 1):
            yield from self._of_port(port, starting=starting)
        if self._random.random() < 0.02:  # noqa: PLR2004 - a mixture
            yield from self._event()

    def _of_port(self, port: int, *, starting: bool) -> Iterator[NewFact]:
        if port not in self._running:
            if starting:
                yield self._begin(port)
            return
        session, begun, ends = self._running[port]
        if self._minute >= ends or not starting:
            del self._running[port]
            ended = replace(_body(FactKind.SESSION_ENDED, SessionEnded), order=f"o-{session}", port=port)
            yield NewFact(FactKind.SESSION_ENDED, ended, session)
            return
        if self._random.random() < 0.002:  # noqa: PLR2004 - a mixture
            yield NewFact(FactKind.SESSION_MODIFIED, BODIES[FactKind.SESSION_MODIFIED], session)
        yield NewFact(FactKind.CHECKPOINT, self._reading(port, self._minute - begun), session)

    def _begin(self, port: int) -> NewFact:
        self._count += 1
        session = f"{self._prefix}{self._count:026d}"[-26:]
        self._running[port] = session, self._minute, self._minute + self._random.randint(60, 480)
        order = f"o-{session}"
        started = replace(_body(FactKind.SESSION_STARTED, SessionStarted), order=order, port=port)
        return NewFact(FactKind.SESSION_STARTED, started, session)

    def _reading(self, port: int, minutes: int) -> Checkpoint:
        body = _body(FactKind.CHECKPOINT, Checkpoint)
        power_w = 150 + self._random.randint(0, 80)
        register_mwh = 5_000_000 + minutes * 3200 + power_w
        on_ms = minutes * _MINUTE_MS
        energy_mwh, at = register_mwh - 5_000_000, self.stamp
        mark = UsageMark(wall_ms=at.wall_ms, boottime_ms=at.boottime_ms, trusted=True, register_mwh=register_mwh)
        return replace(
            body,
            port=port,
            register_mwh=register_mwh,
            on_ms=on_ms,
            power_w=power_w,
            count=replace(
                body.count, energy_mwh=energy_mwh, register_mwh=register_mwh, at_ms=on_ms, on_ms=on_ms, read=True
            ),
            usage=replace(body.usage, last=mark),
            power_ms=[0, 0, 0, on_ms],
        )

    def _event(self) -> Iterator[NewFact]:
        self._count += 1
        name, port = f"{self._prefix}{self._count}", self._random.randint(1, _PORTS)
        for kind in (FactKind.FAULT_FOUND, FactKind.FAULT_CLEARED):
            fault = _body(kind, Fault)
            yield NewFact(kind, replace(fault, guard_boot=f"g-{name}{kind}", port=port, event=self._count))
        result = _body(FactKind.COMMAND_RESULT, CommandResult)
        yield NewFact(FactKind.COMMAND_RESULT, replace(result, id=f"c-{name}", session=None))
        refused = _body(FactKind.START_REFUSED, StartRefused)
        yield NewFact(FactKind.START_REFUSED, replace(refused, order=f"r-{name}", port=port))


@contextmanager
def _unflushed() -> Iterator[None]:
    """Write without waiting for the medium: what is measured comes later."""
    before = journal_writer.SYNCHRONOUS, journal_writer.FLUSHES_MORE
    journal_writer.SYNCHRONOUS, journal_writer.FLUSHES_MORE = "OFF", 0  # type: ignore[misc]
    try:
        yield
    finally:
        journal_writer.SYNCHRONOUS, journal_writer.FLUSHES_MORE = before  # type: ignore[misc]


async def _fill(path: Path, count: int, week: Week) -> int:
    journal = Journal(path, now=lambda: week.stamp, reserve_bytes=0)
    await journal.recover()
    try:
        for facts in week.minutes(count):
            await journal.append(facts)
            last = journal.status().last_seq
            if sys.stderr.isatty():
                print(f"\r{last} facts written", end="", file=sys.stderr)
        await journal.tend()
        return journal.status().last_seq
    finally:
        await journal.close()


def fill(path: Path, count: int = FACTS, week: Week | None = None) -> int:
    """Write ``count`` facts or a few more into the journal ``path``; return the newest ``seq``."""
    with _unflushed():
        return asyncio.run(_fill(path, count, week or Week()))


def main() -> int:
    """Make one."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.offline_week", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--facts", type=int, default=FACTS)
    options = parser.parse_args()
    last = fill(options.file, options.facts)
    print(f"{last} facts, {options.file.stat().st_size / last:.0f} bytes each at rest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
