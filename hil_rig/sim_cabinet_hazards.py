"""What can go wrong for a whole simulated cabinet, all of its ports being on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig.sim_cabinet import SUPPLY_V
from hil_rig.sim_hazards import Injection
from pilenode.guard.board import CABINET
from safety.state import Grant, Release

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from hil_rig.bounds import Bounds
    from hil_rig.sim_cabinet import SimCabinet
    from safety.state import Request

#: A weak port may draw this much more than its limit for ever.
_BORNE = 1.05
_HOTTER_K = 10.0


@dataclass(frozen=True, slots=True)
class Wanted(Injection):
    """What must be seen: ``ports`` cut (by relay or contactor), and the ``contactor`` open where that is asked.

    ``requests`` are sent in the next tick, and the time counts from there. ``below_a``: the current of all ports must
    fall to this. ``idle_first``: the hazard waits for the contactor to close.
    """

    ports: tuple[int, ...] = ()
    contactor: bool = True
    requests: tuple[Request, ...] = ()
    below_a: float | None = None


@dataclass(frozen=True, slots=True)
class CabinetKind:
    """A hazard of the whole cabinet. ``fresh``: guard has just started and no port has ever been on."""

    name: str
    weight: float
    begin: Callable[[SimCabinet, Bounds, random.Random], Wanted | None]
    fresh: bool = False


def _all(cabinet: SimCabinet) -> tuple[int, ...]:
    return tuple(cabinet.layout.settings.ports)


def _living(cabinet: SimCabinet) -> list[int]:
    return [port for port in _all(cabinet) if not cabinet.sockets[port].dead]


def _contact(code: str) -> Callable[[SimCabinet, Bounds, random.Random], Wanted | None]:
    def begin(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted | None:
        del rng
        contact = next((one for one in cabinet.layout.settings.contacts if one.code == code), None)
        if contact is None:
            return None
        cabinet.alarms[contact.name] = True
        whole = not contact.ports
        return Wanted(
            frozenset({code}),
            bounds.contact(contact.debounce_s, contactor=whole),
            contact.ports or _all(cabinet),
            contactor=whole,
        )

    return begin


def _hot_air(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted:
    limits = cabinet.layout.settings.cabinet
    cabinet.sockets[CABINET].hot_c = limits.temperature_trip_c + rng.uniform(0.5, _HOTTER_K)
    codes = frozenset({"cabinet_over_temperature", "cabinet_heat"})
    return Wanted(codes, bounds.heat(limits.temperature_trip_s, contactor=True), _all(cabinet))


def _fire(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted:
    limits = cabinet.layout.settings.cabinet
    rate = max(limits.temperature_rise_k_per_min, bounds.limits.temperature_rise_k_per_min) * rng.uniform(1.3, 2.5)
    for socket in cabinet.sockets.values():
        socket.warming = (cabinet.now, rate / 60.0)
    window_s = max(limits.temperature_rise_s, bounds.limits.temperature_rise_s)
    codes = frozenset({"cabinet_heat", "temperature_rising", "cabinet_over_temperature", "over_temperature"})
    return Wanted(codes, bounds.rise_together(window_s), _all(cabinet), contactor=False)


def _supply_lost(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted:
    del rng
    cabinet.supply(0.0)
    codes = frozenset({"supply_lost", "fuse_open", "under_voltage"})
    return Wanted(codes, bounds.loss(), _all(cabinet), contactor=False)


def _feedback(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted | None:
    del rng
    if not cabinet.layout.settings.feedback:
        return None
    cabinet.feedback_stuck = False
    return Wanted(frozenset({"contactor_not_closed"}), bounds.feedback(), _all(cabinet))


def _self_test(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted:
    code = rng.choice(["clock_fault", "limits_damaged"])
    cabinet.self_test = (code,)
    return Wanted(frozenset({code}), bounds.self_test(), _all(cabinet))


def _weld(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted:
    port = rng.choice(_living(cabinet))
    cabinet.sockets[port].welded = True
    session = cabinet.state.ports[port].session or ""
    release = Release(-1, port, session, "user")
    return Wanted(frozenset({"relay_welded"}), bounds.weld(), (port,), requests=(release,))


def _live(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted:
    port = rng.choice(_living(cabinet))
    cabinet.sockets[port].welded = True
    grant = Grant(-1, port, f"live-{cabinet.ticks}", 60.0)
    codes = frozenset({"load_before_closing"})
    return Wanted(codes, bounds.live_before_closing(), (port,), requests=(grant,))


def _overload(cabinet: SimCabinet, bounds: Bounds, rng: random.Random) -> Wanted | None:
    limits = cabinet.layout.settings.cabinet
    now_a = flowing_a(cabinet)
    times = limits.shed_ratio * limits.current_limit_a * rng.uniform(1.05, 1.2) / now_a
    for number, socket in cabinet.sockets.items():
        port = cabinet.layout.settings.ports.get(number)
        if port is None:
            continue
        watts = socket.load_w * times
        if watts > _BORNE * min(port.current_limit_a * SUPPLY_V * socket.factor, port.power_limit_w):
            return None
    for socket in cabinet.sockets.values():
        socket.load_w *= times
    return Wanted(
        frozenset({"cabinet_overload"}), bounds.overload(), (), contactor=False, below_a=limits.current_limit_a
    )


def flowing_a(cabinet: SimCabinet) -> float:
    """Return the current of all ports that have power, A."""
    return math.fsum(
        socket.load_w / (SUPPLY_V * socket.factor) for socket in cabinet.sockets.values() if socket.powered
    )


CABINET_KINDS = (
    *(CabinetKind(code, 3, _contact(code)) for code in ("smoke", "fire", "estop", "flood", "rcd", "door_open")),
    CabinetKind("cabinet over-temperature", 1, _hot_air),
    CabinetKind("cabinet heat", 0.3, _fire),
    CabinetKind("supply lost", 3, _supply_lost),
    CabinetKind("contactor feedback lost", 3, _feedback),
    CabinetKind("self test", 2, _self_test),
    CabinetKind("relay welded", 5, _weld),
    CabinetKind("load before closing", 3, _live, fresh=True),
    CabinetKind("cabinet overload", 4, _overload),
)
