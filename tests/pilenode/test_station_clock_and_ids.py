"""Promises of time stamps and session ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.session_id import new_session_id
from pilenode.station.wallclock import FLOOR_MS, ClockQuality, quality, stamp


@pytest.mark.parametrize(
    ("wall_ms", "synchronised", "from_rtc", "expected"),
    [
        (FLOOR_MS, True, "1", ClockQuality.NTP),
        (FLOOR_MS - 1, True, "1", ClockQuality.NONE),
        (FLOOR_MS, False, "1\n", ClockQuality.RTC),
        (FLOOR_MS, False, "0", ClockQuality.NONE),
        (FLOOR_MS, False, None, ClockQuality.NONE),
        (0, False, None, ClockQuality.NONE),
    ],
)
def test_quality_says_what_stands_behind_the_clock(
    tmp_path: Path,
    wall_ms: int,
    synchronised: bool,  # noqa: FBT001 - a table
    from_rtc: str | None,
    expected: ClockQuality,
) -> None:
    """Synchronised, set from a hardware clock, or nothing; a time before there were cabinets is nothing."""
    marker, rtc = tmp_path / "synchronized", tmp_path / "hctosys"
    if synchronised:
        marker.touch()
    if from_rtc is not None:
        rtc.write_text(from_rtc)
    assert quality(wall_ms, marker, rtc) is expected


def test_stamp_tells_this_moment() -> None:
    """A stamp has this boot, and clocks that do not run backward within it."""
    first, second = stamp(), stamp()
    assert first.boot == second.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert 0 < first.boottime_ms <= second.boottime_ms


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_ids_sort_by_time(one_ms: int, other_ms: int) -> None:
    """An id of an earlier millisecond sorts before one of a later, and fits every identifier field."""
    one, other = new_session_id(one_ms), new_session_id(other_ms)
    assert len(one) == len(other) == 26
    assert one.isalnum()
    if one_ms != other_ms:
        assert (one < other) == (one_ms < other_ms)


def test_ids_of_one_moment_differ() -> None:
    """Eighty random bits tell sessions of the same millisecond apart."""
    assert len({new_session_id(1) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("wall_ms", [-1, 2**48, 2**60])
def test_impossible_clocks_give_ids_all_the_same(wall_ms: int) -> None:
    """A clock that is wild costs the order of ids, not the session."""
    assert len(new_session_id(wall_ms)) == 26
