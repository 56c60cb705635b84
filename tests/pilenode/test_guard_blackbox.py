"""Black boxes: the first deaths are kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pilenode.guard import blackbox, boxes
from pilenode.ipc.messages import Events, GuardEvent

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOTHING = Events(guard_boot="boot", first_kept=1, events=[])


def bug() -> Exception:
    """Return an exception that has been raised somewhere."""
    try:
        return AssertionError(1 // 0)
    except ZeroDivisionError as error:
        return error


def test_a_box_says_what_when_and_what_came_before(tmp_path: Path) -> None:
    """Traceback, times, boot, and the newest hundred events."""
    events = [GuardEvent(seq=seq, age_s=0.5, kind="opened", port=1) for seq in range(1, 151)]
    path = blackbox.write(tmp_path, bug(), Events(guard_boot="boot", first_kept=1, events=events))
    assert path is not None
    box = json.loads(path.read_text(encoding="utf-8"))
    assert "ZeroDivisionError: integer division" in box["error"]
    assert "Traceback" in box["error"]
    assert [event["seq"] for event in box["events"]] == list(range(51, 151))
    assert {"wall_ms", "boot", "boottime_ms"} <= box.keys()


def test_a_tick_that_was_not_sound_makes_a_box_too(tmp_path: Path) -> None:
    """One sentence instead of an exception."""
    path = blackbox.write(tmp_path, "a stage of the tick was left out", NOTHING)
    assert path is not None
    assert json.loads(path.read_text(encoding="utf-8"))["error"] == "a stage of the tick was left out"


def test_the_first_twenty_are_kept_and_the_last_are_not(tmp_path: Path) -> None:
    """In a crash loop the first failure names the cause; nothing overwrites it and the disk does not fill."""
    written = [blackbox.write(tmp_path, f"death {number}", NOTHING) for number in range(30)]
    assert [path is not None for path in written] == [True] * boxes.KEPT + [False] * (30 - boxes.KEPT)
    kept = sorted(json.loads(path.read_text(encoding="utf-8"))["error"] for path in tmp_path.iterdir())
    assert kept == sorted(f"death {number}" for number in range(boxes.KEPT))


def test_two_deaths_in_one_millisecond_are_two_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a cabinet may stand still, or start at 1970 with every boot."""
    monkeypatch.setattr("pilenode.clock.wall_ms", lambda: 5)
    assert blackbox.write(tmp_path, "one", NOTHING) != blackbox.write(tmp_path, "two", NOTHING)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_box_that_a_technician_took_away_leaves_room_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one overwrites none of those that stayed, even when the clock stands still."""
    monkeypatch.setattr("pilenode.clock.wall_ms", lambda: 5)
    first = blackbox.write(tmp_path, "one", NOTHING)
    blackbox.write(tmp_path, "two", NOTHING)
    assert first is not None
    first.unlink()
    blackbox.write(tmp_path, "three", NOTHING)
    kept = {json.loads(path.read_text(encoding="utf-8"))["error"] for path in tmp_path.iterdir()}
    assert kept == {"two", "three"}


def test_a_disk_that_refuses_is_not_another_death(tmp_path: Path) -> None:
    """No directory: no box, no exception."""
    assert blackbox.write(tmp_path / "gone", bug(), NOTHING) is None


def test_words_that_are_no_text_do_not_stop_it(tmp_path: Path) -> None:
    """A lone surrogate, as the name of a strange file makes it, is written all the same."""
    path = blackbox.write(tmp_path, OSError("cannot open \udcff"), NOTHING)
    assert path is not None
    assert b"cannot open" in path.read_bytes()
