"""Does the power a meter shows belong to its volts and amperes? Pure arithmetic (requirement MET-5).

A wrong profile, scale or word order shows here and nowhere else: a power that is ten times too small lets an overload
pass. Only a load can prove it; nothing is proved at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safety.reading import MeterReading

#: MET-5: 5 % or 3 W, whichever is more.
ALLOWED_RATIO: Final = 0.05
ALLOWED_W: Final = 3.0
#: Below this the 3 W would let a power pass that is ten times too large or too small.
MIN_LOAD_W: Final = 10.0
#: Fewer good readings prove nothing.
MIN_READINGS: Final = 3
#: Without a power factor only volts times amperes are known; chargers draw this share of it or more as power.
LEAST_POWER_FACTOR: Final = 0.3


class PowerVerdict(StrEnum):
    """What the readings say."""

    GOOD = "good"
    WRONG = "wrong"
    #: Too little load to prove anything.
    NO_LOAD = "no_load"
    #: Too few readings.
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class PowerCheck:
    """``power_w``: mean power; ``expected_w``: mean of V·I·PF, or of V·I where ``coarse`` (no power factor is read).

    ``off_w`` is how far the power is from what may be, ``allowed_w`` how far it may be.
    """

    verdict: PowerVerdict
    readings: int
    power_w: float = 0.0
    expected_w: float = 0.0
    off_w: float = 0.0
    allowed_w: float = ALLOWED_W
    coarse: bool = False


def check_power(readings: Sequence[MeterReading]) -> PowerCheck:
    """Return the verdict on ``readings`` of one meter under a steady load.

    Where no power factor is read, the power may lie anywhere from 0.3 to 1 times V·I: that finds a wrong scale, not a
    wrong share of a few per cent.
    """
    if len(readings) < MIN_READINGS:
        return PowerCheck(PowerVerdict.TOO_FEW, len(readings))
    coarse = any(one.power_factor is None for one in readings)
    power_w = fmean(one.power_w for one in readings)
    expected_w = fmean(
        one.voltage_v * one.current_a * (1.0 if coarse else abs(one.power_factor or 0.0)) for one in readings
    )
    least_w = expected_w * LEAST_POWER_FACTOR if coarse else expected_w
    off_w = max(0.0, least_w - power_w, power_w - expected_w)
    allowed_w = max(ALLOWED_W, ALLOWED_RATIO * expected_w)
    if off_w > allowed_w:
        verdict = PowerVerdict.WRONG
    elif max(power_w, expected_w) < MIN_LOAD_W:
        verdict = PowerVerdict.NO_LOAD
    else:
        verdict = PowerVerdict.GOOD
    return PowerCheck(verdict, len(readings), power_w, expected_w, off_w, allowed_w, coarse)
