"""One session from begin to verdict: clocks, outages, restarts, and what no sequence of readings may do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.catalogue import CATALOGUE, Kind
from safety.completion import CompletionLimits, CompletionState, Sample, Verdict, advance, begin

LIMITS = CompletionLimits()
#: (watts, minutes): a charge with a taper, full at minute 90.
CHARGE = ((100.0, 60), *((100 * 0.95**i, 1) for i in range(1, 31)), (2.0, 40))


def readings(*stretches: tuple[float, float], every_s: float = 10.0, from_s: float = 0.0) -> list[Sample]:
    """Return readings of stretches of constant power (watts, minutes)."""
    samples, t_s = [], from_s
    for power_w, minutes in stretches:
        for _ in range(round(minutes * 60 / every_s)):
            samples.append(Sample(t_s, 230.0, power_w / 138, power_w, 0.6))
            t_s += every_s
    return samples


def run(
    samples: list[Sample], state: CompletionState | None = None, limits: CompletionLimits = LIMITS
) -> tuple[CompletionState, float | None, Verdict | None]:
    """Return the last state, and when there was which verdict."""
    state = state or begin(samples[0].t_s)
    for sample in samples:
        state, verdict = advance(state, sample, limits)
        if verdict is not None:
            return state, sample.t_s, verdict
    return state, None, None


def test_a_charge_ends_ten_minutes_after_its_turn_over() -> None:
    """Full at minute 90, cut within 11 min."""
    _, at_s, verdict = run(readings(*CHARGE))
    assert verdict is not None
    assert verdict.reason == "full"
    assert at_s is not None
    assert 100 * 60 <= at_s <= 101 * 60


@pytest.mark.parametrize(
    ("stretches", "reason"),
    [
        (((0.0, 20),), "no_charger"),
        (((100.0, 30), (0.0, 20)), "unplugged"),
        (((2.0, 60),), "low_power"),
        (((100.0, 30), (2.0, 60)), "full"),
        (((100.0, 30), (200.0, 10)), "added_load"),
        (((100.0, 30), (0.0, 0.5), (200.0, 10)), "swapped"),
        (((100.0, 60), *((100 * 0.985**i, 1) for i in range(1, 45)), (50.0, 90)), "plateau"),
        (
            (
                (100.0, 60),
                *((100 * 0.985**i, 1) for i in range(1, 30)),
                *((65 * 1.015**i, 1) for i in range(1, 28)),
                (98.0, 20),
            ),
            "rising",
        ),
        (((100.0, 60), *((100 + i / 5, 1) for i in range(1, 51)), (110.0, 150)), "no_taper"),
    ],
)
def test_every_ending_is_reached_and_has_its_words(stretches: tuple[tuple[float, float], ...], reason: str) -> None:
    """Each rule speaks under a code of the catalogue that ends a session."""
    _, _, verdict = run(readings(*stretches))
    assert verdict is not None
    assert verdict.reason == reason
    assert verdict.detail
    battery = {"rising", "no_taper", "added_load"}  # found by the curve, but something is wrong
    assert CATALOGUE[reason].kind is (Kind.FAULT if reason in battery else Kind.ENDING)


def test_time_counts_from_the_start_of_the_session() -> None:
    """The first reading may come late: what passed since ``begin`` counts when it is short enough."""
    samples = readings((0.0, 20))
    _, early_s, _ = run(samples, begin(samples[0].t_s - 10.0))
    _, late_s, _ = run(samples, begin(samples[0].t_s - 60.0))
    assert (early_s, late_s) == (590.0, 600.0)


def test_an_outage_stops_every_timer_and_resets_none() -> None:
    """Twenty minutes without supply in the middle of a count delay the verdict by as much."""
    _, whole_s, _ = run(readings(*CHARGE))
    before, after = readings(*CHARGE)[: 95 * 6], readings(*CHARGE)[95 * 6 :]
    outage = [Sample(95 * 60 + 10.0 * i, 3.0, 0.0, 0.0, None) for i in range(120)]
    later = [replace(sample, t_s=sample.t_s + 1200) for sample in after]
    _, at_s, verdict = run([*before, *outage, *later])
    assert verdict is not None
    assert verdict.reason == "full"
    assert whole_s is not None
    assert at_s == whole_s + 1200 + 10  # the interval in which it ended is not known either


def test_a_silent_meter_stops_every_timer() -> None:
    """Nothing is known between readings further apart than 15 s."""
    samples = readings((100.0, 30), (0.0, 30))
    kept = [sample for sample in samples if not 40 * 60 < sample.t_s < 50 * 60]
    _, whole_s, _ = run(samples)
    _, at_s, verdict = run(kept)
    assert verdict is not None
    assert whole_s is not None
    assert at_s == whole_s + 600


@pytest.mark.parametrize(("voltage_v", "counts"), [(79.9, False), (80.0, True), (0.0, False)])
def test_below_80_volts_the_supply_is_out(voltage_v: float, counts: bool) -> None:  # noqa: FBT001 - a table of facts
    """A socket without supply draws nothing whatever is plugged in."""
    samples = [replace(sample, voltage_v=voltage_v) for sample in readings((0.0, 20))]
    assert (run(samples)[2] is not None) is counts


def test_a_wild_reading_is_passed_over() -> None:
    """Above what a socket can deliver it changes nothing but the time of the next interval."""
    state, _, _ = run(readings((100.0, 12)))
    for power_w, same in ((4000.0, False), (4000.1, True)):
        after, verdict = advance(state, Sample(725.0, 230.0, 20.0, power_w, 0.9), LIMITS)
        assert verdict is None
        assert (after is state) is same


def test_the_power_factor_of_the_last_block_is_kept() -> None:
    """It is what a swapped charger is told by; a reading of nothing does not overwrite it."""
    state, _, _ = run(readings((100.0, 12)))
    assert state.factor == 0.6
    state, _, _ = run(readings((0.0, 3), from_s=720.0), state)
    assert state.factor == 0.6


def test_the_plateau_is_held_while_a_step_is_examined() -> None:
    """What may be a second charger does not become the measure it is judged by."""
    state, _, verdict = run(readings((100.0, 30), (119.0, 4.2)))
    assert verdict is None
    assert state.past.plateau_w == 100.0
    state, _, _ = run(readings((119.0, 10), from_s=34.2 * 60), state)
    assert state.past.plateau_w == pytest.approx(119.0)


def test_a_state_survives_json_at_any_reading() -> None:
    """Cut anywhere, written, read: the state is the same, hence so is everything after it."""
    state = begin(0.0)
    for i, sample in enumerate(readings((100.0, 12), (0.0, 1), (100.0, 14), *CHARGE[1:])):
        state, verdict = advance(state, sample, LIMITS)
        if i % 7 == 0:
            restored = CompletionState.from_plain(json.loads(json.dumps(state.to_plain())))
            assert restored == state
            assert hash(restored) == hash(state)
        if verdict is not None:
            break
    assert verdict is not None


@pytest.mark.parametrize("plain", [{}, {"open": 1}, {**begin(0.0).to_plain(), "more": 1}])
def test_a_state_of_another_kind_is_refused(plain: dict[str, object]) -> None:
    """An older or damaged file is not taken for a state."""
    with pytest.raises(ValueError, match=r"CompletionState|OpenBlock"):
        CompletionState.from_plain(plain)


def test_after_a_restart_the_clock_may_begin_anew() -> None:
    """A clock that went back makes one unknown interval, nothing else."""
    samples = readings(*CHARGE)
    state, _, _ = run(samples[: 95 * 6])
    later = [replace(sample, t_s=sample.t_s - 5000) for sample in samples[95 * 6 :]]
    _, at_s, verdict = run(later, state)
    _, whole_s, _ = run(samples)
    assert verdict is not None
    assert at_s is not None
    assert whole_s is not None
    assert at_s + 5000 == whole_s + 10


@pytest.mark.parametrize("scale", [100, 200, 300])
def test_a_rig_may_run_faster_than_life(scale: int) -> None:
    """With two to six readings a block the same charge ends for the same reason, in time."""
    limits = LIMITS.scaled(scale)
    samples = [
        Sample(sample.t_s / scale, 230.0, sample.current_a, sample.power_w, 0.6)
        for sample in readings(*CHARGE, every_s=0.1 * scale)
    ]
    _, at_s, verdict = run(samples, limits=limits)
    assert verdict is not None
    assert verdict.reason == "full"
    assert at_s is not None
    assert 99 * 60 / scale <= at_s <= 103 * 60 / scale


def test_memory_is_bounded() -> None:
    """Twelve hours of ten readings a minute leave a state of a few kilobytes."""
    state, _, verdict = run(readings((100.0, 12 * 60)))
    assert verdict is None
    assert len(json.dumps(state.to_plain())) < 4000


_STRETCHES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.9, 3.0, 8.0, 15.0, 25.0, 60.0, 100.0, 140.0, 300.0]), st.integers(1, 25)),
    min_size=1,
    max_size=12,
)


@given(_STRETCHES)
@settings(max_examples=60, deadline=None)
def test_nothing_is_judged_in_the_first_minutes(stretches: list[tuple[float, int]]) -> None:
    """No verdict before its shortest time: a swap 2 min after nine minutes of peace, nothing else before 10 min."""
    samples = readings(*stretches)
    _, at_s, verdict = run(samples)
    if verdict is None or at_s is None:
        return
    if verdict.reason in {"swapped", "added_load"}:
        assert at_s >= 60 * 5 + 120
    else:
        assert at_s >= 600


@given(_STRETCHES, st.integers(1, 200), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_an_outage_never_makes_a_verdict_earlier(stretches: list[tuple[float, int]], at: int, lasts: int) -> None:
    """Time without supply put into any session only moves what comes later."""
    samples = readings(*stretches)
    cut = min(at, len(samples))
    out = [Sample(samples[0].t_s + 10.0 * (cut + i), 0.0, 0.0, 0.0, None) for i in range(lasts)]
    later = [replace(sample, t_s=sample.t_s + 10.0 * lasts) for sample in samples[cut:]]
    _, whole_s, _ = run(samples)
    _, at_s, verdict = run([*samples[:cut], *out, *later])
    if verdict is not None and verdict.reason in {"no_charger", "unplugged", "low_power"} and whole_s is not None:
        assert at_s is not None
        assert at_s >= whole_s


@given(_STRETCHES)
@settings(max_examples=40, deadline=None)
def test_the_same_readings_give_the_same_verdict(stretches: list[tuple[float, int]]) -> None:
    """No hidden state: a session judged twice, once through plain data again and again, ends alike."""
    samples = readings(*stretches)
    state, expected = begin(0.0), run(samples, begin(0.0))
    for i, sample in enumerate(samples):
        state, verdict = advance(state, sample, LIMITS)
        state = CompletionState.from_plain(state.to_plain()) if i % 10 == 0 else state
        if verdict is not None:
            break
    assert (state, verdict) == (expected[0], expected[2])


@given(_STRETCHES, st.integers(-10_000, 10_000))
@settings(max_examples=40, deadline=None)
def test_only_differences_of_time_count(stretches: list[tuple[float, int]], shift_s: int) -> None:
    """The clock may begin anywhere."""
    samples = readings(*stretches)
    shifted = [replace(sample, t_s=sample.t_s + shift_s) for sample in samples]
    _, at_s, verdict = run(samples)
    _, shifted_s, same = run(shifted)
    assert verdict == same
    assert at_s is None or shifted_s == at_s + shift_s
