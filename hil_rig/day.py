"""A normal day of a cabinet with ten ports, in minutes: ``python -m hil_rig.day [--hours H] [--json FILE]``.

The real station (journal, sessions, timekeeper, sync: everything but sockets) lives through a simulated day. 30 people
come at the hours of ``hil_rig.orderly_people``, with stored charges joined late, so that ports are on a fifth of the
time; most scan, some show a card, some leave early. The journal is a real file; each of its works takes no simulated
time. Counted from the first minute to the end of the day:

- ``written``: bytes that the process let the kernel write to the disk (``/proc/self/io`` ``write_bytes``: whole pages,
  without the file system's own journal). Promise: at most 25 MB a day;
- ``calls``: bytes in write calls, and how many commits and write-ahead-log checkpoints they were;
- what goes upstream, as the real sync sends it: payload, topic, MQTT header, and 60 B of TCP, IP and TLS for every
  publish. Promise: at most 0.35 MB and 150 publishes a day. Acknowledgements and pings are shown beside it.

Exit status 0 when the promises hold and the backend has every fact once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import sqlite3
import sys
import tempfile
import time
import zlib
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from config.schema import Config
from hil_rig import curves
from hil_rig.clock_world import ClockWorld
from hil_rig.day_guard import Charge, DayGuard
from hil_rig.day_link import OVERHEAD_BYTES, DayUpstream
from hil_rig.day_loop import DayLoop
from hil_rig.orderly_people import HOUR_S, MOST_A, people
from pilenode import clock
from pilenode.ipc.messages import StartReply
from pilenode.ipc.wish import Wish
from pilenode.station import journal_writer
from pilenode.station import main as station_main
from pilenode.station.sessions import StartRequest
from pilenode.station.tests_runner import Prover
from pilenode.station.timekeeper import WallClock
from pilenode.upstream.contract import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hil_rig.orderly_people import Person
    from pilenode.ipc.messages import Done, Refused

PORTS: Final = 10
PEOPLE: Final = 30
#: Stored charges that are joined; there are 30.
STORED = 30
#: Promises for a cabinet of ten ports and a day.
DISK_BYTES: Final = 25_000_000
WIRE_BYTES: Final = 350_000
PUBLISHES: Final = 150
#: A Saturday in 2026, midnight in the cabinet's zone (UTC+8).
_MIDNIGHT_MS: Final = 1_785_513_600_000
#: What happens at every start, and once in a life, is not of the day.
_SETTLED_S: Final = 60.0
#: A charge is joined so long before it is full, seconds: ports are on a fifth of the day.
_FOR_S: Final = (1.05 * HOUR_S, 3.05 * HOUR_S)
#: Shares of the people: who shows a card; who leaves before the charge is full.
_CARDS, _EARLY = 0.25, 0.15
#: A connection that says nothing is asked for a sign of life this often, seconds (``pilenode.upstream.mqtt``).
_PING_S, _PING_BYTES = 240.0, 2 + OVERHEAD_BYTES
_DAY_S: Final = 86_400.0


@dataclass(slots=True)
class Kind:
    """What the facts of one kind weigh: bodies, whole rows as JSON, and those deflated together, bytes."""

    facts: int = 0
    body: int = 0
    row: int = 0
    deflated: int = 0


@dataclass(slots=True)
class Figures:
    """One day, or a part of it."""

    hours: float
    sessions: int = 0
    ended: int = 0
    duty: float = 0.0
    written: int = 0
    calls: int = 0
    commits: int = 0
    checkpoints: int = 0
    facts: int = 0
    file_bytes: int = 0
    kinds: dict[str, Kind] = field(default_factory=dict)
    publishes: dict[str, int] = field(default_factory=dict)
    wire: dict[str, int] = field(default_factory=dict)
    down_publishes: int = 0
    down_bytes: int = 0
    ping_bytes: int = 0
    stored: int = 0
    took_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def published(self) -> int:
        """Return how often something was sent upstream."""
        return sum(self.publishes.values())

    @property
    def sent(self) -> int:
        """Return what was sent upstream, bytes on the wire."""
        return sum(self.wire.values())

    def judge(self) -> None:
        """Compare a day with the promises; a part of it with a part of them."""
        share = self.hours * HOUR_S / _DAY_S
        # A connection says a few things at its beginning, however short the part is.
        for what, value, limit in (
            ("MB written to the disk", self.written / 1e6, DISK_BYTES / 1e6 * share),
            ("MB sent upstream", self.sent / 1e6, WIRE_BYTES / 1e6 * share),
            ("publishes", self.published, PUBLISHES * share + (0 if share >= 1 else 10)),
        ):
            if value > limit:
                self.failures.append(f"{value:.2f} {what}, {limit:.2f} promised")
        if self.ended != self.sessions:
            self.failures.append(f"{self.ended} of {self.sessions} sessions ended")


class _Counts:
    """What this process wrote, between two moments."""

    def __init__(self) -> None:
        self.commits = self.checkpoints = 0
        self._before = self._now()

    @staticmethod
    def _now() -> dict[str, int]:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
        return {name: int(value) for name, value in (line.split(": ") for line in lines)}

    def begin(self) -> None:
        """Count from here."""
        self.commits = self.checkpoints = 0
        self._before = self._now()

    def since(self, name: str) -> int:
        """Return what was counted under ``name`` in ``/proc/self/io``."""
        return self._now()[name] - self._before[name]

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Count commits and checkpoints of the journal's writer."""
        flush, checkpoint = journal_writer.Writer._flush_again, journal_writer.Writer.checkpoint  # noqa: SLF001 - counted where it is done

        def flushed(writer: journal_writer.Writer) -> None:
            self.commits += 1
            flush(writer)

        def moved(writer: journal_writer.Writer, now_s: float, *, at_once: bool = False) -> bool:
            done = checkpoint(writer, now_s, at_once=at_once)
            self.checkpoints += done
            return done

        journal_writer.Writer._flush_again = flushed  # type: ignore[method-assign, assignment]  # noqa: SLF001 - as above
        journal_writer.Writer.checkpoint = moved  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            journal_writer.Writer._flush_again = flush  # type: ignore[method-assign]  # noqa: SLF001 - as above
            journal_writer.Writer.checkpoint = checkpoint  # type: ignore[method-assign]


def _config(directory: Path) -> Config:
    """Return a cabinet of ten ports with prices of three parts of the day."""
    price = {"service_milli_yuan_per_kwh": 300}
    parts = (("00:00", "08:00", 310), ("08:00", "16:00", 620), ("16:00", "22:00", 880), ("22:00", "24:00", 310))
    periods = [{"from": a, "to": b, "electricity_milli_yuan_per_kwh": p, **price} for a, b, p in parts]
    ports = [
        {"number": n, "meter": {"model": "pzem004t-v3", "unit": n, "bus": "main"}, "relay": {"pin": 3 + n}}
        for n in range(1, PORTS + 1)
    ]
    settings = {
        "node": {"id": "haidian-000123"},
        "station": {"data_dir": str(directory), "control_socket": str(directory / "control.sock"), "poll_s": 1.0},
        "bus": [{"name": "main", "device": "/dev/null"}],
        "port": ports,
        "tariff": [{"version": "2026-06", "period": periods}],
        "upstream": {"url": "mqtt://localhost"},
    }
    return msgspec.convert(settings, Config)


def charges(crowd: Sequence[Person], full_s: Mapping[int, float], seed: int) -> list[Charge]:
    """Return what each of them plugs in; ``full_s``: when a curve is full, by the identity of the object."""
    rng = random.Random(f"charges {seed}")
    found = []
    for person in crowd:
        full = full_s[id(person.curve)]
        for_s = min(rng.uniform(*_FOR_S), full)
        found.append(Charge(person.curve, full - for_s, for_s))
    return found


class _Day:
    """One station, the people who come, and what became of it."""

    def __init__(self, directory: Path, world: ClockWorld, hours: float, sessions: int, seed: int) -> None:
        self.figures = Figures(hours)
        self.counts = _Counts()
        self.world = world
        self.directory = directory
        self.guard = DayGuard(world, PORTS)
        self.upstream: DayUpstream | None = None
        self._chance = random.Random(f"day {seed}")
        stored = {name: label["full_s"] for name, label in curves.labels().items() if label["expect"] == "full"}
        loaded = [(curves.load(name), full_s) for name, full_s in list(stored.items())[:STORED]]
        fleet = [curve for curve, _ in loaded if max(curve.amps) <= MOST_A]
        latest_h = min(hours, 24.0) - 3.0 if hours > 6 else hours * 0.4  # noqa: PLR2004 - the last ones end within the day
        self._crowd = people(sessions, latest_h, fleet, seed)
        self._charges = charges(self._crowd, {id(curve): full_s for curve, full_s in loaded}, seed)
        self._longest_s = _DAY_S if hours > 6 else hours * HOUR_S / 3  # noqa: PLR2004 - as above

    @contextlib.contextmanager
    def _wired(self) -> Iterator[station_main.Station]:
        """Return the real station with guard, backend and clock of this world."""

        def upstream(settings: Any, node: str) -> DayUpstream:  # noqa: ANN401 - as the station calls it
            self.upstream = DayUpstream(settings, node)
            return self.upstream

        mine = {
            "GuardLink": lambda _: self.guard,
            "MqttUpstream": upstream,
            "WallClock": partial(WallClock, self.world.reading),
            "Prover": partial(Prover, monotonic_s=clock.monotonic_s),
        }
        before = {name: getattr(station_main, name) for name in mine}
        try:
            for name, value in mine.items():
                setattr(station_main, name, value)
            yield station_main.Station(_config(self.directory))
        finally:
            for name, value in before.items():
                setattr(station_main, name, value)

    async def live(self) -> None:
        """Live through it."""
        with self._wired() as station:
            running = asyncio.create_task(station.run())
            await asyncio.sleep(_SETTLED_S)
            self.counts.begin()
            if self.upstream is None:
                raise RuntimeError("no upstream")
            begun = dict(self.upstream.up.publishes), dict(self.upstream.up.sent)
            async with asyncio.TaskGroup() as group:
                for number, (person, charge) in enumerate(zip(self._crowd, self._charges, strict=True)):
                    group.create_task(self._visit(station, number, person, charge))
                group.create_task(self._pass())
            self._take_figures(*begun)
            station.end("signal")
            await running

    async def _pass(self) -> None:
        end_s = self.figures.hours * HOUR_S
        while (now_s := self.world.boottime_ms / 1000) < end_s:
            if sys.stderr.isatty():
                print(f"\r{now_s / HOUR_S:5.1f} h", end="", file=sys.stderr, flush=True)
            await asyncio.sleep(min(600.0, end_s - now_s))

    async def _visit(self, station: station_main.Station, number: int, person: Person, charge: Charge) -> None:
        """Come, start, and leave when it is over."""
        await asyncio.sleep(max(0.0, person.at_s - self.world.boottime_ms / 1000))
        free = self.guard.free()
        if not free:
            return
        port = self._chance.choice(free)
        if charge.for_s > self._longest_s:
            charge = Charge(charge.curve, charge.begin_s + charge.for_s - self._longest_s, self._longest_s)
        self.guard.plug(port, charge)
        order, early = f"wx-20260801-{number:06}", self._chance.random() < _EARLY
        if self._chance.random() < _CARDS:
            request = StartRequest(port, order, Wish(), "card", "front", card=f"{number:032x}")
            self._note(await station._sessions.start(request))  # noqa: SLF001 - as the card desk does
        else:
            self._command(f"c-{number:06}-1", "start", port, order, paid_fen=300)
            self.figures.sessions += 1
        if early:
            await asyncio.sleep(charge.for_s * self._chance.uniform(0.2, 0.8))
            self._command(f"c-{number:06}-2", "stop", port, order)

    def _note(self, reply: StartReply | Done | Refused) -> None:
        if isinstance(reply, StartReply):
            self.figures.sessions += 1
        else:
            self.figures.failures.append(f"no session: {reply}")

    def _command(self, name: str, op: str, port: int, order: str, **more: Any) -> None:  # noqa: ANN401 - of the command
        now_ms = self.world.truth_ms
        command = Command(id=name, op=op, port=port, order=order, iat=now_ms, exp=now_ms + 60_000, **more)  # type: ignore[arg-type]
        if self.upstream is not None:
            self.upstream.command(msgspec.json.encode(command))

    def _take_figures(self, publishes: dict[str, int], wire: dict[str, int]) -> None:
        figures, upstream = self.figures, self.upstream
        if upstream is None:
            return
        figures.written, figures.calls = self.counts.since("write_bytes"), self.counts.since("wchar")
        figures.commits, figures.checkpoints = self.counts.commits, self.counts.checkpoints
        figures.publishes = {leaf: n - publishes.get(leaf, 0) for leaf, n in sorted(upstream.up.publishes.items())}
        figures.wire = {leaf: n - wire.get(leaf, 0) for leaf, n in sorted(upstream.up.sent.items())}
        figures.down_publishes, figures.down_bytes = upstream.down.publishes.total(), upstream.down.sent.total()
        figures.ping_bytes = round(figures.hours * HOUR_S / _PING_S) * _PING_BYTES
        figures.duty = self.guard.on_s / (PORTS * figures.hours * HOUR_S)

    def weigh(self) -> None:
        """Look what is in the journal, and whether the backend has it."""
        figures, path = self.figures, self.directory / station_main.JOURNAL_FILE
        texts: defaultdict[str, list[bytes]] = defaultdict(list)
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.row_factory = sqlite3.Row
            figures.file_bytes = path.stat().st_size
            for row in database.execute("SELECT * FROM fact ORDER BY seq"):
                kind = figures.kinds.setdefault(row["kind"], Kind())
                words = {name: row[name] for name in row.keys() if name not in {"hash", "log_id"}}  # noqa: SIM118 - sqlite3.Row
                text = json.dumps(words).encode()
                kind.facts, kind.body, kind.row = kind.facts + 1, kind.body + len(row["body"]), kind.row + len(text)
                texts[row["kind"]].append(text)
        for name, kind in figures.kinds.items():
            kind.deflated = len(zlib.compress(b"\n".join(texts[name]), 6))
        figures.facts = sum(kind.facts for kind in figures.kinds.values())
        figures.ended = figures.kinds.get("session_ended", Kind()).facts
        if self.upstream is not None:
            rows = self.upstream.store.rows()
            figures.stored = len(rows)
            if self.upstream.store.contradictions() or [row.fact.seq for row in rows] != [*range(1, len(rows) + 1)]:
                figures.failures.append("the backend does not have every fact once and in order")


def run(hours: float = 24.0, sessions: int = PEOPLE, seed: int = 1, place: Path | None = None) -> Figures:
    """Live through a day and return its figures. ``place``: a directory on the file system to be measured."""
    begun_s = time.monotonic()
    world = ClockWorld(_MIDNIGHT_MS)
    world.sync()
    with tempfile.TemporaryDirectory(prefix="pilenode-day-", dir=place) as directory, world.installed():
        day = _Day(Path(directory), world, hours, sessions, seed)
        loop = DayLoop(world)
        try:
            with day.counts.watching():
                loop.run_until_complete(day.live())
            day.weigh()
        finally:
            loop.close()
    day.figures.took_s = time.monotonic() - begun_s
    day.figures.judge()
    return day.figures


def table(figures: Figures) -> Iterator[str]:
    """Yield the lines of the report."""
    yield (
        f"{figures.hours:g} h, {PORTS} ports, {figures.sessions} sessions, "
        f"ports on {100 * figures.duty:.1f} % of the time  (took {figures.took_s:.0f} s)"
    )
    yield (
        f"disk: {figures.written / 1e6:.2f} MB written (write_bytes), {figures.calls / 1e6:.2f} MB in write calls, "
        f"{figures.commits} commits, {figures.checkpoints} checkpoints, journal {figures.file_bytes / 1e6:.2f} MB"
    )
    yield (
        f"up:   {figures.sent / 1e6:.3f} MB, {figures.published} publishes; "
        f"beside it {figures.down_publishes} down ({figures.down_bytes / 1e6:.3f} MB), "
        f"at most {figures.ping_bytes / 1e6:.3f} MB of pings"
    )
    yield ""
    yield f"{'fact':<18} {'count':>6} {'body, B':>9} {'row, B':>9} {'mean':>6} {'deflated':>9}"
    for name, kind in sorted(figures.kinds.items(), key=lambda item: -item[1].row):
        mean = kind.row // kind.facts
        yield f"{name:<18} {kind.facts:>6} {kind.body:>9} {kind.row:>9} {mean:>6} {kind.deflated:>9}"
    yield ""
    yield f"{'up':<8} {'publishes':>9} {'bytes':>9}"
    for leaf, count in figures.publishes.items():
        yield f"{leaf:<8} {count:>9} {figures.wire[leaf]:>9}"
    yield from (f"FAILED: {failure}" for failure in figures.failures)


def main() -> int:
    """Run, print the tables and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.day", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="how much of the day, from midnight")
    parser.add_argument("--sessions", type=int, default=PEOPLE, help="people who come")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--place", type=Path, help="a directory on the file system to be measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    figures = run(arguments.hours, arguments.sessions, arguments.seed, arguments.place)
    print(*table(figures), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(figures), indent=1))
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
