"""Promises of the power-cut replay: it finds what is lost when something is lost, and with this journal nothing is."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from hil_rig import power_cuts
from hil_rig.child import python
from hil_rig.power_cuts_disk import Disk
from hil_rig.power_cuts_trace import Event, run, whole
from hil_rig.power_cuts_writer import NAME

if TYPE_CHECKING:
    from pathlib import Path


def disk(events: list[Event], ignored: float = 0.0, seed: int = 1) -> Disk:
    """Return a disk to which that has happened."""
    made = Disk(random.Random(seed), ignored)  # noqa: S311 - repeatable, not secret
    for event in events:
        made.take(event)
    return made


WRITTEN = [Event("create", "a"), Event("write", "a", 0, b"old" * 2000), Event("sync", "a")]


def test_what_was_synced_is_there_after_every_cut() -> None:
    """Names and content; and what was written after it is sometimes there, sometimes not, sometimes in part."""
    made = disk([*WRITTEN, Event("write", "a", 0, b"new" * 2000), Event("create", "b")])
    found = [made.cut() for _ in range(200)]
    contents = {files["a"] for files in found}
    assert {b"old" * 2000, b"new" * 2000} < contents
    assert {len(content) for content in contents} == {6000}
    assert {"b" in files for files in found} == {True, False}


def test_a_torn_write_is_torn_at_sectors() -> None:
    """Every sector is as before or as after."""
    made = disk([*WRITTEN, Event("write", "a", 0, b"new" * 2000)])
    for _ in range(100):
        content = made.cut()["a"]
        for begin in range(0, 6000, 512):
            piece = content[begin : begin + 512]
            assert piece in ((b"old" * 2000)[begin : begin + 512], (b"new" * 2000)[begin : begin + 512])


def test_a_sync_that_is_ignored_makes_nothing_durable() -> None:
    """The write may be gone although it was synced; a later sync that is obeyed makes it durable after all."""
    made = disk(WRITTEN, ignored=1.0)
    assert {files.get("a") for files in (made.cut() for _ in range(100))} >= {None, b"old" * 2000}
    made._ignored = 0.0
    made.take(Event("sync", "a"))
    assert {made.cut()["a"] for _ in range(50)} == {b"old" * 2000}


def test_renames_and_removals_keep_their_order() -> None:
    """A later change of names is never there without an earlier one."""
    events = [*WRITTEN, Event("rename", "a", data=b"b"), Event("create", "c"), Event("unlink", "b")]
    assert {tuple(sorted(disk(events, seed=seed).cut())) for seed in range(60)} == {("a",), ("b",), ("b", "c"), ("c",)}


def test_calls_in_two_pieces_are_put_together() -> None:
    """At the place where they ended."""
    lines = ['1 write(1, "x" <unfinished ...>', "2 fsync(3) = 0", "1 <... write resumed>, 1) = 1"]
    assert list(whole(iter(lines))) == ["2 fsync(3) = 0", '1 write(1, "x", 1) = 1']


@pytest.mark.needs("strace")
def test_a_trace_tells_everything_in_order(tmp_path: Path) -> None:
    """Every kind of call that changes a file, and what the program said in between; nothing of other directories."""
    code = """
import os, sys
d = sys.argv[1]
f = os.open(d + "/a", os.O_RDWR | os.O_CREAT); g = os.open(d, os.O_RDONLY); h = os.open("/dev/null", os.O_WRONLY)
os.pwrite(f, b"ab\\0c", 5); os.pwrite(h, b"no", 0); os.write(1, b"T 1\\n"); os.fdatasync(f); os.ftruncate(f, 3)
os.posix_fallocate(f, 0, 9); os.rename(d + "/a", d + "/b"); os.fsync(g); os.unlink(d + "/b")
"""
    (tmp_path / "d").mkdir()
    found = run(python("-c", code, str(tmp_path / "d")), tmp_path / "d", tmp_path / "trace")
    assert found == [
        Event("create", "a"), Event("write", "a", 5, b"ab\0c"), Event("told", data=b"T 1\n"), Event("sync", "a"),
        Event("size", "a", 3), Event("size", "a", 9), Event("rename", "a", data=b"b"), Event("sync names"),
        Event("unlink", "b"),
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.needs("strace")
@pytest.mark.timeout(400)
def test_a_thousand_power_cuts_lose_nothing() -> None:
    """No fact whose append had returned, no gap, no damage, no confirmation mark that nobody set."""
    count = power_cuts.measure(1000)
    assert count["cuts"] == 1000
    assert (count["lost"], count["gap"], count["corrupt"], count["mark"], count["dead"]) == (0, 0, 0, 0, 0)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_journal_that_promises_too_much_is_found_out(synchronous: str) -> None:
    """Without the sync at a commit a good part of the cuts is found to have lost what was promised."""
    piece = power_cuts.Piece(1, 30, synchronous=synchronous, steps=40, flushes_more=0)
    assert power_cuts.work(piece)["lost"] >= 5


@pytest.mark.needs("strace")
def test_checkpoints_that_never_arrive_are_found_out() -> None:
    """Where half of them do not, and no flush is repeated, files are damaged and set aside, and a new log opens."""
    piece = power_cuts.Piece(2, 60, ignored=0.5, steps=60, passes=6, victim=NAME, flushes_more=0)
    count = power_cuts.work(piece)
    assert count["corrupt"] >= 3
    assert count["dead"] == 0


@pytest.mark.needs("strace")
def test_a_card_that_ignores_syncs_now_and_then_loses_nothing_silently() -> None:
    """At one ignored sync of 20, two and a half times what is promised."""
    count = power_cuts.work(power_cuts.Piece(3, 60, ignored=0.05, steps=60, passes=6))
    assert (count["silent"], count["dead"]) == (0, 0)
