"""Promises of time stamps and session ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode import clock
from pilenode.station.session_id import new_session_id
from pilenode.station.wallclock import CEILING_MS, FLOOR_MS, SLACK_MS, ClockQuality, Reading, quality, read, stamp

UPTIME = 60_000
LATE = FLOOR_MS + 86_400_000


@pytest.mark.parametrize(
    ("wall_ms", "synced_ms", "from_rtc", "expected"),
    [
        (FLOOR_MS, FLOOR_MS, True, ClockQuality.NTP),
        (FLOOR_MS - 1, FLOOR_MS - 1, True, ClockQuality.NONE),
        (CEILING_MS - 1, None, True, ClockQuality.RTC),
        (CEILING_MS, None, True, ClockQuality.NONE),
        (FLOOR_MS, None, True, ClockQuality.RTC),
        (FLOOR_MS, None, False, ClockQuality.NONE),
        (0, None, False, ClockQuality.NONE),
        # set back since it was synchronised: the service is not behind it any more
        (LATE, LATE + SLACK_MS, False, ClockQuality.NTP),
        (LATE, LATE + SLACK_MS + 1, True, ClockQuality.NONE),
        # set forward: the synchronisation of this boot seems older than the boot
        (LATE, LATE - UPTIME - SLACK_MS, False, ClockQuality.NTP),
        (LATE, LATE - UPTIME - SLACK_MS - 1, True, ClockQuality.NONE),
    ],
)
def test_quality_says_what_stands_behind_the_clock(
    wall_ms: int,
    synced_ms: int | None,
    from_rtc: bool,  # noqa: FBT001 - a table
    expected: ClockQuality,
) -> None:
    """Synchronised, set from a hardware clock, or nothing; out of the years of cabinets is nothing."""
    assert quality(Reading("b", UPTIME, wall_ms, synced_ms, from_rtc)) is expected


@pytest.mark.parametrize(("text", "from_rtc"), [("1\n", True), ("0", False), (None, False), ("\u0661", False)])
def test_reading_looks_at_two_files(tmp_path: Path, text: str | None, from_rtc: bool) -> None:  # noqa: FBT001
    """When the service last set the clock, and whether a hardware clock did at boot; a file that is not there is no."""
    marker, rtc = tmp_path / "synchronized", tmp_path / "hctosys"
    if text is not None:
        rtc.write_text(text, encoding="utf-8")
    assert read(marker, rtc).synced_ms is None
    marker.touch()
    os.utime(marker, ns=(0, 1_800_000_000_123_456_789))
    found = read(marker, rtc)
    assert (found.synced_ms, found.from_rtc) == (1_800_000_000_123, from_rtc)
    assert found.boot == stamp().boot


def test_both_clocks_are_read_in_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is put aside between the two clocks reads them again, and a few times at most."""
    ticks = iter([0, 500, 500, 501])
    monkeypatch.setattr(clock, "boottime_ms", lambda: next(ticks))
    monkeypatch.setattr(clock, "wall_ms", lambda: FLOOR_MS)
    assert read().boottime_ms == 501
    endless = iter(range(0, 90_000, 1000))
    monkeypatch.setattr(clock, "boottime_ms", lambda: next(endless))
    assert read().boottime_ms == 5000


def test_ranks_are_ntp_server_hardware_nothing() -> None:
    """Of two times the better is believed."""
    ranked = sorted(ClockQuality, key=lambda quality: quality.rank)
    assert ranked == [ClockQuality.NONE, ClockQuality.RTC, ClockQuality.SERVER, ClockQuality.NTP]


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
