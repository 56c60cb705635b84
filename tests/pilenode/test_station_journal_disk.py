"""Promises of the journal on a disk that is full, read-only or fails its syncs, and of upgrades that are killed."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil_rig.child import environment, python
from hil_rig.disk import SmallDisk
from pilenode.station import journal_house, journal_writer, schema
from pilenode.station.entries import JournalFailedError, JournalPolicy, NewFact
from pilenode.station.journal import Journal
from pilenode.station.journal_check import CorruptError, broken_link
from pilenode.station.journal_room import SUFFIX, Ballast
from pilenode.upstream.facts import GENESIS, Boot, FactKind, FaultReset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MB = 1024 * 1024
STANDING = NewFact(FactKind.FAULT_RESET, FaultReset(port=1, by="x" * 150))
POLICY = JournalPolicy(ballast_bytes=2 * MB, reserve_bytes=MB)


def sound(path: Path) -> int:
    """Return the newest fact of a log that is sound and has no gap."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        (log_id,) = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
        assert broken_link(log_id, connection.execute(schema.AFTER, (0, -1)), 0, GENESIS) is None
        return int(connection.execute(schema.COUNTS).fetchone()[1])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return a real file system of its own."""
    with SmallDisk(tmp_path / "disk") as small:
        yield small


@pytest.mark.needs("root")
def test_a_full_disk_takes_the_ends_of_what_runs_and_nothing_new(disk: SmallDisk) -> None:
    """The ballast is given up for them; no session starts until there is room for it, and then it is laid by itself."""
    path = disk.path / "j.db"

    async def main() -> int:
        journal = Journal(path, policy=POLICY)
        await journal.recover()
        await journal.ensure_room()
        assert (disk.path / f"j.db{SUFFIX}").stat().st_size == 2 * MB
        disk.fill()
        for _ in range(60):
            await journal.append([STANDING] * 5)
        assert not (disk.path / f"j.db{SUFFIX}").exists()
        status = journal.status()
        assert (status.problem, status.ballast, status.ok) == (None, False, False)
        with pytest.raises(JournalFailedError):
            await journal.ensure_room()
        await journal.tend()
        assert not journal.status().ok
        disk.free()
        await journal.tend()
        assert journal.status().ok
        await journal.ensure_room()
        assert (disk.path / f"j.db{SUFFIX}").stat().st_size == 2 * MB
        await journal.close()
        return journal.status().last_seq

    assert asyncio.run(main()) == sound(path) == 300


def remount(disk: SmallDisk, how: str) -> None:
    """Remount the disk "ro" or "rw"."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk.path)], check=True)


def kept(path: Path) -> Callable[[], None]:
    """Return how to bring the files of a journal back as they are now."""
    files = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal", "-shm")}

    def put_back() -> None:
        for suffix, content in files.items():
            Path(f"{path}{suffix}").write_bytes(content)

    return put_back


@pytest.mark.needs("root")
def test_a_disk_that_becomes_read_only_is_a_state_that_passes(disk: SmallDisk) -> None:
    """Nothing starts, what is known can still be read, and it goes on by itself once it can be written again."""
    path = disk.path / "j.db"

    async def main() -> int:
        journal = Journal(path, policy=POLICY)
        await journal.recover()
        await journal.append([STANDING])
        # The kernel does it on its own while files are open; mount refuses that, so they are put back as they were.
        put_back = kept(path)
        await journal._run("write", journal._close_writer)
        put_back()
        remount(disk, "ro")
        try:
            for call in (journal.append([STANDING]), journal.recover(), journal.ensure_room()):
                with pytest.raises(JournalFailedError):
                    await call
            assert journal.status().problem == "the file system is read-only"
            assert [fact.seq for fact in await journal.unacked(10)] == [1]
        finally:
            remount(disk, "rw")
        await journal.recover()
        assert journal.status().ok
        written = await journal.append([STANDING])
        await journal.close()
        return written[-1]

    assert asyncio.run(main()) == sound(path)


class Failing:
    """A connection whose commits fail as SQLite tells a failed sync, while ``broken``."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self.real = real
        self.broken = True

    def execute(self, statement: str, *arguments: Any) -> Any:  # noqa: ANN401 - passed on
        """Fail at a commit, after the commit was done."""
        done = self.real.execute(statement, *arguments)
        if self.broken and statement == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return done

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - passed on
        return getattr(self.real, name)


def test_after_a_failed_sync_the_connection_is_never_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fact counts as not written, the file is looked at whole, and from the medium, before anything goes on."""
    looks: list[str] = []

    async def main() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        await journal.append([STANDING])
        first = journal._writer
        assert first is not None
        failing = Failing(first._connection)
        first._connection = failing  # type: ignore[assignment]
        with pytest.raises(JournalFailedError):
            await journal.append([STANDING])
        failing.broken = False
        with pytest.raises(JournalFailedError):
            await journal.append([STANDING])
        monkeypatch.setattr("pilenode.station.journal_open.forget_cache", lambda path: looks.append(path.name))
        monkeypatch.setattr(journal_writer, "CHECK_BYTES", 0)
        await journal.recover()
        assert journal._writer is not first
        assert journal._writer is not None
        assert journal._writer.checked
        assert await journal.append([STANDING]) == [3]  # the commit had happened all the same
        await journal.close()

    asyncio.run(main())
    assert looks == ["j.db", "j.db-wal"]
    assert sound(tmp_path / "j.db") == 3


SYNCS_FAIL = """
import asyncio, sys
from pathlib import Path
from pilenode.station.entries import JournalFailedError, NewFact
from pilenode.station.journal import Journal
from pilenode.upstream.facts import Boot, FactKind

async def main():
    journal, failed = Journal(Path(sys.argv[1])), 0
    while True:
        try:
            await journal.recover()
            break
        except JournalFailedError:
            failed += 1
    for _ in range(50):
        try:
            written = await journal.append([NewFact(FactKind.BOOT, Boot(version="x"))])
            print("T", written[-1], journal.status().head, flush=True)
        except JournalFailedError:
            failed += 1
            while True:
                try:
                    await journal.recover()
                    break
                except JournalFailedError:
                    failed += 1
    print("F", failed)
    await journal.close()

asyncio.run(main())
"""


@pytest.mark.needs("strace")
def test_syncs_that_fail_lose_nothing_that_was_promised(tmp_path: Path) -> None:
    """Real EIO from the kernel on one fdatasync of 23: every fact whose append returned is there under its link."""
    path = tmp_path / "j.db"
    fault = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=7+23"]
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", *fault]
    done = subprocess.run(
        [*inject, *python("-c", SYNCS_FAIL, str(path))], env=environment(), capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    told = {int(words[1]): words[2] for words in lines if words[0] == "T"}
    assert int(lines[-1][1]) >= 3
    assert len(told) > 30
    sound(path)
    with closing(sqlite3.connect(path)) as connection:
        there = {seq: digest.hex() for seq, digest in connection.execute("SELECT seq, hash FROM fact")}
    assert told.items() <= there.items()


def test_the_write_ahead_log_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Housekeeping moves it into the file before it is large, and not within an append."""

    async def main() -> int:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        monkeypatch.setattr(journal_writer, "_CHECKPOINT_TRANSACTIONS", 20)
        largest = 0
        for number in range(120):
            await journal.append([STANDING] * 60)
            if number % 10 == 0:
                await journal.tend()
            largest = max(largest, (tmp_path / "j.db-wal").stat().st_size)
        assert (tmp_path / "j.db").stat().st_size > 500 * 1024
        await journal.close()
        return largest

    assert asyncio.run(main()) < 3 * MB


def test_a_large_file_is_used_at_once_and_looked_at_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage that is found then closes the journal, and the next opening sets it aside."""
    monkeypatch.setattr(journal_writer, "CHECK_BYTES", 0)

    def bad(_: sqlite3.Connection) -> None:
        raise CorruptError("corrupt", "page 7")

    async def main() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        await journal.append([STANDING])
        await journal.close()
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        assert journal.status().check == ""
        await journal.tend()
        await journal.tend()
        assert journal.status().check == "ok"
        with monkeypatch.context() as damaged:
            damaged.setattr(journal_house, "check_pages", bad)
            damaged.setattr(journal_house, "CHECK_S", 0.0)
            await journal.tend()
        assert journal.status().problem == "page 7"
        with monkeypatch.context() as damaged:
            damaged.setattr(journal_writer, "check_pages", bad)
            with pytest.raises(JournalFailedError):
                await journal.recover()  # the new file "is damaged" as well
        await journal.recover()
        assert len(journal.status().set_aside) == 1
        assert (await journal.facts(["log_salvaged"], 0, 10))[0].seq == 1
        await journal.close()

    asyncio.run(main())


@pytest.mark.parametrize(("free", "laid"), [(3 * MB - 1, False), (3 * MB, True)])
def test_ballast_is_laid_only_beside_the_reserve(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    laid: bool,  # noqa: FBT001 - a table
) -> None:
    """It never takes the room that a session needs to start."""
    monkeypatch.setattr("pilenode.station.journal_room.free_bytes", lambda _: free)
    ballast = Ballast(tmp_path / "j.db", 2 * MB, MB)
    assert ballast.restore() == laid
    assert ballast.here == laid == ballast.laid
    assert ballast.release() == laid
    assert not ballast.here


KILLED = """
import os, signal, sqlite3, sys
from pilenode.station import journal_writer, schema
from pathlib import Path
name, statements = schema.MIGRATIONS[int(sys.argv[2])]
cut = (name, (*statements[:int(sys.argv[3])], "SELECT pilenode_die()"))
schema.MIGRATIONS = (*schema.MIGRATIONS[:int(sys.argv[2])], cut)
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.create_function("pilenode_die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
journal_writer.migrations().apply(journal_writer.Database(connection, execute_plugins=False))
"""


@pytest.mark.parametrize("statement", [0, 3, 6])
@pytest.mark.parametrize("migration", range(len(schema.MIGRATIONS)))
def test_an_upgrade_that_is_killed_is_done_again(tmp_path: Path, migration: int, statement: int) -> None:
    """Each migration is whole or did not happen: killed in its middle, the next opening carries it out."""
    statement = min(statement, len(schema.MIGRATIONS[migration][1]))
    command = python("-c", KILLED, str(tmp_path / "j.db"), str(migration), str(statement))
    assert subprocess.run(command, env=environment(), check=False).returncode == -signal.SIGKILL

    async def main() -> list[int]:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        assert journal.status().set_aside == ()
        written = await journal.append([NewFact(FactKind.BOOT, Boot(version="x"))])
        await journal.close()
        return written

    assert asyncio.run(main()) == [1]
    with closing(sqlite3.connect(tmp_path / "j.db")) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY rowid")]
    assert names == [name for name, _ in schema.MIGRATIONS]
