"""A guard for a whole simulated day: ports charge along stored curves and end when they are full.

It answers as guard does and judges nothing: what it is here for is what station makes of its answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilenode.ipc.messages import (
    Done,
    Events,
    GetEvents,
    GetSnapshot,
    Grant,
    GuardEvent,
    PortSnapshot,
    Refused,
    Release,
    Renew,
    RunTest,
    Snapshot,
)
from pilenode.station.guard_link import GuardLink

if TYPE_CHECKING:
    from hil_rig.clock_world import ClockWorld
    from hil_rig.curves import Curve
    from pilenode.ipc.messages import GuardReply, GuardRequest

_SUPPLY_V: Final = 222.0
_LEASE_S: Final = 60.0
#: What a full pack is watched for before its session ends, seconds.
_WATCHED_S: Final = 180.0
#: A socket under full load is this much warmer than the cabinet, and gets there with this time constant.
_WARMER_C, _WARM_S, _FULL_W = 14.0, 900.0, 800.0
_DAY_S: Final = 86_400.0
#: When guard proves its dead-man output, from midnight.
_TEST_S: Final = 3 * 3600.0 + 17 * 60.0


@dataclass(frozen=True, slots=True)
class Charge:
    """A vehicle that is plugged in: its curve from ``begin_s`` on, full ``for_s`` later. Times are seconds."""

    curve: Curve
    begin_s: float
    for_s: float

    def at(self, on_s: float) -> tuple[float, float, float, float]:
        """Return volts, amperes, watts, and Wh since the beginning, after ``on_s`` with power."""
        curve = self.curve
        step_s = curve.t_s[1] - curve.t_s[0]
        first = int(self.begin_s / step_s)
        index = min(len(curve.t_s) - 1, first + int(on_s / step_s))
        return curve.volts[index], curve.amps[index], curve.watts[index], curve.wh[index] - curve.wh[first]


@dataclass(slots=True)
class _Port:
    plugged: Charge | None = None
    session: str | None = None
    closed_ms: int = 0
    start_mwh: int = 0
    register_mwh: int = 5_000_000
    over: PortSnapshot | None = None
    warmth_c: float = 0.0
    looked_ms: int = 0


class DayGuard(GuardLink):
    """Guard of a cabinet with ``ports`` sockets in ``world``."""

    def __init__(self, world: ClockWorld, ports: int) -> None:
        super().__init__("")
        self._world = world
        self._ports = {number: _Port() for number in range(1, ports + 1)}
        self._events: list[GuardEvent] = []
        self._tested = False
        self.on_s = 0.0  # power over all ports and sessions

    def plug(self, number: int, charge: Charge) -> None:
        """Plug a vehicle in."""
        self._ports[number].plugged = charge

    def free(self) -> list[int]:
        """Return the ports where nothing is plugged in."""
        return [number for number, port in self._ports.items() if port.plugged is None]

    async def request(self, request: GuardRequest) -> GuardReply:
        """Return guard's answer."""
        match request:
            case GetSnapshot():
                return self._snapshot()
            case GetEvents():
                newer = [event for event in self._events if event.seq > request.since][: request.limit]
                return Events(guard_boot="guard-1", first_kept=1, events=newer)
            case Grant():
                port = self._ports[request.port]
                port.over, port.session = None, request.session
                port.closed_ms, port.start_mwh = self._world.boottime_ms, port.register_mwh
            case Renew():
                if self._ports[request.port].session != request.session:
                    return Refused(code="session_ended")
            case Release():
                self._end(request.port, request.reason)
            case RunTest():
                return Refused(code="not_fitted")
            case _:
                pass
        return Done()

    def _snapshot(self) -> Snapshot:
        now_ms = self._world.boottime_ms
        day_s = now_ms / 1000 % _DAY_S
        if not self._tested and day_s >= _TEST_S:
            self._tested = True
            self._tell("tested", code="dead_man", ok=True, detail="dropped after 0.31 s")
        ambient_c = 24.0 - 4.0 * math.cos(2 * math.pi * (day_s / _DAY_S - 0.125))
        return Snapshot(
            guard_boot="guard-1",
            last_event=len(self._events),
            uptime_s=now_ms / 1000,
            contactor=True,
            cabinet_faults=[],
            ports=[self._look(number, port, now_ms, ambient_c) for number, port in self._ports.items()],
        )

    def _look(self, number: int, port: _Port, now_ms: int, ambient_c: float) -> PortSnapshot:
        on_s = (now_ms - port.closed_ms) / 1000
        if port.session is not None and port.plugged is not None and on_s >= port.plugged.for_s + _WATCHED_S:
            self._end(number, "full")
        volts, amps, watts = _SUPPLY_V, 0.0, 0.0
        if port.session is not None and port.plugged is not None:
            volts, amps, watts, used_wh = port.plugged.at(on_s)
            port.register_mwh = port.start_mwh + 1000 * int(used_wh)
        share = 1.0 - math.exp(-(now_ms - port.looked_ms) / 1000 / _WARM_S)
        port.warmth_c += share * (_WARMER_C * watts / _FULL_W - port.warmth_c)
        port.looked_ms = now_ms
        temperature_c = ambient_c + port.warmth_c
        if port.session is None:
            return port.over or PortSnapshot(
                port=number,
                state="idle",
                closed=False,
                voltage_v=volts,
                current_a=0.0,
                power_w=0.0,
                temperature_c=temperature_c,
                register_mwh=port.register_mwh,
            )
        return PortSnapshot(
            port=number,
            state="on",
            closed=True,
            session=port.session,
            voltage_v=volts,
            current_a=amps,
            power_w=watts,
            temperature_c=temperature_c,
            reading_age_s=0.5,
            register_mwh=port.register_mwh,
            start_register_mwh=port.start_mwh,
            closed_for_s=on_s,
            lease_left_s=_LEASE_S / 2,
        )

    def _end(self, number: int, reason: str) -> None:
        port = self._ports[number]
        if port.session is None:
            return
        on_s = (self._world.boottime_ms - port.closed_ms) / 1000
        self.on_s += on_s
        port.over = PortSnapshot(
            port=number,
            state="ended",
            closed=False,
            session=port.session,
            reason=reason,
            voltage_v=_SUPPLY_V,
            current_a=0.0,
            power_w=0.0,
            temperature_c=24.0 + port.warmth_c,
            register_mwh=port.register_mwh,
            start_register_mwh=port.start_mwh,
            closed_for_s=on_s,
        )
        self._tell(
            "ended",
            port=number,
            session=port.session,
            code=reason,
            start_register_mwh=port.start_mwh,
            register_mwh=port.register_mwh,
            closed_for_s=on_s,
        )
        port.session = port.plugged = None

    def _tell(self, kind: str, **words: object) -> None:
        self._events.append(GuardEvent(seq=len(self._events) + 1, age_s=0.0, kind=kind, **words))  # type: ignore[arg-type]
