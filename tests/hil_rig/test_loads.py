"""What is plugged in draws what it should, at any speed and in steps of any length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.loads import NOTHING, Curve, Replay, Step, Steps, constant


@dataclass(frozen=True)
class Columns:
    """A short curve: 100 W for 100 s, then down to 20 W within 10 s, with a gap in the samples."""

    t_s: tuple[float, ...] = (0, 50, 100, 110)
    volts: tuple[float, ...] = (220, 222, 224, 220)
    amps: tuple[float, ...] = (0.5, 0.5, 0.5, 0.1)
    watts: tuple[float, ...] = (100, 100, 100, 20)
    wh: tuple[float, ...] = (5, 7, 10, 11)
    pf: tuple[float, ...] = (0.9, 0.9, 0.9, 0.9)
    celsius: tuple[float, ...] = (20, 30, 40, 41)


CURVE: Curve = Columns()


def test_a_constant_load_draws_its_power_at_any_voltage() -> None:
    """Current follows from power, voltage and power factor."""
    draw = constant(440, 0.5).draw(0.0, 220.0)
    assert (draw.power_w, draw.current_a, draw.power_factor) == (440, 4.0, 0.5)
    assert constant(440, 0.5).draw(9.0, 110.0).current_a == 8.0


@pytest.mark.parametrize(("powered_s", "watts"), [(0, 0), (0.999, 0), (1, 50), (1.999, 50), (2, 900), (1e6, 900)])
def test_steps_change_exactly_at_their_times(powered_s: float, watts: float) -> None:
    """A step holds from its own second on, not earlier and not later."""
    script = Steps((Step(1, 50), Step(2, 900)))
    draw = script.draw(powered_s, 220.0)
    assert draw.power_w == watts
    assert (draw == NOTHING) == (watts == 0)


@pytest.mark.parametrize(("powered_s", "change_s"), [(0, 1), (0.5, 1), (1, 2), (1.5, 2), (2, math.inf), (9, math.inf)])
def test_steps_announce_their_next_change(powered_s: float, change_s: float) -> None:
    """Whoever advances time can stop exactly at the jump."""
    assert Steps((Step(1, 50), Step(2, 900))).next_change_s(powered_s) == change_s


@pytest.mark.parametrize("times", [(), (1, 1), (2, 1)])
def test_steps_that_contradict_themselves_are_refused(times: tuple[float, ...]) -> None:
    """A script needs steps in rising order."""
    with pytest.raises(ValueError, match="rise"):
        Steps(tuple(Step(time_s, 1.0) for time_s in times))


def test_energy_of_a_step_is_power_times_time_times_speed() -> None:
    """At speed 60 a minute of energy passes in a second."""
    assert constant(60).energy_wh(0, 60) == pytest.approx(1)
    assert constant(60, speed=60).energy_wh(10, 11) == pytest.approx(1)
    assert Steps((Step(5, 60),)).energy_wh(0, 4) == 0


@pytest.mark.parametrize(
    ("powered_s", "watts", "volts", "celsius"),
    [
        (0, 100, 220, 20),
        (2.5, 100, 221, 25),
        (10, 100, 224, 40),
        (10.5, 60, 222, 40.5),
        (11, 20, 220, 41),
        (99, 20, 220, 41),
    ],
)
def test_a_replay_interpolates_and_holds_its_end(powered_s: float, watts: float, volts: float, celsius: float) -> None:
    """Ten times faster than life, values between samples lie between them, and the last sample stands."""
    draw = Replay(CURVE, speed=10).draw(powered_s, 230.0)
    assert (draw.power_w, draw.voltage_v, draw.celsius) == pytest.approx((watts, volts, celsius))


def test_a_replay_can_begin_later() -> None:
    """``start_s`` is a time of the curve."""
    assert Replay(CURVE, start_s=105).draw(0, 220).power_w == pytest.approx(60)


def test_the_energy_of_a_replay_is_that_of_the_curve() -> None:
    """At any speed a whole replay gains what the curve's counter gained; after its end the last power goes on."""
    assert Replay(CURVE, speed=10).energy_wh(0, 11) == pytest.approx(6)
    assert Replay(CURVE, speed=10).energy_wh(0, 5) == pytest.approx(2)
    assert Replay(CURVE, speed=10).energy_wh(11, 12) == pytest.approx(20 * 10 / 3600)
    assert Replay(CURVE).energy_wh(0, 200) == pytest.approx(6 + 20 * 90 / 3600)


@given(st.floats(0, 30), st.floats(0, 30), st.floats(0, 30))
def test_the_energy_of_a_replay_does_not_depend_on_the_steps(first: float, second: float, third: float) -> None:
    """Cutting time in pieces neither makes nor loses energy."""
    begin, middle, end = sorted((first, second, third))
    replay = Replay(CURVE, speed=7)
    whole = replay.energy_wh(begin, end)
    assert replay.energy_wh(begin, middle) + replay.energy_wh(middle, end) == pytest.approx(whole)
    assert whole >= 0
