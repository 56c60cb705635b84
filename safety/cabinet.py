"""What concerns all ports at once: contacts, heat, contactor, self tests; and whose turn it is to close."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from safety import cabinet_heat, contactor, supply
from safety.catalogue import CATALOGUE
from safety.catalogue_entry import Effect
from safety.port import PortStatus
from safety.reading import MeterReading
from safety.supply import Draw
from safety.switching import LIVE_THOUGH_OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from safety.contacts import Alarms
    from safety.inputs import PortInputs
    from safety.limits import CabinetLimits
    from safety.state import CabinetState, Inputs, PortState, Settings, State


def judge_cabinet(
    state: State, ports: Mapping[int, PortState], alarms: Alarms, inputs: Inputs, now: float
) -> CabinetState:
    """Return the cabinet with everything judged that belongs to no single port.

    ``ports`` have their findings of this tick already, and so have the contacts, ``alarms``. A code whose catalogue
    entry holds is latched, any other one is a finding that goes away with its cause.
    """
    cabinet, settings = state.cabinet, state.settings
    heat, hot = cabinet_heat.feel(
        cabinet.heat, inputs.cabinet_probe, inputs.ports, _rising(ports), settings.cabinet, now
    )
    standing = [*alarms.cabinet]
    codes = [*hot, *inputs.self_test]
    if not inputs.latch_store_ok:
        codes.append("latch_store_failed")
    if settings.contactor and any(port.latched in LIVE_THOUGH_OPEN for port in ports.values()):
        codes.append("relay_welded")
    heard = contactor.hear(cabinet.contactor, inputs.feedback, now)
    if cabinet.proof is None:
        disagreement = contactor.disagrees(heard, inputs.feedback, settings.cabinet, now)
        codes += [disagreement] if disagreement else []
    standing += [(code, CATALOGUE[code].effect) for code in codes]
    cabinet = replace(cabinet, alarm_since_s=alarms.since_s, heat=heat, contactor=heard)
    return _sorted(cabinet, standing)


def _sorted(cabinet: CabinetState, standing: list[tuple[str, Effect]]) -> CabinetState:
    """Return the cabinet with what stands sorted into latches and findings, and by what it does.

    A weld is latched at its port, with the record of its repair; for the cabinet it is a finding that follows it.
    """
    latched, effects = list(cabinet.latched), dict.fromkeys(cabinet.latched, Effect.CUT)
    findings = []
    for code, effect in standing:
        effects[code] = effect if code not in latched else Effect.CUT
        if CATALOGUE[code].holds and code not in LIVE_THOUGH_OPEN:
            latched += [] if code in latched else [code]
        else:
            findings.append(code)
    return replace(
        cabinet,
        latched=tuple(latched),
        findings=tuple(findings),
        standing=tuple(code for code, _ in standing),
        cutting=tuple(code for code, effect in effects.items() if effect is Effect.CUT),
        inhibiting=tuple(code for code, effect in effects.items() if effect in (Effect.CUT, Effect.INHIBIT)),
    )


def _rising(ports: Mapping[int, PortState]) -> frozenset[int]:
    felt = {"temperature_rising", "heat_without_load"}
    return frozenset(number for number, port in ports.items() if felt.intersection(port.findings))


def draws(ports: Mapping[int, PortState], inputs: Mapping[int, PortInputs]) -> Iterator[Draw]:
    """Yield what every live port draws now. A port without a fresh reading is cut anyway and counts with its last."""
    for number, port in ports.items():
        if port.live:
            meter = inputs[number].meter
            yield Draw(number, meter.current_a if isinstance(meter, MeterReading) else 0.0, port.closed_at_s)


def inlet_current_a(inputs: Inputs, limits: CabinetLimits, now: float) -> float | None:
    """Return what the inlet meter shows, A; None without a fresh reading: then the sum of the ports stands alone."""
    inlet = inputs.inlet
    fresh = isinstance(inlet, MeterReading) and inlet.age_s(now) <= limits.inlet_max_age_s
    return inlet.current_a if fresh and isinstance(inlet, MeterReading) else None


def shed(state: State, inputs: Inputs, now: float) -> tuple[CabinetState, tuple[int, ...]]:
    """Return the cabinet and the ports that must go because all together draw too much."""
    limits = state.settings.cabinet
    inlet_a = inlet_current_a(inputs, limits, now)
    memory, ports = supply.watch(state.cabinet.supply, draws(state.ports, inputs.ports), inlet_a, limits, now)
    return replace(state.cabinet, supply=memory), ports


def drive_contactor(
    cabinet: CabinetState, ports: Mapping[int, PortState], settings: Settings, now: float
) -> CabinetState:
    """Return the cabinet with its contactor decided."""
    wanted = cabinet.proof is not None or any(port.live for port in ports.values())
    driven = contactor.drive(
        cabinet.contactor, wanted=wanted, forbidden=bool(cabinet.cutting), limits=settings.cabinet, now=now
    )
    return replace(cabinet, contactor=driven)


def next_to_close(state: State, inputs: Mapping[int, PortInputs], now: float) -> int | None:
    """Return the port that may close now, or None. The one that waits longest is first; never two at a time."""
    cabinet, limits = state.cabinet, state.settings.cabinet
    fed_s = cabinet.contactor.since_s
    if cabinet.inhibiting or fed_s is None or now - fed_s < limits.contactor_settle_s:
        return None
    if now - cabinet.closed_at_s < limits.close_stagger_s:
        return None
    waiting = [
        (port.armed_at_s, number)
        for number, port in state.ports.items()
        if port.status is PortStatus.ARMED and _seen_dead(port, inputs[number], _seen_s(state, number, fed_s))
    ]
    return min(waiting)[1] if waiting else None


def _seen_s(state: State, number: int, fed_s: float) -> float:
    """Return from when on a reading shows what flows while the port is fed but open: not before the meter's refresh."""
    if not state.settings.contactor:
        return -math.inf
    return fed_s + state.settings.cabinet.contactor_settle_s + state.settings.ports[number].meter_refresh_s


def _seen_dead(port: PortState, inputs: PortInputs, since_s: float) -> bool:
    meter = inputs.meter
    if not isinstance(meter, MeterReading) or meter.energy_wh is None or meter.taken_s < since_s:
        return False
    return port.hazards.switching.live_count == 0
