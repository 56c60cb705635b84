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
    (row,) = bench_disk_faults.measure(tmp_path, 3, "read-only")
    assert row.failures == []
    assert (len(row.cut_ms), len(row.refused_s), len(row.recovered_s)) == (3, 1, 1)
    assert row.starts >= 7  # three, three again, and the one after it
