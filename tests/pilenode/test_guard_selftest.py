"""The thread that compares guard's clock with others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pilenode import clock
from pilenode.guard import selftest
from pilenode.guard.board import Board
from pilenode.guard.selftest import ClockWorker

if TYPE_CHECKING:
    from pathlib import Path


class Clocks:
    """Three clocks that a test moves."""

    def __init__(self) -> None:
        self.monotonic_s, self.raw_s = 0.0, 0.0
        self.rtc_s: float | None = 0.0

    def run(self, worker: ClockWorker, seconds: int, *, raw: float = 1.0, rtc: float | None = 1.0) -> None:
        """Let time pass; ``raw`` and ``rtc`` are seconds of that clock per second of ours."""
        for _ in range(seconds):
            self.monotonic_s += 1.0
            self.raw_s += raw
            self.rtc_s = None if rtc is None else (self.rtc_s or 0.0) + rtc
            worker.compare()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Return clocks of which the first is the one that guard lives by."""
    made = Clocks()
    monkeypatch.setattr(clock, "monotonic_s", lambda: made.monotonic_s)
    return made


@pytest.fixture
def worker(clocks: Clocks) -> ClockWorker:
    """Return a worker that is not started."""
    return ClockWorker(Board((), (), 0.0), rtc=lambda: clocks.rtc_s, raw=lambda: clocks.raw_s)


def test_clocks_that_agree_are_no_fault(clocks: Clocks, worker: ClockWorker) -> None:
    """And with a real-time clock the oscillator itself is tested."""
    clocks.run(worker, 300)
    assert not worker.fault
    assert worker.independent


@pytest.mark.parametrize(("raw", "rtc"), [(1.0, 1.1), (1.1, 1.0), (0.9, 1.0), (1.0, 0.9)])
def test_either_reference_finds_the_fault(clocks: Clocks, worker: ClockWorker, raw: float, rtc: float) -> None:
    """Two minutes of disagreement with one of them."""
    clocks.run(worker, 90, raw=raw, rtc=rtc)
    assert not worker.fault
    clocks.run(worker, 60, raw=raw, rtc=rtc)
    assert worker.fault


def test_without_a_real_time_clock_the_oscillator_is_not_tested(clocks: Clocks, worker: ClockWorker) -> None:
    """A missing reference is no fault, and is not taken for a test."""
    clocks.run(worker, 300, rtc=None)
    assert not worker.fault
    assert not worker.independent


@pytest.mark.parametrize(("content", "seconds"), [("1700000000\n", 1.7e9), ("", None), ("soon\n", None), ("1.5", None)])
def test_what_the_kernel_shows_is_read(tmp_path: Path, content: str, seconds: float | None) -> None:
    """Whole seconds, or nothing."""
    path = tmp_path / "since_epoch"
    path.write_text(content)
    assert selftest.rtc_s(path) == seconds


def test_no_real_time_clock_is_none(tmp_path: Path) -> None:
    """A Raspberry Pi 4 has no such file."""
    assert selftest.rtc_s(tmp_path / "since_epoch") is None


def test_it_works_as_a_thread_on_the_real_clocks() -> None:
    """Started and stopped like every worker, without a fault and without a bug."""
    board = Board((), (), clock.monotonic_s())
    worker = ClockWorker(board)
    worker.start()
    time.sleep(0.1)
    worker.stop()
    worker.join(2.0)
    assert not worker.is_alive()
    assert not worker.fault
    board.check()
