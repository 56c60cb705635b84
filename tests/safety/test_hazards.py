"""Protective rules, one boundary table each: limit - 1, limit, limit + 1; dt - 1, dt, dt + 1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.hazards import HazardMemory, PortInputs, judge, suspicious
from safety.limits import PortLimits
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

LIMITS = PortLimits(current_limit_a=6.0, power_limit_w=1000.0)
MISSING = Missing(MissingReason.TIMEOUT, 0.0)


def reading(taken_s: float, amps: float = 1.0, watts: float = 200.0) -> MeterReading:
    """Return a plausible reading."""
    return MeterReading(taken_s, 220.0, amps, watts)


def codes(trace: list[tuple[float, PortInputs]], limits: PortLimits = LIMITS) -> tuple[str, ...]:
    """Judge a trace of (now, inputs) and return what stands at its end."""
    memory = HazardMemory()
    found: tuple[str, ...] = ()
    for now, inputs in trace:
        memory, found = judge(memory, inputs, limits, now)
    return found


@pytest.mark.parametrize(
    ("amps", "samples", "expected"),
    [
        (8.999, 2, False),
        (9.0, 2, False),
        (9.001, 1, False),
        (9.001, 2, True),
        (60.0, 1, False),
        (60.0, 2, True),
    ],
)
def test_fast_over_current_takes_two_samples_over_the_fast_stage(amps: float, samples: int, *, expected: bool) -> None:
    """1.5 x 6 A: one sample is noise, two samples are an over-current, the limit itself is allowed."""
    trace = [(i * 0.1, PortInputs(reading(i * 0.1, amps))) for i in range(samples)]
    assert ("over_current" in codes(trace)) is expected


def test_one_sample_judged_in_many_ticks_is_one_sample() -> None:
    """Ticks are faster than readings: the same reading never counts twice."""
    inputs = PortInputs(reading(0.0, 60.0))
    assert "over_current" not in codes([(tick * 0.05, inputs) for tick in range(10)])


def test_a_sample_that_another_has_overtaken_still_counts() -> None:
    """Two readings between two ticks are two samples, in their order."""
    both = PortInputs(reading(0.2, 60.0), earlier=(reading(0.1, 60.0),))
    assert "over_current" in codes([(0.25, both)])
    good_first = PortInputs(reading(0.2, 60.0), earlier=(reading(0.1, 1.0),))
    assert "over_current" not in codes([(0.0, PortInputs(reading(0.0, 60.0))), (0.25, good_first)])


def test_a_good_sample_between_two_bad_ones_starts_the_count_again() -> None:
    """The two samples of the fast stage are consecutive."""
    amps = [60.0, 1.0, 60.0, 1.0, 60.0]
    assert "over_current" not in codes([(i * 0.1, PortInputs(reading(i * 0.1, a))) for i, a in enumerate(amps)])


@pytest.mark.parametrize(
    ("amps", "seconds", "expected"),
    [
        (6.599, 60.0, False),
        (6.6, 60.0, False),
        (6.601, 4.9, False),
        (6.601, 5.0, True),
        (6.601, 5.1, True),
    ],
)
def test_slow_over_current_takes_its_dwell(amps: float, seconds: float, *, expected: bool) -> None:
    """1.1 x 6 A for 5 s, not a tenth of a second less."""
    steps = round(seconds * 10)
    trace = [(i / 10, PortInputs(reading(i / 10, amps))) for i in range(steps + 1)]
    assert ("over_current" in codes(trace)) is expected


def test_silence_during_a_slow_over_current_does_not_stop_its_clock() -> None:
    """When readings stop, an over-current that stood goes on standing."""
    stuck = PortInputs(reading(0.0, 7.2), meter_error=MISSING)
    limits = PortLimits(meter_max_age_s=10.0)
    assert "over_current" not in codes([(0.0, stuck), (2.4, stuck)], limits)
    assert "over_current" in codes([(0.0, stuck), (2.5, stuck)], limits)


@pytest.mark.parametrize(("watts", "expected"), [(1500.0, False), (1500.1, True)])
def test_fast_over_power(watts: float, *, expected: bool) -> None:
    """Power has the same two stages as current: the charger with a bad power factor and the one with a good one."""
    trace = [(i * 0.1, PortInputs(reading(i * 0.1, 1.0, watts))) for i in range(2)]
    assert ("over_power" in codes(trace)) is expected


@pytest.mark.parametrize(
    ("watts", "seconds", "expected"), [(1100.0, 60.0, False), (1101.0, 4.9, False), (1101.0, 5.0, True)]
)
def test_slow_over_power(watts: float, seconds: float, *, expected: bool) -> None:
    """1.1 x 1000 W for 5 s."""
    trace = [(i / 10, PortInputs(reading(i / 10, 1.0, watts))) for i in range(round(seconds * 10) + 1)]
    assert ("over_power" in codes(trace)) is expected


@pytest.mark.parametrize(("age_s", "expected"), [(0.0, False), (2.9, False), (3.0, False), (3.001, True)])
def test_a_reading_expires(age_s: float, *, expected: bool) -> None:
    """A reading older than its age limit cannot be used."""
    assert ("meter_lost" in codes([(100.0, PortInputs(reading(100.0 - age_s)))])) is expected


@pytest.mark.parametrize(
    ("waited_s", "error", "expected"), [(3.0, None, ()), (3.1, None, ("meter_lost",)), (0.0, MISSING, ("meter_lost",))]
)
def test_a_meter_that_never_answered_is_lost(waited_s: float, error: Missing | None, expected: tuple[str, ...]) -> None:
    """No reading at all is not a zero: a failed poll or the age limit tells, whichever is first."""
    never = PortInputs(Missing(MissingReason.NEVER_READ, 0.0), meter_error=error)
    assert codes([(waited_s, never)]) == expected


@pytest.mark.parametrize(
    ("celsius", "seconds", "expected"),
    [(79.9, 60.0, False), (80.0, 9.9, False), (80.0, 10.0, True), (85.0, 10.1, True)],
)
def test_over_temperature_takes_its_dwell(celsius: float, seconds: float, *, expected: bool) -> None:
    """80 °C for 10 s; a spike is not heat."""
    steps = round(seconds * 10)
    trace = [(i / 10, PortInputs(reading(i / 10), probe=ProbeReading(i / 10, celsius))) for i in range(steps + 1)]
    assert ("over_temperature" in codes(trace)) is expected


def test_a_probe_that_falls_silent_while_hot_does_not_cool_the_port() -> None:
    """Losing the probe at 90 °C never makes the verdict milder."""
    hot = PortInputs(reading(0.0), probe=ProbeReading(0.0, 90.0))
    silent = PortInputs(reading(10.0), probe=Missing(MissingReason.PROBE_FAULT, 1.0))
    assert "over_temperature" in codes([(0.0, hot), (10.0, silent)])


@pytest.mark.parametrize(
    ("path", "expected"),
    [([69.9], False), ([70.0], True), ([70.0, 55.0], True), ([70.0, 54.9], False), ([70.0, 54.9, 69.9], False)],
)
def test_a_warm_port_stays_inhibited_until_it_is_cool(path: list[float], *, expected: bool) -> None:
    """Inhibit at 70, clear below 55: no flapping in between."""
    trace = [(float(i), PortInputs(reading(float(i)), probe=ProbeReading(float(i), c))) for i, c in enumerate(path)]
    assert ("temperature_high" in codes(trace)) is expected


@pytest.mark.parametrize(("celsius", "expected"), [(64.9, False), (65.0, True)])
def test_warning_temperature(celsius: float, *, expected: bool) -> None:
    """Warn at 65 °C."""
    found = codes([(0.0, PortInputs(reading(0.0), probe=ProbeReading(0.0, celsius)))])
    assert ("temperature_warning" in found) is expected


@pytest.mark.parametrize(("age_s", "expected"), [(60.0, False), (60.1, True)])
def test_a_silent_probe_is_a_probe_fault_and_not_heat(age_s: float, *, expected: bool) -> None:
    """A probe without a fresh value is its own finding."""
    found = codes([(100.0, PortInputs(reading(100.0), probe=ProbeReading(100.0 - age_s, 25.0)))])
    assert ("probe_fault" in found) is expected
    assert "over_temperature" not in found


@pytest.mark.parametrize(
    ("waited_s", "reason", "expected"),
    [(60.0, "never_read", False), (60.1, "never_read", True), (0.0, "probe_fault", True)],
)
def test_a_probe_that_never_reported(waited_s: float, reason: str, *, expected: bool) -> None:
    """A probe not asked yet gets its age limit; one that was asked in vain is a fault at once."""
    probe = Missing(MissingReason(reason), 0.0)
    found = codes([(waited_s, PortInputs(reading(waited_s), probe=probe))])
    assert ("probe_fault" in found) is expected


def test_a_port_without_probe_has_no_probe_fault() -> None:
    """What is not fitted cannot fail."""
    assert codes([(0.0, PortInputs(reading(0.0)))]) == ()


@pytest.mark.parametrize(
    ("amps", "watts", "expected"),
    [(9.0, 1500.0, False), (9.01, 10.0, True), (0.1, 1500.1, True)],
)
def test_suspicious_is_one_sample_of_the_fast_stage(amps: float, watts: float, *, expected: bool) -> None:
    """The bus confirms at once exactly what the fast stage would count."""
    assert suspicious(reading(0.0, amps, watts), LIMITS) is expected


@given(
    st.lists(
        st.tuples(st.floats(0.01, 2.0), st.floats(0.0, 20.0), st.floats(0.0, 3000.0), st.floats(-20.0, 120.0)),
        min_size=1,
        max_size=60,
    ),
    st.floats(0.0, 60.0),
)
def test_staleness_never_makes_a_verdict_milder(
    steps: list[tuple[float, float, float, float]], silence_s: float
) -> None:
    """Whatever stands at the newest reading still stands, or something worse, after any silence."""
    memory, now = HazardMemory(), 0.0
    found: tuple[str, ...] = ()
    inputs = PortInputs(MISSING)
    for dt, amps, watts, celsius in steps:
        now += dt
        inputs = PortInputs(reading(now, amps, watts), probe=ProbeReading(now, celsius))
        memory, found = judge(memory, inputs, LIMITS, now)
    silent = PortInputs(inputs.meter, meter_error=MISSING, probe=inputs.probe)
    _, later = judge(memory, silent, LIMITS, now + silence_s)
    assert set(found) <= set(later)
