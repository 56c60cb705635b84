"""The meter of one port: lost, frozen, or telling things that cannot be true together.

Every other rule believes what the meter says; these rules ask whether it can be believed. Numbers are those of
reliability-security §1.2: |P - V·I·pf| <= 10 % + 10 W, identical values for 60 s and for 5 min.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety import energy_register
from safety.reading import MeterReading, MissingReason

if TYPE_CHECKING:
    from safety.circuit import Circuit
    from safety.inputs import PortInputs
    from safety.limits import PortLimits

#: Less real power per volt-ampere has no load of a socket: a rectifier with a capacitor shows 0.5 to 0.7, a
#: transformer without load 0.1 to 0.3. Below it the power register is dead, or the current is not this port's.
_LEAST_FACTOR = 0.1
#: Without a load only the voltage moves, and a meter that shows whole volts may show the same for minutes: 217 s in
#: the simulated charges (``hil_rig/curves``, o014). Such readings need this many times as long to count as frozen.
_WHOLE_VOLTS_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Alike:
    """Readings that did not differ: V, A, W and Wh, first and newest time (seconds)."""

    values: tuple[float, float, float, float | None]
    since_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Metering:
    """Memory of the rules.

    ``taken_s``: newest reading. ``alike``: readings since the last difference, None while the relay is open or there
    is no supply. ``contradictions``: readings in a row whose V, A and W contradict each other, since
    ``contradicts_since_s``. ``register``: memory about the energy register.
    """

    taken_s: float | None = None
    alike: Alike | None = None
    contradictions: int = 0
    contradicts_since_s: float | None = None
    register: energy_register.Register | None = None


def observe(memory: Metering, reading: MeterReading, limits: PortLimits, circuit: Circuit) -> Metering:
    """Return the memory with one more reading; after a silence that made the meter lost everything begins anew."""
    if memory.taken_s is not None and reading.taken_s - memory.taken_s > limits.meter_max_age_s:
        memory = Metering()
    on = circuit.closed_s is not None and reading.taken_s >= circuit.closed_s
    contradictions, since_s = 0, None
    if not _plausible(reading, limits):
        contradictions = memory.contradictions + 1
        since_s = reading.taken_s if memory.contradicts_since_s is None else memory.contradicts_since_s
    return Metering(
        reading.taken_s,
        _compare(memory.alike, reading) if on and reading.voltage_v >= limits.supply_lost_v else None,
        contradictions,
        since_s,
        energy_register.observe(memory.register, reading, limits) if on else None,
    )


def standing(memory: Metering, inputs: PortInputs, limits: PortLimits, circuit: Circuit, now: float) -> tuple[str, ...]:
    """Return the codes that stand at ``now`` (seconds), most urgent first.

    A frozen meter and a strange register count only while the relay is closed: without a load little moves, and a
    register that is cleared or a meter that is exchanged between two sessions is a technician at work.
    """
    on = circuit.closed_s is not None
    alike_s = _alike_s(memory.alike, circuit)
    found = (
        ("meter_lost", _lost(inputs, limits, now)),
        ("meter_frozen", alike_s >= limits.meter_frozen_s),
        ("meter_implausible", _implausible(memory, limits, now)),
        ("energy_implausible", on and energy_register.stands(memory.register, limits, now)),
        ("meter_stuck", alike_s >= limits.meter_stuck_s),
    )
    return tuple(code for code, stands in found if stands)


def _lost(inputs: PortInputs, limits: PortLimits, now: float) -> bool:
    """Return whether there is no reading young enough to stand for the present.

    A meter that was not asked yet gets the age limit as its time to answer; until then its port is starting up.
    """
    meter = inputs.meter
    if isinstance(meter, MeterReading):
        return meter.age_s(now) > limits.meter_max_age_s
    asked = meter.reason is not MissingReason.NEVER_READ or inputs.meter_error is not None
    return asked or now - meter.since_s > limits.meter_max_age_s


def _compare(alike: Alike | None, reading: MeterReading) -> Alike:
    values = (reading.voltage_v, reading.current_a, reading.power_w, reading.energy_wh)
    since_s = alike.since_s if alike is not None and alike.values == values else reading.taken_s
    return Alike(values, since_s, reading.taken_s)


def _alike_s(alike: Alike | None, circuit: Circuit) -> float:
    """Return for how long readings have kept coming without any difference, in seconds.

    It is the time between the first and the newest of them: a meter that says nothing more is lost, not frozen.
    """
    if alike is None or circuit.closed_s is None or alike.since_s < circuit.closed_s:
        return 0.0
    volts, amps, watts, _ = alike.values
    lasted_s = alike.until_s - alike.since_s
    return lasted_s / _WHOLE_VOLTS_PATIENCE if amps == watts == 0 and volts.is_integer() else lasted_s


def _plausible(reading: MeterReading, limits: PortLimits) -> bool:
    """Return whether V, A, W and power factor can be true of one moment; without a power factor any can be."""
    apparent_va = reading.voltage_v * reading.current_a
    least, most = (0.0, 1.0) if reading.power_factor is None else (abs(reading.power_factor),) * 2
    least_w = apparent_va * max(least * (1.0 - limits.implausible_share), _LEAST_FACTOR) - limits.implausible_w
    most_w = apparent_va * most * (1.0 + limits.implausible_share) + limits.implausible_w
    return least_w <= reading.power_w <= most_w


def _implausible(memory: Metering, limits: PortLimits, now: float) -> bool:
    """Return whether the readings have contradicted themselves for long enough.

    Meters renew their registers one after the other, so that a jump of the load gives a torn reading or two, which a
    fast bus reads many times: neither the count nor the time alone says that the meter lies.
    """
    if memory.contradicts_since_s is None or memory.contradictions < limits.implausible_samples:
        return False
    return now - memory.contradicts_since_s >= limits.implausible_s
