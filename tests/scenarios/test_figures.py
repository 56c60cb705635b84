"""The figures of the first floor in short form: the same measurement as ``make bench``, fewer shots.

The bounds of ``make bench`` are for a quiet machine; here the promise itself is the bound, so that a busy one does not
make the tests flicker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig import bench_dead_man, bench_over_current, bench_station_kills
from hil_rig.figures import Figure, percentile

if TYPE_CHECKING:
    from pathlib import Path

#: Hazard to open relay, the product's promise (design 2).
PROMISE_MS = 5000.0
#: Conditions that load the whole machine, so that nothing else can be tested beside them.
LOADS = {"four busy loops", "fsync storm"}


@pytest.mark.bench
@pytest.mark.needs("root")
@pytest.mark.parametrize(
    "condition",
    [pytest.param(name, marks=[pytest.mark.alone] * (name in LOADS)) for name in bench_over_current.CONDITIONS],
)
def test_over_current_is_cut_whatever_happens_to_the_station(tmp_path: Path, condition: str) -> None:
    """Station well, frozen, killed; broker gone; disk full: every shot is cut well within the promise."""
    (figure,) = bench_over_current.measure(tmp_path, 3, condition)
    assert figure.condition == condition
    assert figure.failures == []
    assert len(figure.samples) == 3
    assert max(figure.samples) < PROMISE_MS / 5


@pytest.mark.bench
def test_a_killed_guard_loses_the_contactor(tmp_path: Path) -> None:
    """Kill -9: the contactor is open within 500 ms."""
    (figure,) = bench_dead_man.measure(tmp_path, 3)
    assert figure.good, figure.line()


@pytest.mark.long
@pytest.mark.bench
@pytest.mark.needs("mosquitto")
def test_a_killed_station_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Kill -9 in the middle of orders: every session once upstream."""
    (figure,) = bench_station_kills.measure(tmp_path, 6)
    assert figure.failures == []


def test_every_condition_that_loads_the_machine_is_one() -> None:
    """A condition that was renamed would no longer be tested by itself."""
    assert set(bench_over_current.CONDITIONS) > LOADS


def test_a_figure_that_misses_says_so() -> None:
    """One sample over the bound, one missing sample or one failure: the row is not good."""
    bound = {"name": "n", "condition": "c", "unit": "ms", "bound": 10.0, "wanted": 2}
    assert Figure(**bound, samples=[1.0, 10.0]).good  # type: ignore[arg-type]
    assert not Figure(**bound, samples=[1.0, 10.1]).good  # type: ignore[arg-type]
    assert not Figure(**bound, samples=[1.0]).good  # type: ignore[arg-type]
    assert not Figure(**bound, samples=[1.0, 2.0], failures=["x"]).good  # type: ignore[arg-type]
    assert "MISSED" in Figure(**bound, samples=[99.0, 1.0]).line()  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 6.0), (0.95, 10.0), (1.0, 10.0)])
def test_percentiles(share: float, expected: float) -> None:
    """Nearest rank, never interpolated into a value that was not measured."""
    assert percentile([float(n) for n in range(1, 11)], share) == expected
    assert percentile([], share) is None
