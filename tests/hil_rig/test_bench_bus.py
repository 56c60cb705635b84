"""Short forms of the figures of the bus; the long ones are ``python -m hil_rig.bench --only bus`` and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig import bench_bus_faults, fault_line
from hil_rig.bus_segment import limit_s, run
from hil_rig.fault_line import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.frames import Question


def test_no_damaged_frame_is_taken_for_a_value(tmp_path: Path) -> None:
    """Nine kinds of damage, 9,000 frames: none is handed over, none crashes the check."""
    rows = [*bench_bus_faults.measure_fuzz(tmp_path, 9000)]
    assert len(rows) == len(bench_bus_faults.DAMAGES)
    assert all(row.good for row in rows), [row.line() for row in rows if not row.good]


def test_a_check_that_takes_too_much_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure fails when the check lets damaged frames through."""
    monkeypatch.setattr("drivers.frames.Question.check", lambda _self, frame: frame[3:-2])
    assert not any(row.good for row in bench_bus_faults.measure_fuzz(tmp_path, 900))


@pytest.mark.bench
@pytest.mark.alone
def test_faulty_replies_cost_readings_and_never_give_wrong_ones(tmp_path: Path) -> None:
    """Every kind of fault ten times over real ptys: nothing wrong, everything recovers."""
    rows = [*bench_bus_faults.measure_faults(tmp_path, 10)]
    assert len(rows) == 2 * len(FAULTS) + 1
    missed = [row.line() for row in rows if not row.good and row.name != "bad CRC known after"]
    assert not missed


@pytest.mark.bench
@pytest.mark.alone
def test_a_line_without_its_discipline_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the quiet time, without suspicion, the same bench finds values of other questions."""
    # Just after the time-out: it meets one of the questions that follow.
    late = {"late reply": lambda _, good, chance: [(chance.uniform(0.061, 0.07), good)]}
    monkeypatch.setattr(bench_bus_faults, "FAULTS", late)
    monkeypatch.setattr(fault_line, "FAULTS", late)
    monkeypatch.setattr("drivers.bus.SerialLine._drain", lambda _self, _bytes: None)
    monkeypatch.setattr(bench_bus_faults._TimedLine, "_drain", lambda _self, _bytes: None)

    class NoSuspects(set[int]):
        def add(self, unit: int) -> None:
            """Trust everybody."""

    def careless(self: bench_bus_faults._TimedLine, question: Question) -> object:
        self._suspects = NoSuspects()
        return self.ask(question)

    monkeypatch.setattr("drivers.bus.SerialLine.read", careless)
    rows = [*bench_bus_faults.measure_faults(tmp_path, 400)]
    assert not rows[0].good


@pytest.mark.bench
@pytest.mark.alone
def test_the_line_runs_near_the_speed_of_the_wire() -> None:
    """Three meters at 9600 baud: no silence is under t3.5, and the best of some cycles is near the limit.

    Near: the figure itself is taken on a machine that does nothing else; a busy one delays every byte of the rack.
    """
    segment = run("pilenode", 9600, 3, 10)
    assert segment.failed == 0
    assert segment.short_gaps == 0
    assert 0.99 <= segment.best <= 2.0


def test_the_limit_is_the_arithmetic_of_the_wire() -> None:
    """Ten meters, ten registers, 5 ms turn-round: the published times of the limit."""
    assert limit_s(9600, 10) == pytest.approx(0.5083, abs=1e-4)
    assert limit_s(19_200, 10) == pytest.approx(0.2792, abs=1e-4)
    assert limit_s(115_200, 10) == pytest.approx(0.1165, abs=1e-4)
