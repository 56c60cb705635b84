"""The energy register against its power: still, running away, jumping, running back, unread, and all that is normal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import energy_register, metering
from safety.circuit import ALWAYS_ON, Circuit
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.reading import MeterReading

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = PortLimits()


@dataclass
class Meter:
    """A meter whose register is right, 1 Wh a step, until told otherwise; it says when it was first accused."""

    limits: PortLimits = LIMITS
    step_wh: float = 1.0
    slow_s: float = 0.0
    now: float = 0.0
    true_wh: float = 1000.0
    lag_s: float = 0.0
    circuit: Circuit = ALWAYS_ON
    memory: metering.Metering = field(default_factory=metering.Metering)
    shown: tuple[float, float] | None = None
    accused_s: float | None = None

    def run(
        self,
        seconds: float,
        watts: float,
        *,
        real_w: float | None = None,
        every_s: float = 1.0,
        show: Callable[[float], float] = float,
    ) -> bool:
        """Show ``watts`` for so long, ``real_w`` flowing; return whether the register is accused at the end."""
        found: tuple[str, ...] = ()
        for _ in range(round(seconds / every_s)):
            self.now += every_s
            flowing_w = watts if real_w is None else real_w
            self.true_wh += flowing_w * every_s * self.limits.time_scale / 3600.0
            if self.shown is None or self.now - self.shown[1] >= self.slow_s:
                steps = math.floor(show(self.true_wh) / self.step_wh + 1e-9)
                self.shown = (steps * self.step_wh, self.now + self.lag_s)
            volts = 220.0 + self.now % 7 / 10  # no reading is like the one before
            reading = MeterReading(self.now, volts, watts / 200.0, watts, None, *self.shown)
            self.memory = metering.observe(self.memory, reading, self.limits, self.circuit)
            found = metering.standing(self.memory, PortInputs(reading), self.limits, self.circuit, self.now)
            if "energy_implausible" in found and self.accused_s is None:
                self.accused_s = self.now
        return "energy_implausible" in found


def stays_at(held_wh: float, _true_wh: float) -> float:
    """Return a register that stays where it is."""
    return held_wh


def shifted(by_wh: float, true_wh: float) -> float:
    """Return a register that is off by so much."""
    return true_wh + by_wh


@pytest.mark.parametrize("step_wh", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("watts", [5.0, 11.0, 60.0, 200.0, 1000.0, 3500.0])
@pytest.mark.parametrize("every_s", [0.1, 1.0, 2.0])
def test_a_right_register_of_any_step_is_right(step_wh: float, watts: float, every_s: float) -> None:
    """Steps of all meters, loads of all sizes, buses of all speeds."""
    meter = Meter(step_wh=step_wh)
    meter.run(600.0, watts, every_s=every_s)
    meter.run(1200.0, watts / 3, every_s=every_s)
    assert meter.accused_s is None


@pytest.mark.parametrize(("seconds", "expected"), [(108.0, False), (112.0, False), (113.0, True), (120.0, True)])
def test_a_register_that_stands_still_is_found(seconds: float, *, expected: bool) -> None:
    """1000 W make 30 Wh in 108 s; a value then contradicts, and goes on to do so for 5 s."""
    meter = Meter()
    meter.run(1.0, 1000.0)
    assert meter.run(seconds, 1000.0, show=partial(stays_at, meter.true_wh)) is expected


def test_a_register_that_stops_in_the_middle_is_found() -> None:
    """However much was counted rightly before, the next 30 Wh after its last step tell."""
    meter = Meter()
    meter.run(3600.0, 1000.0)
    assert meter.accused_s is None
    assert meter.run(114.0, 1000.0, show=partial(stays_at, meter.true_wh))


@pytest.mark.parametrize(("share", "expected"), [(0.08, True), (0.12, False)])
def test_a_register_that_counts_a_tenth_counts(share: float, *, expected: bool) -> None:
    """The least is a tenth of the power."""
    meter = Meter(step_wh=0.1)
    assert meter.run(600.0, 1000.0, real_w=1000.0 * share) is expected


@pytest.mark.parametrize(("watts", "expected"), [(10.0, False), (11.0, True)])
def test_what_is_below_the_slack_of_the_power_need_not_be_counted(watts: float, *, expected: bool) -> None:
    """Some meters show a little power and count nothing of it: 10 W for ever, but not 11 W."""
    meter = Meter()
    assert meter.run(4 * 3600.0, watts, real_w=0.0) is expected


def test_a_register_that_counts_what_the_power_does_not_show_is_right() -> None:
    """Below its dead band of 5 W a meter shows 0 W for ten hours while its register counts."""
    meter = Meter()
    meter.run(600.0, 200.0)
    meter.run(36_000.0, 0.0, real_w=4.9)
    assert meter.accused_s is None


@pytest.mark.parametrize(("real_w", "expected"), [(1190.0, False), (1250.0, True)])
def test_a_register_that_runs_away_is_found(real_w: float, *, expected: bool) -> None:
    """Up to 1.2 times the power and 10 W are borne for two hours; a little more is found in that time."""
    meter = Meter()
    assert meter.run(7200.0, 1000.0, real_w=real_w) is expected


@pytest.mark.parametrize(("jump_wh", "expected"), [(18.0, False), (25.0, True), (65_536.0, True)])
def test_a_register_that_jumps_is_found(jump_wh: float, *, expected: bool) -> None:
    """More than two steps of 10 Wh above what can have flowed, although the session had room for it on the whole."""
    meter = Meter()
    meter.run(3600.0, 500.0)
    assert meter.run(20.0, 500.0, show=partial(shifted, jump_wh)) is expected


@pytest.mark.parametrize(("back_wh", "expected"), [(19.0, False), (25.0, True), (1000.0, True)])
def test_a_register_that_runs_back_is_found(back_wh: float, *, expected: bool) -> None:
    """More than two steps of 10 Wh below its highest value."""
    meter = Meter()
    meter.run(600.0, 500.0)
    assert meter.run(10.0, 500.0, show=partial(shifted, -back_wh)) is expected


def test_a_register_that_creeps_back_is_found() -> None:
    """A meter that counts import less export, wired the wrong way round, runs back as fast as power flows."""
    meter = Meter()
    assert meter.run(180.0, 600.0, real_w=-600.0)
    assert meter.accused_s is not None
    assert meter.accused_s <= 135.0  # 20 Wh are two minutes


@pytest.mark.parametrize("seconds", [4.0, 5.0])
def test_a_contradiction_takes_readings_and_time(seconds: float) -> None:
    """Three values are not enough before 5 s have passed."""
    meter = Meter()
    meter.run(600.0, 500.0)
    assert meter.run(seconds + 1.0, 500.0, show=partial(shifted, -100.0)) is (seconds >= 5.0)
    slow = Meter(slow_s=3.0)
    slow.run(600.0, 500.0)
    slow.run(3.0, 500.0)
    assert not slow.run(6.0, 500.0, show=partial(shifted, -100.0))  # two values in 6 s
    assert slow.run(3.0, 500.0, show=partial(shifted, -100.0))


@pytest.mark.parametrize("spike_wh", [65_536.0, -990.0, 25.0, -25.0])
def test_one_torn_value_is_nobodys_fault(spike_wh: float) -> None:
    """A value whose words belong to two moments, now and then, is passed over and taken for nothing."""
    meter = Meter()
    for _ in range(20):
        meter.run(30.0, 500.0)
        meter.run(1.0, 500.0, show=partial(shifted, spike_wh))
    assert meter.accused_s is None


def test_a_first_value_that_was_torn_is_not_believed_for_ever() -> None:
    """The session begins with a spike: the values after it agree with each other and not with it."""
    for spike_wh in (65_536.0, -990.0):
        meter = Meter()
        meter.run(1.0, 500.0, show=partial(shifted, spike_wh))
        meter.run(600.0, 500.0)
        assert meter.accused_s is None


def test_a_register_that_agrees_with_nothing_is_found() -> None:
    """From its first value on it runs a thousand times too fast."""
    assert Meter().run(10.0, 500.0, real_w=500_000.0)


@pytest.mark.parametrize("end_wh", [1e7, 1e8, 1e9, 2**32 / 10, 2**32 / 3.2, 2.0**32, 2.0**32 * 10])
def test_a_register_that_comes_to_its_end_begins_again(end_wh: float) -> None:
    """From its highest value to zero is no running back."""
    meter = Meter(true_wh=end_wh - 50.0, step_wh=0.1)
    meter.run(1200.0, 500.0, show=lambda true_wh: true_wh % end_wh)
    assert meter.true_wh > end_wh + 100.0
    assert meter.accused_s is None
    assert meter.run(300.0, 1000.0, show=partial(stays_at, meter.true_wh % end_wh))


@pytest.mark.parametrize("before_wh", [1000.0, 9_999_900.0, 2e7])
def test_a_register_that_is_cleared_in_a_session_runs_back(before_wh: float) -> None:
    """Zero is no value after 1000 Wh, nor 100 Wh before an end, nor long past one."""
    meter = Meter(true_wh=before_wh)
    meter.run(60.0, 500.0)
    assert meter.run(10.0, 500.0, show=lambda true_wh: true_wh - before_wh)


def test_an_open_relay_lets_a_technician_clear_it() -> None:
    """Between two sessions the register may become anything."""
    meter = Meter()
    meter.run(60.0, 500.0)
    meter.circuit = Circuit(closed_s=None)
    meter.run(60.0, 0.0, show=lambda _: 0.0)
    meter.true_wh, meter.circuit = 0.0, Circuit(closed_s=meter.now)
    meter.run(600.0, 500.0)
    assert meter.accused_s is None


def test_a_silence_is_not_summed_up() -> None:
    """Nobody knows what flowed while the meter was lost: the sums begin anew."""
    meter = Meter()
    meter.run(600.0, 1000.0)
    meter.now += 600.0
    meter.true_wh += 1000.0
    meter.run(600.0, 1000.0)
    assert meter.accused_s is None


@pytest.mark.parametrize(("gap_s", "expected"), [(3.0, True), (3.1, False)])
def test_readings_that_are_not_lost_are_summed_up(gap_s: float, *, expected: bool) -> None:
    """Up to the age limit of readings the power is known."""
    assert Meter().run(160.0, 1000.0, real_w=0.0, every_s=gap_s) is expected


def test_a_register_read_in_slower_slots_is_compared_at_its_own_time() -> None:
    """Every 10 s, a tenth of a second after the power, at 3500 W: 10 Wh between two values."""
    meter = Meter(slow_s=10.0, lag_s=0.1)
    meter.run(1800.0, 3500.0)
    meter.run(1800.0, 100.0)
    assert meter.accused_s is None
    assert meter.run(1200.0, 100.0, show=partial(stays_at, meter.true_wh))


@pytest.mark.parametrize(("taken_s", "known"), [(69.9, False), (70.0, True), (70.1, True)])
def test_a_value_from_before_the_sums_began_is_not_their_beginning(taken_s: float, *, known: bool) -> None:
    """After a silence the register is that of before it, until it is read anew."""
    first = energy_register.observe(None, MeterReading(70.0, 220.0, 5.0, 1000.0, None, 1000.0, taken_s), LIMITS)
    assert first is not None
    assert (first.known is not None) is known
    second = energy_register.observe(first, MeterReading(71.0, 220.0, 5.0, 1000.0, None, 1100.0, 71.1), LIMITS)
    assert second is not None
    assert (second.contradictions == 0) is not known


@pytest.mark.parametrize(
    ("seconds", "watts", "expected"),
    [(59.0, 3500.0, False), (60.0, 3500.0, True), (3600.0, 29.0, False), (3600.0, 31.0, True)],
)
def test_a_register_that_is_not_read_any_more_is_found(seconds: float, watts: float, *, expected: bool) -> None:
    """A minute without a new value, and 30 Wh that nobody counted."""
    meter = Meter()
    meter.run(1.0, 0.0)
    meter.slow_s = math.inf
    assert meter.run(seconds, watts) is expected


def test_a_meter_without_a_register_is_not_accused() -> None:
    """Nothing to be held against."""
    memory = None
    for second in range(1000):
        memory = energy_register.observe(memory, MeterReading(float(second), 220.0, 5.0, 1000.0), LIMITS)
        assert not energy_register.stands(memory, LIMITS, float(second))


def test_power_is_summed_up_between_readings_and_on_to_the_time_of_the_register() -> None:
    """From 0 to 3600 W in 2 s are 1 Wh, and half a second on at 3600 W, when the register is read, another half."""
    first = energy_register.observe(None, MeterReading(10.0, 220.0, 0.0, 0.0, None, 1000.0, 10.0), LIMITS)
    second = energy_register.observe(first, MeterReading(12.0, 220.0, 17.0, 3600.0, None, 1001.0, 12.5), LIMITS)
    assert second is not None
    assert second.least_wh == pytest.approx(1.0)
    assert second.most_wh == pytest.approx(1.2 + 20.0 / 3600.0)
    assert second.read_least_wh == pytest.approx(1.5)


def test_a_relay_that_was_opened_ends_the_accusation() -> None:
    """The fault is latched by then; what is left in memory says nothing about the next session."""
    meter = Meter()
    assert meter.run(180.0, 1000.0, show=partial(stays_at, meter.true_wh))
    inputs = PortInputs(MeterReading(meter.now, 220.0, 5.0, 1000.0))
    assert metering.standing(meter.memory, inputs, LIMITS, Circuit(closed_s=None), meter.now) == ()


@pytest.mark.parametrize("speed", [1.0, 20.0, 200.0])
def test_a_rig_may_run_faster_than_life(speed: float) -> None:
    """With ``time_scale`` 200 a register may count at any speed from life to 200 times that, and not at 300."""
    meter = Meter(limits=PortLimits(time_scale=200.0))
    meter.run(600.0, 500.0, real_w=500.0 * speed / 200.0, every_s=0.1)
    assert meter.accused_s is None
    assert Meter(limits=PortLimits(time_scale=200.0)).run(60.0, 500.0, real_w=750.0, every_s=0.1)


@given(
    st.lists(st.tuples(st.integers(1, 120), st.floats(0.0, 3500.0)), min_size=1, max_size=12),
    st.floats(0.95, 1.05),
    st.sampled_from([0.1, 1.0, 10.0]),
    st.sampled_from([0.0, 1.0, 2.5, 10.0]),
)
def test_a_meter_that_is_five_per_cent_off_is_never_accused(
    loads: list[tuple[int, float]], gain: float, step_wh: float, slow_s: float
) -> None:
    """Whatever the loads, their jumps and the step of the register."""
    meter = Meter(step_wh=step_wh, slow_s=slow_s)
    for seconds, watts in loads:
        meter.run(float(seconds), watts, real_w=watts * gain)
    assert meter.accused_s is None
