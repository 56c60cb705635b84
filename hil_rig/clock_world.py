"""A true time, and the clocks of a controller that know more or less of it. Everything is told, nothing is random.

The clock of a boot runs ``drift_ppm`` fast against the truth and never steps. The system's calendar is that clock plus
an offset that anybody may change: a time service, which leaves its mark, or a hand, which does not.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pilenode import clock
from pilenode.station.wallclock import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

_PPM = 1_000_000
_YEAR_1970_MS = 0


class ClockWorld:
    """One controller through its boots. ``truth_ms`` is the time of day nobody in it knows for sure."""

    def __init__(self, truth_ms: int, drift_ppm: int = 0) -> None:
        self.truth_ms = truth_ms
        self.boot = 1
        self._drift_ppm = drift_ppm
        self._begun_ms = truth_ms  # true time of the boot
        self._offset_ms = _YEAR_1970_MS  # calendar minus boottime
        self._synced_ms: int | None = None
        self._from_rtc = False

    @property
    def boot_id(self) -> str:
        """Return the name of this boot."""
        return f"boot-{self.boot}"

    @property
    def boottime_ms(self) -> int:
        """Return the clock of this boot."""
        since_ms = self.truth_ms - self._begun_ms
        return since_ms + since_ms * self._drift_ppm // _PPM

    @property
    def wall_ms(self) -> int:
        """Return what the system's calendar says."""
        return self.boottime_ms + self._offset_ms

    def wait(self, span_ms: int) -> None:
        """Let true time pass."""
        self.truth_ms += span_ms

    def step(self, by_ms: int) -> None:
        """Let somebody set the calendar by hand."""
        self._offset_ms += by_ms

    def sync(self, error_ms: int = 0) -> None:
        """Let a time service set the calendar, so far off the truth."""
        self._offset_ms = self.truth_ms + error_ms - self.boottime_ms
        self._synced_ms = self.wall_ms

    def reboot(self, off_ms: int = 0, rtc_error_ms: int | None = None) -> None:
        """Lose power that long. The calendar begins in 1970, or as a hardware clock says that is so far off."""
        self.truth_ms += off_ms
        self.boot += 1
        self._begun_ms = self.truth_ms
        self._synced_ms = None
        self._from_rtc = rtc_error_ms is not None
        self._offset_ms = _YEAR_1970_MS if rtc_error_ms is None else self.truth_ms + rtc_error_ms

    def reading(self) -> Reading:
        """Return what the station reads of it."""
        return Reading(self.boot_id, self.boottime_ms, max(0, self.wall_ms), self._synced_ms, self._from_rtc)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let every clock of this process be those of this world."""
        mine = {
            "monotonic_s": lambda: self.boottime_ms / 1000,
            "boottime_ms": lambda: self.boottime_ms,
            "wall_ms": lambda: self.wall_ms,
            "boot_id": lambda: self.boot_id,
        }
        before = {name: getattr(clock, name) for name in mine}
        try:
            for name, reader in mine.items():
                setattr(clock, name, reader)
            yield
        finally:
            for name, reader in before.items():
                setattr(clock, name, reader)
