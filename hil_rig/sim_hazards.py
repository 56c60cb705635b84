"""What can go wrong in a simulated cabinet: how it begins, what guard may call it, and the computed bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig.sim_cabinet import SUPPLY_V

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from hil_rig.bounds import Bounds
    from hil_rig.sim_cabinet import SimCabinet, SimSocket

#: The current that flows while a register is watched, as a share of the port's limit.
_STEADY_SHARE = 0.8
#: A register that stops just before it would be compared may agree once more: twice the checked energy, and its slack.
_REGISTER_TIMES = 2.0
#: Loads below this are no load for the rules of heat, W; below that one a meter's dead band hides a contradiction, W.
_WARMING_W, _CONTRADICTING_W, _SPARKING_W = 100.0, 150.0, 60.0
#: Above this no reading holds a voltage, V (safety.reading), noise included.
_MOST_V = 297.0
#: Breaks that come more slowly than this are a charger's pulses, seconds (safety.chatter), with a margin.
_SPARK_PERIOD_S = 8.5
#: A multiple of a limit as a meter shows it: wandering mains and rounding take up to 1 % of it.
_SHOWN = 0.99
_MARGIN = 0.03
#: Largest part of its limit that a current may take while the power alone is too high.
_BELOW = 0.98


@dataclass(frozen=True, slots=True)
class Injection:
    """One hazard that has begun: codes that guard may give it, and how long the cut may take, seconds."""

    codes: frozenset[str]
    bound_s: float


@dataclass(frozen=True, slots=True)
class PortKind:
    """A hazard of one port. ``begin`` returns None where it cannot be made (a fuse behind which nobody measures).

    ``weight``: how often it is drawn. ``failing``: its meter no longer answers, of which a line bears few at a time.
    ``alone``: two at once are a hazard of the cabinet. ``settled``: how long the session must have run, seconds.
    """

    name: str
    weight: float
    begin: Callable[[SimCabinet, SimSocket, Bounds, random.Random], Injection | None]
    failing: bool = False
    alone: bool = False
    settled: Callable[[Bounds], float] = lambda _: 0.0


def _fast(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    multiple = bounds.limits.over_current_fast_ratio * rng.uniform(1.05, 1.6)
    socket.load_w = bounds.limits.current_limit_a * multiple * SUPPLY_V * socket.factor
    return Injection(frozenset({"over_current", "over_power"}), bounds.fast())


def _slow(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    multiple = rng.uniform(
        bounds.limits.over_current_slow_ratio + _MARGIN, bounds.limits.over_current_fast_ratio - _MARGIN
    )
    socket.load_w = bounds.limits.current_limit_a * multiple * SUPPLY_V * socket.factor
    return Injection(frozenset({"over_current", "over_power"}), bounds.inverse_time(multiple * _SHOWN))


def _power(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    limit_w = bounds.limits.power_limit_w
    multiple = rng.uniform(bounds.limits.over_current_slow_ratio + _MARGIN, 1.9)
    amps = limit_w * multiple / (SUPPLY_V * socket.factor)
    if amps > _BELOW * bounds.limits.current_limit_a:
        return None
    socket.load_w = limit_w * multiple
    fast = multiple > bounds.limits.over_current_fast_ratio + _MARGIN
    bound_s = (
        bounds.fast() if fast else bounds.inverse_time(min(multiple * _SHOWN, bounds.limits.over_current_fast_ratio))
    )
    return Injection(frozenset({"over_power"}), bound_s)


def _hot(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    socket.hot_c = bounds.limits.temperature_trip_c + rng.uniform(0.5, 15.0)
    codes = frozenset({"over_temperature", "temperature_rising"})
    return Injection(codes, bounds.heat(bounds.limits.temperature_trip_s))


def _warming(cabinet: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    limits = bounds.limits
    rate = limits.temperature_rise_k_per_min * rng.uniform(1.3, 2.5) / 60.0
    if socket.load_w < _WARMING_W:  # a rise without a load is another matter
        return None
    socket.warming = (cabinet.now, rate)
    return Injection(frozenset({"temperature_rising", "over_temperature"}), bounds.rise(limits.temperature_rise_s))


def _high(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    volts = bounds.limits.voltage_high_v + rng.uniform(3.0, 15.0)
    if volts > _MOST_V:
        return None
    socket.own_v = volts
    return Injection(frozenset({"over_voltage"}), bounds.voltage())


def _low(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    socket.own_v = max(bounds.limits.supply_lost_v + 10.0, bounds.limits.voltage_low_v - rng.uniform(3.0, 60.0))
    return Injection(frozenset({"under_voltage", "over_current"}), bounds.voltage())


def _fuse(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    socket.own_v = 0.0
    del rng
    # A loss that is also a low voltage may be named that first.
    codes = frozenset({"fuse_open", "supply_lost", "under_voltage", "relay_not_closed"})
    return Injection(codes, bounds.loss())


def _dead(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    del rng
    socket.dead = True
    return Injection(frozenset({"meter_lost"}), bounds.dead_meter())


def _implausible(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    if socket.load_w < _CONTRADICTING_W:
        return None
    socket.power_times = rng.choice([0.0, 0.3, 0.5])
    return Injection(frozenset({"meter_implausible"}), bounds.implausible())


def _register_back(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    if bounds.own.slow:
        # A register that needs its own read waits for those of sessions that have just ended, and here they always do.
        return None
    socket.register_back_wh = rng.uniform(40.0, 400.0)
    return Injection(frozenset({"energy_implausible"}), bounds.register(0.0, socket.load_w))


def _register_stuck(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection:
    del rng
    limits = bounds.limits
    socket.load_w = _STEADY_SHARE * min(limits.power_limit_w, limits.current_limit_a * SUPPLY_V * socket.factor)
    socket.register_stuck = True
    due_wh = _REGISTER_TIMES * limits.energy_check_wh
    return Injection(frozenset({"energy_implausible"}), bounds.register(due_wh, socket.load_w))


def _frozen(_: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    del rng
    if socket.shown is None or not socket.shown.current_a:
        return None  # frozen before the load shows, whole volts and nothing drawn are given three times as long
    socket.frozen = True
    # What is drawn while nobody measures it is somebody else's business; the register that stands with it, too.
    return Injection(frozenset({"meter_frozen", "energy_implausible"}), bounds.frozen())


def _chatter(cabinet: SimCabinet, socket: SimSocket, bounds: Bounds, rng: random.Random) -> Injection | None:
    off_s = bounds.round_s + bounds.own.refresh_s + rng.uniform(0.2, 0.6)
    period_s = 2.0 * off_s
    # Faster than a charger pulses and back in time (safety.chatter): else it is no spark.
    if period_s > _SPARK_PERIOD_S or socket.load_w < _SPARKING_W or bounds.lossy:
        return None
    socket.breaks = (cabinet.now, period_s, off_s)
    return Injection(frozenset({"poor_contact"}), bounds.chatter(period_s))


PORT_KINDS = (
    PortKind("over-current, fast", 30, _fast),
    PortKind("over-current, inverse time", 14, _slow),
    PortKind("over-power", 10, _power),
    PortKind("over-voltage", 8, _high),
    PortKind("under-voltage", 8, _low),
    PortKind("fuse open", 8, _fuse),
    PortKind("meter dead", 10, _dead, failing=True),
    PortKind("meter implausible", 8, _implausible),
    PortKind("register runs back", 6, _register_back, settled=lambda bounds: 2.0 * bounds.register_gap_s),
)
#: What is borne for long, or takes long to cool: told in cabinets of their own.
SLOW_KINDS = (
    PortKind("over-temperature", 5, _hot),
    PortKind("poor contact", 4, _chatter),
    PortKind("temperature rising", 2, _warming, alone=True),
    PortKind("register stands still", 2, _register_stuck),
    PortKind("meter frozen", 2, _frozen),
)
