"""Rate of rise at a socket: what heats under load, what warms from outside, and what only looks like either."""

from __future__ import annotations

import math
import random

import pytest

from safety import heat
from safety.limits import PortLimits
from tests.safety.warm_socket import Socket, cuts, ramp


@pytest.mark.parametrize(
    ("k_per_min", "seconds", "expected"),
    [
        (9.9, 600, False),
        (10.0, 58, False),
        (10.0, 60, True),
        (10.1, 60, True),
        (10.1, 58, False),
        (29.9, 58, False),
        (30.0, 28, False),
        (30.0, 30, True),
    ],
)
def test_a_rise_under_load(k_per_min: float, seconds: int, *, expected: bool) -> None:
    """10 K a minute over the whole minute, or three times that over half of it; a tenth or a reading less is none."""
    values = ramp(-40.0, k_per_min, seconds)
    assert ("temperature_rising" in Socket().series(values)) is expected
    assert ("heat_without_load" in Socket(amps=0.0).series(values)) is expected


@pytest.mark.parametrize("pace_s", [0.2, 1.0, 2.75, 5.0, 9.9, 12.0, 17.0, 30.0])
@pytest.mark.parametrize("phase_s", [0.0, 3.3, 7.7])
def test_the_pace_of_the_probe_changes_little(pace_s: float, phase_s: float) -> None:
    """A fast and a slow round over the probes find the same rise, within the window and four readings."""
    socket = Socket()
    socket.series([25.0] * (round(120 / pace_s) + 1), pace_s)
    begin_s = round(120 / pace_s) * pace_s + phase_s
    now = begin_s + pace_s
    while "temperature_rising" not in socket.feels(now, 25.0 + 12.0 * (now - begin_s) / 60):
        now += pace_s
    assert now - begin_s <= 60.0 + 4 * pace_s + 10.0
    steady = Socket()
    assert not cuts(steady.series(ramp(20.0, 8.0, 300, pace_s), pace_s))


@pytest.mark.parametrize(("readings", "expected"), [(3, False), (4, True)])
def test_three_readings_are_too_few(readings: int, *, expected: bool) -> None:
    """However far they are apart: one wrong one would be a third of the evidence."""
    values = ramp(20.0, 15.0, 30 * (readings - 1), 30.0)
    assert ("temperature_rising" in Socket().series(values, 30.0)) is expected


@pytest.mark.parametrize(("amps", "code"), [(0.29, "heat_without_load"), (0.3, "temperature_rising")])
def test_load_decides_what_a_rise_is(amps: float, code: str) -> None:
    """With a current it is a poor contact and cuts; without one it comes from outside and inhibits."""
    assert set(Socket(amps=amps).series(ramp(20.0, 12.0, 70))) == {code}


def test_a_load_during_the_window_is_a_load() -> None:
    """A charger that stops just before the rise is sure still heated the contact; a minute later it did not."""
    socket = Socket()
    values = ramp(20.0, 12.0, 200)
    first, second = values[:20], values[20:]
    socket.series(first)
    socket.amps = 0.0
    assert "temperature_rising" in socket.series(second[:20], from_s=40.0)
    later = socket.series(second[20:], from_s=80.0)
    assert "heat_without_load" in later
    assert socket.at(200.0) == ("heat_without_load",)


def test_heat_without_load_goes_when_the_rise_is_over() -> None:
    """It stands while the temperature rises by more than half the rate, then goes, once."""
    socket = Socket(amps=0.0)
    socket.series(ramp(20.0, 12.0, 70))
    assert "heat_without_load" in socket.at(70.0)
    now, celsius = 70.0, 34.0
    for _ in range(60):
        now, celsius = now + 2.0, celsius + 5.2 * 2 / 60
        assert "heat_without_load" in socket.feels(now, celsius)
    stood = []
    for _ in range(40):
        now, celsius = now + 2.0, celsius + 4.8 * 2 / 60
        stood.append("heat_without_load" in socket.feels(now, celsius))
    assert stood[0]
    assert not stood[-1]
    assert stood == sorted(stood, reverse=True)
    assert "heat_without_load" not in socket.series([celsius + 9.0 * 2 * i / 60 for i in range(60)], from_s=now + 2)


@pytest.mark.parametrize("at", range(3, 33, 3))
@pytest.mark.parametrize("off_k", [-19.0, -12.0, 12.0, 19.0])
def test_one_spike_or_dip_neither_makes_nor_hides_a_rise(at: int, off_k: float) -> None:
    """A rise of 8 K a minute stays below and one of 12 stays above, wherever one reading is wrong by 19 K."""
    for k_per_min, expected in ((8.0, False), (12.0, True)):
        values = ramp(20.0, k_per_min, 100)
        values[at] += off_k
        assert ("temperature_rising" in Socket().series(values)) is expected


@pytest.mark.parametrize("step_k", [10.0, 15.0, 19.9, 40.0])
def test_a_step_that_stays_is_not_a_rise(step_k: float) -> None:
    """A probe that is moved or has a bad wire steps once; what heats goes on."""
    assert "temperature_rising" not in Socket().series([25.0] * 60 + [25.0 + step_k] * 60)


def test_a_sun_warmed_cabinet_is_not_a_rise() -> None:
    """Two kelvin a minute for half an hour, with a load, raise nothing but the thresholds."""
    assert Socket().series(ramp(10.0, 1.5, 1800)) == ()


def contact(k_per_a2: float, amps: float, ambient_c: float, seconds: int = 3000) -> tuple[tuple[str, ...], float]:
    """Warm a contact as the bench does (time constant 300 s): what cuts first, and the temperature then."""
    socket = Socket(amps=amps, limits=PortLimits(current_limit_a=10.0))
    for now in range(-120, seconds, 2):
        celsius = ambient_c + k_per_a2 * amps**2 * -math.expm1(-max(0, now) / 300)
        codes = socket.feels(float(now), min(celsius, 125.0))
        if cuts(codes):
            return codes, celsius
    return (), celsius


@pytest.mark.parametrize("ambient_c", [-20.0, 25.0, 39.9])
@pytest.mark.parametrize("amps", [2.0, 6.0, 10.0])
def test_a_sound_socket_does_not_trip(amps: float, ambient_c: float) -> None:
    """0.4 K/A² at 10 A settles 40 K above the air and warms by 8 K in its first minute: within the limits."""
    assert contact(0.4, amps, ambient_c)[0] == ()


@pytest.mark.parametrize("ambient_c", [-20.0, 25.0, 40.0])
@pytest.mark.parametrize("times", [2, 3, 4, 6, 8, 10])
def test_a_poor_contact_trips_well_before_80(times: int, ambient_c: float) -> None:
    """From two to ten times the heating of a sound one, the rate finds it before the trip temperature does."""
    codes, celsius = contact(0.4 * times, 10.0, ambient_c)
    assert "temperature_rising" in codes
    assert celsius < min(80.0, ambient_c + 40.0)


def test_a_rig_that_replays_faster_than_life_warms_as_much_faster() -> None:
    """Two hundred times the speed is two hundred times the rate; the same curve raises the same."""
    fast = PortLimits(time_scale=200.0)
    assert Socket(fast).series(ramp(20.0, 19.0, 90)) == ()
    assert "temperature_rising" in Socket(PortLimits(time_scale=1.5)).series(ramp(20.0, 15.0, 60))
    assert "temperature_rising" not in Socket(PortLimits(time_scale=1.5)).series(ramp(20.0, 14.9, 60))


def test_rising_is_told_with_and_without_a_load() -> None:
    """The rule for the whole cabinet counts both."""
    for amps in (0.0, 5.0):
        socket = Socket(amps=amps)
        assert not heat.rising(socket.memory)
        socket.series(ramp(20.0, 12.0, 60))
        assert heat.rising(socket.memory)


def test_few_samples_are_kept() -> None:
    """A day of readings leaves a handful of numbers in memory."""
    socket = Socket()
    socket.series([25.0] * 43_200)
    assert len(socket.memory.felt.rise.samples) == 7


@pytest.mark.parametrize("seed", range(20))
def test_a_noisy_probe_on_a_sound_socket_cuts_nothing(seed: int) -> None:
    """10 A from one moment to the next, half a kelvin of noise and the probe's own steps: the rate stays below."""
    rng = random.Random(seed)  # noqa: S311 - noise, not a secret
    pace_s = rng.choice([0.2, 1.0, 2.75, 7.0, 17.0])
    times = [index * pace_s - 120.0 for index in range(round(500 / pace_s))]
    warmed = [25.0 + 40.0 * -math.expm1(-max(0.0, now) / 300) for now in times]
    values = [round((celsius + rng.uniform(-0.5, 0.5)) * 16) / 16 for celsius in warmed]
    assert Socket(amps=10.0).series(values, pace_s) == ()
