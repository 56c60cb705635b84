"""Promises of the rig whose disk fails: the fault is real, nobody starts while it lasts, and nothing is lost by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig import bench_disk_faults

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bench
@pytest.mark.needs("root")
def test_a_disk_that_stops_writing_changes_no_cutoff_and_loses_nothing(tmp_path: Path) -> None:
    """The kernel gives the file system up under a running cabinet; it is mounted anew, and the same processes go on."""
    (row,) = bench_disk_faults.measure(tmp_path, 3, "read-only", plain=False)
    assert row.failures == []
    assert (len(row.cut_ms), len(row.refused_s), len(row.recovered_s)) == (3, 1, 1)
    assert row.cuts == 3
    assert row.starts >= 4  # those three, and the one after it


def test_a_row_over_any_promise_fails() -> None:
    """Each of them is judged at its limit; a median of few samples is not."""
    good = {
        "bound_ms": 100.0,
        "cut_ms": [100.0] * 20,
        "plain_ms": [80.0] * 20,
        "refused_s": [5.0],
        "recovered_s": [15.0],
    }
    for worse, count in (
        ({}, 0),
        ({"cut_ms": [*[100.0] * 19, 100.1]}, 1),
        ({"plain_ms": [79.0] * 20}, 1),
        ({"plain_ms": [79.0] * 20, "cut_ms": [100.0] * 19}, 0),
        ({"refused_s": [5.1]}, 1),
        ({"recovered_s": [15.1]}, 1),
    ):
        row = bench_disk_faults.Row("fault", **(good | worse))  # type: ignore[arg-type]
        row.judge()
        assert len(row.failures) == count
