"""How far the wall clock can be trusted. Recorded beside every wall time, so that history can be read later.

Looked up in files only: the system call that would tell it is among those the units forbid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pilenode import clock

#: No cabinet existed before this (2026-01-01 UTC); an earlier clock has lost its time.
FLOOR_MS: Final = 1_767_225_600_000
#: systemd-timesyncd touches this file once it has set the clock.
_SYNCHRONISED: Final = Path("/run/systemd/timesync/synchronized")
#: "1" when the kernel set the clock from a hardware clock at boot.
_FROM_RTC: Final = Path("/sys/class/rtc/rtc0/hctosys")


class ClockQuality(StrEnum):
    """What stands behind the wall clock."""

    NONE = "none"
    RTC = "rtc"
    NTP = "ntp"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on every clock a fact carries."""

    boot: str
    boottime_ms: int
    wall_ms: int
    clock: ClockQuality


def quality(wall_ms: int, synchronised: Path = _SYNCHRONISED, from_rtc: Path = _FROM_RTC) -> ClockQuality:
    """Return the quality of a wall clock that now says ``wall_ms``."""
    if wall_ms < FLOOR_MS:
        return ClockQuality.NONE
    if synchronised.exists():
        return ClockQuality.NTP
    try:
        return ClockQuality.RTC if from_rtc.read_text(encoding="ascii").strip() == "1" else ClockQuality.NONE
    except OSError:
        return ClockQuality.NONE


def stamp() -> Stamp:
    """Return the present moment. A clock before 1970 is told as 0; it is of quality "none" anyway."""
    wall_ms = max(0, clock.wall_ms())
    return Stamp(clock.boot_id(), clock.boottime_ms(), wall_ms, quality(wall_ms))
