"""One day of one cabinet under one strategy: people, chargers, the strategy and guard, once a second."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hil_rig.orderly_guard import Wish
from hil_rig.orderly_people import HOUR_S
from pilenode.station.load_values import Admit, Charging, Leave, Pause, Resume, View, Waiting
from safety.reading import MeterReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hil_rig.curves import Curve
    from hil_rig.orderly_guard import Guard, Told
    from hil_rig.orderly_people import Person
    from hil_rig.orderly_strategies import Strategy
    from pilenode.station.load_values import Decision, LoadRules

STEP_S: Final = 1.0
_SUPPLY_V: Final = 222.0
#: A pack that has drawn so little when its resumed leg ends without a charger has a charger that stayed off, Wh.
_NOTHING_WH: Final = 0.5
_NOTHING_CODES: Final = frozenset({"no_charger", "unplugged", "full"})
#: How often the sums are kept for the picture, seconds.
PICTURE_S: Final = 60.0


@dataclass(slots=True)
class Stay:
    """One person's charge from arrival to end. Times are seconds of the day; ``why`` is how it ended."""

    person: Person
    port: int
    leg: int = 0
    live: bool = False
    leg_since_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    why: str = ""
    on_s: float = 0.0
    paused_s: float = 0.0
    pauses: int = 0
    eligible: bool = False  # was charging when somebody had to pause
    powered_s: float = 0.0
    dead: bool = False  # the charger latched off
    wh: float = 0.0
    ah: float = 0.0
    leg_wh: float = 0.0
    amps: float = 0.0
    our_shed: bool = False

    @property
    def order(self) -> str:
        """The name of order and session."""
        return f"s{self.person.number}"

    @property
    def lease(self) -> str:
        """The name that guard knows this leg by."""
        return f"{self.order}.{self.leg}"

    def reading(self, now_s: float, register_wh: float) -> MeterReading:
        """Let one step pass under power and return what the meter shows."""
        volts, amps, watts = _at(self.person.curve, self.powered_s) if not self.dead else (_SUPPLY_V, 0.0, 0.0)
        self.powered_s += STEP_S
        self.on_s += STEP_S
        self.wh += watts * STEP_S / HOUR_S
        self.leg_wh += watts * STEP_S / HOUR_S
        self.ah += amps * STEP_S / HOUR_S
        self.amps = amps
        factor = min(1.0, watts / (volts * amps)) if amps > 0 else 0.0
        return MeterReading(now_s, volts, amps, watts, factor, math.floor(register_wh), now_s)


def _at(curve: Curve, powered_s: float) -> tuple[float, float, float]:
    """Return volts, amperes and watts of a charge; after its recording the charger idles as it did at the end."""
    index = max(0, bisect_right(curve.t_s, curve.t_s[0] + powered_s) - 1)
    return curve.volts[index], curve.amps[index], curve.watts[index]


@dataclass(slots=True)
class Day:
    """A cabinet with ``ports`` sockets behind a supply of ``limit_a``, A, that guard protects."""

    rules: LoadRules
    strategy: Strategy
    guard: Guard
    ports: int
    limit_a: float
    seconds: float
    now_s: float = 0.0
    stays: list[Stay] = field(default_factory=list)
    turned_away: int = 0
    guard_sheds: int = 0
    operations: dict[int, int] = field(default_factory=dict)
    longest_over_s: float = 0.0
    over_total_s: float = 0.0
    most_a: float = 0.0
    sums_a: list[float] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    paused: list[int] = field(default_factory=list)
    served_ah: list[float] = field(default_factory=list)
    _at_port: dict[int, Stay] = field(default_factory=dict)
    _over_s: float = 0.0
    _registers: dict[int, float] = field(default_factory=dict)
    _closed: frozenset[int] = frozenset()

    def run(self, people: Sequence[Person]) -> Day:
        """Live through the day."""
        numbers = range(1, self.ports + 1)
        self._registers = dict.fromkeys(numbers, 1000.0)
        self.operations = dict.fromkeys(numbers, 0)
        coming = list(reversed(people))
        while self.now_s < self.seconds:
            self.now_s += STEP_S
            while coming and coming[-1].at_s <= self.now_s:
                self._arrive(coming.pop())
            self._leave()
            readings = {port: self._measure(port) for port in numbers}
            self._count()
            wishes = self._wishes(self.strategy.decide(self._view(), self.now_s))
            self._follow(self.guard.step(readings, wishes, self.now_s))
        return self

    # -- people ------------------------------------------------------------------------------------------------

    def _arrive(self, person: Person) -> None:
        port = next((port for port in self._registers if port not in self._at_port), None)
        if port is None:
            self.turned_away += 1
            return
        self._at_port[port] = stay = Stay(person, port)
        self.stays.append(stay)

    def _leave(self) -> None:
        for port, stay in [*self._at_port.items()]:
            patience_s = stay.person.patience_s
            waits = stay.started_s is None and stay.ended_s is None
            if waits and patience_s is not None and self.now_s - stay.person.at_s >= patience_s:
                self._end(stay, "user")
            if stay.ended_s is not None and self.now_s - stay.ended_s >= (stay.person.stays_s if stay.on_s else 0.0):
                del self._at_port[port]

    def _end(self, stay: Stay, why: str) -> None:
        stay.live, stay.ended_s, stay.why, stay.amps = False, self.now_s, why, 0.0

    # -- what is measured --------------------------------------------------------------------------------------

    def _measure(self, port: int) -> MeterReading:
        stay = self._at_port.get(port)
        if stay is None or port not in self._closed:
            if stay is not None:
                stay.amps = 0.0
                if stay.powered_s > 0 and stay.person.latches:
                    stay.dead = True
            register_wh = math.floor(self._registers[port])
            return MeterReading(self.now_s, _SUPPLY_V, 0.0, 0.0, 0.0, register_wh, self.now_s)
        before_wh = stay.wh
        reading = stay.reading(self.now_s, self._registers[port])
        self._registers[port] += stay.wh - before_wh
        return reading

    def _count(self) -> None:
        here = self._at_port.values()
        sum_a = sum(stay.amps for stay in here)
        self.most_a = max(self.most_a, sum_a)
        over = sum_a > self.rules.budget_a + 1e-6
        self._over_s = self._over_s + STEP_S if over else 0.0
        self.over_total_s += STEP_S if over else 0.0
        self.longest_over_s = max(self.longest_over_s, self._over_s)
        resting = [stay for stay in here if stay.started_s is not None and stay.ended_s is None and not stay.live]
        for stay in resting:
            stay.paused_s += STEP_S
        if self.now_s % PICTURE_S < STEP_S:
            self.sums_a.append(sum_a)
            self.queued.append(sum(stay.started_s is None and stay.ended_s is None for stay in here))
            self.paused.append(len(resting))
            self.served_ah.append(sum(stay.ah for stay in self.stays))

    def _view(self) -> View:
        here = sorted(self._at_port.values(), key=lambda stay: (stay.person.at_s, stay.port))
        return View(
            self.rules.budget_a,
            tuple(
                Charging(
                    stay.order,
                    stay.port,
                    live=stay.live,
                    since_s=stay.leg_since_s,
                    on_s=stay.on_s,
                    pauses=stay.pauses,
                    current_a=stay.amps if stay.port in self._closed else None,
                    owner=stay.person.owner,
                )
                for stay in here
                if stay.started_s is not None and stay.ended_s is None
            ),
            tuple(
                Waiting(stay.order, stay.port, stay.person.at_s, stay.person.owner)
                for stay in here
                if stay.started_s is None and stay.ended_s is None
            ),
        )

    # -- what is asked of guard --------------------------------------------------------------------------------

    def _wishes(self, decisions: Iterable[Decision]) -> list[Wish]:
        by_order = {stay.order: stay for stay in self._at_port.values()}
        wishes = []
        for decision in decisions:
            stay = by_order[decision.order if isinstance(decision, Admit | Leave) else decision.session]
            if isinstance(decision, Leave):
                self._end(stay, decision.why)
            elif isinstance(decision, Admit | Resume):
                wishes.append(Wish(stay.port, f"{stay.order}.{stay.leg + 1}"))
            else:
                for other in by_order.values():
                    other.eligible = other.eligible or other.live
                stay.our_shed = isinstance(decision, Pause)
                wishes.append(Wish(stay.port, stay.lease, off=True))
        return wishes

    def _follow(self, told: Told) -> None:
        for port in told.closed ^ self._closed:
            self.operations[port] += 1
        self._closed = told.closed
        for port, lease, code in told.ended:
            self._opened(port, lease, code)
        for stay in self._at_port.values():
            if f"{stay.order}.{stay.leg + 1}" in told.granted:
                stay.leg += 1
                stay.live, stay.leg_since_s, stay.leg_wh, stay.our_shed = True, self.now_s, 0.0, False
                stay.started_s = self.now_s if stay.started_s is None else stay.started_s

    def _opened(self, port: int, lease: str, code: str) -> None:
        stay = self._at_port.get(port)
        if stay is None or stay.lease != lease:
            return
        if code == "shed" and stay.our_shed:
            stay.live, stay.leg_since_s, stay.amps = False, self.now_s, 0.0
            stay.pauses += 1
            return
        self.guard_sheds += code == "cabinet_overload"
        lost = stay.leg > 1 and stay.leg_wh < _NOTHING_WH and code in _NOTHING_CODES
        self._end(stay, "lost" if lost else code)
