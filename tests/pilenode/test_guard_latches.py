"""Latches on disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pilenode.guard import latches
from pilenode.guard.housekeeper import Housekeeper
from pilenode.guard.latches import Latches, LatchesDamagedError
from safety.catalogue import CATALOGUE, Kind

if TYPE_CHECKING:
    from pathlib import Path

HELD = Latches(ports={2: "over_current"}, cabinet=["smoke"])


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A latch survives."""
    latches.save(tmp_path, HELD)
    assert latches.load(tmp_path) == HELD


def test_no_file_means_nothing_latched(tmp_path: Path) -> None:
    """A new cabinet starts clean."""
    assert latches.load(tmp_path) == Latches()


@pytest.mark.parametrize("content", [b"", b"{", b'{"ports":{"x":"y"}}', b'{"other":1}', b"\xff\xfe"])
def test_a_damaged_file_is_never_taken_for_no_fault(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be understood is an error, not an empty list."""
    (tmp_path / "latches.json").write_bytes(content)
    with pytest.raises(LatchesDamagedError):
        latches.load(tmp_path)


def test_a_known_latch_is_understood_as_it_is() -> None:
    """Every code that can be latched comes back as it went."""
    codes = [code for code, entry in CATALOGUE.items() if entry.kind is Kind.FAULT and entry.holds]
    held = Latches(ports=dict(enumerate(codes, 1)), cabinet=codes)
    assert latches.understood(held) == (held, ())


def test_an_unknown_code_stays_a_latch() -> None:
    """A file of a newer version, or a code that nothing latches: the port stays cut, under a code that has words."""
    held = Latches(ports={1: "of_tomorrow", 2: "over_current", 3: "full"}, cabinet=["of_tomorrow", "fire", "full"])
    understood, strange = latches.understood(held)
    assert understood == Latches(
        ports={1: latches.UNKNOWN_AS, 2: "over_current", 3: latches.UNKNOWN_AS}, cabinet=[latches.UNKNOWN_AS, "fire"]
    )
    assert strange == ("full", "of_tomorrow")
    assert CATALOGUE[latches.UNKNOWN_AS].holds


def test_an_unknown_code_is_kept_on_disk(tmp_path: Path) -> None:
    """Loading does not translate: going back to the newer version finds its own code."""
    held = Latches(ports={1: "of_tomorrow"}, cabinet=["of_yesterday"])
    latches.save(tmp_path, held)
    assert latches.load(tmp_path) == held


def test_a_half_written_new_file_does_not_hurt_the_old_one(tmp_path: Path) -> None:
    """A power cut while writing leaves the old latches."""
    latches.save(tmp_path, HELD)
    (tmp_path / "latches.json.new").write_bytes(b'{"po')
    assert latches.load(tmp_path) == HELD
    latches.save(tmp_path, Latches())
    assert latches.load(tmp_path) == Latches()


def wait_for(condition: object, seconds: float = 5.0) -> bool:
    """Return whether ``condition()`` came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def durable(keeper: Housekeeper) -> bool:
    """Return whether the latches are on disk now; a call, because the answer changes behind the type checker's back."""
    return keeper.latches_ok


def test_the_housekeeper_says_until_when_a_latch_is_not_on_disk(tmp_path: Path) -> None:
    """``latches_ok`` is False until the write has worked; trouble is told once and retried."""
    lines: list[str] = []
    directory = tmp_path / "state"
    keeper = Housekeeper(directory, lambda event, **_: lines.append(event), Latches())
    keeper.start()
    assert durable(keeper)
    keeper.store(HELD)
    assert not durable(keeper)
    assert wait_for(lambda: lines == ["latches not saved"])
    time.sleep(1.2)
    assert lines == ["latches not saved"]
    directory.mkdir()
    assert wait_for(lambda: durable(keeper))
    assert latches.load(directory) == HELD
    keeper.close()


def test_the_housekeeper_never_blocks_the_tick(tmp_path: Path) -> None:
    """A log reader that does not read costs log lines, not time."""
    stuck = Housekeeper(tmp_path, lambda *_, **__: None, Latches())  # its thread is never started
    start = time.monotonic()
    for number in range(1500):
        stuck.note("event", number=number)
    assert time.monotonic() - start < 1.0
    assert stuck.dropped == 500


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    """The last latch before a stop is on disk."""
    keeper = Housekeeper(tmp_path, lambda *_, **__: None, Latches())
    keeper.start()
    keeper.store(HELD)
    keeper.close()
    assert latches.load(tmp_path) == HELD
