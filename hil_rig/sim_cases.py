"""Random cabinets for simulated time: everything follows from one seed, and each one would pass the config check."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from hil_rig.bounds import Bounds
from hil_rig.sim_cabinet import Layout
from safety import budget
from safety.catalogue_entry import Effect
from safety.limits import CabinetLimits, PortLimits
from safety.state import Contact, Settings

_BAUDS = (4800, 9600, 19_200, 38_400, 57_600)
_PORTS = (2, 3, 4, 6, 8, 10, 12, 16, 20)
#: Data bytes of the fast and the slow blocks: PZEM, DDSU666, SDM in two blocks, IM1281B.
_BLOCKS = (((20,), ()), ((12,), (4,)), ((60,), (4,)), ((32,), ()))
_PROMISE_S = 5.0
#: Shares of the cabinets: meters behind the relays, an auxiliary contact, a line that is always as slow as it may be.
_BEHIND, _FEEDBACK, _WORST = 0.25, 0.7, 0.3
_TWO_LINES_FROM = 4
_SUPPLY_A = 1e4


@dataclass(frozen=True, slots=True)
class Case:
    """One random cabinet: ``dead`` ports whose meters never answer, ``bounds`` of every port.

    ``kind``: "ports" for hazards of single ports, "slow" for those that take long, "whole" for those of the cabinet.
    """

    name: str
    layout: Layout
    bounds: dict[int, Bounds]
    dead: frozenset[int]
    kind: str


def make(name: str) -> Case:
    """Return the case of a name SEED:NUMBER:KIND. Cabinets for hazards of the whole have fewer ports, for speed."""
    rng = random.Random(name)
    while True:
        case = _draw(rng, name, name.rpartition(":")[2])
        if case is not None:
            return case


def _draw(rng: random.Random, name: str, kind: str) -> Case | None:
    count = rng.choice(_PORTS[:5] if kind == "whole" else _PORTS)
    fast, slow = rng.choice(_BLOCKS)
    line = budget.line_timing(rng.choice(_BAUDS), rng.choice("NE"), 1, rng.uniform(0.005, 0.06))
    timing = budget.MeterTiming(line, fast, slow, rng.choice([0.0, 0.2, 0.5, 1.0]))
    limits = _limits(rng, timing.refresh_s)
    buses = rng.choice([1, 1, 2]) if count >= _TWO_LINES_FROM else 1
    lines = [tuple(range(1 + part, count + 1, buses)) for part in range(buses)]
    dead_meters = rng.choice([0, 1, 2])
    longest = len(max(lines, key=len))
    relay_s, contactor_s = rng.uniform(0.005, 0.03), rng.uniform(0.02, 0.1)
    others = [timing] * (longest - 1)
    worst_s = max(
        budget.seen(timing, others, 2, limits, relay_s).total_s, budget.silence(timing, limits, relay_s).total_s
    )
    if worst_s > _PROMISE_S or budget.oldest_s(timing, others, 2) >= limits.meter_max_age_s:
        return None  # the config check refuses such a cabinet
    dead = frozenset(port for part in lines for port in part[1 : 1 + min(dead_meters, len(part) - 2)])
    behind = rng.random() < _BEHIND
    cabinet = _cabinet_limits(rng)
    settings = Settings(
        {port: replace(limits, meter_behind_relay=behind) for port in range(1, count + 1)},
        cabinet,
        contacts=_contacts(rng, count),
        contactor=True,
        feedback=rng.random() < _FEEDBACK,
    )
    loss = rng.choice([0.0, 0.0, 0.0, 0.004]) if not dead else 0.0
    interval_s = rng.uniform(0.1, 3.0)
    layout = Layout(settings, timing, lines, interval_s, relay_s, contactor_s, rng.random() < _WORST, loss, behind)
    probes_s = (count + 1) * budget.CONVERSION_S + interval_s
    bounds = {
        port: Bounds(
            timing,
            [timing] * (len(part) - 1),
            2,
            settings.ports[port],
            cabinet,
            relay_s,
            contactor_s,
            probes_s,
            lossy=loss > 0,
        )
        for part in lines
        for port in part
    }
    return Case(name, layout, bounds, dead, kind)


def _limits(rng: random.Random, refresh_s: float) -> PortLimits:
    """Return limits within the factory bounds of config.schema, the longest times left out for speed.

    A relay is not looked at before its meter has renewed its registers: with less, every opening looks like a weld.
    """
    trip_c = rng.uniform(70.0, 90.0)
    return PortLimits(
        current_limit_a=rng.uniform(4.0, 12.0),
        power_limit_w=rng.uniform(600.0, 2600.0),
        over_current_slow_ratio=rng.uniform(1.05, 1.25),
        over_current_slow_s=rng.uniform(0.5, 8.0),
        over_current_fast_ratio=rng.uniform(1.4, 2.0),
        voltage_high_v=rng.uniform(240.0, 275.0),
        voltage_low_v=rng.uniform(120.0, 205.0),
        voltage_s=rng.uniform(1.0, 6.0),
        voltage_clear_s=rng.uniform(1.0, 5.0),
        temperature_trip_c=trip_c,
        temperature_inhibit_c=trip_c - 8.0,
        temperature_warn_c=trip_c - 12.0,
        temperature_clear_c=trip_c - 20.0,
        temperature_trip_s=rng.uniform(0.0, 15.0),
        temperature_rise_k_per_min=rng.uniform(4.0, 30.0),
        temperature_rise_s=rng.uniform(20.0, 90.0),
        meter_max_age_s=rng.uniform(1.0, 4.0),
        meter_stuck_s=rng.uniform(30.0, 50.0),
        meter_frozen_s=rng.uniform(60.0, 120.0),
        weld_settle_s=refresh_s + rng.uniform(0.5, 2.0),
    )


def _cabinet_limits(rng: random.Random) -> CabinetLimits:
    return CabinetLimits(
        close_stagger_s=rng.uniform(0.05, 0.25),
        contactor_settle_s=rng.uniform(0.1, 0.4),
        contactor_hold_s=rng.uniform(0.5, 5.0),
        current_limit_a=_SUPPLY_A,
        shed_s=rng.uniform(0.5, 4.0),
        temperature_trip_s=rng.uniform(0.0, 15.0),
    )


def _contacts(rng: random.Random, count: int) -> tuple[Contact, ...]:
    codes = ("smoke", "fire", "estop", "flood")
    contacts = [Contact(code, code, rng.uniform(0.0, 0.5)) for code in codes]
    contacts.append(Contact("door", "door_open", rng.uniform(0.0, 0.5), Effect.CUT))
    some = tuple(sorted(rng.sample(range(1, count + 1), rng.randint(1, count - 1))))
    contacts.append(Contact("rcd", "rcd", rng.uniform(0.0, 0.5), Effect.CUT, some))
    return tuple(contacts)
