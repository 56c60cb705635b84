"""Power cuts by replay.

What the real journal does to its files is recorded, and the files are made again as a cut at any moment may leave them,
and opened with the real journal.

``python -m hil_rig.power_cuts --cuts 10000`` (a few minutes on two cores). ``--ignored-flushes 2``: the disk only
pretends to do so many percent of its syncs. ``--synchronous NORMAL``: a journal that promises too much, to see that the
losses are found. Exit code 1 when a cut did what it may not.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from hil_rig.child import python
from hil_rig.power_cuts_disk import Disk
from hil_rig.power_cuts_trace import Event, run
from hil_rig.power_cuts_writer import NAME
from pilenode.station import schema
from pilenode.station.entries import JournalFailedError, JournalPolicy, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_check import broken_link, link_at
from pilenode.station.journal_writer import FLUSHES_MORE
from pilenode.upstream.facts import GENESIS, Boot, FactKind
from pilenode.upstream.facts_journal import LogSalvaged

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Cuts of one recorded piece of work, and how long such a piece is.
PIECE_CUTS: Final = 500
PIECE_STEPS: Final = 150
#: A busy machine may take long to open a file; that is no loss.
_ATTEMPTS: Final = 20
_POLICY: Final = JournalPolicy(reserve_bytes=0)


@dataclass(frozen=True, slots=True)
class Told:
    """What had been promised before the cut: the newest fact, and between which marks the confirmation stands."""

    seq: int = 0
    link: str = GENESIS.hex()
    acked: int = 0
    acking: int = 0

    def heard(self, words: bytes) -> Told:
        """Return what is promised after one more line of the writer."""
        kind, number, *rest = words.decode().split()
        if kind == "T":
            return replace(self, seq=int(number), link=rest[0])
        return replace(self, acking=int(number)) if kind == "B" else replace(self, acked=int(number))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cut came to. ``noticed``: the journal or the backend says by itself that something is gone."""

    lost: bool = False
    gap: bool = False
    corrupt: bool = False
    mark: bool = False
    dead: bool = False
    noticed: bool = False
    open_s: float = 0.0

    @property
    def harm(self) -> bool:
        """Return whether anything is not as promised."""
        return self.lost or self.gap or self.corrupt or self.mark or self.dead


async def _recovered(journal: Journal) -> None:
    """Open the journal as station does: trouble is tried again. Raises JournalFailedError when it does not pass."""
    for _ in range(_ATTEMPTS):
        with suppress(JournalFailedError):
            await journal.recover()
            return
        await asyncio.sleep(0.5)
    await journal.recover()


def examine(directory: Path, told: Told) -> Outcome:
    """Open what a cut has left in ``directory`` with the real journal and compare it with what was promised."""
    path = directory / NAME
    begun = time.monotonic()

    async def opened() -> tuple[str, bool, int, int]:
        journal = Journal(path, policy=_POLICY)
        try:
            await _recovered(journal)
            found = journal.status()
            await journal.append([NewFact(FactKind.BOOT, Boot(version="after"))])
        finally:
            await journal.close()
        return found.log_id, bool(found.set_aside), found.last_seq, found.acked_seq

    try:
        log_id, corrupt, last, acked = asyncio.run(opened())
    except JournalFailedError as error:
        print(f"does not open: {error}", file=sys.stderr)
        return Outcome(dead=True)
    took_s = time.monotonic() - begun
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        if corrupt:
            (body,) = connection.execute("SELECT body FROM fact WHERE seq = 1").fetchone()
            salvaged = msgspec.json.decode(body, type=LogSalvaged)
            lost = salvaged.old_last_seq < told.seq or salvaged.missing + salvaged.damaged > 0
            return Outcome(lost=lost, corrupt=True, noticed=True, open_s=took_s)
        sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
        gap = broken_link(log_id, connection.execute(schema.AFTER, (0, -1)), 0, GENESIS) is not None
        lost = last < told.seq or (link_at(connection, told.seq) or b"").hex() != told.link
    mark = not told.acked <= acked <= max(told.acking, told.acked)
    # The backend holds everything that it has confirmed: a log that ends before that shows at the next greeting.
    return Outcome(lost=lost, gap=gap, corrupt=not sound, mark=mark, noticed=last < told.acked, open_s=took_s)


def scratch() -> Path:
    """Return a directory in memory where there is one: what is tested here is what was recorded, not this disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh directory is made in it
    return Path(tempfile.mkdtemp(prefix="power-cuts-", dir=memory if memory.is_dir() else None))


def record(piece: Piece) -> list[Event]:
    """Let the real journal work, and return what it did."""
    place = scratch()
    options = [piece.synchronous or "FULL", str(FLUSHES_MORE if piece.flushes_more is None else piece.flushes_more)]
    try:
        (place / "data").mkdir()
        arguments = [str(place / "data"), str(piece.seed), str(piece.steps), *options]
        return run(python("-m", "hil_rig.power_cuts_writer", *arguments), place / "data", place / "trace")
    finally:
        shutil.rmtree(place)


def cuts(events: list[Event], count: int, chance: random.Random, disk: Disk) -> Iterator[Outcome]:
    """Cut the power ``count`` times anywhere in what was recorded, and return what each cut came to."""
    moments = Counter(chance.randrange(len(events) + 1) for _ in range(count))
    place, told = scratch(), Told()
    try:
        for moment in range(len(events) + 1):
            for _ in range(moments[moment]):
                directory = place / "cut"
                directory.mkdir()
                for name, content in disk.cut().items():
                    (directory / name).write_bytes(content)
                yield examine(directory, told)
                shutil.rmtree(directory)
            if moment < len(events):
                disk.take(events[moment])
                if events[moment].kind == "told":
                    told = told.heard(events[moment].data)
    finally:
        shutil.rmtree(place)


@dataclass(frozen=True, slots=True)
class Piece:
    """One recorded piece of work and its cuts. ``passes``: how often it is gone through, each time another disk."""

    seed: int
    cuts: int
    ignored: float = 0.0
    synchronous: str = ""
    steps: int = PIECE_STEPS
    passes: int = 1
    flushes_more: int | None = None
    victim: str | None = None  # of ignored syncs


def work(piece: Piece) -> Counter[str]:
    """Return how often each kind of outcome came up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    events = record(piece)
    chance = random.Random(piece.seed)
    count: Counter[str] = Counter()
    for number in range(piece.passes):
        share = piece.cuts // piece.passes + (number < piece.cuts % piece.passes)
        for outcome in cuts(events, share, chance, Disk(chance, piece.ignored, piece.victim)):
            count["cuts"] += 1
            for name in ("lost", "gap", "corrupt", "mark", "dead"):
                count[name] += getattr(outcome, name)
            count["silent"] += outcome.harm and not outcome.noticed
            count["slowest_ms"] = max(count["slowest_ms"], round(outcome.open_s * 1000))
    return count


def pieces(cuts: int, ignored: float, synchronous: str) -> list[Piece]:
    """Return the work of a run."""
    passes = 1 if ignored == 0 else 25
    sizes = [min(PIECE_CUTS, cuts - begin) for begin in range(0, cuts, PIECE_CUTS)]
    return [Piece(seed, size, ignored, synchronous, passes=passes) for seed, size in enumerate(sizes, start=1)]


def measure(cuts: int, ignored: float = 0.0, synchronous: str = "", jobs: int = 2) -> Counter[str]:
    """Return the outcomes of a whole run, on ``jobs`` processes."""
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(jobs) as pool:
        for count in pool.map(work, pieces(cuts, ignored, synchronous)):
            slowest_ms = max(total["slowest_ms"], count["slowest_ms"])
            total.update(count)
            total["slowest_ms"] = slowest_ms
    return total


def line(count: Counter[str]) -> str:
    """Return a run in one line."""
    return (
        f"{count['cuts']} cuts: {count['lost']} lost something promised, {count['gap']} left a gap, "
        f"{count['corrupt']} a corrupt file, {count['mark']} a wrong mark, "
        f"{count['dead']} a journal that does not open; "
        f"{count['silent']} of them silent; slowest opening {count['slowest_ms']} ms"
    )


def main(arguments: list[str]) -> int:
    """Run as told on the command line."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.power_cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--ignored-flushes", type=float, default=0.0, metavar="PERCENT")
    parser.add_argument("--synchronous", choices=("OFF", "NORMAL", "FULL"), default="")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    count = measure(options.cuts, options.ignored_flushes / 100, options.synchronous, options.jobs)
    print(f"{line(count)}; {time.monotonic() - begun:.0f} s")
    harm = ("silent", "dead") if options.ignored_flushes else ("lost", "gap", "corrupt", "mark", "dead")
    return 1 if any(count[name] for name in harm) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
