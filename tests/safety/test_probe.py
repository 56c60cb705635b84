"""Probes that lie: what is believed, what waits for its successor, and that real heat is never taken for a lie."""

from __future__ import annotations

import pytest

from safety.limits import PortLimits
from safety.reading import Missing, MissingReason
from tests.safety.warm_socket import PACE_S, Socket


@pytest.mark.parametrize("spike_c", [85.0, 85.1, 100.0, 125.0])
@pytest.mark.parametrize("pace_s", [0.2, 2.75, 5.0, 17.0])
def test_an_isolated_jump_is_not_heat(spike_c: float, pace_s: float) -> None:
    """Power-on value and touched wire: one wrong reading between two good ones raises nothing, not even a warning."""
    socket = Socket()
    socket.series([25.0] * 20, pace_s)
    last_s = 19 * pace_s
    codes = (*socket.feels(last_s + pace_s, spike_c), *socket.at(last_s + 2 * pace_s - 0.05))
    assert codes == ()
    assert socket.series([25.0] * 20, pace_s, from_s=last_s + 2 * pace_s) == ()


@pytest.mark.parametrize(
    ("before_c", "value_c", "after_c", "counts"),
    [
        (60.2, 80.1, 60.2, True),  # 19.9 K
        (60.0, 80.1, 60.0, False),  # 20.1 K
        (60.0, 80.1, 60.2, True),  # more than 20 K from one neighbour only
        (60.2, 80.1, 60.0, True),
        (79.9, 85.0, 79.9, False),  # the power-on value: 5.1 K
        (80.0, 85.0, 79.9, True),  # 5 K
        (79.9, 85.0, 80.1, True),  # 4.9 K from one neighbour
        (79.9, 85.1, 79.9, True),  # not the power-on value
        (None, 85.0, 25.0, False),
        (None, 85.1, 25.0, True),
    ],
)
def test_what_an_isolated_jump_is(before_c: float | None, value_c: float, after_c: float, *, counts: bool) -> None:
    """More than 20 K from both neighbours, or exactly 85 °C and more than 5 K: it never counted."""
    remembers = PortLimits(
        temperature_clear_c=20.0, temperature_warn_c=30.0, temperature_inhibit_c=80.05, temperature_trip_c=90.0
    )
    socket = Socket(remembers)
    if before_c is not None:
        assert "temperature_high" not in socket.feels(-2.0, before_c)
    socket.feels(0.0, value_c)
    socket.feels(2.0, after_c)
    socket.feels(4.0, min(after_c, 70.0))
    assert ("temperature_high" in socket.at(4.0)) is counts


def test_probes_that_jump_again_and_again_are_not_heat() -> None:
    """A wire that is touched for a minute: every jump returns, none counts."""
    socket = Socket()
    assert socket.series([25.0, 85.0] * 30) == ()
    assert socket.series([25.0, 110.0, 25.0, 25.0, 85.0] * 20, from_s=100.0) == ()


def test_a_dip_does_not_stop_the_clock_of_heat() -> None:
    """One reading of 0 °C in a socket at 90 °C does not cool it; two do."""
    socket = Socket()
    assert "over_temperature" in socket.series([85.1, 86.0, 87.0, 0.0, 89.0, 90.0])
    socket = Socket()
    socket.series([85.1, 86.0, 87.0, 88.0, 89.0, 90.0, 0.0])
    assert "over_temperature" in socket.at(12.0)
    assert "over_temperature" in socket.at(50.0)
    assert socket.feels(50.1, 0.0) == ()


@pytest.mark.parametrize("k_per_s", [1.0, 5.0, 10.0, 12.0])
def test_a_real_fast_rise_still_trips(k_per_s: float) -> None:
    """A fire under the socket: 60 K a minute or 30 K a reading, both cut within the dwell of the trip temperature."""
    socket = Socket(amps=0.0)
    values = [25.0] * 10 + [min(25.0 + k_per_s * 2.75 * index, 125.0) for index in range(1, 200)]
    hot = next(index for index, celsius in enumerate(values) if celsius >= 80.0)
    for index, celsius in enumerate(values):
        if "over_temperature" in socket.feels(index * PACE_S, celsius):
            assert (index - hot) * PACE_S <= 10.0 + PACE_S
            return
    pytest.fail("never cut")


def test_a_jump_that_stays_is_heat_from_its_first_reading() -> None:
    """90 °C out of nowhere counts as soon as a second reading agrees, from the time of the first."""
    socket = Socket()
    socket.series([25.0] * 5)
    assert socket.feels(10.0, 90.0) == ()
    assert "temperature_high" in socket.feels(12.0, 90.0)
    assert "over_temperature" not in socket.at(19.9)
    assert "over_temperature" in socket.at(20.0)


@pytest.mark.parametrize(("pace_s", "counts_s"), [(0.2, 10.0), (2.0, 10.0), (5.0, 10.0), (17.0, 34.0), (30.0, 60.0)])
def test_a_jump_upwards_that_nothing_contradicts_is_heat(pace_s: float, counts_s: float) -> None:
    """A probe that burns off with its last word: after 10 s, or twice its pace, that word counts."""
    socket = Socket()
    socket.feels(0.0, 25.0)
    socket.feels(pace_s, 95.0)
    assert "over_temperature" not in socket.at(pace_s + counts_s - 0.05)
    assert "over_temperature" in socket.at(pace_s + counts_s)
    assert "over_temperature" in socket.hears(Missing(MissingReason.PROBE_OPEN, pace_s), pace_s + counts_s)


@pytest.mark.parametrize(("now", "expected"), [(29.95, False), (30.0, True), (30.05, True)])
def test_the_power_on_value_as_the_first_word(now: float, *, expected: bool) -> None:
    """85 °C and nothing after it: the slowest round over the probes gets its time to contradict it."""
    socket = Socket()
    socket.feels(0.0, 85.0)
    assert ("over_temperature" in socket.at(now)) is expected


@pytest.mark.parametrize(("after_s", "counted"), [(30.0, False), (30.1, True)])
def test_a_contradiction_that_comes_late_is_none(after_s: float, *, counted: bool) -> None:
    """A socket may have cooled for half a minute: then the jump was heat, and the inhibit stands until clear."""
    socket = Socket()
    socket.feels(0.0, 50.0)
    socket.feels(2.0, 90.0)
    assert ("temperature_high" in socket.feels(2.0 + after_s, 60.0)) is counted


def test_a_jump_after_a_long_silence_is_believed() -> None:
    """Readings more than 30 s apart are no neighbours: a socket may have warmed in between."""
    socket = Socket()
    socket.feels(0.0, 25.0)
    assert "temperature_high" in socket.feels(30.1, 90.0)
