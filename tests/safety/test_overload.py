"""Over-current and over-power: the inverse time, what adds up, what fades, and what no heavier load may change."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.limits import PortLimits
from safety.overload import Overload, observe, standing, suspicious
from safety.reading import MeterReading

LIMITS = PortLimits(current_limit_a=6.0, power_limit_w=1000.0)
TICK_S = 0.05
Trace = list[tuple[float, float]]


def reading(taken_s: float, multiple: float, limits: PortLimits = LIMITS) -> MeterReading:
    """Return a reading with the current at ``multiple`` of its limit and hardly any power."""
    return MeterReading(taken_s, 220.0, multiple * limits.current_limit_a, 1.0)


def load(trace: Trace) -> Overload:
    """Return the memory after (taken_s, multiple of the current limit)."""
    memory = Overload()
    for taken_s, multiple in trace:
        memory = observe(memory, reading(taken_s, multiple), LIMITS)
    return memory


def stands(trace: Trace, now: float) -> bool:
    """Return whether the over-current stands at ``now``."""
    return "over_current" in standing(load(trace), LIMITS, now)


def trips_at(trace: Trace, until_s: float) -> float:
    """Return when guard, judging every 50 ms, first finds the over-current; infinite when never."""
    memory, rest = Overload(), list(trace)
    for tick in range(round(until_s / TICK_S) + 1):
        now = tick * TICK_S
        while rest and rest[0][0] <= now:
            memory = observe(memory, reading(*rest.pop(0)), LIMITS)
        if standing(memory, LIMITS, now):
            return now
    return float("inf")


@pytest.mark.parametrize(("multiple", "seconds"), [(1.1001, 4.996), (1.2, 2.5), (1.3, 1.667), (1.4, 1.25), (1.5, 1.0)])
@pytest.mark.parametrize("period_s", [0.1, 0.25])
def test_inverse_time(multiple: float, seconds: float, period_s: float) -> None:
    """1.1x is borne for 5 s, 1.2x for 2.5 s, 1.4x for 1.25 s: no less, and no more than a tick longer."""
    trace = [(i * period_s, multiple) for i in range(100)]
    assert seconds - 0.01 <= trips_at(trace, 10.0) <= seconds + TICK_S + 0.01


@pytest.mark.parametrize("multiple", [1.0, 1.0999, 1.1])
def test_the_slow_ratio_itself_is_borne_for_ever(multiple: float) -> None:
    """Up to 1.1x nothing adds up."""
    assert not stands([(0.0, multiple), (3600.0, multiple)], 7200.0)


@pytest.mark.parametrize(("now", "expected"), [(2.49, False), (2.5, True), (2.51, True), (3600.0, True)])
def test_the_last_reading_stands_while_the_meter_is_silent(now: float, *, expected: bool) -> None:
    """1.2x and then silence trips at the same time as 1.2x and readings."""
    assert stands([(0.0, 1.2)], now) is expected


@pytest.mark.parametrize(
    ("multiples", "expected"),
    [
        ([1.5, 1.5], False),
        ([1.5001], False),
        ([1.5001, 1.5001], True),
        ([16.0], False),
        ([16.0, 1.0, 16.0, 1.0, 16.0], False),
        ([1.0, 16.0, 16.0], True),
    ],
)
def test_two_samples_over_the_fast_stage_in_a_row(multiples: list[float], *, expected: bool) -> None:
    """One sample is noise, two are an over-current, the limit itself is allowed."""
    trace = [(0.1 * i, m) for i, m in enumerate(multiples)]
    assert stands(trace, trace[-1][0]) is expected


@pytest.mark.parametrize(("samples", "expected"), [(2, False), (3, True)])
def test_the_number_of_fast_samples_is_a_limit(samples: int, *, expected: bool) -> None:
    """A port set to three samples takes three."""
    limits, memory = PortLimits(fast_samples=3), Overload()
    for i in range(samples):
        memory = observe(memory, reading(0.01 * i, 3.0, limits), limits)
    assert ("over_current" in standing(memory, limits, 0.01 * samples)) is expected


@pytest.mark.parametrize(("later_s", "expected"), [(0.49, False), (0.5, True)])
def test_a_wild_sample_that_nothing_contradicts_is_confirmed_by_silence(later_s: float, *, expected: bool) -> None:
    """Sixteen times the limit, then nothing: half a second, not less because the sample was wilder."""
    assert LIMITS.fast_confirm_s == 0.5
    assert stands([(0.0, 16.0)], later_s) is expected


def test_a_wild_sample_that_a_good_one_contradicts_is_nothing() -> None:
    """A good reading in time takes the wild one back, also for later."""
    assert not stands([(0.0, 16.0), (0.4, 0.5)], 0.4)
    assert not stands([(0.0, 16.0), (0.4, 0.5)], 60.0)


@pytest.mark.parametrize(("low", "trips"), [(1.0, True), (0.1, True)])
def test_a_load_that_goes_to_and_fro_around_the_limit_adds_up(low: float, *, trips: bool) -> None:
    """1.3x for a second, nothing much for a second, and so on: the strain of one second does not fade in the next."""
    trace = [(0.25 * i, 1.3 if i // 4 % 2 == 0 else low) for i in range(80)]
    assert (trips_at(trace, 20.0) < 5.0) is trips


def test_a_load_that_is_seldom_above_the_limit_does_not_add_up() -> None:
    """A second of 1.2x in every four fades before the next one comes."""
    trace = [(0.25 * i, 1.2 if i // 4 % 4 == 0 else 1.0) for i in range(1600)]
    assert trips_at(trace, 400.0) == float("inf")


@pytest.mark.parametrize(("pause_s", "seconds"), [(0.0, 0.5), (2.5, 1.75), (4.0, 2.5), (60.0, 2.5)])
def test_strain_fades_in_the_slow_time(pause_s: float, seconds: float) -> None:
    """After 2 s of 1.2x (four fifths), a pause gives a fifth back per second, and never more than there was."""
    before = [(0.1 * i, 1.2) for i in range(20)]
    pause = [(2.0, 1.0)]
    again_s = 2.0 + pause_s
    assert not stands([*before, *pause, (again_s, 1.2)], again_s + seconds - 0.01)
    assert stands([*before, *pause, (again_s, 1.2)], again_s + seconds + 0.01)


def test_what_trips_by_the_readings_is_not_lost_between_two_ticks() -> None:
    """Bad, bad, good within one tick is still a trip; half a second of good readings later it is over."""
    between = [(0.01, 3.0), (0.02, 3.0), (0.03, 0.5)]
    assert stands(between, 0.05)
    assert stands([*between, (0.5, 0.5)], 0.5)
    assert not stands([*between, (0.531, 0.5)], 0.54)
    assert stands([(0.0, 1.2), (2.55, 0.5)], 2.6)
    assert not stands([(0.0, 1.2), (2.45, 0.5)], 2.5)
    assert stands([(0.0, 3.0), (0.55, 0.5)], 0.6)


def test_what_trips_by_the_readings_is_not_lost_for_power_either() -> None:
    """The two quantities have one rule."""
    memory = Overload()
    for taken_s, watts in [(0.01, 3000.0), (0.02, 3000.0), (0.03, 100.0)]:
        memory = observe(memory, MeterReading(taken_s, 220.0, 0.5, watts), LIMITS)
    assert standing(memory, LIMITS, 0.05) == ("over_power",)


@pytest.mark.parametrize(("now", "expected"), [(0.49, False), (0.5, True)])
def test_silence_confirms_from_the_first_sample_over_the_fast_stage(now: float, *, expected: bool) -> None:
    """Where more samples are asked for, half a second of nothing but bad ones is enough all the same."""
    limits, memory = PortLimits(fast_samples=9), Overload()
    for taken_s in (0.0, 0.2, 0.4):
        memory = observe(memory, reading(taken_s, 1.6, limits), limits)
    assert ("over_current" in standing(memory, limits, now)) is expected


def test_strain_is_never_more_than_all() -> None:
    """However long it lasted, a second without load gives a fifth back: then 1.2x is borne for half a second."""
    trace = [(0.0, 1.2), (60.0, 1.0), (61.0, 1.2)]
    assert not stands(trace, 61.49)
    assert stands(trace, 61.51)


def test_power_has_the_same_two_stages() -> None:
    """The charger with a bad power factor trips by current, the one with a good factor by power."""
    memory = observe(Overload(), MeterReading(0.0, 220.0, 1.0, 1200.0), LIMITS)
    assert standing(memory, LIMITS, 2.49) == ()
    assert standing(memory, LIMITS, 2.5) == ("over_power",)
    both = observe(Overload(), MeterReading(0.0, 220.0, 7.2, 1200.0), LIMITS)
    assert standing(both, LIMITS, 2.5) == ("over_current", "over_power")


@pytest.mark.parametrize(("amps", "watts", "expected"), [(9.0, 1500.0, False), (9.01, 0.0, True), (0.0, 1500.1, True)])
def test_suspicious_is_what_the_fast_stage_counts(amps: float, watts: float, *, expected: bool) -> None:
    """The bus reads again at once exactly what one more sample would make a trip."""
    sample = MeterReading(0.0, 220.0, amps, watts)
    assert suspicious(sample, LIMITS) is expected
    twice = observe(observe(Overload(), sample, LIMITS), sample, LIMITS)
    assert bool(standing(twice, LIMITS, 0.0)) is expected


STEPS = st.lists(st.tuples(st.floats(0.02, 3.0), st.floats(0.0, 3.0), st.floats(0.0, 2.0)), min_size=1, max_size=40)


@given(STEPS, st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_silence_never_makes_it_milder(
    steps: list[tuple[float, float, float]], silence_s: float, more_s: float
) -> None:
    """With the same readings, what stands at some moment stands at every later one."""
    times = accumulate(step for step, _, _ in steps)
    memory, newest_s = Overload(), 0.0
    for newest_s, (_, amps, watts) in zip(times, steps, strict=True):
        memory = observe(memory, MeterReading(newest_s, 220.0, 6.0 * amps, 1000.0 * watts), LIMITS)
    now = newest_s + silence_s
    assert set(standing(memory, LIMITS, now)) <= set(standing(memory, LIMITS, now + more_s))


@given(STEPS)
def test_a_heavier_load_never_trips_later(steps: list[tuple[float, float, float]]) -> None:
    """At every moment: when the lighter of two loads has tripped, the one that was heavier all the time has too."""
    times = [*accumulate(step for step, _, _ in steps)]
    light = [(at_s, multiple) for at_s, (_, multiple, _) in zip(times, steps, strict=True)]
    heavy = [(at_s, multiple + more) for at_s, (_, multiple, more) in zip(times, steps, strict=True)]
    until_s = times[-1] + 6.0
    assert trips_at(heavy, until_s) <= trips_at(light, until_s)
