"""The cabinet's supply: who may still start, who must go, in which order, and what an inlet meter adds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.limits import CabinetLimits
from safety.supply import Draw, Supply, admits, room_a, watch

LIMITS = CabinetLimits()  # 10 A, shed above 11 A for 2 s, 1 A of reserve for 120 s
LONG_AGO = -1000.0


def old(*amps: float) -> list[Draw]:
    """Return ports that started long ago, the lowest number first."""
    return [Draw(number, current_a, LONG_AGO + number) for number, current_a in enumerate(amps, 1)]


def shed(draws: list[Draw], inlet_a: float | None = None, seconds: float = 2.0) -> tuple[int, ...]:
    """Return what is shed when the same currents flow for that long."""
    memory, _ = watch(Supply(), draws, inlet_a, LIMITS, 0.0)
    return watch(memory, draws, inlet_a, LIMITS, seconds)[1]


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([], 10.0),
        (old(3.0, 4.0), 3.0),
        ([Draw(1, 0.2, None)], 9.0),
        ([Draw(1, 3.0, None)], 7.0),
        ([Draw(1, 0.2, 880.1)], 9.0),
        ([Draw(1, 0.2, 880.0)], 9.8),
        ([Draw(1, 3.0, 990.0)], 7.0),
        (old(12.0), -2.0),
    ],
)
def test_room_is_what_flows_and_the_reserve_of_those_that_just_started(draws: list[Draw], expected: float) -> None:
    """A port counts with 1 A at least, before it closes and for 120 s after, then with what it draws."""
    assert room_a(draws, LIMITS, 1000.0) == pytest.approx(expected)


@pytest.mark.parametrize(("amps", "expected"), [(8.9, True), (9.0, True), (9.001, False), (15.0, False)])
def test_admission_leaves_room_for_the_start(amps: float, *, expected: bool) -> None:
    """A new session needs its reserve, to the limit and not beyond it."""
    assert admits(old(amps), LIMITS, 0.0) is expected


def test_many_small_currents_do_not_miss_the_limit_by_a_rounding() -> None:
    """Ninety times 0.1 A are 9 A."""
    assert admits(old(*[0.1] * 90), LIMITS, 0.0)


def test_simultaneous_starts_are_admitted_up_to_the_limit() -> None:
    """Ten ports asked for at once get their reserve each; the eleventh is refused before anything is drawn."""
    draws: list[Draw] = []
    while admits(draws, LIMITS, 0.0):
        draws.append(Draw(len(draws) + 1, 0.0, None))
    assert len(draws) == 10


@pytest.mark.parametrize(("inlet_a", "expected"), [(None, 5.0), (4.0, 5.0), (7.0, 3.0)])
def test_the_inlet_meter_counts_for_admission(inlet_a: float | None, expected: float) -> None:
    """What flows past the port meters takes room too; an inlet meter that shows less gives none."""
    assert room_a(old(5.0), LIMITS, 0.0, inlet_a) == pytest.approx(expected)
    assert room_a([*old(5.0), Draw(2, 0.0, None)], LIMITS, 0.0, inlet_a) == pytest.approx(expected - 1.0)
    assert admits(old(5.0), LIMITS, 0.0, 9.001) is False


@pytest.mark.parametrize(
    ("total_a", "seconds", "expected"),
    [(11.0, 60.0, ()), (11.01, 1.99, ()), (11.01, 2.0, (2,)), (11.01, 2.01, (2,)), (10.99, 60.0, ())],
)
def test_shedding_takes_its_ratio_and_its_time(total_a: float, seconds: float, expected: tuple[int, ...]) -> None:
    """Above 1.1 times the limit for 2 s; below that it is the admission's business."""
    assert shed(old(total_a - 3.0, 3.0), seconds=seconds) == expected


def test_an_excess_that_pauses_starts_its_time_again() -> None:
    """1.9 s, a moment below, 1.9 s: nobody goes."""
    memory = Supply()
    for now, amps in [(0.0, 12.0), (1.9, 12.0), (2.0, 11.0), (2.25, 12.0), (4.0, 12.0)]:
        memory, ports = watch(memory, old(amps), None, LIMITS, now)
        assert ports == ()
    assert watch(memory, old(12.0), None, LIMITS, 4.25)[1] == (1,)


@pytest.mark.parametrize(
    ("amps", "expected"),
    [
        ((5.0, 5.0, 2.0), (3,)),
        ((5.0, 5.0, 1.5), (3,)),
        ((5.0, 5.0, 3.0, 1.0), (4, 3)),
        ((4.0, 4.0, 4.0), (3,)),
        ((20.0,), (1,)),
        ((5.0, 20.0), (2,)),
        ((20.0, 1.0), (2, 1)),
        ((5.0, 5.0, 2.0, 0.0), (3,)),
    ],
)
def test_the_latest_start_goes_first_and_as_many_as_it_takes(
    amps: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    """Down to the limit itself in one go; a port that draws nothing is left alone."""
    assert shed(old(*amps)) == expected


def test_the_start_decides_and_then_the_number() -> None:
    """Ports that started together go highest number first: the order is always the same one."""
    assert shed([Draw(1, 6.0, 0.0), Draw(3, 6.0, 0.0), Draw(2, 6.0, 0.0)]) == (3, 2)
    assert shed([Draw(1, 6.0, -1.0), Draw(2, 6.0, -9.0), Draw(3, 6.0, -5.0)]) == (1, 3)


def test_a_port_that_is_not_closed_yet_cannot_be_shed() -> None:
    """It draws nothing."""
    assert shed([*old(12.0), Draw(2, 1.0, None)]) == (1,)


def test_what_flows_past_the_port_meters_counts() -> None:
    """Inlet 15 A, ports 8 A: ports go until the inlet would be within the limit."""
    assert shed(old(4.0, 4.0), inlet_a=15.0) == (2, 1)
    assert shed(old(4.0, 4.0), inlet_a=10.5) == ()
    assert shed(old(6.0, 6.0), inlet_a=3.0) == (2,)


def test_a_port_whose_meter_shows_nothing_goes_when_the_others_were_not_enough() -> None:
    """The inlet sees 15 A, the meters 4 A: then one of them is wrong."""
    assert shed([*old(4.0, 0.0), Draw(3, 0.0, 0.0)], inlet_a=15.0) == (1, 3, 2)


@pytest.mark.parametrize(("inlet_a", "second"), [(15.0, ()), (None, ())])
def test_an_inlet_reading_of_before_a_shedding_sheds_no_more(inlet_a: float | None, second: tuple[int, ...]) -> None:
    """The inlet meter lags: for 2 s after a shedding the ports' own meters alone count, then it counts again."""
    memory, _ = watch(Supply(), old(5.0, 5.0, 5.0), inlet_a, LIMITS, 0.0)
    memory, ports = watch(memory, old(5.0, 5.0, 5.0), inlet_a, LIMITS, 2.0)
    assert ports == (3,)
    for now in (2.05, 3.0, 3.99):
        memory, ports = watch(memory, old(5.0, 5.0), inlet_a, LIMITS, now)
        assert ports == second
    memory, _ = watch(memory, old(5.0, 5.0), 15.0, LIMITS, 4.0)
    assert watch(memory, old(5.0, 5.0), 15.0, LIMITS, 5.99)[1] == ()
    assert watch(memory, old(5.0, 5.0), 15.0, LIMITS, 6.0)[1] == (2,)


def test_a_second_excess_after_a_shedding_is_shed_too() -> None:
    """The ports' own meters go on counting right after a shedding."""
    memory = Supply(None, shed_at_s=2.0)
    memory, _ = watch(memory, old(8.0, 8.0), None, LIMITS, 2.05)
    assert watch(memory, old(8.0, 8.0), None, LIMITS, 4.05)[1] == (2,)


AMPS = st.lists(st.floats(0.0, 20.0), min_size=1, max_size=20)


@given(AMPS, st.one_of(st.none(), st.floats(0.0, 100.0)))
def test_after_a_shedding_the_sum_is_within_the_limit_or_nobody_is_left(
    amps: list[float], inlet_a: float | None
) -> None:
    """What is left fits; nobody goes while the sum is within 1.1 times the limit."""
    gone = shed(old(*amps), inlet_a)
    left_a = max(sum(amps), inlet_a or 0.0) - sum(amps[number - 1] for number in gone)
    assert len(set(gone)) == len(gone)
    if gone:
        assert left_a <= 10.001 or len(gone) == len(amps)
    else:
        assert left_a <= 11.001


@given(AMPS, st.floats(0.0, 5.0), st.floats(0.0, 100.0))
def test_more_load_never_makes_room(amps: list[float], more_a: float, inlet_a: float) -> None:
    """A heavier load, or an inlet meter that sees more, never admits what a lighter one refused."""
    heavier = [*amps[:-1], amps[-1] + more_a]
    assert room_a(old(*heavier), LIMITS, 0.0) <= room_a(old(*amps), LIMITS, 0.0) + 1e-9
    assert room_a(old(*amps), LIMITS, 0.0, inlet_a) <= room_a(old(*amps), LIMITS, 0.0)
