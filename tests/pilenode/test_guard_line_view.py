"""Guard tells of its lines which address fails and how, while bus threads count on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from drivers.bus import SerialLine
from drivers.frames import Question
from pilenode.guard import line_view
from pilenode.ipc.messages import LineSnapshot, UnitCounts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_tells_what_failed_by_address(tmp_path: Path) -> None:
    """Only what happened is told: no zero, no unit that was never asked; the system's words for a missing device."""
    device = str(tmp_path / "none")
    line = SerialLine(device, 9600, "N", 1, turnaround_s=0.1)
    assert line_view.lines({"main": line}) == [
        LineSnapshot(name="main", device=device, trouble="", echoes=False, units=[])
    ]
    line.read(Question(7, 4, 0, 2))
    line.read(Question(3, 4, 0, 2))
    line.read(Question(7, 4, 0, 2))
    (told,) = line_view.lines({"main": line})
    assert "No such file" in told.trouble
    assert told.units == [
        UnitCounts(unit=3, requests=0, failed={"bus_lost": 1}),
        UnitCounts(unit=7, requests=0, failed={"bus_lost": 2}),
    ]


def test_looking_does_not_disturb_a_thread_that_counts(tmp_path: Path) -> None:
    """New addresses appear while the tick looks: nothing raises."""
    line = SerialLine(str(tmp_path / "none"), 9600, "N", 1, turnaround_s=0.1)
    thread = threading.Thread(target=lambda: [line.read(Question(unit, 4, 0, 2)) for unit in range(1, 248)])
    thread.start()
    while thread.is_alive():
        line_view.lines({"main": line})
    thread.join()
    assert len(line_view.lines({"main": line})[0].units) == 247
