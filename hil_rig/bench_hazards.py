"""Hazards injected into the real processes, on many ports at once: every one must be cut within its computed bound.

Three cabinets: 4, 10 and 20 ports, with 0, 1 and 2 dead meters (one on a line, injected ones come on top). The times
that rules bear a hazard are as short as the factory bounds allow (``LIMITS``), so that a thousand injections take
minutes; the computed bounds are those of the same shortened configuration. Leases are granted by the bench itself: how
the station behaves is measured in ``bench_over_current``. Battery anomalies need a whole charge and are not injected
here; ``hil_rig.score`` judges them on curves. A relay that does not close needs meters behind the relays: only in
simulated time (``bench_simulated``), as are guard's own self tests.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.load import cabinet_limits, load, load_meter, port_limits
from hil_rig import bounds as computed
from hil_rig import hazard_kinds
from hil_rig.figures import Figure
from hil_rig.harness import Harness, HarnessError, Setup, wait
from hil_rig.hazard_kinds import PORT_KINDS, SLOW, Kind
from hil_rig.hazard_site import LEASE_S, Site
from pilenode.ipc import messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hil_rig.bounds import Bounds
    from hil_rig.hazard_site import Script

#: Shortest times that config.schema allows (or a little more), and nothing else but times. ``weld_settle_s`` stays: it
#: must outlast a meter's renewal of its registers.
LIMITS = {
    "over_current_slow_s": 1.0,
    "voltage_s": 1.0,
    "temperature_trip_s": 1.0,
    "temperature_rise_s": 20,
    "meter_stuck_s": 30,
    "meter_frozen_s": 60,
    "close_stagger_s": 0.05,
    "contactor_settle_s": 0.1,
    "contactor_hold_s": 0.5,
}
SUPPLY = {"shed_s": 0.5}
_FAILING = 2
#: Waiting beyond the bound, to tell "late" from "never", seconds.
BEYOND_S = 3.0
_RENEW_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One cabinet: how many ports and lines, how many dead meters on each line, and its share of a thousand."""

    ports: int
    buses: int
    baud: int
    dead: int
    share: float

    @property
    def title(self) -> str:
        """What it is called in a table."""
        return f"{self.ports} ports, {self.dead * self.buses} dead"

    def setup(self, cabinet_a: float = 125.0) -> Setup:
        """Return the cabinet; ``cabinet_a``: what its supply gives to all ports together."""
        return Setup(
            cabinet_a=cabinet_a,
            ports=self.ports,
            buses=self.buses,
            baud=self.baud,
            full=True,
            profile="default",
            refresh_s=load_meter("pzem004t-v3").refresh_ms / 1000,
            probe_interval_s=0.1,
            limits=LIMITS,
            supply=SUPPLY,
        )


PLANS = (Plan(4, 1, 9600, 0, 0.1), Plan(10, 1, 19_200, 1, 0.3), Plan(20, 2, 38_400, 1, 0.6))


@dataclass(frozen=True, slots=True)
class Shot:
    """One injection: ``took_s`` infinite when it was not cut."""

    kind: str
    plan: str
    took_s: float
    bound_s: float


@dataclass(slots=True)
class Bench:
    """Ports of one cabinet, each with a script that injects what it draws from the ``deck``."""

    site: Site
    bounds: Mapping[int, Bounds]
    title: str
    deck: list[Kind]
    dead: frozenset[int]
    shots: list[Shot] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    alone: bool = False

    def port(self, port: int) -> Script:
        """Inject into one port until the deck is empty. What goes wrong is noted, and the port goes on."""
        cabinet = self.site.cabinet
        hazard_kinds.heal(cabinet, port)
        while self.deck:
            kind = self._draw(port)
            if kind is None:
                yield from self.site.pause(0.3)
                continue
            self._take(kind, port, +1)
            try:
                session = yield from self.site.start(port)
                yield from self.site.pause(random.uniform(2.5, 3.5))
                yield from self._inject(kind, port, session)
            except HarnessError as error:
                self.failures.append(f"{self.title}, {kind.name} at {port}: {error}")
            hazard_kinds.heal(cabinet, port)
            # A meter that was stuck shows the present only at its next refresh; in the next session that were a jump.
            yield from self.site.pause(2 * cabinet.setup.refresh_s)
            self._take(kind, port, -1)
            try:
                yield from self.site.reset(port)
            except HarnessError as error:
                self.failures.append(f"{self.title}, after {kind.name} at {port}: {error}")

    def _draw(self, port: int) -> Kind | None:
        """Take the first kind off the deck that this port may have now."""
        bus = self.site.cabinet.setup.bus(port)
        for index, kind in enumerate(self.deck):
            if kind.port not in (None, port) or (kind.alone and self.alone):
                continue
            if not (kind.failing and self.failing[bus] >= _FAILING):
                return self.deck.pop(index)
        if all(kind.port not in (None, port) for kind in self.deck):
            self.deck = [kind for kind in self.deck if kind.port not in self.dead]
        return None

    def _take(self, kind: Kind, port: int, count: int) -> None:
        if kind.failing:
            self.failing[self.site.cabinet.setup.bus(port)] += count
        if kind.alone:
            self.alone = count > 0

    def _inject(self, kind: Kind, port: int, session: str) -> Script:
        cabinet, bound_s = self.site.cabinet, kind.bound(self.bounds[port])
        if not self.site.port(port).closed:
            raise HarnessError(f"cut before anything was injected: {self.site.port(port).reason}")
        began_s = time.monotonic()
        if kind.lease:
            ttl_s = random.uniform(0.2, 1.0)
            yield messages.Renew(port=port, session=session, ttl_s=ttl_s)
            # The lease counts from the tick that took the request, which is before the reply.
            began_s = time.monotonic() + ttl_s - 0.06
            bound_s += 0.06
        kind.inject(cabinet, port)
        renewed_s = began_s
        while self._on(port) and time.monotonic() < began_s + bound_s + BEYOND_S:
            if kind.ramp:
                hazard_kinds.warm(cabinet, port, began_s)
            if not kind.lease and time.monotonic() - renewed_s > _RENEW_S:
                renewed_s = time.monotonic()
                yield messages.Renew(port=port, session=session, ttl_s=LEASE_S)
            else:
                yield None
        yield from self._judge(kind, port, began_s, bound_s)

    def _on(self, port: int) -> bool:
        return self.site.cabinet.rig.world.relay_closed(port)

    def _judge(self, kind: Kind, port: int, began_s: float, bound_s: float) -> Script:
        opened_s = self.site.cabinet.rig.opened_at(port)
        if self._on(port) or opened_s is None or opened_s < began_s:
            self.shots.append(Shot(kind.name, self.title, float("inf"), bound_s))
            raise HarnessError("never cut")
        self.shots.append(Shot(kind.name, self.title, opened_s - began_s, bound_s))
        if self.site.cabinet.rig.world.meter(port).current_a:
            raise HarnessError("current still flows")
        yield from self.site.until("guard says so", lambda: not self.site.port(port).closed, 2.0)
        if self.site.port(port).reason not in kind.codes:
            raise HarnessError(f"called {self.site.port(port).reason}")


def deck(count: int, *, quick: bool = False) -> list[Kind]:
    """Return ``count`` kinds in their shares, each at least once, the long ones first; ``quick``: without these."""
    kinds = [kind for kind in PORT_KINDS if not (quick and kind.name in SLOW)]
    total = sum(kind.share for kind in kinds)
    cards = [kind for kind in kinds for _ in range(max(1, round(count * kind.share / total)))]
    random.shuffle(cards)
    return sorted(cards, key=lambda kind: kind.name not in SLOW)


def dead_ports(setup: Setup, dead: int) -> frozenset[int]:
    """Return the ports whose meters never answer: the last ones of each line."""
    lines: dict[str, list[int]] = defaultdict(list)
    for port in range(1, setup.ports + 1):
        lines[setup.bus(port)].append(port)
    return frozenset(port for line in lines.values() for port in line[len(line) - dead :])


def bounds_of(cabinet: Harness) -> dict[int, Bounds]:
    """Return the computed bounds of every port of a cabinet."""
    config = load(cabinet.config_file)
    limits = {port.number: port_limits(config, port) for port in config.port}
    return computed.of(config, load_meter(cabinet.setup.model), limits, cabinet_limits(config))


def shoot(directory: Path, plan: Plan, count: int, *, quick: bool = False) -> tuple[list[Shot], list[str]]:
    """Inject ``count`` hazards into a cabinet and return what was seen."""
    setup = plan.setup()
    with Harness(directory / f"cabinet-{plan.ports}", setup) as cabinet:
        dead = dead_ports(setup, plan.dead)
        for port in dead:
            cabinet.rig.meters[port].faults.dead = True
        cabinet.start("guard")
        site = Site(cabinet)
        wait("everything read", site.ready, 30.0)
        bench = Bench(site, bounds_of(cabinet), plan.title, deck(count, quick=quick), dead)
        for line in setup.bus_names:
            bench.failing[line] = plan.dead
        living = [port for port in range(1, setup.ports + 1) if port not in dead]
        site.run([bench.port(port) for port in living])
        return bench.shots, bench.failures


def measure(directory: Path, count: int) -> Iterator[Figure]:
    """Yield one figure per kind and cabinet, ms; ``count``: injections in all."""
    for plan in PLANS:
        shots, failures = shoot(directory, plan, round(count * plan.share))
        yield from figures(shots, failures)


def figures(shots: list[Shot], failures: list[str]) -> Iterator[Figure]:
    """Yield one figure per kind of the shots of one cabinet; what failed stands with the first."""
    kinds: dict[str, list[Shot]] = defaultdict(list)
    for shot in shots:
        kinds[shot.kind].append(shot)
    for kind, some in kinds.items():
        bound_ms = max(shot.bound_s for shot in some) * 1000
        figure = Figure(kind, some[0].plan, "ms", bound_ms, len(some))
        figure.samples = [shot.took_s * 1000 for shot in some]
        figure.failures, failures = failures, []
        yield figure
