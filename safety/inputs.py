"""What is known of one port in one tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safety.reading import MeterReading, Missing, ProbeReading


@dataclass(frozen=True, slots=True)
class PortInputs:
    """What is known of one port. ``probe`` is None where no probe is fitted.

    ``meter`` is the newest *good* reading, however old, or Missing when there never was one; ``earlier`` are good
    readings since the last tick that it has overtaken, oldest first; ``meter_error`` is the newest failed poll, None
    when the newest poll worked. ``probe_error`` is the same for the probe: it is told, the rules go by the age.
    ``worn``: the relay has used up most of its rated life.
    """

    meter: MeterReading | Missing
    meter_error: Missing | None = None
    probe: ProbeReading | Missing | None = None
    earlier: tuple[MeterReading, ...] = ()
    probe_error: Missing | None = None
    worn: bool = False
