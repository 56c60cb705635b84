"""Which meter is read next."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import pytest

from pilenode import clock
from pilenode.guard import loop
from pilenode.guard.schedule import (
    ENERGY_STARVED_S,
    IDLE_URGENT_S,
    PATIENCE,
    InUse,
    Turn,
    choose,
    energy_due,
    pause_s,
)
from pilenode.guard.workers import BusWorker, FittedMeter
from safety import budget
from safety.budget import MeterTiming, line_timing, oldest_s, seen
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.guard.board import Board


def test_every_meter_gets_its_turn_in_order() -> None:
    """Nobody is starved: the one that waited longest is next, a new one first of all."""
    turns = [Turn(1, tried_s=3.0), Turn(2, tried_s=1.0), Turn(3, tried_s=2.0)]
    assert choose(turns, 10.0) == turns[1]
    assert choose([*turns, Turn(4)], 10.0) == Turn(4)


@pytest.mark.parametrize(
    ("failures", "pause"), [(0, 0.0), (1, 0.0), (2, 0.0), (3, 0.5), (4, 1.0), (6, 4.0), (7, 5.0), (5000, 5.0)]
)
def test_a_dead_meter_is_tried_less_often_but_for_ever(failures: int, pause: float) -> None:
    """Two lost frames are noise; from the third failure on the pause doubles up to 5 s."""
    assert pause_s(failures) == pause


@pytest.mark.parametrize(("waited_s", "port"), [(0.49, None), (0.5, 1)])
def test_a_meter_in_its_pause_is_left_alone(waited_s: float, port: int | None) -> None:
    """A pause is kept to the end and not longer."""
    turn = choose([Turn(1, tried_s=100.0, failures=3)], 100.0 + waited_s)
    assert (turn.port if turn else None) == port


def test_a_dead_meter_does_not_push_a_live_one_away() -> None:
    """While one meter is in its pause the others go on."""
    dead, alive = Turn(1, tried_s=0.0, failures=9), Turn(2, tried_s=3.0)
    assert choose([dead, alive], 4.9) == alive


# -- ports in use ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("idle_tried_s", "last", "port"),
    [
        (99.01, 1, 1),  # 0.99 s: not due
        (99.0, 1, 3),  # due, and a port in use was read last
        (99.0, 4, 1),  # due, but an idle one was read last
        (98.01, 4, 1),
        (98.0, 4, 3),  # urgent: comes before ports in use
    ],
)
def test_ports_in_use_come_first_and_idle_ones_are_not_forgotten(idle_tried_s: float, last: int, port: int) -> None:
    """An idle meter has its turn after 1 s in alternation with ports in use, and after 2 s whatever was read last."""
    turns = {1: Turn(1, tried_s=99.5), 2: Turn(2, tried_s=99.6), 3: Turn(3, tried_s=idle_tried_s)}
    turns[4] = Turn(4, tried_s=99.3)
    turns[last] = replace(turns[last], tried_s=99.9)
    turns[1 if last != 1 else 2] = replace(turns[1 if last != 1 else 2], tried_s=99.2)
    chosen = choose([*turns.values()], 100.0, frozenset({1, 2}))
    assert chosen is not None
    assert chosen.port == (2 if port == last == 1 else port)


def test_an_idle_meter_is_not_read_twice_before_every_port_in_use_was_read() -> None:
    """However long a port in use takes, an idle one that was read since waits: the budget counts one turn for each."""
    turns = [Turn(1, tried_s=10.0), Turn(2, tried_s=20.0), Turn(3, tried_s=10.1)]
    chosen = choose(turns, 100.0, frozenset({1, 2}))
    assert chosen == turns[0]
    assert choose([replace(turns[0], tried_s=99.0), turns[1], turns[2]], 100.0, frozenset({1, 2})) == turns[2]


@pytest.mark.parametrize(("passed_s", "used"), [(9.99, {0, 1}), (10.0, set())])
def test_a_port_counts_as_in_use_for_a_while_after_its_session(passed_s: float, used: set[int]) -> None:
    """Ten seconds for the relay to be seen open; the inlet meter is read like a port in use while there is one."""
    in_use = InUse()
    assert in_use.ports((), 50.0) == frozenset()
    assert in_use.ports({1}, 100.0) == {0, 1}
    assert in_use.ports((), 100.0 + passed_s) == used


@pytest.mark.parametrize(("ports", "live"), [(20, 1), (20, 10), (20, 19), (4, 1), (10, 2), (40, 4)])
def test_ports_in_use_are_read_most_often_and_idle_ones_stay_fresh(
    monkeypatch: pytest.MonkeyPatch, ports: int, live: int
) -> None:
    """A port in use never waits longer than a whole round; with few of them they are read several times as often."""
    wire = Wire(frozenset(range(1, live + 1)))
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, _ = _bus(wire, ports, FAST)
    for _ in range(ports):
        worker._work()
    wire.posted.clear()
    for _ in range(100 * ports):
        worker._work()
    gaps = {
        port: [later - earlier for (earlier, _), (later, _) in pairwise(posted)] for port, posted in wire.posted.items()
    }
    round_s = ports * FAST.full_s
    assert max(max(gaps[port]) for port in range(1, live + 1)) <= round_s + 1e-6
    idle_s = max(max(gaps[port]) for port in range(live + 1, ports + 1))
    assert idle_s <= max(2 * round_s, IDLE_URGENT_S + 0.5)
    if 3 * live <= ports and round_s < IDLE_URGENT_S:  # a slower line has nothing to spare
        mean_s = sum(sum(gaps[port]) for port in range(1, live + 1)) / sum(len(gaps[n]) for n in range(1, live + 1))
        assert mean_s <= 0.6 * round_s


# -- energy registers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "live", "wanted", "due"),
    [
        (None, False, False, True),
        (0.0, False, True, True),
        (0.99, True, False, False),
        (1.0, True, False, True),
        (9.99, False, False, False),
        (10.0, False, False, True),
    ],
)
def test_the_energy_register_rides_along(age_s: float | None, *, live: bool, wanted: bool, due: bool) -> None:
    """Often while somebody pays, seldom while nobody does, at once when a session has just ended."""
    turn = Turn(1, tried_s=0.0, energy_s=None if age_s is None else 100.0 - age_s)
    ports, none = frozenset({1}), frozenset[int]()
    assert energy_due(turn, [turn], 100.0, live=ports if live else none, wanted=ports if wanted else none) is due


@pytest.mark.parametrize(("polled", "due"), [(2, False), (3, True)])
def test_three_other_meters_are_polled_in_between(polled: int, *, due: bool) -> None:
    """The last ride was at 90 s; since then two, or three, of eight meters were polled."""
    turns = [Turn(1, tried_s=80.0, energy_s=60.0), Turn(2, tried_s=90.0, energy_s=90.0)]
    turns += [Turn(3 + n, tried_s=91.0 + n if n < polled else 81.0 + n, energy_s=70.0 + n) for n in range(6)]
    assert energy_due(turns[0], turns, 95.0, live=frozenset(range(9)), wanted=frozenset()) is due


@pytest.mark.parametrize(("port", "due"), [(1, False), (2, True)])
def test_a_wanted_register_comes_before_older_ones(port: int, *, due: bool) -> None:
    """A session that has ended waits for its last reading; running ones do not."""
    turns = {1: Turn(1, tried_s=91.0, energy_s=86.0), 2: Turn(2, tried_s=92.0, energy_s=88.0)}
    turns[3] = Turn(3, tried_s=90.0, energy_s=90.0)
    assert energy_due(turns[port], [*turns.values()], 95.0, live=frozenset({1, 3}), wanted=frozenset({2})) is due


@pytest.mark.parametrize(("age_s", "first"), [(ENERGY_STARVED_S - 0.1, 2), (ENERGY_STARVED_S, 1)])
def test_sessions_that_keep_ending_do_not_starve_a_running_one(age_s: float, first: int) -> None:
    """A running port's register that was not read for 10 s comes before one that is wanted."""
    turns = {1: Turn(1, tried_s=91.0, energy_s=95.0 - age_s), 2: Turn(2, tried_s=92.0, energy_s=88.0)}
    turns[3] = Turn(3, tried_s=90.0, energy_s=90.0)
    for port in (1, 2):
        due = energy_due(turns[port], [*turns.values()], 95.0, live=frozenset({1, 3}), wanted=frozenset({2}))
        assert due is (port == first)


def test_a_dead_meter_holds_nobody_back() -> None:
    """What a dead meter wants does not count, and it is not waited for."""
    dead, alive = Turn(1, tried_s=0.0, failures=PATIENCE, energy_s=0.0), Turn(2, tried_s=90.0, energy_s=90.0)
    assert energy_due(alive, [dead, alive], 95.0, live=frozenset({2}), wanted=frozenset({1}))


# -- the worker keeps to the budget ------------------------------------------------------------------------


class Wire:
    """A clock that only reads advance, and a board that keeps when the readings of each port came."""

    def __init__(self, live: frozenset[int]) -> None:
        self.now_s = 1000.0
        self.live = live
        self.wanted = frozenset[int]()
        self.posted: dict[int, list[tuple[float, float]]] = {}  # by port: when, and taken when
        self.rides: dict[int, list[float]] = {}

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def wishes(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return what the board would."""
        return self.live, self.wanted

    def put_meter(self, port: int, outcome: MeterReading | Missing) -> None:
        """Take a reading."""
        if isinstance(outcome, MeterReading):
            self.posted.setdefault(port, []).append((self.now_s, outcome.taken_s))


class WiredMeter:
    """A meter that takes the longest time that its timing allows; with the driver's rule for a late reply."""

    def __init__(self, wire: Wire, port: int, timing: MeterTiming) -> None:
        self._wire, self._port, self.timing = wire, port, timing
        self.dead = self.overload = False
        self.suspect = False
        self._energy = False

    def poll(self, now: Callable[[], float], *, slow: bool) -> dict[int, MeterReading | Missing]:
        """Let the time of one poll pass."""
        return {1: self._poll(now, slow=slow)}

    def _poll(self, now: Callable[[], float], *, slow: bool) -> MeterReading | Missing:
        wire, line = self._wire, self.timing.line
        if self.dead:
            self.suspect = True
            wire.now_s += line.dead_s(self.timing.fast[0])
            return Missing(MissingReason.TIMEOUT, now())
        if self.suspect:
            self.suspect = False
            wire.now_s += line.dead_s(self.timing.fast[0])
        wire.now_s += self.timing.sample_s
        taken_s = now()
        wire.now_s += self.timing.fast_s - self.timing.sample_s
        if slow or not self._energy:
            self._energy = True
            wire.rides.setdefault(self._port, []).append(now())
            wire.now_s += self.timing.slow_s
        return MeterReading(taken_s, 220.0, 30.0 if self.overload else 1.0, 200.0)


class Trouble:
    """Up to ``dead`` meters other than that of port 1 die and come back, one port at a time is overloaded, by chance.

    Only when all have been well for a whole round may others fall ill or be overloaded: that is what "dead meters at a
    time" and "one hazard at a time" mean.
    """

    def __init__(self, meters: dict[int, WiredMeter], dead: int, chance: random.Random) -> None:
        self._meters, self._dead, self._chance = meters, dead, chance
        self._sick: list[int] = []
        self._left = self._well = self._loaded_left = 0

    def next(self) -> None:
        """Change what is wrong before the next poll."""
        chance, others = self._chance, range(2, len(self._meters) + 1)
        self._left -= 1
        for port in self._sick:
            self._meters[port].dead = self._left > 0 and chance.random() < 0.7
        self._well = 0 if any(meter.dead or meter.suspect for meter in self._meters.values()) else self._well + 1
        if self._left <= 0 and self._well > len(self._meters) + 2:
            self._sick = chance.sample(others, min(self._dead, len(others)))
            self._left = chance.randint(1, 3 * len(self._meters))
        self._loaded_left -= 1
        for meter in self._meters.values():
            meter.overload = meter.overload and self._loaded_left > 0
        if self._loaded_left <= -len(self._meters) - 2:
            self._meters[chance.randint(1, len(self._meters))].overload = True
            self._loaded_left = len(self._meters) + 2

    def wanted(self) -> frozenset[int]:
        """Return up to two ports whose register is wanted."""
        ports = [*self._meters]
        return frozenset(self._chance.sample(ports, self._chance.randint(0, 2) % len(ports)))


def _bus(wire: Wire, ports: int, model: MeterTiming) -> tuple[BusWorker, dict[int, WiredMeter]]:
    meters = {port: WiredMeter(wire, port, model) for port in range(1, ports + 1)}
    limits = dict.fromkeys(meters, PortLimits(power_limit_w=10_000.0))
    fitted = [FittedMeter(meter, {1: port}) for port, meter in meters.items()]
    return BusWorker("test", cast("Board", wire), fitted, limits), meters


PZEM = MeterTiming(line_timing(9600, "N", 1, 0.1), fast=(20,))
FAST = MeterTiming(line_timing(19_200, "N", 1, 0.02), fast=(20,))
SDM = MeterTiming(line_timing(19_200, "N", 1, 0.04), fast=(28,), slow=(4,))


@pytest.mark.parametrize("model", [PZEM, SDM], ids=["one block", "energy apart"])
@pytest.mark.parametrize("ports", [1, 2, 3, 4, 10, 20])
@pytest.mark.parametrize("dead", [0, 1, 2])
def test_no_reading_gets_older_than_computed(
    monkeypatch: pytest.MonkeyPatch, model: MeterTiming, ports: int, dead: int
) -> None:
    """Meters die and come back in turn, one port at a time is overloaded: the real worker against the arithmetic."""
    wire = Wire(frozenset(range(1, ports + 1)))
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, meters = _bus(wire, ports, model)
    trouble = Trouble(meters, dead, random.Random(f"{ports} {dead} {model}"))  # noqa: S311 - repeatable chance
    for _ in range(ports + 1):  # the first round reads every energy register
        worker._work()
    wire.posted.clear()
    for _ in range(6000):
        trouble.next()
        wire.wanted = trouble.wanted()
        worker._work()
    allowed_s = oldest_s(model, [model] * (ports - 1), dead)
    oldest = max(later - taken for (_, taken), (later, _) in pairwise(wire.posted[1]))
    assert oldest <= allowed_s + 1e-6
    assert oldest >= 0.6 * allowed_s  # the figure comes near; it is not a safe guess


def test_hazards_on_all_ports_together_are_seen_within_the_computed_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every port is overloaded at once, so each is read twice: the second reading of the last one comes in time."""
    wire = Wire(frozenset(range(1, 21)))
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, meters = _bus(wire, 20, SDM)
    for _ in range(47):
        worker._work()
    limits = PortLimits(meter_max_age_s=10.0)
    bound = seen(SDM, [SDM] * 19, 0, limits, 0.02)
    computed_s = sum(term.seconds for term in bound.terms if term.name in ("missed", "wait", "first", "confirm"))
    hazard_s = wire.now_s
    for meter in meters.values():
        meter.overload = True
    for _ in range(20):
        worker._work()
    seconds = [[when for when, taken in posted if taken > hazard_s][1] for posted in wire.posted.values()]
    assert max(seconds) - hazard_s <= computed_s
    assert max(seconds) - hazard_s >= 0.8 * computed_s


@pytest.mark.parametrize("ports", [1, 2, 3, 4, 5, 8, 12, 20])
def test_every_energy_register_keeps_being_read(monkeypatch: pytest.MonkeyPatch, ports: int) -> None:
    """Few polls carry one along, but nobody is left out, whatever the number of ports."""
    wire = Wire(frozenset(range(1, ports + 1)))
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, _ = _bus(wire, ports, SDM)
    for _ in range(100 * ports):
        worker._work()
    round_s = ports * SDM.full_s
    for rides in wire.rides.values():
        assert len(rides) >= 8
        assert max(later - earlier for earlier, later in pairwise([*rides, wire.now_s])) <= max(10 * round_s, 2.0)


def test_a_wanted_register_is_read_within_two_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a session waits for its register, not for everybody else's."""
    wire = Wire(frozenset(range(1, 11)))
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, _ = _bus(wire, 10, SDM)
    for port in range(1, 11):
        for _ in range(40 + port):
            worker._work()
        wire.wanted, since_s = frozenset({port}), wire.now_s
        while wire.rides[port][-1] <= since_s:
            worker._work()
            assert wire.now_s - since_s <= 2 * 10 * SDM.full_s + 1.0
        wire.wanted = frozenset()


# -- a meter with several ports ----------------------------------------------------------------------------


class SharedMeter(WiredMeter):
    """A meter with two channels; the second is overloaded or dead by itself when the test says so."""

    def __init__(self, wire: Wire, timing: MeterTiming) -> None:
        super().__init__(wire, 1, timing)
        self.polls: list[bool] = []
        self.second_overload = False
        self.second_lost = False

    def poll(self, now: Callable[[], float], *, slow: bool) -> dict[int, MeterReading | Missing]:
        """Let the time of one poll pass, for both channels together."""
        self.polls.append(slow)
        first = super().poll(now, slow=slow)[1]
        if not isinstance(first, MeterReading):
            return {1: first, 2: first}
        second = replace(first, current_a=30.0 if self.second_overload else 1.0)
        return {1: first, 2: Missing(MissingReason.OUT_OF_RANGE, now()) if self.second_lost else second}


def _shared(wire: Wire) -> tuple[BusWorker, SharedMeter]:
    meter = SharedMeter(wire, PZEM)
    limits = dict.fromkeys((5, 9), PortLimits(power_limit_w=10_000.0))
    return BusWorker("test", cast("Board", wire), [FittedMeter(meter, {1: 9, 2: 5})], limits), meter


def test_one_poll_serves_every_port_of_a_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ports have a reading of the same moment, and the meter was asked once."""
    wire = Wire(frozenset({9}))
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, meter = _shared(wire)
    worker._work()
    assert meter.polls == [True]
    assert wire.posted[5] == wire.posted[9]


def test_an_overload_on_any_port_of_a_meter_is_confirmed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second sample is one more poll, whichever of the ports shows the hazard, and it goes to both."""
    wire = Wire(frozenset())
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, meter = _shared(wire)
    meter.second_overload = True
    worker._work()
    assert meter.polls == [True, False]
    assert [len(wire.posted[port]) for port in (5, 9)] == [2, 2]


def test_a_meter_that_answers_is_not_dead_because_one_channel_talks_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other port goes on being read at full pace; silence of both is what counts as a failure."""
    wire = Wire(frozenset())
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, meter = _shared(wire)
    meter.second_lost = True
    for _ in range(PATIENCE + 2):
        worker._work()
    assert len(wire.posted[9]) == PATIENCE + 2
    assert 5 not in wire.posted
    meter.dead = True
    for _ in range(PATIENCE):
        worker._work()
    assert worker._turns[5].failures == PATIENCE


@pytest.mark.parametrize("port", [5, 9])
def test_a_wish_for_any_port_is_one_for_its_meter(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """The energy register of a session that ends rides along at the next turn, whichever channel it hangs on."""
    wire = Wire(frozenset())
    monkeypatch.setattr(clock, "monotonic_s", wire)
    worker, meter = _shared(wire)
    worker._work()
    wire.now_s += 2.0
    worker._work()
    wire.wanted = frozenset({port})
    wire.now_s += 2.0
    worker._work()
    assert meter.polls == [True, False, True]


def test_the_tick_of_the_budget_is_that_of_the_loop() -> None:
    """One period, written down where it is used and where it is computed with."""
    assert budget.TICK_S == loop.TICK_S
