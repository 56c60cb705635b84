"""Mains voltage at one port: window, times, hysteresis, whose loss it is, and meters behind the relay."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.circuit import Circuit
from safety.limits import PortLimits
from safety.reading import MeterReading
from safety.voltage import Voltage, observe, standing

LIMITS = PortLimits()
BEHIND = PortLimits(meter_behind_relay=True)
ALONE = Circuit(closed_s=-math.inf)
WELL = Circuit(closed_s=-math.inf, neighbours_v=220.0)
OPEN = Circuit(neighbours_v=220.0)
Trace = list[tuple[float, float]]


def after(
    trace: Trace, circuit: Circuit = ALONE, limits: PortLimits = LIMITS, memory: Voltage | None = None
) -> Voltage:
    """Return the memory after (taken_s, volts)."""
    memory = memory or Voltage()
    for taken_s, volts in trace:
        memory = observe(memory, MeterReading(taken_s, volts, 0.5, 100.0), limits, circuit)
    return memory


def found(trace: Trace, now: float, circuit: Circuit = ALONE, limits: PortLimits = LIMITS) -> tuple[str, ...]:
    """Return what stands at ``now``."""
    return standing(after(trace, circuit, limits), limits, circuit, now)


def steady(volts: float, from_s: float, to_s: float, step_s: float = 0.5) -> Trace:
    """Return equal readings from one time to another, both included."""
    return [(from_s + i * step_s, volts) for i in range(round((to_s - from_s) / step_s) + 1)]


@pytest.mark.parametrize(
    ("volts", "expected"),
    [
        (260.1, ("over_voltage",)),
        (260.0, ()),
        (259.0, ()),
        (220.0, ()),
        (176.0, ()),
        (175.9, ("under_voltage",)),
        (30.0, ("under_voltage",)),
        (29.9, ("supply_lost",)),
        (0.0, ("supply_lost",)),
    ],
)
def test_the_window(volts: float, expected: tuple[str, ...]) -> None:
    """176 to 260 V are allowed, both included; below 30 V there is no supply."""
    assert found(steady(volts, 0.0, 30.0), 30.0) == expected


@pytest.mark.parametrize(
    ("volts", "seconds", "code"),
    [(265.0, 5.0, "over_voltage"), (170.0, 5.0, "under_voltage"), (0.0, 2.0, "supply_lost")],
)
@pytest.mark.parametrize(("more_s", "expected"), [(-0.01, False), (0.0, True), (0.01, True)])
@pytest.mark.parametrize("silent", [False, True])
def test_each_takes_its_time(
    volts: float, seconds: float, code: str, more_s: float, *, expected: bool, silent: bool
) -> None:
    """5 s outside the window, 2 s without supply; the last reading stands while the meter is silent."""
    trace = [(0.0, volts), (0.1, volts)] if silent else steady(volts, 0.0, seconds - 0.1, 0.1)
    assert (code in found(trace, seconds + more_s)) is expected


@pytest.mark.parametrize("volts", [0.0, 100.0, 290.0])
@pytest.mark.parametrize("later_s", [0.0, 2.0, 5.0, 60.0])
def test_one_bad_sample_does_nothing(volts: float, later_s: float) -> None:
    """A glitch, a single zero answer: nothing at once, nothing in silence, nothing with a good reading after it."""
    glitch = [(0.0, 220.0), (1.0, volts)]
    assert found(glitch, 1.0 + later_s) == ()
    assert found([*glitch, (1.0 + later_s, 220.0)], 1.1 + later_s) == ()


def test_two_bad_samples_are_enough_when_they_last() -> None:
    """A meter that is read every 5 s shows an under-voltage with its second bad reading."""
    assert found([(0.0, 150.0), (5.0, 150.0)], 5.0) == ("under_voltage",)


@pytest.mark.parametrize("volts", [265.0, 170.0, 0.0])
def test_a_good_reading_in_between_starts_the_time_again(volts: float) -> None:
    """The time is one of readings in a row."""
    trace = [*steady(volts, 0.0, 1.5), (1.9, 220.0), *steady(volts, 2.0, 3.5)]
    assert found(trace, 3.9) == ()


@pytest.mark.parametrize(
    ("bad_v", "back_v", "expected"),
    [
        (270.0, 255.1, True),
        (270.0, 255.0, False),
        (150.0, 180.9, True),
        (150.0, 181.0, False),
        (0.0, 180.9, True),
        (0.0, 181.0, False),
    ],
)
def test_back_means_five_volts_inside_the_window(bad_v: float, back_v: float, *, expected: bool) -> None:
    """No flapping around a threshold: what stood ends only well inside."""
    trace = [*steady(bad_v, 0.0, 6.0), *steady(back_v, 6.5, 60.0)]
    assert bool(found(trace, 60.0)) is expected


@pytest.mark.parametrize("bad_v", [270.0, 150.0, 0.0])
@pytest.mark.parametrize(("back_s", "expected"), [(9.9, True), (10.0, False), (10.1, False)])
def test_back_means_for_ten_seconds(bad_v: float, back_s: float, *, expected: bool) -> None:
    """What stood goes on until the voltage has been back for 10 s of readings."""
    trace = [*steady(bad_v, 0.0, 6.0), *steady(220.0, 7.0, 16.5), (7.0 + back_s, 220.0)]
    assert bool(found(trace, 7.0 + back_s)) is expected


@pytest.mark.parametrize(("back_s", "expected"), [(9.9, ("supply_lost",)), (10.0, ())])
def test_a_short_loss_keeps_its_name_until_it_is_over(back_s: float, expected: tuple[str, ...]) -> None:
    """Three seconds without supply were never an under-voltage."""
    trace = [*steady(0.0, 0.0, 3.0), *steady(220.0, 4.0, 13.5), (4.0 + back_s, 220.0)]
    assert found(trace, 4.0 + back_s) == expected


def test_silence_is_no_evidence_that_the_voltage_is_back() -> None:
    """One good reading, then nothing: it stands for ever. After a gap the ten seconds begin again."""
    bad = steady(150.0, 0.0, 6.0)
    assert found([*bad, (6.5, 220.0)], 600.0) == ("under_voltage",)
    gap = [*bad, (6.5, 220.0), (9.6, 220.0)]
    assert found([*gap, *steady(220.0, 10.0, 19.5)], 19.5) == ("under_voltage",)
    assert found([*gap, *steady(220.0, 10.0, 19.5), (19.6, 220.0)], 19.6) == ()
    no_gap = [*bad, (6.5, 220.0), (9.5, 220.0)]
    assert found([*no_gap, *steady(220.0, 10.0, 16.5)], 16.5) == ()


def test_a_relapse_starts_the_ten_seconds_again() -> None:
    """A flickering supply does not creep back."""
    trace = [*steady(150.0, 0.0, 6.0), *steady(220.0, 6.5, 15.0), (15.5, 178.0), *steady(220.0, 16.0, 25.5)]
    assert found(trace, 25.9) == ("under_voltage",)


def test_a_single_bad_reading_after_a_while_of_good_ones_does_not_end_it() -> None:
    """What stands is not restarted by its own cause."""
    trace = [*steady(150.0, 0.0, 6.0), *steady(220.0, 6.5, 9.0), (9.5, 150.0)]
    assert found(trace, 9.5) == ("under_voltage",)


def test_an_excursion_that_silence_made_stand_needs_its_hysteresis() -> None:
    """Low, silent for a minute, back: what stood during the silence does not vanish with the first good reading."""
    trace = [(0.0, 150.0), (0.5, 150.0), (60.0, 220.0)]
    assert found(trace, 60.0) == ("under_voltage",)


# -- whose loss it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neighbours_v", "expected"),
    [(None, "supply_lost"), (0.0, "supply_lost"), (175.9, "supply_lost"), (176.0, "fuse_open")],
)
def test_neighbours_tell_a_fuse_from_the_supply(neighbours_v: float | None, expected: str) -> None:
    """Voltage at the neighbours and none here: it is this port's fuse or breaker."""
    circuit = replace(WELL, neighbours_v=neighbours_v)
    assert found(steady(0.0, 0.0, 20.0), 20.0, circuit) == (expected,)


@pytest.mark.parametrize(("now", "expected"), [(2.0, ()), (2.99, ()), (3.0, ("fuse_open",))])
def test_a_fuse_is_named_when_the_neighbours_are_of_after_the_loss(now: float, expected: tuple[str, ...]) -> None:
    """A neighbour's value may be 3 s old: only then does it say anything about a loss of 3 s ago."""
    assert LIMITS.meter_max_age_s == 3.0
    assert found([(0.0, 0.0), (1.0, 0.0)], now, WELL) == expected


def test_a_power_cut_is_not_taken_for_a_fuse_by_old_values_of_the_neighbours() -> None:
    """This meter is read first: the neighbours still show 220 V, then they are read too."""
    memory = after([(0.0, 220.0), (1.0, 0.0)], WELL)
    memory = after([(1.5, 0.0), (2.5, 0.0)], ALONE, memory=memory)
    assert standing(memory, LIMITS, ALONE, 3.0) == ("supply_lost",)


def test_a_supply_that_returns_to_the_neighbours_first_stays_a_lost_supply() -> None:
    """At the end of a power cut the neighbours are read first; that is no blown fuse."""
    memory = after(steady(0.0, 0.0, 60.0), ALONE)
    memory = after([(61.0, 0.0), (62.0, 220.0)], WELL, memory=memory)
    assert standing(memory, LIMITS, WELL, 66.0) == ("supply_lost",)


def test_a_port_that_stays_dead_when_the_supply_is_back_has_a_blown_fuse() -> None:
    """The power cut ends for the others, and three seconds later this port has a finding of its own."""
    memory = after(steady(0.0, 0.0, 60.0), ALONE)
    memory = after(steady(0.0, 61.0, 63.5), WELL, memory=memory)
    assert standing(memory, LIMITS, WELL, 63.9) == ("supply_lost",)
    memory = after([(64.0, 0.0)], WELL, memory=memory)
    assert standing(memory, LIMITS, WELL, 64.0) == ("fuse_open",)


def test_whose_loss_it_was_is_not_remembered_for_the_next_one() -> None:
    """A supply that was lost once does not make a later blown fuse a lost supply, nor the other way."""
    memory = after([*steady(0.0, 0.0, 5.0), *steady(220.0, 5.5, 20.0)], ALONE)
    memory = after(steady(0.0, 20.5, 23.0), WELL, memory=memory)
    assert standing(memory, LIMITS, WELL, 23.4) == ()
    assert standing(memory, LIMITS, WELL, 23.5) == ("fuse_open",)


def test_under_voltage_gives_way_to_a_lost_supply_and_comes_back_with_a_low_one() -> None:
    """One name at a time: low, then gone, then low again for 5 s, then well for 10 s."""
    trace = steady(100.0, 0.0, 8.0)
    assert found(trace, 8.0) == ("under_voltage",)
    trace += steady(0.0, 8.5, 10.0)
    assert found(trace, 10.4) == ("under_voltage",)
    trace += [(10.5, 0.0)]
    assert found(trace, 10.5) == ("supply_lost",)
    trace += steady(100.0, 11.0, 15.5)
    assert found(trace, 15.5) == ("supply_lost",)
    trace += [(16.0, 100.0)]
    assert found(trace, 16.0) == ("under_voltage",)
    assert found([*trace, *steady(220.0, 16.5, 26.5)], 26.5) == ()


# -- meters behind the relay -------------------------------------------------------------------------------------


def test_a_meter_behind_an_open_relay_says_nothing_about_the_supply() -> None:
    """No voltage behind an open relay is as it should be."""
    assert found(steady(0.0, 0.0, 60.0), 60.0, OPEN, BEHIND) == ()
    assert found(steady(0.0, 0.0, 60.0), 60.0, replace(WELL, fed_s=None), BEHIND) == ()
    assert found(steady(0.0, 0.0, 60.0), 60.0, OPEN, LIMITS) == ("fuse_open",)
    assert found(steady(150.0, 0.0, 60.0), 60.0, OPEN, LIMITS) == ("under_voltage",)


@pytest.mark.parametrize(("closed_s", "fed_s"), [(8.0, 0.0), (0.0, 8.0)])
@pytest.mark.parametrize(("taken_s", "expected"), [(9.9, ()), (10.0, ("supply_lost",))])
def test_a_meter_behind_the_relay_gets_time_to_settle(
    closed_s: float, fed_s: float, taken_s: float, expected: tuple[str, ...]
) -> None:
    """Readings count from 2 s after closing, and after the contactor."""
    circuit = Circuit(closed_s=closed_s, fed_s=fed_s)
    trace = [(8.5, 220.0), (taken_s, 0.0), (taken_s + 0.01, 0.0)]
    assert found([*trace, (12.0, 0.0)], 12.0, circuit, BEHIND) == expected


@pytest.mark.parametrize("volts", [100.0, 290.0])
def test_what_a_meter_shows_while_it_settles_is_not_judged(volts: float) -> None:
    """Readings within 2 s of closing count for nothing, also when nothing follows them."""
    circuit = Circuit(closed_s=100.0)
    assert found([(100.5, volts), (101.0, volts), (101.9, volts)], 160.0, circuit, BEHIND) == ()


def test_no_voltage_from_the_closing_on_is_left_to_the_relay_rule() -> None:
    """Neighbours well and never a volt here: the relay did not close. Neighbours dead: the supply is lost."""
    never = steady(0.0, 101.0, 130.0)
    assert found(never, 130.0, Circuit(closed_s=100.0, neighbours_v=220.0), BEHIND) == ()
    assert found(never, 130.0, Circuit(closed_s=100.0), BEHIND) == ("supply_lost",)


def test_voltage_that_was_there_and_went_is_the_fuse() -> None:
    """The relay closed, that was seen, even before it was settled; a later loss is not its fault."""
    circuit = Circuit(closed_s=100.0, neighbours_v=220.0)
    assert found([(100.5, 220.0), *steady(0.0, 102.0, 110.0)], 110.0, circuit, BEHIND) == ("fuse_open",)
    again = replace(circuit, closed_s=200.0)
    memory = after([(100.5, 220.0), (150.0, 220.0)], circuit, BEHIND)
    memory = after(steady(0.0, 202.0, 210.0), again, BEHIND, memory)
    assert standing(memory, BEHIND, again, 210.0) == ()


def test_a_reading_of_before_the_closing_does_not_make_the_socket_live() -> None:
    """A value that was on its way when the relay closed says nothing about this closing."""
    circuit = Circuit(closed_s=100.0, neighbours_v=220.0)
    assert found([(99.9, 220.0), *steady(0.0, 102.0, 110.0)], 110.0, circuit, BEHIND) == ()


@pytest.mark.parametrize(("open_s", "expected"), [(9.9, ("under_voltage",)), (10.0, ())])
def test_what_stood_behind_a_relay_ends_after_its_opening(open_s: float, expected: tuple[str, ...]) -> None:
    """The cut itself hides the voltage: ten seconds of readings later the port may be tried again."""
    memory = after(steady(150.0, 0.0, 6.0), WELL, BEHIND)
    memory = after([*steady(0.0, 7.0, 16.5), (7.0 + open_s, 0.0)], OPEN, BEHIND, memory)
    assert standing(memory, BEHIND, OPEN, 7.0 + open_s) == expected


# -- invariants -------------------------------------------------------------------------------------------------

LOSSES = {"supply_lost", "fuse_open"}
VOLTS = st.one_of(st.sampled_from([0.0, 29.9, 30.0, 175.9, 176.0, 181.0, 220.0, 255.0, 260.1]), st.floats(0.0, 300.0))
STEPS = st.lists(
    st.tuples(st.floats(0.02, 6.0), VOLTS, st.sampled_from([None, 0.0, 220.0]), st.booleans()), min_size=1, max_size=40
)


@given(STEPS, st.booleans(), st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_silence_never_makes_it_milder(
    steps: list[tuple[float, float, float | None, bool]],
    behind: bool,  # noqa: FBT001 - hypothesis passes it
    silence_s: float,
    more_s: float,
) -> None:
    """With the same readings, what stands stands later too; only an under-voltage may turn into a loss."""
    limits = BEHIND if behind else LIMITS
    memory, newest_s, circuit = Voltage(), 0.0, ALONE
    for newest_s, (_, volts, neighbours_v, closed) in zip(accumulate(s[0] for s in steps), steps, strict=True):
        circuit = Circuit(closed_s=0.0 if closed else None, neighbours_v=neighbours_v)
        memory = observe(memory, MeterReading(newest_s, volts, 0.5, 100.0), limits, circuit)
    soon = standing(memory, limits, circuit, newest_s + silence_s)
    later = standing(memory, limits, circuit, newest_s + silence_s + more_s)
    missing = set(soon) - set(later)
    assert not missing or (missing == {"under_voltage"} and LOSSES & set(later))
    assert len(set(later) & {*LOSSES, "under_voltage"}) <= 1


@given(st.lists(st.tuples(st.floats(0.1, 1.5), st.floats(176.0, 260.0)), min_size=1, max_size=60), st.integers(0, 59))
def test_no_single_reading_inside_a_good_supply_raises_anything(steps: list[tuple[float, float]], at: int) -> None:
    """Whatever one reading says between good ones, and whatever silence follows, nothing stands."""
    times = [*accumulate(step for step, _ in steps)]
    trace = [
        (taken_s, 0.0 if i == at else volts) for i, (taken_s, (_, volts)) in enumerate(zip(times, steps, strict=True))
    ]
    assert found(trace, times[-1] + 100.0) == ()


def test_a_fuse_that_failed_behind_the_relay_keeps_the_next_start_away_until_it_is_forgotten() -> None:
    """Opening the relay is no repair: for 10 s of readings nothing starts; then a sound closing stays closed."""
    on = Circuit(closed_s=100.0, neighbours_v=220.0)
    memory = after([*steady(220.0, 100.5, 110.0), *steady(0.0, 110.5, 116.0)], on, BEHIND)
    assert standing(memory, BEHIND, on, 116.0) == ("fuse_open",)
    memory = after(steady(0.0, 116.5, 126.0), OPEN, BEHIND, memory)
    assert standing(memory, BEHIND, OPEN, 126.0) == ("fuse_open",)
    memory = after(steady(0.0, 126.5, 127.5), OPEN, BEHIND, memory)
    assert standing(memory, BEHIND, OPEN, 127.5) == ()
    again = Circuit(closed_s=130.0, neighbours_v=220.0)
    memory = after(steady(220.0, 130.5, 160.0), again, BEHIND, memory)
    assert standing(memory, BEHIND, again, 160.0) == ()
