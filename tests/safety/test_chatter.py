"""Poor contact: what a sparking contact looks like in the readings, and everything else that comes and goes."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.curves import load, names
from hil_rig.synthetic import generate
from safety.chatter import Chatter, observe, standing
from safety.circuit import Circuit
from safety.limits import PortLimits
from safety.reading import MeterReading
from safety.voltage import Voltage
from safety.voltage import observe as observe_voltage
from safety.voltage import standing as voltage_standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LIMITS = PortLimits()
ON = Circuit(closed_s=-1.0, neighbours_v=220.0)
ALONE = Circuit(closed_s=-1.0)
FULL_W = 200.0
Trace = list[tuple[float, float]]


def after(trace: Iterable[tuple[float, float]], memory: Chatter | None = None, circuit: Circuit = ON) -> Chatter:
    """Return the memory after (taken_s, watts)."""
    memory = memory or Chatter()
    for taken_s, watts in trace:
        memory = observe(memory, MeterReading(taken_s, 220.0, watts / 200.0, watts), LIMITS, circuit)
    return memory


def found(trace: Iterable[tuple[float, float]]) -> bool:
    """Return whether the poor contact stands after a trace."""
    return standing(after(trace), LIMITS, 1e9) == ("poor_contact",)


def sampled(watts_at: Callable[[float], float], seconds: float, every_s: float, phase_s: float = 0.0) -> Trace:
    """Return readings of a power that is known at every moment."""
    return [(phase_s + i * every_s, watts_at(phase_s + i * every_s)) for i in range(round(seconds / every_s))]


def broken(breaks: int, distance_s: float = 5.0, length_s: float = 1.0, low_w: float = 0.0) -> Callable[[float], float]:
    """Return a load whose power breaks off so many times, regularly, from 10 s on."""

    def watts_at(at_s: float) -> float:
        number, within_s = divmod(at_s - 10.0, distance_s)
        return low_w if 0 <= number < breaks and within_s < length_s else FULL_W

    return watts_at


# -- boundaries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("breaks", "expected"), [(1, False), (2, False), (5, False), (6, True)])
def test_six_breaks_in_a_minute(breaks: int, *, expected: bool) -> None:
    """A plug pulled and put back once or twice is none; six times is a contact."""
    assert found(sampled(broken(breaks), 120.0, 0.25)) is expected


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        ([0, 8, 16, 24, 32, 60], True),
        ([0, 8, 16, 24, 32, 60.5], False),
        ([0, 12, 24, 36, 48, 60], False),
        ([0, 10, 20, 30, 40, 50], False),
        ([0, 9, 18, 27, 36, 45], False),
        ([0, 8.9, 17.8, 26.7, 35.6, 44.5], True),
        ([0, 8, 16, 24, 34, 44], True),
        ([0, 8, 16, 26, 36, 46], False),
    ],
)
def test_the_window_and_the_beat(times_s: list[float], *, expected: bool) -> None:
    """Six within 60 s, of which most follow each other within 9 s: slower ones are a charger that pulses."""
    trace = []
    for at_s in times_s:
        trace += [(99.0 + at_s, FULL_W), (100.0 + at_s, 0.0), (101.0 + at_s, FULL_W)]
    assert found(trace) is expected


@pytest.mark.parametrize(
    ("low_w", "expected"), [(0.0, True), (2.0, True), (39.9, True), (40.0, False), (100.0, False), (150.0, False)]
)
def test_a_break_goes_below_a_fifth(low_w: float, *, expected: bool) -> None:
    """A load that steps to less is not broken off; a little standby draw or crosstalk does not hide a break."""
    assert found(sampled(broken(8, low_w=low_w), 120.0, 0.25)) is expected


@pytest.mark.parametrize(("back_w", "expected"), [(99.0, False), (100.0, True)])
def test_a_break_ends_above_half(back_w: float, *, expected: bool) -> None:
    """What comes back must be the load that was there."""
    trace = [(0.0, FULL_W)]
    for i in range(6):
        trace += [(5.0 * i + 1.0, 0.0), (5.0 * i + 2.0, back_w), (5.0 * i + 3.0, FULL_W)]
    six_without_the_last_return = trace[:-1]
    assert found(six_without_the_last_return) is expected


@pytest.mark.parametrize(("full_w", "expected"), [(29.9, False), (30.0, True)])
def test_a_load_below_thirty_watts_does_not_spark(full_w: float, *, expected: bool) -> None:
    """The coming and going of next to nothing is no contact."""
    assert found([(i * 1.0, 0.0 if i % 5 == 4 else full_w) for i in range(60)]) is expected


@pytest.mark.parametrize(("length_s", "expected"), [(6.5, True), (7.5, False)])
def test_a_break_ends_within_seven_seconds(length_s: float, *, expected: bool) -> None:
    """What stays away longer was a pause or a pulled plug."""
    trace = [(0.0, FULL_W), (0.2, FULL_W)]
    for i in range(10):
        at_s = 8.5 * i
        trace += [
            (at_s + 0.5, 0.0),
            (at_s + 0.4 + length_s - 0.2, 0.0),
            (at_s + 0.2 + length_s, FULL_W),
            (at_s + 8.4, FULL_W),
        ]
    assert found(trace) is expected


def test_the_recent_power_is_the_highest_and_fades() -> None:
    """A contact that sparks often shows all of the power now and then; a load that fell is known after a while."""
    fell = [(0.0, 400.0), (1.0, 210.0)]
    assert after(fell).level_w == pytest.approx(380.0)
    assert after([*fell, *((2.0 + i, 210.0) for i in range(30))]).level_w == pytest.approx(210.0)


def test_a_break_is_dated_by_its_first_reading() -> None:
    """Not by its last one, nor by the return."""
    assert after([(0.0, FULL_W), (1.0, 0.0), (2.0, 0.0), (3.0, FULL_W)]).breaks_s == (1.0,)


def test_a_single_break_can_be_made_the_limit() -> None:
    """Where one break is too many, there is no beat to ask for."""
    memory = Chatter()
    for taken_s, watts in [(0.0, FULL_W), (1.0, 0.0), (2.0, FULL_W)]:
        assert not memory.found
        memory = observe(memory, MeterReading(taken_s, 220.0, 1.0, watts), PortLimits(chatter_breaks=1), ON)
    assert memory.found


# -- what a sparking contact looks like ---------------------------------------------------------------------------


def contact(
    rng: random.Random, gaps_s: tuple[float, float], lengths_s: tuple[float, float], *, starts_s: float = 0.0
) -> Callable[[float], float]:
    """Return a load behind a contact that breaks at random; its charger needs ``starts_s`` to draw again."""
    edges, at_s = list[float](), 0.0
    while at_s < 400.0:
        at_s += rng.uniform(*gaps_s)
        length_s = rng.uniform(*lengths_s)
        edges += [at_s, at_s + length_s + starts_s]
        at_s += length_s
    pairs = [*zip(edges[::2], edges[1::2], strict=True)]
    return lambda at_s: 0.0 if any(start <= at_s < end for start, end in pairs) else FULL_W


def averaged(watts_at: Callable[[float], float], window_s: float) -> Callable[[float], float]:
    """Return what a meter shows that averages over ``window_s``."""
    return lambda at_s: sum(watts_at(at_s - window_s * i / 10) for i in range(10)) / 10


@pytest.mark.parametrize("every_s", [0.1, 0.25, 0.6, 1.3, 1.5])
@pytest.mark.parametrize(("window_s", "starts_s"), [(0.0, 0.0), (0.3, 0.5)])
def test_a_sparking_contact_is_found_at_every_rate(every_s: float, window_s: float, starts_s: float) -> None:
    """Broken for 0.3 to 3 s, closed for 3 to 8 s, at random: found within five minutes, whatever the phase."""
    for seed in range(12 if every_s > 0.2 else 3):
        rng = random.Random(f"{every_s} {seed}")  # noqa: S311
        watts_at = contact(rng, (3.0, 8.0), (0.3, 3.0), starts_s=starts_s)
        watts_at = averaged(watts_at, window_s) if window_s else watts_at
        assert found(sampled(watts_at, 300.0, every_s, rng.uniform(0.0, every_s))), seed


@pytest.mark.parametrize("every_s", [0.25, 1.3])
@pytest.mark.parametrize(("length_s", "distance_s"), [(1.4, 3.0), (2.0, 5.0), (3.0, 8.0)])
def test_a_contact_that_breaks_regularly_is_one_too(every_s: float, length_s: float, distance_s: float) -> None:
    """Vibration and heat can make it regular; only a beat of 9 s and more is left to chargers."""
    rng = random.Random(1)  # noqa: S311
    for _ in range(10):
        watts_at = broken(100, distance_s, length_s)
        assert found(sampled(watts_at, 150.0, every_s, rng.uniform(0.0, every_s)))


def test_readings_anywhere_between_nothing_and_all_are_a_sparking_contact() -> None:
    """A contact that sparks many times in a second shows a random share of the power in every reading."""
    for seed in range(20):
        rng = random.Random(seed)  # noqa: S311
        trace = [(0.25 * i, FULL_W * rng.random()) for i in range(480)]
        assert found(trace), seed


def test_it_is_found_within_half_a_minute_when_it_is_bad() -> None:
    """Broken for a second every four seconds, read four times a second."""
    assert found(sampled(broken(100, 4.0, 1.0), 35.0, 0.25))


# -- what is none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_s", [0.1, 0.25, 0.6, 1.3, 1.5])
@pytest.mark.parametrize("period_s", [10.0, 12.0, 19.4, 40.0])
def test_a_charger_that_pulses_is_none(every_s: float, period_s: float) -> None:
    """Lead-acid pulse charging with pauses that grow from nothing to all of the period."""

    def watts_at(at_s: float) -> float:
        share = 1.0 - at_s / 1200.0
        return FULL_W if at_s % period_s < share * period_s else 1.2

    for seed in range(3):
        phase_s = random.Random(seed).uniform(0.0, every_s)  # noqa: S311
        assert not found(sampled(watts_at, 1200.0, every_s, phase_s))


def test_a_glitch_during_pulses_is_none() -> None:
    """One answer of no power in the middle of a pulse does not turn its beat into a contact's."""
    for at in range(200, 260):
        trace = sampled(broken(100, 10.0, 2.0), 600.0, 1.0)
        trace[at] = (trace[at][0], 0.0)
        assert not found(trace), at


@pytest.mark.parametrize("glitch_w", [0.0, 9000.0])
def test_single_wild_readings_are_none(glitch_w: float) -> None:
    """One wild or zero answer in twenty, for an hour: no contact, and no blindness for one after it."""
    trace = [(1.0 * i, glitch_w if i % 20 == 7 else FULL_W) for i in range(3600)]
    assert not found(trace)
    assert found([*trace, *((3600.0 + at_s, watts) for at_s, watts in sampled(broken(8), 60.0, 0.25))])


def test_a_supply_that_goes_out_is_no_contact() -> None:
    """With the voltage the current goes too, and comes back after the charger has started again."""
    memory = Chatter()
    for i in range(240):
        beat = i % 20  # 5 s
        volts, watts = (0.0, 0.0) if beat < 4 else (220.0, 0.0 if beat < 8 else FULL_W)
        memory = observe(memory, MeterReading(0.25 * i, volts, watts / 200, watts), LIMITS, ON)
    assert standing(memory, LIMITS, 60.0) == ()


@pytest.mark.parametrize(("volts", "expected"), [(175.9, False), (176.0, True)])
def test_below_the_voltage_window_it_is_the_supply(volts: float, *, expected: bool) -> None:
    """Within the window a break is the contact's."""
    memory = Chatter()
    for i in range(60):
        low = i % 5 == 4
        watts = 0.0 if low else FULL_W
        memory = observe(memory, MeterReading(1.0 * i, volts if low else 220.0, watts / 200, watts), LIMITS, ON)
    assert (standing(memory, LIMITS, 60.0) == ("poor_contact",)) is expected


def test_a_break_whose_voltage_goes_a_reading_later_is_the_supplys() -> None:
    """A meter averages: power may be seen to fall before the voltage."""
    memory = Chatter()
    for i in range(60):
        volts, watts = {3: (200.0, 10.0), 4: (0.0, 0.0)}.get(i % 5, (220.0, FULL_W))
        memory = observe(memory, MeterReading(1.0 * i, volts, watts / 200, watts), LIMITS, ON)
    assert standing(memory, LIMITS, 60.0) == ()


@pytest.mark.parametrize("kind", ["pulse", "dips", "pause", "top_off", "precharge", "normal", "swapped"])
def test_made_up_sessions_have_no_poor_contact(kind: str) -> None:
    """Random packs and chargers, chargers that pulse every 10 to 40 s among them."""
    for seed in range(4 if kind == "pulse" else 1):
        _, curve, _ = generate(seed, kind)
        memory = Chatter()
        for taken_s, volts, amps, watts in zip(curve.t_s, curve.volts, curve.amps, curve.watts, strict=True):
            memory = observe(memory, MeterReading(taken_s, volts, amps, watts), LIMITS, ON)
        assert not memory.found, (kind, seed)


def _supply_codes(name: str) -> set[str]:
    """Return what the voltage rules find in a curve; where the voltage never leaves its window there is nothing."""
    curve, memory, codes = load(name), Voltage(), set[str]()
    inside = LIMITS.voltage_low_v < min(curve.volts) and max(curve.volts) < LIMITS.voltage_high_v
    for taken_s, volts in [] if inside else zip(curve.t_s, curve.volts, strict=True):
        memory = observe_voltage(memory, MeterReading(taken_s, volts, 0.5, 100.0), LIMITS, ALONE)
        codes |= {*voltage_standing(memory, LIMITS, ALONE, taken_s)}
    return codes


@pytest.mark.parametrize("name", names())
def test_no_stored_curve_has_a_poor_contact_or_a_bad_voltage(name: str) -> None:
    """Forty sessions, whole, at their own rate: no poor contact; a lost supply where there was one, else nothing."""
    curve, memory = load(name), Chatter()
    for taken_s, volts, watts in zip(curve.t_s, curve.volts, curve.watts, strict=True):
        memory = observe(memory, MeterReading(taken_s, volts, 1.0, watts), LIMITS, ALONE)
    assert standing(memory, LIMITS, curve.t_s[-1]) == ()
    assert len(memory.breaks_s) < LIMITS.chatter_breaks or name == "o028-pulse"
    assert _supply_codes(name) == ({"supply_lost"} if name == "o026-dips" else set())


# -- memory -------------------------------------------------------------------------------------------------------


def test_it_stands_until_the_relay_opens() -> None:
    """Quiet does not end it, opening does, and the next closing begins with nothing."""
    memory = after(sampled(broken(6), 60.0, 0.25))
    assert standing(memory, LIMITS, 60.0) == ("poor_contact",)
    memory = after([(1.0 * i, FULL_W) for i in range(61, 600)], memory)
    assert standing(memory, LIMITS, 600.0) == ("poor_contact",)
    slow = after([(600.0 + t, w) for t, w in sampled(broken(9, 20.0), 200.0, 1.0)], memory)
    assert standing(slow, LIMITS, 800.0) == ("poor_contact",)
    opened = after([(601.0, 0.0)], memory, Circuit(opened_s=600.0))
    assert standing(opened, LIMITS, 601.0) == ()
    again = after([(602.0, FULL_W)], memory, Circuit(closed_s=601.0))
    assert standing(again, LIMITS, 602.0) == ()


def test_an_open_relay_and_readings_of_before_the_closing_say_nothing() -> None:
    """Only what the contact does while the relay is closed counts."""
    trace = sampled(broken(8), 60.0, 0.25)
    assert after(trace, circuit=Circuit()) == Chatter()
    assert after(trace, circuit=Circuit(closed_s=59.75)).breaks_s == ()


def test_breaks_of_two_closings_do_not_add_up() -> None:
    """Three here and three there are no six."""
    first = after(sampled(broken(3), 25.0, 0.25), circuit=Circuit(closed_s=0.0))
    second = after([(26.0 + t, w) for t, w in sampled(broken(3), 25.0, 0.25)], first, Circuit(closed_s=25.5))
    assert len(second.breaks_s) == 3
    assert standing(second, LIMITS, 60.0) == ()


@given(
    st.lists(st.tuples(st.floats(0.1, 5.0), st.sampled_from([0.0, 20.0, 150.0, 200.0])), min_size=1, max_size=80),
    st.floats(0.0, 1e4),
)
def test_neither_silence_nor_more_readings_end_it(steps: list[tuple[float, float]], silence_s: float) -> None:
    """Once found, it stands at every later reading of the same closing and after any silence."""
    memory, was = Chatter(), False
    times = accumulate(step for step, _ in steps)
    for taken_s, (_, watts) in zip(times, steps, strict=True):
        memory = observe(memory, MeterReading(taken_s, 220.0, watts / 200, watts), LIMITS, ON)
        now_found = bool(standing(memory, LIMITS, taken_s))
        assert now_found or not was
        assert bool(standing(memory, LIMITS, taken_s + silence_s)) is now_found
        was = now_found
