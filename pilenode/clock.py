"""The three clocks, read in one place so that everything else is handed its time.

- ``monotonic_s``: CLOCK_MONOTONIC, for every interval and every age;
- ``boottime_ms``: CLOCK_BOOTTIME, recorded beside wall time because it never steps within one boot;
- ``wall_ms``: what the calendar says, recorded together with its quality and never used for an interval.
"""

from __future__ import annotations

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def monotonic_s() -> float:
    """Return seconds of CLOCK_MONOTONIC."""
    return time.monotonic()


def boottime_ms() -> int:
    """Return milliseconds of CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """Return milliseconds since the epoch as the wall clock tells them."""
    return time.time_ns() // 1_000_000


def boot_id() -> str:
    """Return the kernel's boot id, or "unknown" where the kernel tells none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
