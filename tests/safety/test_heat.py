"""Heat at a socket: thresholds with hysteresis, silent probes, and a day and forty charges without a nuisance trip."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.curves import labels, load, names
from safety.limits import PortLimits
from safety.reading import Missing, MissingReason
from tests.safety.warm_socket import PACE_S, Socket, cuts, ramp

# -- thresholds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("celsius", "expected"),
    [
        (64.9, ()),
        (65.0, ("temperature_warning",)),
        (65.1, ("temperature_warning",)),
        (69.9, ("temperature_warning",)),
        (70.0, ("temperature_high", "temperature_warning")),
        (79.9, ("temperature_high", "temperature_warning")),
        (80.0, ("over_temperature", "temperature_high", "temperature_warning")),
        (125.0, ("over_temperature", "temperature_high", "temperature_warning")),
    ],
)
def test_a_standing_temperature(celsius: float, expected: tuple[str, ...]) -> None:
    """Warn at 65, inhibit at 70, cut at 80 °C: the limit itself counts, a tenth below it does not."""
    socket = Socket()
    for tick in range(8):
        socket.feels(tick * 2.0, celsius)
    assert socket.at(14.0) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(9.95, False), (10.0, True), (10.05, True)])
def test_the_trip_temperature_takes_its_dwell(seconds: float, *, expected: bool) -> None:
    """80 °C for 10 s, a tick less is not enough, counted from the reading that showed it first."""
    socket = Socket()
    socket.series([78.0, 80.0, 81.0], from_s=98.0)
    assert ("over_temperature" in socket.at(100.0 + seconds)) is expected


def test_one_cooler_reading_starts_the_dwell_again() -> None:
    """79.9 °C in between is below the trip temperature."""
    socket = Socket()
    socket.series([80.0, 80.0, 80.0, 79.9, 80.0, 80.0, 80.0])
    assert "over_temperature" not in socket.at(17.9)
    assert "over_temperature" in socket.at(18.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([69.9], False),
        ([70.0], True),
        ([70.0, 55.0], True),
        ([70.0, 54.9], False),
        ([70.0, 54.9, 69.9], False),
        ([70.0, 54.9, 70.0], True),
    ],
)
def test_the_band_between_inhibit_and_clear(path: list[float], *, expected: bool) -> None:
    """Inhibit at 70, clear below 55, and in between it stays as it was."""
    socket = Socket()
    for index, celsius in enumerate(path):
        socket.feels(index * 2.0, celsius)
    assert ("temperature_high" in socket.at(len(path) * 2.0)) is expected


@given(st.lists(st.floats(55.0, 69.9), min_size=1, max_size=40), st.booleans())
def test_nothing_flickers_inside_the_band(
    band: list[float],
    warm_first: bool,  # noqa: FBT001 - drawn
) -> None:
    """Whatever the temperature does between clear and inhibit, the verdict is the one it came in with."""
    socket = Socket()
    socket.feels(0.0, 70.0 if warm_first else 54.0)
    for index, celsius in enumerate(band):
        assert ("temperature_high" in socket.feels(2.0 + index * 2.0, celsius)) is warm_first


# -- probes that say nothing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    ["probe_fault", "probe_open", "probe_short", "probe_reset", "bad_crc", "timeout", "out_of_range", "bus_lost"],
)
def test_every_fault_of_a_probe_is_a_probe_fault_and_not_heat(reason: str) -> None:
    """Open, short, bad CRC, power-on value: the port is inhibited at once, nothing cuts."""
    socket = Socket()
    socket.series([30.0] * 5)
    assert socket.hears(Missing(MissingReason(reason), 10.0), 10.0) == ("probe_fault",)


@pytest.mark.parametrize(("age_s", "expected"), [(59.95, False), (60.0, False), (60.05, True)])
def test_a_value_expires(age_s: float, *, expected: bool) -> None:
    """A probe that stopped is a fault after 60 s; so is one that was never read."""
    socket = Socket()
    socket.feels(0.0, 30.0)
    assert (socket.at(age_s) == ("probe_fault",)) is expected
    never = Socket()
    assert (never.hears(Missing(MissingReason.NEVER_READ, 0.0), age_s) == ("probe_fault",)) is expected


def test_a_port_without_probe_feels_nothing() -> None:
    """What is not fitted cannot fail."""
    assert Socket().hears(None, 1000.0) == ()


def test_heat_goes_on_while_the_probe_is_silent() -> None:
    """A socket that was hot, warm or rising when its probe fell silent is that until the probe says otherwise."""
    socket = Socket()
    socket.series(ramp(69.0, 12.0, 60))
    silent = Missing(MissingReason.PROBE_FAULT, 61.0)
    assert socket.hears(silent, 200.0) == (
        "over_temperature",
        "temperature_rising",
        "probe_fault",
        "temperature_high",
        "temperature_warning",
    )


@given(
    st.lists(st.tuples(st.floats(0.05, 40.0), st.floats(-55.0, 125.0) | st.just(85.0)), min_size=1, max_size=60),
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=5),
    st.booleans(),
)
def test_time_alone_never_makes_it_milder(
    steps: list[tuple[float, float]],
    waits: list[float],
    lost: bool,  # noqa: FBT001 - drawn
) -> None:
    """With the same inputs, or with the probe gone, later is never better: what stood stands."""
    socket, now = Socket(), 0.0
    before: set[str] = set()
    for dt, celsius in steps:
        now += dt
        before = set(socket.feels(now, celsius))
    probe = Missing(MissingReason.PROBE_OPEN, now) if lost else socket.probe
    for wait_s in waits:
        now += wait_s
        after = set(socket.hears(probe, now))
        assert before <= after
        before = after


@given(st.lists(st.tuples(st.floats(0.05, 20.0), st.floats(-55.0, 125.0)), max_size=40))
def test_the_same_reading_twice_is_one_reading(steps: list[tuple[float, float]]) -> None:
    """Ticks are faster than probes: judging a value again changes nothing."""
    socket, now = Socket(), 0.0
    for dt, celsius in steps:
        now += dt
        found = socket.feels(now, celsius)
        memory = socket.memory
        assert socket.feels(now, celsius) == found
        assert socket.memory == memory


# -- nuisance --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "amps"), [(1, 5.0), (2, 0.0)])
def test_a_noisy_day_cuts_nothing(seed: int, amps: float) -> None:
    """24 h around 60 °C with a walk of 0.5 K a reading: nothing cuts, and nothing says that it rises."""
    rng = random.Random(seed)  # noqa: S311 - noise, not a secret
    socket, celsius = Socket(amps=amps), 60.0
    values = []
    for _ in range(round(86_400 / PACE_S)):
        celsius += rng.uniform(-0.5, 0.5) + (60.0 - celsius) * 0.02
        values.append(celsius)
    assert max(values) - min(values) > 5.0
    assert set(socket.series(values, PACE_S)) <= {"temperature_warning", "temperature_high"}


@pytest.mark.parametrize("name", names())
def test_the_sessions_that_we_know_raise_no_heat(name: str) -> None:
    """No charge of the open curves is cut for heat, read at the pace of a default cabinet."""
    reasons = labels()[name]["reasons"]
    assert "over_temperature" not in reasons
    assert "poor_contact" not in reasons
    curve = load(name)
    socket, next_s = Socket(PortLimits(current_limit_a=10.0)), 0.0
    for t_s, amps, celsius in zip(curve.t_s, curve.amps, curve.celsius, strict=True):
        if t_s >= next_s:
            socket.amps = min(max(amps, 0.0), 100.0)
            codes = socket.feels(t_s, celsius)
            assert not cuts(codes)
            assert "heat_without_load" not in codes
            next_s = t_s + PACE_S
