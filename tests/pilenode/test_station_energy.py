"""Energy from register snapshots: the table of cases, and what no sequence of registers can do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import load_meter
from pilenode.station.energy import COARSE_MWH, Counter, Energy, Leg, Snapshot, count, counter_of
from pilenode.upstream.facts import EnergyFlag

HOUR_MS = 3_600_000
#: 1000 W; a counter of 16 bits with steps of 10 Wh.
PORT = Counter(1000, range_mwh=655_360_000)
#: What 1000 W and a fifth give in an hour and 15 s, and two steps: 1 205 000 + 20 000 mWh.
MOST_MWH = 1_225_000


def leg(start: int | None, *registers: int | None, end: int | str | None = "last", each_ms: int = HOUR_MS) -> Leg:
    """Return a leg whose registers lie ``each_ms`` apart; the last of them is its end unless ``end`` is given."""
    readings = [Snapshot(number * each_ms, one) for number, one in enumerate(registers, 1)]
    if end == "last":
        return Leg(start, readings[:-1], readings[-1])
    assert not isinstance(end, str)
    return Leg(start, readings, Snapshot((len(readings) + 1) * each_ms, end))


def test_what_a_port_can_give() -> None:
    """The limit and a fifth, 15 s more, two steps."""
    assert PORT.most_mwh(HOUR_MS) == MOST_MWH
    assert PORT.most_mwh(0) == 5000 + 2 * COARSE_MWH
    assert Counter(3500, step_mwh=100).most_mwh(0) == 17_500 + 200


@pytest.mark.parametrize(
    ("known", "energy_mwh", "flags"),
    [
        pytest.param(leg(5_000_000, 5_500_000), 500_000, (), id="two good registers"),
        pytest.param(leg(5_000_000, 5_200_000, 5_500_000), 500_000, (), id="and one between"),
        pytest.param(leg(5_000_000, None, 5_500_000), 500_000, (), id="a gap between two good registers"),
        pytest.param(leg(0, 500_000), 500_000, (), id="a new meter"),
        pytest.param(leg(5_000_000, 5_000_000), 0, (), id="nothing drawn"),
        pytest.param(Leg(5_000_000, (), Snapshot(HOUR_MS, 5_500_000), powered=False), 0, (), id="never closed"),
        pytest.param(leg(None, 5_200_000, 5_500_000), 300_000, ("no_baseline",), id="null baseline"),
        pytest.param(leg(None, 5_500_000), 0, ("no_baseline",), id="null baseline, end only"),
        pytest.param(leg(None, None), 0, ("no_reading",), id="nothing known at all"),
        pytest.param(leg(5_000_000, None), 0, ("no_reading",), id="a start and nothing after it"),
        pytest.param(Leg(5_000_000), 0, ("no_reading",), id="no end at all"),
        pytest.param(leg(5_000_000, 5_200_000, None), 200_000, ("last_reading",), id="no register at the end"),
        pytest.param(leg(5_000_000, 5_200_000, end=None), 200_000, ("last_reading",), id="guard restarted"),
        pytest.param(leg(0, 9_000_000), 0, ("lifetime_value",), id="lifetime taken for the session"),
        pytest.param(leg(0, 9_000_000, 9_300_000), 300_000, ("lifetime_value",), id="and on from there"),
        pytest.param(leg(655_200_000, 100_000), 260_000, ("register_wrapped",), id="wrap"),
        pytest.param(leg(655_200_000, 100_000, 400_000), 560_000, ("register_wrapped",), id="wrap, and on"),
        pytest.param(leg(5_500_000, 5_000_000), 0, ("register_backward",), id="run-back"),
        pytest.param(
            leg(5_000_000, 5_500_000, 5_400_000, 5_700_000), 700_000, ("register_backward",), id="run back and on"
        ),
        pytest.param(leg(5_000_000, 5_500_000, 100, 300_000), 500_000, ("register_backward",), id="cleared"),
        pytest.param(leg(5_000_000, 90_000_000), 0, ("register_jumped",), id="another meter, higher"),
        pytest.param(
            leg(5_000_000, 5_500_000, 90_000_000, 90_200_000), 700_000, ("register_jumped",), id="and on from there"
        ),
        pytest.param(leg(90_000_000, 5_000_000, 5_200_000), 0, ("register_backward",), id="another meter, lower"),
        pytest.param(
            leg(None, 5_500_000, 5_400_000, None),
            0,
            ("no_baseline", "last_reading", "register_backward"),
            id="several things at once",
        ),
    ],
)
def test_the_table_of_cases(known: Leg, energy_mwh: int, flags: tuple[str, ...]) -> None:
    """Counted in the customer's favour where there is doubt, and flagged every time."""
    assert count(known, PORT) == Energy(energy_mwh, tuple(EnergyFlag(flag) for flag in flags))


@pytest.mark.parametrize(("rise", "energy_mwh"), [(MOST_MWH, MOST_MWH), (MOST_MWH + 1, 0)])
def test_a_rise_counts_up_to_what_is_possible(rise: int, energy_mwh: int) -> None:
    """One mWh more is a jump."""
    counted = count(leg(5_000_000, 5_000_000 + rise), PORT)
    assert counted == Energy(energy_mwh, () if energy_mwh else (EnergyFlag.REGISTER_JUMPED,))


def test_many_small_slacks_do_not_add_up() -> None:
    """Each rise may be possible by itself: together they are held against the whole time."""
    registers = [5_000_000 + 25_000 * number for number in range(1, 101)]
    counted = count(leg(5_000_000, *registers, each_ms=1000), PORT)
    assert counted == Energy(PORT.most_mwh(100_000), (EnergyFlag.OVER_POSSIBLE,))


@pytest.mark.parametrize(
    ("counter", "registers", "energy"),
    [
        (Counter(1000), (655_200_000, 100_000), Energy(0, (EnergyFlag.REGISTER_BACKWARD,))),
        (Counter(1000, 655_360_000), (655_359_999, 0), Energy(1, (EnergyFlag.REGISTER_WRAPPED,))),
        (Counter(1000, 655_360_000), (655_360_000, 0), Energy(0, (EnergyFlag.REGISTER_BACKWARD,))),
        # 6.5 kWh are little more than five hours of this port: a fall may be anything.
        (Counter(1000, 2_450_000), (2_400_000, 100_000), Energy(150_000, (EnergyFlag.REGISTER_WRAPPED,))),
        (Counter(1000, 2_449_999), (2_400_000, 100_000), Energy(0, (EnergyFlag.REGISTER_BACKWARD,))),
    ],
)
def test_a_fall_is_a_wrap_only_where_nothing_else_explains_it(
    counter: Counter, registers: tuple[int, int], energy: Energy
) -> None:
    """The range is known, the register lay within it, and the port cannot have given half of it."""
    assert count(leg(*registers), counter) == energy


@pytest.mark.parametrize(
    ("model", "channel", "counter"),
    [
        ("pzem004t-v3", 1, Counter(900, 2**32 * 1000, 1000)),
        ("dds238-2", 1, Counter(900, 2**32 * 10_000, 10_000)),
        ("jsy-mk-194t", 2, Counter(900, 2**32 * 100, 100)),
        ("ddsu666", 1, Counter(900)),
    ],
)
def test_a_meter_profile_says_where_its_counter_begins_again(model: str, channel: int, counter: Counter) -> None:
    """Bits and scale of the register; a floating-point one has no range."""
    assert counter_of(load_meter(model), channel, 900) == counter


REGISTERS = st.none() | st.integers(0, 3_000_000) | st.integers(0, 655_359_999)
LEGS = st.builds(
    lambda start, registers, each_ms: leg(start, *registers, each_ms=each_ms),
    REGISTERS,
    st.lists(REGISTERS, min_size=1, max_size=8),
    st.sampled_from([1000, 60_000, HOUR_MS]),
)


@given(LEGS)
def test_energy_is_never_negative_and_never_more_than_possible(known: Leg) -> None:
    """Whatever the registers say."""
    assert known.end is not None
    assert 0 <= count(known, PORT).energy_mwh <= PORT.most_mwh(known.end.on_ms)


@given(LEGS)
def test_readings_between_change_no_plain_result(known: Leg) -> None:
    """Where nothing is flagged, start and end alone give the same; where they alone are flagged, so is the whole."""
    whole, ends = count(known, PORT), count(Leg(known.start_mwh, (), known.end), PORT)
    if not whole.flags:
        assert ends == whole
    if known.start_mwh is not None and ends.flags:
        assert whole.flags


@given(st.integers(0, 2**40), st.lists(st.integers(0, 20_000), min_size=1, max_size=20))
def test_an_honest_meter_is_never_flagged(start: int, rises: list[int]) -> None:
    """Of a load within the limit, read every minute: the difference counts to the mWh, and legs add up to it."""
    registers = [start + sum(rises[:number]) for number in range(1, len(rises) + 1)]
    honest = Counter(1000)
    assert count(leg(start, *registers, each_ms=60_000), honest) == Energy(sum(rises))
    singles = [count(leg(a, b, each_ms=60_000), honest) for a, b in zip([start, *registers], registers, strict=False)]
    assert sum(one.energy_mwh for one in singles) == sum(rises)
