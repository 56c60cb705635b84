"""Promises of reading ahead: every fact in order from wherever somebody begins, of this log only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.station import read_ahead as module
from pilenode.station.entries import JournalFailedError, NewFact
from pilenode.station.journal import Journal
from pilenode.station.read_ahead import ReadAhead
from pilenode.upstream.contract import UpstreamLostError
from pilenode.upstream.facts import Boot, FactKind, canonical

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def play(directory: Path, count: int, story: Callable[[Journal, ReadAhead], Awaitable[None]]) -> None:
    """Run ``story`` over a log of that many facts."""

    async def main() -> None:
        journal = Journal(directory / "j.db", reserve_bytes=0)
        await journal.recover()
        await journal.append([NewFact(FactKind.BOOT, Boot(version="1"))] * count)
        ahead = ReadAhead(journal, journal.status().log_id)
        try:
            await story(journal, ahead)
        finally:
            ahead.close()
            await journal.close()

    asyncio.run(main())


async def seqs(ahead: ReadAhead, after: int, limit: int) -> list[int]:
    """Return what it reads."""
    return [fact.seq for fact in await ahead.above(after, limit)]


def test_everything_is_read_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes on where the last piece ended misses nothing, and the file is opened a few times only."""
    monkeypatch.setattr(module, "_FACTS", 100)
    reads = 0

    async def story(journal: Journal, ahead: ReadAhead) -> None:
        nonlocal reads
        stretch = journal.stretch

        async def counted(after: int, limit: int, most_bytes: int | None = None) -> list[object]:
            nonlocal reads
            reads += 1
            return list(await stretch(after, limit, most_bytes))

        monkeypatch.setattr(journal, "stretch", counted)
        found: list[int] = []
        while piece := await seqs(ahead, found[-1] if found else 0, 30):
            found += piece
        assert found == list(range(1, 1001))

    play(tmp_path, 1000, story)
    assert reads <= 12


@settings(max_examples=15)
@given(steps=st.lists(st.tuples(st.integers(0, 320), st.integers(1, 60)), max_size=12))
def test_from_wherever_somebody_begins(steps: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Back, forward, over the end: always the facts above that one."""

    async def story(_: Journal, ahead: ReadAhead) -> None:
        for after, limit in steps:
            found = await seqs(ahead, after, limit)
            assert found == list(range(after + 1, after + 1 + len(found)))
            assert bool(found) == (after < 300)
            assert len(found) <= limit

    play(tmp_path_factory.mktemp("ahead"), 300, story)


def test_what_is_written_later_is_read_too(tmp_path: Path) -> None:
    """An end that was met is not the end for ever."""

    async def story(journal: Journal, ahead: ReadAhead) -> None:
        assert await seqs(ahead, 0, 200) == [1, 2, 3]
        assert await seqs(ahead, 3, 200) == []
        await journal.append([NewFact(FactKind.BOOT, Boot(version="1"))] * 2)
        assert await seqs(ahead, 3, 200) == [4, 5]

    play(tmp_path, 3, story)


def test_memory_is_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large facts fewer are held, and never none."""
    monkeypatch.setattr(module, "_BYTES", len(canonical(Boot(version="1"))) + 1)

    async def story(_: Journal, ahead: ReadAhead) -> None:
        assert await seqs(ahead, 0, 200) == [1, 2]

    play(tmp_path, 9, story)


def test_another_log_is_never_taken_for_this_one(tmp_path: Path) -> None:
    """When the log was replaced, nothing of the new one goes out under the old name."""

    async def story(journal: Journal, ahead: ReadAhead) -> None:
        await journal.renounce(journal.status().log_id, "test")
        with pytest.raises(UpstreamLostError):
            await ahead.above(0, 10)

    play(tmp_path, 3, story)


def test_trouble_is_told_and_reading_goes_on_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that failed once, while it was read ahead, is asked again."""
    monkeypatch.setattr(module, "_FACTS", 10)
    fails = False

    async def story(journal: Journal, ahead: ReadAhead) -> None:
        nonlocal fails
        stretch = journal.stretch

        async def failing(after: int, limit: int, most_bytes: int | None = None) -> list[object]:
            if fails:
                raise JournalFailedError("gone")
            return list(await stretch(after, limit, most_bytes))

        monkeypatch.setattr(journal, "stretch", failing)
        assert await seqs(ahead, 0, 5) == [1, 2, 3, 4, 5]
        fails = True
        ahead.close()
        assert ahead._reading is None
        with pytest.raises(JournalFailedError):
            await ahead.above(5, 5)
        fails = False
        assert await seqs(ahead, 5, 5) == [6, 7, 8, 9, 10]

    play(tmp_path, 40, story)
