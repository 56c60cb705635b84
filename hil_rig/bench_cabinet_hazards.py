"""Hazards of the whole cabinet, injected into the real processes with every port on: contacts, heat, supply, contactor.

One after the other, because each of them cuts everything. What must be seen stands with each kind: no current at any
port it concerns, and the master contactor open where that is asked. The death of guard has its own figure
(``bench_dead_man``).
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil_rig.bench_hazards import BEYOND_S, Plan, Shot, bounds_of, figures
from hil_rig.harness import DOOR_PIN, ESTOP_PIN, FIRE_PIN, FLOOD_PIN, SMOKE_PIN, Harness, HarnessError, wait
from hil_rig.hazard_kinds import BASE_W, heal
from hil_rig.hazard_site import Site
from hil_rig.loads import constant
from hil_rig.world import Happening
from pilenode.ipc import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hil_rig.bounds import Bounds
    from hil_rig.figures import Figure
    from hil_rig.hazard_site import Script

#: A quarter of the injections in cabinets of ten ports, the others in small ones, which are on again sooner.
PLANS = (Plan(4, 1, 9600, 0, 0.75), Plan(10, 1, 38_400, 1, 0.25))
_SUPPLY_V = 220.0
#: Not 85: that is what a probe says at power-on.
_HOT_C = 83.0
_DEBOUNCE_S = 0.1
#: Heat that several probes feel: K per second, faster than the default 10 K a minute.
_FIRE_K_PER_S = 0.4
_AMBIENT_C = 25.0


@dataclass(slots=True)
class Injected:
    """A hazard that has begun: since when, whether the contactor must open, and what goes on while it lasts."""

    began_s: float
    contactor: bool
    ports: tuple[int, ...]
    goes_on: Callable[[], object] = lambda: None
    below_a: float | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. ``fresh``: guard is started anew before, no port on."""

    name: str
    share: int
    codes: frozenset[str]
    begin: Callable[[Site, tuple[int, ...]], Injected]
    bound: Callable[[Bounds], float]
    fresh: bool = False


def _contact(pin: int) -> Callable[[Site, tuple[int, ...]], Injected]:
    def begin(site: Site, ports: tuple[int, ...]) -> Injected:
        began_s = time.monotonic()
        site.cabinet.rig.set_contact(pin, 1)
        return Injected(began_s, contactor=True, ports=ports)

    return begin


def _supply(site: Site, ports: tuple[int, ...]) -> Injected:
    began_s = time.monotonic()
    site.cabinet.rig.supply(0.0)
    return Injected(began_s, contactor=False, ports=ports)


def _air(site: Site, ports: tuple[int, ...]) -> Injected:
    began_s = time.monotonic()
    site.cabinet.rig.cabinet_c = _HOT_C
    return Injected(began_s, contactor=True, ports=ports)


def _fire(site: Site, ports: tuple[int, ...]) -> Injected:
    began_s = time.monotonic()

    def warm() -> None:
        celsius = _AMBIENT_C + _FIRE_K_PER_S * (time.monotonic() - began_s)
        for port in ports:
            site.cabinet.rig.world.hot_probe(port, celsius)

    return Injected(began_s, contactor=False, ports=ports, goes_on=warm)


def _feedback(site: Site, ports: tuple[int, ...]) -> Injected:
    began_s = time.monotonic()
    if site.cabinet.auxiliary is None:
        raise HarnessError("no auxiliary contact")
    site.cabinet.auxiliary.stuck = False
    site.cabinet.auxiliary.follow()
    return Injected(began_s, contactor=True, ports=ports)


def _weld(site: Site, ports: tuple[int, ...]) -> Injected:
    port = random.choice(ports)
    site.cabinet.rig.weld(port)
    reply = site.guard.ask(messages.Release(port=port, session=site.port(port).session or "", reason="user"))
    if reply != messages.Done():
        raise HarnessError(f"release: {reply}")
    wait("relay opens", lambda: not site.cabinet.rig.world.relay_closed(port), 1.0, every_s=0.005)
    return Injected(site.cabinet.rig.opened_at(port) or time.monotonic(), contactor=True, ports=(port,))


def _live(site: Site, ports: tuple[int, ...]) -> Injected:
    port = random.choice(ports)
    site.cabinet.rig.weld(port)
    reply = site.guard.ask(messages.Grant(port=port, session=f"live-{time.monotonic_ns()}", ttl_s=60.0))
    if reply != messages.Done():
        raise HarnessError(f"grant: {reply}")
    wait("contactor closes", site.cabinet.rig.world.main_closed, 2.0, every_s=0.005)
    closed_s = site.cabinet.rig.world.last_s(Happening.CONTACTOR_CLOSED)
    return Injected(closed_s or time.monotonic(), contactor=True, ports=(port,))


def _overload(site: Site, ports: tuple[int, ...]) -> Injected:
    limit_a = site.cabinet.setup.cabinet_a
    each_w = 1.25 * limit_a / len(ports) * _SUPPLY_V * 0.98
    began_s = time.monotonic()
    for port in ports:
        site.cabinet.rig.plug(port, constant(each_w))
    return Injected(began_s, contactor=False, ports=(), below_a=limit_a)


def _by_contact(bounds: Bounds) -> float:
    return bounds.contact(_DEBOUNCE_S)


KINDS = (
    Kind("smoke", 4, frozenset({"smoke"}), _contact(SMOKE_PIN), _by_contact),
    Kind("fire panel", 4, frozenset({"fire"}), _contact(FIRE_PIN), _by_contact),
    Kind("E-stop", 4, frozenset({"estop"}), _contact(ESTOP_PIN), _by_contact),
    Kind("flood", 4, frozenset({"flood"}), _contact(FLOOD_PIN), _by_contact),
    Kind("door that cuts", 2, frozenset({"door_open"}), _contact(DOOR_PIN), _by_contact),
    Kind("supply lost", 4, frozenset({"supply_lost", "fuse_open", "under_voltage"}), _supply, lambda b: b.loss()),
    Kind(
        "cabinet over-temperature",
        3,
        frozenset({"cabinet_over_temperature", "cabinet_heat"}),
        _air,
        lambda b: b.heat(b.cabinet.temperature_trip_s, contactor=True),
    ),
    Kind(
        "cabinet heat",
        1,
        frozenset({"cabinet_heat", "temperature_rising"}),
        _fire,
        lambda b: b.rise_together(b.limits.temperature_rise_s),
    ),
    Kind("contactor feedback lost", 3, frozenset({"contactor_not_closed"}), _feedback, lambda b: b.feedback()),
    Kind("relay welded", 6, frozenset({"relay_welded"}), _weld, lambda b: b.weld()),
    Kind(
        "load before closing",
        3,
        frozenset({"load_before_closing", "relay_welded"}),
        _live,
        lambda b: b.live_before_closing(),
        fresh=True,
    ),
    Kind("cabinet overload", 4, frozenset({"cabinet_overload"}), _overload, lambda b: b.overload()),
)


def repair(site: Site, ports: tuple[int, ...]) -> None:
    """Put the cabinet right."""
    cabinet = site.cabinet
    cabinet.rig.supply(_SUPPLY_V)
    cabinet.rig.cabinet_c = _AMBIENT_C
    for pin in cabinet.setup.contacts.values():
        cabinet.rig.set_contact(pin, 0)
    if cabinet.auxiliary is not None:
        cabinet.auxiliary.stuck = None
        cabinet.auxiliary.follow()
    for port in ports:
        heal(cabinet, port)


def _recover(site: Site, ports: tuple[int, ...]) -> Script:
    """Release every session and every latch."""
    yield from site.pause(0.3)
    for port in ports:
        seen = site.port(port)
        if seen.state in ("armed", "on") and seen.session is not None:
            yield messages.Release(port=port, session=seen.session, reason="user")
    yield from site.until("all open", lambda: not any(port.closed for port in site.snapshot.ports), 5.0)
    for port in ports:
        if site.port(port).state == "tripped":
            yield from site.reset(port)
    yield from site.reset(None)


def _open_s(site: Site, injected: Injected) -> float | None:
    """Return since when everything is cut that must be, None while it is not."""
    world = site.cabinet.rig.world
    if injected.below_a is not None:
        flowing_a = sum(world.meter(port).current_a for port in site.cabinet.rig.meters)
        if flowing_a > injected.below_a:
            return None
        return max(site.cabinet.rig.opened_at(port) or 0.0 for port in site.cabinet.rig.meters)
    if injected.contactor:
        return None if world.main_closed() else world.last_s(Happening.CONTACTOR_OPENED)
    if any(world.relay_closed(port) and world.main_closed() for port in injected.ports):
        return None
    return max(site.cabinet.rig.opened_at(port) or 0.0 for port in injected.ports)


def _told(site: Site) -> set[str]:
    found = set(site.snapshot.cabinet_faults)
    return found | {port.reason for port in site.snapshot.ports if port.reason}


def _inject(site: Site, kind: Kind, ports: tuple[int, ...], bound_s: float, title: str, shots: list[Shot]) -> Script:
    for port in () if kind.fresh else ports:
        yield from site.start(port)
    yield from site.pause(random.uniform(1.2, 2.0))
    injected = kind.begin(site, ports)
    end_s = injected.began_s + bound_s + BEYOND_S
    while _open_s(site, injected) is None and time.monotonic() < end_s:
        injected.goes_on()
        yield None
    opened_s = _open_s(site, injected)
    took_s = float("inf") if opened_s is None else opened_s - injected.began_s
    shots.append(Shot(kind.name, title, took_s, bound_s))
    if opened_s is None or took_s < 0:
        raise HarnessError("never cut")
    yield from site.until("guard says so", lambda: bool(kind.codes & _told(site)), 2.0)


def shoot(directory: Path, plan: Plan, kinds: list[Kind]) -> tuple[list[Shot], list[str]]:
    """Inject one hazard after the other and return what was seen."""
    shots: list[Shot] = []
    failures: list[str] = []
    setup = plan.setup(cabinet_a=plan.ports * (BASE_W / _SUPPLY_V + 0.6))
    with Harness(directory / f"whole-{plan.ports}", setup) as cabinet:
        ports = tuple(range(1, plan.ports + 1 - plan.dead))
        for port in range(plan.ports + 1 - plan.dead, plan.ports + 1):
            cabinet.rig.meters[port].faults.dead = True
        cabinet.start("guard")
        site = Site(cabinet)
        wait("everything read", site.ready, 30.0)
        bounds = bounds_of(cabinet)[1]
        for kind in kinds:
            repair(site, ports)
            try:
                if kind.fresh:
                    cabinet.end("guard")
                    cabinet.start("guard")
                    site.again()
                    wait("everything read", site.ready, 30.0)
                site.run([_inject(site, kind, ports, kind.bound(bounds), plan.title, shots)])
            except HarnessError as error:
                failures.append(f"{plan.title}, {kind.name}: {error}")
            repair(site, ports)
            try:
                site.run([_recover(site, ports)])
            except HarnessError as error:
                failures.append(f"{plan.title}, after {kind.name}: {error}")
    return shots, failures


def deck(count: int) -> list[Kind]:
    """Return at least one of every kind, ``count`` or a few more in all, those that need a fresh guard together."""
    total = sum(kind.share for kind in KINDS)
    return [kind for kind in KINDS for _ in range(max(1, round(count * kind.share / total)))]


def measure(directory: Path, count: int) -> Iterator[Figure]:
    """Yield one figure per kind and cabinet, ms; ``count``: injections in all."""
    for plan in PLANS:
        shots, failures = shoot(directory, plan, deck(round(count * plan.share)))
        yield from figures(shots, failures)
