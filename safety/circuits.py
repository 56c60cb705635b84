"""How every port is switched and what its neighbours see: the circuits of one tick."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safety.circuit import Circuit
from safety.port import PortStatus
from safety.reading import MeterReading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.inputs import PortInputs
    from safety.state import State


def around(state: State, inputs: Mapping[int, PortInputs], now: float) -> dict[int, Circuit]:
    """Return the circuit of every port as ordered in the last tick, with what fresh readings of the others say."""
    settings = state.settings
    fed_s = state.cabinet.contactor.since_s if settings.contactor else -math.inf
    fresh = {
        number: port.meter
        for number, port in inputs.items()
        if isinstance(port.meter, MeterReading) and port.meter.age_s(now) <= settings.ports[number].meter_max_age_s
    }
    total_a = math.fsum(meter.current_a for meter in fresh.values())
    by_voltage = sorted(((meter.voltage_v, number) for number, meter in fresh.items()), reverse=True)[:2]
    circuits = {}
    for number, port in state.ports.items():
        own_a = fresh[number].current_a if number in fresh else 0.0
        others_v = [volts for volts, other in by_voltage if other != number]
        on = port.status is PortStatus.ON
        circuits[number] = Circuit(
            closed_s=port.closed_at_s if on else None,
            opened_s=None if on else port.relay_opened_s,
            fed_s=fed_s,
            neighbours_v=others_v[0] if others_v else None,
            neighbours_a=max(0.0, total_a - own_a),
        )
    return circuits
