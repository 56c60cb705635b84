"""Guard's state as its peers see it: pure translation of ``safety`` values into IPC messages."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from pilenode.guard.counters import RelayCount
from pilenode.ipc import messages
from safety.reading import MeterReading, ProbeReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pilenode.guard.counters import Counts
    from safety.inputs import PortInputs
    from safety.state import Event, PortState, State

#: Events kept for a station that comes back. A busy cabinet makes some hundred a day.
KEPT: Final = 2000


def to_mwh(energy_wh: float | None) -> int | None:
    """Return milliwatt-hours as an integer, None for None."""
    return None if energy_wh is None else round(energy_wh * 1000)


class EventLog:
    """The newest events with gap-free sequence numbers, starting at 1 with every start of guard."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, Event]] = deque(maxlen=KEPT)
        self.last = 0

    def add(self, events: Iterable[Event]) -> None:
        """Append events in order."""
        for event in events:
            self.last += 1
            self._events.append((self.last, event))

    def since(self, guard_boot: str, since: int, limit: int, now: float) -> messages.Events:
        """Return at most ``limit`` events after ``since``, oldest first."""
        first = self._events[0][0] if self._events else self.last + 1
        chosen = [_event(seq, event, now) for seq, event in self._events if seq > since][:limit]
        return messages.Events(guard_boot=guard_boot, first_kept=first, events=chosen)


def _event(seq: int, event: Event, now: float) -> messages.GuardEvent:
    return messages.GuardEvent(
        seq=seq,
        age_s=max(0.0, now - event.at_s),
        kind=event.kind,
        port=event.port,
        session=event.session,
        code=event.code,
        detail=event.detail,
        register_mwh=to_mwh(event.end_energy_wh),
        start_register_mwh=to_mwh(event.start_energy_wh),
        closed_for_s=event.closed_for_s,
        ok=event.ok,
    )


def ports(
    state: State, inputs: Mapping[int, PortInputs], counts: Counts, relay_life: int, now: float
) -> list[messages.PortSnapshot]:
    """Return one snapshot per port, in port order; ``relay_life``: operations under load that a relay is rated for."""
    return [
        _port(number, state.ports[number], inputs[number], (counts.relays.get(number, RelayCount()), relay_life), now)
        for number in sorted(state.ports)
    ]


def _port(
    number: int, port: PortState, inputs: PortInputs, counted: tuple[RelayCount, int], now: float
) -> messages.PortSnapshot:
    relay, rated = counted
    reading = inputs.meter if isinstance(inputs.meter, MeterReading) else None
    probe = inputs.probe if isinstance(inputs.probe, ProbeReading) else None
    return messages.PortSnapshot(
        port=number,
        state=port.status.value,
        closed=port.status.value == "on",
        session=port.session,
        reason=port.latched or port.reason,
        findings=list(port.findings),
        voltage_v=reading.voltage_v if reading else None,
        current_a=reading.current_a if reading else None,
        power_w=reading.power_w if reading else None,
        temperature_c=probe.temperature_c if probe else None,
        reading_age_s=reading.age_s(now) if reading else None,
        meter_error=inputs.meter_error.reason.value if inputs.meter_error else None,
        probe_error=inputs.probe_error.reason.value if inputs.probe_error else None,
        register_mwh=to_mwh(reading.energy_wh) if reading else None,
        start_register_mwh=to_mwh(port.start_energy_wh),
        closed_for_s=port.closed_for_s(now),
        lease_left_s=max(0.0, port.lease_until_s - now) if port.live else None,
        relay_closings=relay.closings,
        relay_openings=relay.openings,
        relay_openings_loaded=relay.openings_loaded,
        relay_closings_loaded=relay.closings_loaded,
        relay_life_used=relay.life_used(rated),
    )
