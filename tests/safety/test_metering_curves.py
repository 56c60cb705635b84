"""Forty whole charges, with the glitches, gaps and dead bands of their meters, and no meter is accused of anything."""

from __future__ import annotations

import pytest

from hil_rig.curves import Curve, load, names
from safety import metering
from safety.catalogue import CATALOGUE, Effect
from safety.circuit import ALWAYS_ON
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.reading import MeterReading

LIMITS = PortLimits()


def accused(curve: Curve) -> set[str]:
    """Return the codes that stood at any reading of the curve."""
    memory, found = metering.Metering(), set[str]()
    columns = zip(curve.t_s, curve.volts, curve.amps, curve.watts, curve.pf, curve.wh, strict=True)
    for taken_s, volts, amps, watts, factor, energy_wh in columns:
        reading = MeterReading(taken_s, volts, amps, watts, factor, energy_wh, taken_s)
        memory = metering.observe(memory, reading, LIMITS, ALWAYS_ON)
        found.update(metering.standing(memory, PortInputs(reading), LIMITS, ALWAYS_ON, taken_s))
    return found


@pytest.mark.parametrize("name", names())
def test_no_charge_is_cut_for_its_meter(name: str) -> None:
    """Every reading of every curve, from six kinds of meters: nothing that cuts."""
    cutting = {code for code in accused(load(name)) if CATALOGUE[code].effect is Effect.CUT}
    assert cutting == set()
