"""Relays against their meters: welds, loads before closing, relays that do not close, sockets that never draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.circuit import Circuit
from safety.limits import PortLimits
from safety.reading import MeterReading
from safety.switching import LIVE_THOUGH_OPEN, Switching, follow, observe, standing

LIMITS = PortLimits()
BEHIND = PortLimits(meter_behind_relay=True)
NEVER = Circuit()
OPENED = Circuit(opened_s=100.0)
CLOSED = Circuit(closed_s=0.0, neighbours_v=220.0)


def seen(memory: Switching, circuit: Circuit, *readings: MeterReading, limits: PortLimits = LIMITS) -> Switching:
    """Return the memory after readings, in the order of a tick: observe, then follow."""
    for reading in readings:
        memory = follow(observe(memory, reading, limits, circuit), limits, circuit)
    return follow(memory, limits, circuit)


def amps(taken_s: float, current_a: float, volts: float = 220.0) -> MeterReading:
    """Return a reading."""
    return MeterReading(taken_s, volts, current_a, 200.0 * current_a)


def codes(memory: Switching, circuit: Circuit, limits: PortLimits = LIMITS) -> tuple[str, ...]:
    """Return what stands."""
    return standing(memory, limits, circuit, 1e6)


# -- live though open ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current_a", "samples", "expected"), [(0.05, 2, ()), (0.051, 1, ()), (0.051, 2, ("relay_welded",))]
)
def test_a_weld_takes_two_readings_above_50_ma(current_a: float, samples: int, expected: tuple[str, ...]) -> None:
    """SAF-9: more than 50 mA with the relay open, twice."""
    memory = seen(Switching(), OPENED, *(amps(102.0 + i, current_a) for i in range(samples)))
    assert codes(memory, OPENED) == expected


@pytest.mark.parametrize(("taken_s", "expected"), [(101.9, ()), (102.0, ("relay_welded",))])
def test_readings_within_two_seconds_of_opening_say_nothing(taken_s: float, expected: tuple[str, ...]) -> None:
    """A meter lags behind its relay."""
    memory = seen(Switching(), OPENED, amps(taken_s, 1.0), amps(taken_s + 0.01, 1.0))
    assert codes(memory, OPENED) == expected


def test_a_reading_without_current_starts_the_count_again() -> None:
    """The two readings of a weld are consecutive."""
    assert codes(seen(Switching(), OPENED, amps(102, 1.0), amps(103, 0.0), amps(104, 1.0)), OPENED) == ()


@pytest.mark.parametrize(("current_a", "expected"), [(0.35, ()), (0.351, ("relay_welded",))])
def test_the_neighbours_crosstalk_is_allowed_for(current_a: float, expected: tuple[str, ...]) -> None:
    """20 A next door may be seen as 0.3 A here."""
    circuit = Circuit(opened_s=100.0, neighbours_a=20.0)
    assert codes(seen(Switching(), circuit, amps(102, current_a), amps(103, current_a)), circuit) == expected


def test_current_before_the_first_closing_has_its_own_name() -> None:
    """Welded, bridged or wired to another socket: guard has never closed this relay."""
    assert codes(seen(Switching(), NEVER, amps(1, 1.0), amps(2, 1.0)), NEVER) == ("load_before_closing",)
    assert {"load_before_closing", "relay_welded"} == LIVE_THOUGH_OPEN


def test_current_through_a_closed_relay_is_no_weld() -> None:
    """What was counted while it was open is forgotten when it closes, and the other way."""
    memory = seen(Switching(), NEVER, amps(1, 1.0))
    circuit = Circuit(closed_s=1.5)
    memory = seen(memory, circuit, amps(2, 1.0), amps(3, 1.0))
    assert codes(memory, circuit) == ()
    opened = Circuit(opened_s=10.0)
    assert codes(seen(memory, opened, amps(12, 1.0)), opened) == ()


@pytest.mark.parametrize(
    ("volts", "limits", "live"), [(109.9, BEHIND, False), (110.0, BEHIND, True), (230.0, LIMITS, False)]
)
def test_voltage_behind_an_open_relay_is_live(volts: float, limits: PortLimits, live: bool) -> None:  # noqa: FBT001
    """Half of the mains behind an open relay is no coupling; a meter before the relay always shows the mains."""
    memory = seen(Switching(), OPENED, amps(102, 0.0, volts), amps(103, 0.0, volts), limits=limits)
    assert ("relay_welded" in codes(memory, OPENED, limits)) is live


# -- the proof of an opening ----------------------------------------------------------------------------------------


def test_an_opening_under_load_that_worked_is_proved() -> None:
    """The first settled reading without current is the proof; later ones are none."""
    memory = seen(Switching(), CLOSED, amps(10, 1.0))
    memory = seen(memory, OPENED, amps(101, 0.0))
    assert memory.proved_s is None
    memory = seen(memory, OPENED, amps(102, 0.0), amps(103, 0.0))
    assert memory.proved_s == 102.0


def test_an_opening_without_load_or_behind_an_open_contactor_proves_nothing() -> None:
    """No current is no wonder when none flowed before, or when the contactor is open too."""
    assert seen(seen(Switching(), CLOSED, amps(10, 0.04)), OPENED, amps(102, 0.0)).proved_s is None
    assert seen(seen(Switching(), CLOSED, amps(10, 1.0), amps(11, 0.0)), OPENED, amps(102, 0.0)).proved_s is None
    dark = Circuit(opened_s=100.0, fed_s=None)
    assert seen(seen(Switching(), CLOSED, amps(10, 1.0)), dark, amps(102, 0.0)).proved_s is None


# -- relay not closed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volts", "first_s", "samples", "expected"),
    [
        (29.9, 2.0, 2, ("relay_not_closed",)),
        (29.9, 2.0, 1, ()),
        (29.9, 1.98, 2, ()),
        (30.0, 2.0, 2, ()),
    ],
)
def test_a_relay_without_voltage_behind_it_did_not_close(
    volts: float, first_s: float, samples: int, expected: tuple[str, ...]
) -> None:
    """Two readings from 2 s after the order, with neighbours well."""
    memory = seen(Switching(), CLOSED, *(amps(first_s + 0.01 * i, 0.0, volts) for i in range(samples)), limits=BEHIND)
    assert codes(memory, CLOSED, BEHIND) == expected


@pytest.mark.parametrize(("neighbours_v", "expected"), [(None, False), (175.9, False), (176.0, True)])
def test_without_voltage_next_door_nobody_can_tell(neighbours_v: float | None, *, expected: bool) -> None:
    """A power cut is no relay's fault; and neighbours that fall silent later do not take a verdict back."""
    circuit = Circuit(closed_s=0.0, neighbours_v=neighbours_v)
    memory = seen(Switching(), circuit, amps(3, 0.0, 0.0), amps(4, 0.0, 0.0), limits=BEHIND)
    assert ("relay_not_closed" in codes(memory, circuit, BEHIND)) is expected
    assert ("relay_not_closed" in codes(memory, Circuit(closed_s=0.0), BEHIND)) is expected


def test_a_socket_that_was_live_and_died_is_not_the_relays() -> None:
    """Voltage seen once in this closing, even before it settled: fuse or supply, not the relay."""
    memory = seen(
        Switching(), CLOSED, amps(0.5, 0.0, 220.0), *(amps(3.0 + i, 0.0, 0.0) for i in range(9)), limits=BEHIND
    )
    assert codes(memory, CLOSED, BEHIND) == ()
    again = Circuit(closed_s=50.0, neighbours_v=220.0)
    memory = seen(memory, again, amps(49.9, 0.0, 220.0), amps(53, 0.0, 0.0), amps(54, 0.0, 0.0), limits=BEHIND)
    assert codes(memory, again, BEHIND) == ("relay_not_closed",)


def test_a_meter_before_the_relay_cannot_tell() -> None:
    """No voltage there is the supply's or the fuse's."""
    assert codes(seen(Switching(), CLOSED, amps(3, 0.0, 0.0), amps(4, 0.0, 0.0)), CLOSED) == ()


# -- never draws ----------------------------------------------------------------------------------------------------


def start(memory: Switching, at_s: float, current_a: float, seconds: float = 60.0) -> Switching:
    """Return the memory after a session that draws that much."""
    circuit = Circuit(closed_s=at_s, neighbours_v=220.0)
    memory = seen(memory, circuit, amps(at_s + 1.0, current_a), amps(at_s + seconds, current_a))
    return seen(memory, Circuit(opened_s=at_s + seconds + 1.0), amps(at_s + seconds + 5.0, 0.0))


@pytest.mark.parametrize(("starts", "expected"), [(2, ()), (3, ("never_draws",)), (4, ("never_draws",))])
def test_three_empty_starts_in_a_row_are_told(starts: int, expected: tuple[str, ...]) -> None:
    """A relay or a fuse that nobody can see, or a socket that is worn."""
    memory = Switching()
    for i in range(starts):
        memory = start(memory, 100.0 * i, 0.0)
    assert codes(memory, NEVER) == expected


@pytest.mark.parametrize(("watts", "expected"), [(9.9, ("never_draws",)), (10.0, ())])
def test_from_ten_watts_it_is_a_load(watts: float, expected: tuple[str, ...]) -> None:
    """Twice the dead band of the coarsest meter."""
    memory = Switching()
    for i in range(3):
        memory = start(memory, 100.0 * i, watts / 200.0)
    assert codes(memory, NEVER) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(29.9, ()), (30.0, ("never_draws",))])
def test_a_start_that_is_taken_back_at_once_is_no_empty_one(seconds: float, expected: tuple[str, ...]) -> None:
    """People start before they plug in; half a minute without a load says something."""
    memory = Switching()
    for i in range(3):
        memory = start(memory, 1000.0 + 100.0 * i, 0.0, seconds)
    assert codes(memory, NEVER) == expected


def test_starts_that_drew_are_no_empty_ones() -> None:
    """A load at any time of the session counts, and so does every session for itself."""
    memory = Switching()
    for i in range(5):
        memory = start(memory, 100.0 * i, 1.0)
    assert codes(memory, NEVER) == ()
    for i in range(5, 8):
        circuit = Circuit(closed_s=100.0 * i)
        memory = seen(memory, circuit, amps(100.0 * i + 1.0, 1.0), amps(100.0 * i + 60.0, 0.0))
        memory = seen(memory, Circuit(opened_s=100.0 * i + 61.0))
    assert codes(memory, NEVER) == ()
    for i in range(8, 11):
        memory = start(memory, 100.0 * i, 0.0)
    assert codes(memory, NEVER) == ("never_draws",)


def test_a_closing_without_a_reading_is_no_empty_start_and_proves_nothing() -> None:
    """What the closing before it showed says nothing about this one."""
    memory = seen(Switching(), CLOSED, amps(60.0, 0.0))
    memory = seen(memory, Circuit(opened_s=61.0))
    for at_s in (100.0, 200.0, 300.0):
        memory = seen(seen(memory, Circuit(closed_s=at_s)), Circuit(opened_s=at_s + 60.0))
    assert codes(memory, NEVER) == ()
    loaded = seen(seen(Switching(), CLOSED, amps(60.0, 1.0)), Circuit(opened_s=61.0))
    loaded = seen(seen(loaded, Circuit(closed_s=62.0)), Circuit(opened_s=100.0), amps(103.0, 0.0))
    assert loaded.proved_s is None


def test_a_load_ends_it_at_once() -> None:
    """The socket draws: whatever it was is gone, and the count begins again."""
    memory = Switching(empty_starts=3)
    memory = seen(memory, Circuit(closed_s=500.0), amps(501, 1.0))
    assert codes(memory, Circuit(closed_s=500.0)) == ()
    assert seen(memory, Circuit(opened_s=600.0)).empty_starts == 0


def test_a_restart_of_guard_with_everything_open_counts_no_start() -> None:
    """Nothing closed, nothing counted."""
    assert seen(Switching(), NEVER, amps(1, 0.0), amps(50, 0.0)) == Switching()


@given(
    st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(0.0, 0.2), st.sampled_from([0.0, 50.0, 220.0])), max_size=30),
    st.booleans(),
    st.floats(0.0, 1e4),
)
def test_what_stands_depends_on_readings_alone(
    steps: list[tuple[float, float, float]],
    closed: bool,  # noqa: FBT001 - hypothesis passes it
    silence_s: float,
) -> None:
    """Silence changes nothing in either direction: neither a weld nor a relay that did not close ages away."""
    circuit, memory, now = (CLOSED if closed else OPENED), Switching(), 100.0
    for step_s, current_a, volts in steps:
        now += step_s
        memory = seen(memory, circuit, amps(now, current_a, volts), limits=BEHIND)
    assert standing(memory, BEHIND, circuit, now) == standing(memory, BEHIND, circuit, now + silence_s)
