"""Promises of the journal when the ground gives way: kill -9 in the middle of writes, and a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil_rig.child import environment, python
from hil_rig.disk import SmallDisk
from pilenode.station.entries import JournalFailedError, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_rows import to_fact
from pilenode.upstream.facts import GENESIS, Boot, FactKind, link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pilenode.conftest import LimitedFiles

KILLS = 12
WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from pilenode.station.entries import NewFact
from pilenode.station.journal import Journal
from pilenode.upstream.facts import Boot, FactKind

async def main():
    journal = Journal(Path(sys.argv[1]))
    await journal.recover()
    for size in itertools.cycle((1, 7, 1, 40)):
        written = await journal.append([NewFact(FactKind.BOOT, Boot(version="x" * 40))] * size)
        print(written[-1], flush=True)
        if written[-1] % 3 == 0:
            await journal.acknowledge(journal.status().log_id, written[-1] - 1)

asyncio.run(main())
"""


def check_log(path: Path) -> tuple[int, int]:
    """Return last and acknowledged seq; fail on a gap, a broken chain or a damaged file."""
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    try:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        previous, last = GENESIS, 0
        for row in database.execute("SELECT * FROM fact ORDER BY seq"):
            assert row["seq"] == last + 1
            previous, last = link(previous, row["log_id"], to_fact(row)), row["seq"]
            assert previous == row["hash"]
        (acked,) = database.execute("SELECT value FROM meta WHERE key = 'acked'").fetchone()
    finally:
        database.close()
    return last, int(acked)


def test_kill_in_the_middle_of_writes_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """After any number of kill -9 the log has no gap, an unbroken chain, and every fact whose append had returned."""
    path, told, chance = tmp_path / "j.db", 0, random.Random(7)  # noqa: S311 - repeatable, not secret
    for _ in range(KILLS):
        writer = subprocess.Popen(python("-c", WRITER, str(path)), env=environment(), stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        with writer.stdout:
            first = writer.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.05))
            writer.kill()
            lines = [first, *writer.stdout.read().splitlines(keepends=True)]
        writer.wait()
        told = max([told, *(int(line) for line in lines if line.endswith("\n"))])
        last, acked = check_log(path)
        assert last >= told
        assert acked <= last
    assert told > KILLS


@pytest.fixture
def small_disk(tmp_path: Path, limited_files: LimitedFiles) -> Iterator[SmallDisk | LimitedFiles]:
    """Return a real small disk where one can be mounted, else the limit on files."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(SmallDisk(tmp_path / "disk"))
        except (OSError, subprocess.CalledProcessError):
            yield limited_files


async def _append_until_full(journal: Journal, batch: list[NewFact]) -> int:
    written = journal.status().last_seq
    with contextlib.suppress(JournalFailedError):
        while True:
            written = (await journal.append(batch))[-1]
    return written


@pytest.mark.parametrize("disk_name", ["small_disk", "limited_files"])
def test_full_disk_is_a_state_that_passes(request: pytest.FixtureRequest, disk_name: str) -> None:
    """A full disk is a typed failure that loses nothing; with room again the log goes on without a restart."""
    batch = [NewFact(FactKind.BOOT, Boot(version="x" * 40))] * 200

    async def main(disk: SmallDisk | LimitedFiles) -> Path:
        path = Path(disk.path) / "j.db"
        journal = Journal(path)
        await journal.recover()
        assert await journal.append(batch) == list(range(1, 201))
        disk.fill()
        written = await _append_until_full(journal, batch)
        assert journal.status().problem
        with pytest.raises(JournalFailedError):
            await journal.append(batch)
        disk.free()
        await journal.recover()
        assert journal.status().problem is None
        assert len(await journal.unacked(100_000)) == written
        assert await journal.append(batch) == list(range(written + 1, written + 201))
        await journal.close()
        last, _ = check_log(path)
        assert last == written + 200
        return path

    asyncio.run(main(request.getfixturevalue(disk_name)))
