"""The bench of tick lateness: what a row says, and that a measure can really be left out."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from hil_rig import bench_ticks
from hil_rig.bench_ticks import MEASURES, TickFigure
from pilenode.guard import realtime


def figure(p999_ms: float, *, bounded: bool = True, failures: list[str] | None = None) -> TickFigure:
    """Return a row."""
    row = TickFigure(
        "tick-lateness", "FIFO, loaded", "ms", 5.0, 60, bounded=bounded, ticks=1200, failures=failures or []
    )
    row.p999_ms = p999_ms
    return row


@pytest.mark.parametrize(("p999_ms", "good"), [(4.99, True), (5.0, True), (5.01, False)])
def test_the_bound_is_that_of_one_tick_in_a_thousand(p999_ms: float, *, good: bool) -> None:
    """Boundary table; the printed verdict agrees."""
    row = figure(p999_ms)
    assert row.good is good
    assert row.summary()["good"] is good
    assert row.line().endswith("ok" if good else "MISSED")


def test_a_row_without_bound_is_shown_only() -> None:
    """Nothing is promised at normal priority, and the row does not pretend so."""
    row = figure(280.0, bounded=False)
    assert row.good
    assert row.summary()["bound_p999"] is None
    assert row.line().endswith("shown")


def test_a_failure_misses_whatever_the_figure() -> None:
    """A guard that died has no lateness."""
    row = figure(0.1, bounded=False, failures=["guard ended"])
    assert not row.good
    assert row.line().endswith("MISSED")


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_left_out_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function that is replaced exists, is what ``prepare`` calls, and does nothing afterwards."""
    called: list[str] = []

    def note(function: str) -> int:
        called.append(function)
        return 0

    for function in MEASURES.values():
        monkeypatch.setattr(realtime, function, partial(note, function))
    bench_ticks._leave_out(name)
    realtime.prepare()
    assert sorted(called) == sorted(function for key, function in MEASURES.items() if key != name)


def children() -> set[int]:
    """Return the ids of this process's children."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return {int(pid) for pid in text.split()}


def test_the_load_is_real_and_ends_with_the_measurement(tmp_path: Path) -> None:
    """Four busy loops and a writer, on the disk that is named; none is left behind."""
    before = children()
    with bench_ticks._load(tmp_path, on=True):
        assert len(children() - before) == 5
        end_s = time.monotonic() + 10.0
        while not (tmp_path / "storm").exists() and time.monotonic() < end_s:
            time.sleep(0.02)
        assert (tmp_path / "storm").exists()
    assert children() == before
    with bench_ticks._load(tmp_path, on=False):
        assert children() == before
