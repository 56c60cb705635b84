"""Normal charging in simulated time: ``python -m hil_rig.nuisance [--hours 72] [--seeds 2] [--ports 10]``.

Ten ports charge one normal session after the other (``hil_rig.curves``) through the whole ``safety.step``, once a
second: each port has a meter of one of five kinds with its steps and its dead band, noise, 0.5 to 1 % of the power of
the ports beside it leaking in, and replies that get lost. Nothing is wrong, so every cut by a protective rule is a
nuisance, except that a recorded power cut must be cut. How well the *end* of a charge is found is scored elsewhere
(``hil_rig.score``); here those endings are only counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import safety
from hil_rig.curves import labels, load
from hil_rig.score_perturb import METERS, Meter
from safety.catalogue import CATALOGUE, Effect, Kind
from safety.inputs import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import Contact, Grant, Inputs, Renew, Settings

if TYPE_CHECKING:
    from hil_rig.curves import Curve
    from safety.state import Event, Request

_STEP_S = 1.0
_HOUR_S = 3600.0
_LOST = 0.002
_NOISE = 0.003
_AMBIENT_C = 25.0
#: A curve may begin with a socket that was warm already; here it was cold, and metal follows slowly.
_SETTLING_S = 240.0
_RENEW_S = 30.0
_SUPPLY_V = 221.0
#: A recorded power cut explains a cut by these rules for so long after it.
_OUTAGE_CODES = frozenset({"supply_lost", "fuse_open", "under_voltage"})
_OUTAGE_V, _OUTAGE_S = 150.0, 30.0
#: The port of the curves (``hil_rig.curves``): 1000 W, and the current of the socket itself.
_LIMITS = PortLimits(current_limit_a=10.0, power_limit_w=1000.0)


def normal() -> tuple[str, ...]:
    """Return the names of the curves on which nothing is wrong: they must end because the battery is full."""
    return tuple(sorted(name for name, label in labels().items() if label["expect"] == "full"))


@dataclass(slots=True)
class Charger:
    """One port: what is plugged in, and what its meter and its probe show."""

    rng: random.Random
    meter: Meter
    leak: float
    curve: Curve | None = None
    name: str = ""
    session: str = ""
    began_s: float | None = None
    next_s: float = 0.0
    renewed_s: float = 0.0
    base_wh: float = 5000.0
    shown_wh: float = 5000.0
    celsius: float = _AMBIENT_C
    outage_s: float = -1e9
    watts: float = 0.0
    amps: float = 0.0
    volts: float = _SUPPLY_V

    def live(self, now: float, *, on: bool) -> None:
        """Bring the load to ``now``."""
        self.watts = self.amps = 0.0
        self.volts = _SUPPLY_V + self.rng.gauss(0.0, 0.4)
        target_c = _AMBIENT_C
        if on and self.curve is not None:
            if self.began_s is None:
                self.began_s = now
                self.base_wh = self.shown_wh
            target_c = self._play(self.curve, now - self.began_s)
        elif not on and self.began_s is not None:
            self.began_s = None
        self.celsius += (target_c - self.celsius) * _STEP_S / _SETTLING_S

    def _play(self, curve: Curve, t_s: float) -> float:
        after = bisect_right(curve.t_s, t_s)
        left, right = max(0, after - 1), min(after, len(curve.t_s) - 1)
        gap_s = curve.t_s[right] - curve.t_s[left]
        share = (t_s - curve.t_s[left]) / gap_s if gap_s > 0 else 0.0
        share = min(1.0, max(0.0, share))

        def at(column: tuple[float, ...]) -> float:
            return column[left] + share * (column[right] - column[left])

        self.volts, self.watts, self.amps = at(curve.volts), at(curve.watts), at(curve.amps)
        self.shown_wh = self.base_wh + curve.wh[left] - curve.wh[0]
        if self.volts < _OUTAGE_V:
            self.outage_s = t_s + (self.began_s or 0.0)
        return at(curve.celsius)

    def reading(self, now: float, others_w: float, others_a: float) -> MeterReading | None:
        """Return what the meter shows, None when its reply was lost or no reading may hold it."""
        if self.rng.random() < _LOST:
            return None
        noise = self.rng.gauss(1.0, _NOISE)
        watts = max(0.0, self.watts * noise + self.leak * others_w)
        amps = max(0.0, self.amps * noise + self.leak * others_a)
        if watts < self.meter.floor_w or amps < self.meter.floor_a:
            watts = amps = 0.0
        step = self.meter
        volts = round(self.volts / step.step_v) * step.step_v
        watts, amps = round(watts / step.step_w) * step.step_w, round(amps / step.step_a) * step.step_a
        factor = min(1.0, watts / (volts * amps)) if volts * amps > 0 else 0.0
        try:
            return MeterReading(now, volts, amps, watts, round(factor, 2), self.shown_wh, now)
        except ValueError:
            return None


@dataclass(slots=True)
class Outcome:
    """What happened in one seed: endings by reason, findings by code, and every nuisance in words."""

    seed: int
    sessions: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    nuisances: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Day:
    """One cabinet that charges for ``hours``."""

    seed: int
    hours: float
    ports: int
    outcome: Outcome = field(init=False)

    def run(self) -> Outcome:
        """Charge, and return what happened."""
        rng = random.Random(self.seed)
        self.outcome = Outcome(self.seed)
        chargers = {
            port: Charger(
                random.Random(f"{self.seed} {port}"),
                METERS[rng.choice(sorted(METERS))],
                rng.uniform(0.005, 0.01),
                next_s=rng.uniform(5.0, 1800.0),
            )
            for port in range(1, self.ports + 1)
        }
        settings = Settings(
            dict.fromkeys(chargers, _LIMITS),
            CabinetLimits(current_limit_a=10.0 * self.ports),
            contacts=(Contact("smoke", "smoke", 0.1),),
            contactor=True,
        )
        state = safety.initial(settings)
        names = normal()
        inputs = {port: PortInputs(Missing(MissingReason.NEVER_READ, 0.0)) for port in chargers}
        closed: frozenset[int] = frozenset()
        now = 0.0
        while now < self.hours * _HOUR_S:
            now += _STEP_S
            for port, charger in chargers.items():
                charger.live(now, on=port in closed)
            for port, charger in chargers.items():
                beside = [chargers[other] for other in (port - 1, port + 1) if other in chargers]
                inputs[port] = _look(inputs[port], charger, now, beside)
            requests = tuple(self._wishes(rng, chargers, names, closed, now))
            snapshot = Inputs(inputs, {"smoke": False}, requests)
            state, orders, events = safety.step(state, snapshot, now)
            closed = orders.closed
            for event in events:
                self._note(event, chargers, now)
        return self.outcome

    def _wishes(
        self,
        rng: random.Random,
        chargers: dict[int, Charger],
        names: tuple[str, ...],
        closed: frozenset[int],
        now: float,
    ) -> list[Request]:
        requests: list[Request] = []
        for port, charger in chargers.items():
            if port in closed:
                if now - charger.renewed_s >= _RENEW_S:
                    charger.renewed_s = now
                    requests.append(Renew(port, port, charger.session, 60.0))
            elif now >= charger.next_s:
                charger.next_s, charger.renewed_s = now + 60.0, now
                charger.name = rng.choice(names)
                charger.curve = load(charger.name)
                charger.session = f"{port}-{now:.0f}"
                requests.append(Grant(port, port, charger.session, 60.0))
        return requests

    def _note(self, event: Event, chargers: dict[int, Charger], now: float) -> None:
        outcome = self.outcome
        if event.kind == "closed":
            outcome.sessions += 1
        if event.kind in ("finding", "tripped") and event.code is not None and event.port is None:
            self._judge(event.code, f"cabinet at {now:.0f} s")
        if event.kind == "finding" and event.code is not None:
            outcome.findings[event.code] += 1
        if event.kind == "opened" and event.port is not None and event.code is not None:
            charger = chargers[event.port]
            charger.next_s = now + charger.rng.uniform(120.0, 1800.0)
            outcome.endings[event.code] += 1
            into_s = now - (charger.began_s or now)
            where = f"{charger.name}, {into_s:.0f} s into it, port {event.port} at {now:.0f} s: {event.detail}"
            if event.code in _OUTAGE_CODES and now - charger.outage_s < _OUTAGE_S:
                outcome.explained[event.code] += 1
            else:
                self._judge(event.code, where)

    def _judge(self, code: str, where: str) -> None:
        entry = CATALOGUE[code]
        if entry.kind is Kind.FAULT and entry.effect is Effect.CUT:
            self.outcome.nuisances.append(f"seed {self.seed}: {code}: {where}")


def _look(before: PortInputs, charger: Charger, now: float, beside: list[Charger]) -> PortInputs:
    """Return what guard knows of a port after one more poll."""
    probe = ProbeReading(now, round(16 * (charger.celsius + charger.rng.gauss(0.0, 0.05))) / 16)
    reading = charger.reading(now, sum(other.watts for other in beside), sum(other.amps for other in beside))
    if reading is None:
        return PortInputs(before.meter, Missing(MissingReason.TIMEOUT, now), probe)
    return PortInputs(reading, None, probe)


def _one(task: tuple[int, float, int]) -> Outcome:
    return Day(*task).run()


def main() -> int:
    """Charge, print what happened, and return 0 when no protective rule cut anything."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.nuisance", description=__doc__)
    parser.add_argument("--hours", type=float, default=72.0, help="simulated hours of each seed")
    parser.add_argument("--seeds", type=int, default=2, help="how many cabinets")
    parser.add_argument("--ports", type=int, default=10)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    arguments = parser.parse_args()
    began_s = time.monotonic()
    tasks = [(seed, arguments.hours, arguments.ports) for seed in range(1, arguments.seeds + 1)]
    with multiprocessing.get_context("spawn").Pool(min(arguments.workers, len(tasks))) as pool:
        outcomes = pool.map(_one, tasks)
    for outcome in outcomes:
        print(f"seed {outcome.seed}: {outcome.sessions} sessions in {arguments.hours:g} h on {arguments.ports} ports")
        print("  endings:", ", ".join(f"{code} {count}" for code, count in outcome.endings.most_common()) or "none")
        print("  findings:", ", ".join(f"{code} {count}" for code, count in outcome.findings.most_common()) or "none")
        print("  by recorded power cuts:", sum(outcome.explained.values()))
        print(*(f"  NUISANCE {one}" for one in outcome.nuisances), sep="\n")
    nuisances = sum(len(outcome.nuisances) for outcome in outcomes)
    print(f"{nuisances} nuisance trips by protective rules; {time.monotonic() - began_s:.0f} s")
    return 1 if nuisances else 0


if __name__ == "__main__":
    sys.exit(main())
