"""The single entry of the safety core: ``step(state, inputs, now) -> (state, orders, events)``.

Order of one tick: judge every port and the cabinet, open what must open, answer requests, let at most one port close,
decide the contactor. Nothing here reads a clock, logs, retries or raises for bad hardware; an exception out of ``step``
is a bug and the shell opens everything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safety import circuits, contactor, proof, requests
from safety.cabinet import drive_contactor, judge_cabinet, next_to_close, shed
from safety.catalogue import CATALOGUE, Effect, Latch
from safety.contacts import judge_contacts
from safety.ending import end, settle, why_end, why_planned
from safety.hazards import judge
from safety.port import PortStatus, Signal
from safety.reading import MeterReading, ProbeReading
from safety.state import (
    Amend,
    Answer,
    CabinetState,
    Event,
    Grant,
    Inputs,
    Orders,
    PortState,
    Release,
    Renew,
    Request,
    Reset,
    RunTest,
    Settings,
    State,
)
from safety.switching import LIVE_THOUGH_OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.inputs import PortInputs


def initial(settings: Settings, latched: Mapping[int, str] | None = None, cabinet: tuple[str, ...] = ()) -> State:
    """Return the state at start: everything open, what was latched before stays latched."""
    held = latched or {}
    ports = {
        number: PortState(status=PortStatus.TRIPPED, latched=held[number], reason=held[number])
        if number in held
        else PortState()
        for number in settings.ports
    }
    return State(settings, ports, CabinetState(latched=cabinet))


def step(state: State, inputs: Inputs, now: float) -> tuple[State, Orders, tuple[Event, ...]]:
    """Judge one tick. ``now`` never goes back; every port of the settings must be in ``inputs.ports``."""
    state, events = _judge(state, inputs, now)
    state, happened = _open(state, inputs, now)
    events += happened
    state, happened = _test(state, inputs, now)
    events += happened
    state, answers, happened = _answer(state, inputs, now)
    events += happened
    state, happened = _close_one(state, inputs, now)
    events += happened
    cabinet = drive_contactor(state.cabinet, state.ports, state.settings, now)
    state = replace(state, cabinet=cabinet)
    orders = Orders(
        closed=frozenset(number for number, port in state.ports.items() if port.status is PortStatus.ON),
        contactor=cabinet.contactor.since_s is not None,
        heartbeat=cabinet.proof is None or cabinet.proof.heartbeat,
        answers=answers,
        read_register=frozenset(number for number, port in state.ports.items() if port.awaiting_register),
    )
    return state, orders, tuple(events)


# -- judging -----------------------------------------------------------------------------------------------


def _judge(state: State, inputs: Inputs, now: float) -> tuple[State, list[Event]]:
    events: list[Event] = []
    before = state.cabinet
    alarms = judge_contacts(before.alarm_since_s, state.settings.contacts, inputs.contacts, now)
    around = circuits.around(state, inputs.ports, now)
    ports = {}
    for number, port in state.ports.items():
        limits, raised = state.settings.ports[number], alarms.ports.get(number, ())
        memory, findings = judge(port.hazards, inputs.ports[number], limits, now, around[number])
        findings += tuple(dict.fromkeys(code for code in raised if code not in findings))
        events += _edges(port.findings, findings, now, number)
        ports[number] = replace(port, hazards=memory, findings=findings)
    cabinet = judge_cabinet(state, ports, alarms, inputs, now)
    events += [Event("tripped", now, code=code) for code in cabinet.latched if code not in before.latched]
    events += _edges(before.findings, cabinet.findings, now, None)
    return State(state.settings, ports, cabinet), events


def _edges(before: tuple[str, ...], after: tuple[str, ...], now: float, port: int | None) -> list[Event]:
    new = [Event("finding", now, port, code=code) for code in after if code not in before]
    return new + [Event("cleared", now, port, code=code) for code in before if code not in after]


# -- opening -----------------------------------------------------------------------------------------------


def _open(state: State, inputs: Inputs, now: float) -> tuple[State, list[Event]]:
    """Open every port that must not stay closed; protection comes before convenience."""
    events: list[Event] = []
    cabinet, too_many = shed(state, inputs, now)
    ports = {}
    for number, port in state.ports.items():
        faults = (*cabinet.cutting, *(("cabinet_overload",) if number in too_many else ()))
        ports[number], happened = _open_port(number, port, inputs.ports[number], state.settings, faults, now)
        events += happened
    return State(state.settings, ports, cabinet), events


def _open_port(
    number: int, port: PortState, inputs: PortInputs, settings: Settings, faults: tuple[str, ...], now: float
) -> tuple[PortState, list[Event]]:
    events: list[Event] = []
    cutting = [code for code in port.findings if CATALOGUE[code].effect is Effect.CUT]
    holding = [code for code in cutting if CATALOGUE[code].holds]
    if holding and port.status is not PortStatus.TRIPPED:
        port, events = end(number, port, Signal.TRIP, holding[0], _measured(inputs), now)
    elif port.live:
        port, reason, detail = why_end(port, inputs, settings, (*faults, *cutting), now)
        if reason is not None:
            signal = Signal.TRIP if CATALOGUE[reason].holds and reason not in faults else Signal.FINISH
            port, events = end(number, port, signal, reason, detail, now)
    port, worse = _escalate(number, port, holding, now)
    port, ended = settle(number, port, inputs, settings, now)
    return port, events + worse + ended


def _escalate(number: int, port: PortState, holding: list[str], now: float) -> tuple[PortState, list[Event]]:
    """Latch what needs a repair over what needs a reset: a weld is often found after the trip that it defeated."""
    repair = next((code for code in holding if CATALOGUE[code].latch is Latch.REPAIR), None)
    if repair is None or port.status is not PortStatus.TRIPPED or port.latched in LIVE_THOUGH_OPEN:
        return port, []
    return replace(port, latched=repair), [Event("tripped", now, number, code=repair)]


def _measured(inputs: PortInputs) -> str:
    reading, probe = inputs.meter, inputs.probe
    words = []
    if isinstance(reading, MeterReading):
        words.append(f"{reading.voltage_v:.1f} V, {reading.current_a:.3f} A, {reading.power_w:.1f} W")
    if isinstance(probe, ProbeReading):
        words.append(f"{probe.temperature_c:.1f} °C")
    return ", ".join(words)


# -- periodic tests ----------------------------------------------------------------------------------------


def _test(state: State, inputs: Inputs, now: float) -> tuple[State, list[Event]]:
    """Carry a periodic test on. Anything that cuts ends it."""
    cabinet = state.cabinet
    if cabinet.proof is None:
        return state, []
    kind = cabinet.proof.kind
    live = frozenset(number for number, port in state.ports.items() if LIVE_THOUGH_OPEN.intersection(port.findings))
    limits = state.settings.cabinet
    after, result = proof.advance(cabinet.proof, inputs.ports, live, inputs.feedback, limits, state.settings.ports, now)
    if result is None and cabinet.cutting:
        after, result = None, proof.Result(ok=False, detail="cut short: " + ", ".join(cabinet.cutting))
    cabinet = replace(cabinet, proof=after)
    if result is None:
        return replace(state, cabinet=cabinet), []
    # Opened at once: a contactor that was made to drop may neither close again by itself nor count as failed.
    opened = contactor.drive(cabinet.contactor, wanted=False, forbidden=True, limits=limits, now=now)
    cabinet = replace(cabinet, contactor=opened)
    events = [Event("tested", now, code=kind, detail=result.detail, ok=result.ok)]
    if result.fault is not None and result.fault not in cabinet.latched:
        events.append(Event("tripped", now, code=result.fault, detail=result.detail))
        cabinet = replace(
            cabinet,
            latched=(*cabinet.latched, result.fault),
            cutting=(*cabinet.cutting, result.fault),
            inhibiting=(*cabinet.inhibiting, result.fault),
        )
    return replace(state, cabinet=cabinet), events


# -- requests ----------------------------------------------------------------------------------------------


def _answer(state: State, inputs: Inputs, now: float) -> tuple[State, tuple[Answer, ...], list[Event]]:
    answers: list[Answer] = []
    events: list[Event] = []
    for request in inputs.requests:
        if isinstance(request, RunTest):
            cabinet, code = requests.run_test(state, request, now)
            state = replace(state, cabinet=cabinet)
            answers.append(Answer(request.ticket, code))
        elif request.port is None:
            cabinet, code = requests.reset_cabinet(state, request)
            cleared = [was for was in state.cabinet.latched if was not in cabinet.latched]
            cleared += ["contactor_worn"] if code is None and not cleared else []
            events += [Event("cleared", now, code=was, detail=request.repair) for was in cleared]
            state = replace(state, cabinet=cabinet)
            answers.append(Answer(request.ticket, code))
        elif request.port not in state.ports:
            answers.append(Answer(request.ticket, "unknown_port"))
        else:
            port, answer, happened = _answer_port(state, request.port, inputs, request, now)
            state = replace(state, ports={**state.ports, request.port: port})
            answers.append(answer)
            events += happened
    return state, tuple(answers), events


def _answer_port(
    state: State, number: int, inputs: Inputs, request: Request, now: float
) -> tuple[PortState, Answer, list[Event]]:
    port = state.ports[number]
    code: str | None
    events: list[Event] = []
    detail = ""
    if isinstance(request, Grant):
        port, code, detail = requests.grant(state, port, inputs, request, now)
    elif isinstance(request, Renew):
        port, code = requests.renew(port, request, state.settings, now)
    elif isinstance(request, Amend):
        port, code = requests.amend(port, request, now)
        reason, detail = why_planned(port, inputs.ports[number], now) if code is None else (None, "")
        if reason is not None:
            port, events = end(number, port, Signal.FINISH, reason, detail, now)
    elif isinstance(request, Release):
        code = requests.why_not_release(port, request)
        if code is None:
            port, events = end(number, port, Signal.FINISH, request.reason, "", now)
    elif isinstance(request, Reset):
        was = port.latched
        port, code = requests.reset_port(state, port, request)
        if code is None:
            events = [Event("cleared", now, number, code=was or "relay_worn", detail=request.repair)]
    return port, Answer(request.ticket, code, detail), events


# -- closing -----------------------------------------------------------------------------------------------


def _close_one(state: State, inputs: Inputs, now: float) -> tuple[State, list[Event]]:
    number = next_to_close(state, inputs.ports, now)
    if number is None:
        return state, []
    port, reading = state.ports[number], inputs.ports[number].meter
    if not isinstance(reading, MeterReading):
        raise TypeError("a port without a reading was let close")
    port = requests.close(port, reading, now)
    event = Event("closed", now, number, port.session, start_energy_wh=port.start_energy_wh)
    cabinet = replace(state.cabinet, closed_at_s=now)
    return State(state.settings, {**state.ports, number: port}, cabinet), [event]
