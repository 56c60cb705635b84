"""How far the wall clock can be trusted. Recorded beside every wall time, so that history can be read later.

Looked up in files only: the system call that would tell it is among those the units forbid. What follows from a reading
of the system's clock over time is in ``anchors``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pilenode import clock

#: No cabinet existed before this (2026-01-01 UTC); an earlier clock has lost its time.
FLOOR_MS: Final = 1_767_225_600_000
#: No cabinet will still run then (2100-01-01 UTC); a later clock has lost its time.
CEILING_MS: Final = 4_102_444_800_000
#: systemd-timesyncd touches this file each time it has set the clock; it lives in a file system of this boot.
_SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")
#: "1" when the kernel set the clock from a hardware clock at boot.
_FROM_RTC: Final = Path("/sys/class/rtc/rtc0/hctosys")
#: Two files and two clocks are not read in one instant, ms.
SLACK_MS: Final = 1000


class ClockQuality(StrEnum):
    """What stands behind a wall time. The words are stored in facts."""

    NONE = "none"
    RTC = "rtc"
    SERVER = "server"
    NTP = "ntp"

    @property
    def rank(self) -> int:
        """Return how much it is worth: of two times the one of the higher rank is believed."""
        return tuple(ClockQuality).index(self)


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on every clock a fact carries. ``uncertainty_ms`` is None where the wall time is not trusted."""

    boot: str
    boottime_ms: int
    wall_ms: int
    clock: ClockQuality
    uncertainty_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the system tells at one moment.

    ``synced_ms``: wall time at which a time service last set the clock in this boot, None when it never did.
    ``from_rtc``: the kernel set the clock from a hardware clock at boot.
    """

    boot: str
    boottime_ms: int
    wall_ms: int
    synced_ms: int | None = None
    from_rtc: bool = False


def quality(reading: Reading) -> ClockQuality:
    """Return what stands behind the system's own clock, judged from this one reading.

    A clock that was synchronised and then set by somebody else is no longer that of the time service: it is earlier
    than its own last synchronisation, or the synchronisation seems older than the boot it happened in.
    """
    if not FLOOR_MS <= reading.wall_ms < CEILING_MS:
        return ClockQuality.NONE
    if reading.synced_ms is not None:
        age_ms = reading.wall_ms - reading.synced_ms
        return ClockQuality.NTP if -SLACK_MS <= age_ms <= reading.boottime_ms + SLACK_MS else ClockQuality.NONE
    return ClockQuality.RTC if reading.from_rtc else ClockQuality.NONE


def read(synchronised: Path = _SYNCHRONISED, from_rtc: Path = _FROM_RTC) -> Reading:
    """Return the present reading. A clock before 1970 is told as 0; it is of quality "none" anyway."""
    try:
        synced_ms = synchronised.stat().st_mtime_ns // 1_000_000
    except OSError:
        synced_ms = None
    try:
        rtc = from_rtc.read_text(encoding="ascii").strip() == "1"
    except (OSError, UnicodeDecodeError):
        rtc = False
    boottime_ms, wall_ms = _both()
    return Reading(clock.boot_id(), boottime_ms, max(0, wall_ms), synced_ms, rtc)


def _both() -> tuple[int, int]:
    """Return both clocks as of one moment: a process that is put aside between them reads them again."""
    for _ in range(3):
        before, wall_ms, after = clock.boottime_ms(), clock.wall_ms(), clock.boottime_ms()
        if after - before <= 1:
            break
    return after, wall_ms


def stamp() -> Stamp:
    """Return the present moment as the system alone tells it (``timekeeper`` knows more)."""
    reading = read()
    return Stamp(reading.boot, reading.boottime_ms, reading.wall_ms, quality(reading))
