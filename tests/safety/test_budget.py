"""The promise in numbers: exact values by hand, and what must hold for every bus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import budget
from safety.budget import LineTiming, MeterTiming, line_timing
from safety.limits import PortLimits

#: Parts of 10 bits at 9600 and of 11 bits at 19,200 baud, seconds.
CHAR_9600_S, CHAR_19200_S = 10 / 9600, 11 / 19_200
LIMITS = PortLimits()
RELEASE_S = 0.02


def pzem(baud: int = 9600, turnaround_s: float = 0.1) -> MeterTiming:
    """Return a meter that brings everything in one read of 20 bytes."""
    return MeterTiming(line_timing(baud, "N", 1, turnaround_s), fast=(20,))


def sdm(baud: int = 19_200, turnaround_s: float = 0.05) -> MeterTiming:
    """Return a meter with 28 bytes every time and 4 bytes of energy now and then."""
    return MeterTiming(line_timing(baud, "E", 1, turnaround_s), fast=(28,), slow=(4,))


# -- the wire ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baud", "parity", "stopbits", "character_s", "silence_s"),
    [
        (9600, "N", 1, 10 / 9600, 35 / 9600),
        (9600, "E", 1, 11 / 9600, 38.5 / 9600),
        (9600, "O", 2, 12 / 9600, 42 / 9600),
        (9600, "N", 2, 11 / 9600, 38.5 / 9600),
        (19_200, "N", 1, 10 / 19_200, 35 / 19_200),
        (38_400, "N", 1, 10 / 38_400, 0.001_75),
    ],
)
def test_characters_and_silence(baud: int, parity: str, stopbits: int, character_s: float, silence_s: float) -> None:
    """Ten to twelve bits a character; t3.5 is a fixed time above 19,200 baud."""
    timing = line_timing(baud, parity, stopbits, 0.1)
    assert (timing.character_s, timing.silence_s) == pytest.approx((character_s, silence_s))


@pytest.mark.parametrize(("turnaround_s", "quiet_s"), [(0.005, 0.2), (0.199, 0.2), (0.2, 0.2), (0.201, 0.201)])
def test_the_quiet_time_is_never_below_the_turnaround(turnaround_s: float, quiet_s: float) -> None:
    """A slow meter's late reply comes later, so the line is left quiet for longer."""
    assert line_timing(9600, "N", 1, turnaround_s).quiet_s == quiet_s


def test_one_read_good_dead_and_failing() -> None:
    """20 bytes at 9600 8N1 with 100 ms: 181.7 ms good, 391.7 ms dead, and on a babbling line more than twice that."""
    timing = line_timing(9600, "N", 1, 0.1)
    good_s = 2 * 3.5 * CHAR_9600_S + 8 * CHAR_9600_S + 0.1 + 25 * CHAR_9600_S + 0.04
    assert good_s == pytest.approx(0.181_666_67)
    assert timing.transaction_s(20) == pytest.approx(good_s)
    assert timing.dead_s(20) == pytest.approx(0.391_666_67)
    assert timing.quiet_limit_s(20) == pytest.approx(0.4 + 25 * CHAR_9600_S)
    assert timing.failure_s(20) == pytest.approx(2 * (good_s + 0.4 + 25 * CHAR_9600_S))


# -- exact values ------------------------------------------------------------------------------------------


def test_two_small_meters_by_hand() -> None:
    """Two meters of one read at 9600 baud, 100 ms, one of them may be dead."""
    own = other = pzem()
    found = budget.seen(own, [other], 1, LIMITS, RELEASE_S)
    assert [(term.name, round(term.seconds, 4)) for term in found.terms] == [
        ("refresh", 1.0),
        ("missed", 0.1817),
        ("wait", 0.5733),  # 0.1817 + 0.21 nobody answers or the reply is thrown away, 0.1817 the whole poll
        ("first", 0.1817),
        ("confirm", 0.1817),
        ("tick", 0.06),
        ("release", 0.02),
    ]
    assert found.total_s == pytest.approx(2.198_333_3)
    assert found.dominating.name == "refresh"
    bound = budget.silence(own, LIMITS, RELEASE_S)
    assert [(term.name, round(term.seconds, 4)) for term in bound.terms] == [
        ("refresh", 1.0),
        ("sample", 0.1817),
        ("age", 3.0),
        ("unconfirmed", 0.5),
        ("tick", 0.06),
        ("release", 0.02),
    ]
    assert bound.total_s == pytest.approx(4.761_666_7)
    assert bound.dominating.name == "age"
    # everybody's turn, one second reading, and its own next poll
    assert budget.oldest_s(own, [other], 1) == pytest.approx(0.573_333_3 + 0.181_666_7 + 0.181_666_7)


def test_three_meters_with_an_energy_block_by_hand() -> None:
    """28 bytes are 117.5 ms and 4 bytes 103.75 ms at 19,200 8E1 with 50 ms; one of two others carries its energy."""
    own, others = sdm(), [sdm(), sdm()]
    assert (own.sample_s, own.fast_s) == pytest.approx((0.1175, 0.1175))
    assert (own.slow_s, own.full_s) == pytest.approx((0.103_75, 0.221_25))
    assert own.dead_s == pytest.approx(0.3275 + 0.221_25)
    found = budget.seen(own, others, 0, LIMITS, RELEASE_S)
    wait_s = 4 * 0.1175 + 0.103_75
    assert found.total_s == pytest.approx(1.0 + 0.221_25 + wait_s + 0.221_25 + 0.1175 + 0.06 + 0.02)
    assert found.total_s == pytest.approx(2.213_75)
    assert budget.silence(own, LIMITS, RELEASE_S).total_s == pytest.approx(4.6975)
    # the rest of its poll, two others and one energy, one second reading, its own next poll
    oldest_s = 0.103_75 + 2 * 0.1175 + 0.103_75 + 0.1175 + 0.221_25
    assert budget.oldest_s(own, others, 0) == pytest.approx(oldest_s)


@pytest.mark.parametrize(("others", "rides"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (8, 2), (9, 3), (19, 5)])
def test_energy_rides_along_with_few(others: int, rides: int) -> None:
    """Every fourth poll at most; on a small bus once in a round."""
    assert budget.rides(others) == rides


def test_the_inlet_meter_is_never_read_twice() -> None:
    """Only ports are held against the fast stage."""
    timing = pzem().line
    inlet = MeterTiming(timing, (20,), again=False)
    assert budget.others_s([inlet], 0, again=True) == pytest.approx(timing.transaction_s(20))
    assert budget.others_s([inlet], 0, again=False) == pytest.approx(timing.transaction_s(20))


def test_the_dearest_meters_are_the_dead_ones() -> None:
    """With one dead meter allowed it is the slow one that is dead, not the quick one."""
    quick, slow = pzem(115_200, 0.005), pzem(1200, 0.5)
    assert budget.others_s([quick, slow], 1, again=True) == pytest.approx(2 * quick.fast_s + slow.dead_s)


def test_waiting_ends_at_the_age_limit() -> None:
    """A port that waits longer is cut because its reading is too old: the wait counts up to there and no further."""
    own, others = pzem(), [pzem() for _ in range(39)]
    wait = next(term for term in budget.seen(own, others, 2, LIMITS, RELEASE_S).terms if term.name == "wait")
    assert wait.seconds == pytest.approx(3.0 - own.full_s)
    assert budget.oldest_s(own, others, 2) > LIMITS.meter_max_age_s


def test_contacts() -> None:
    """A tick sees it, the debounce time passes, the next tick judges, the contacts part."""
    assert budget.contact(0.1, 0.02).total_s == pytest.approx(0.06 + 0.1 + 0.06 + 0.02)
    assert budget.contact(0.0, 0.1).total_s == pytest.approx(0.22)


def test_hazards_that_are_borne() -> None:
    """5 s at 1.1 times, 2.5 s at 1.2, 1.25 s at 1.4 and 5 s of wrong voltage, each after being detected."""
    own = pzem()
    paths = budget.dwelling(own, [own], 1, LIMITS, RELEASE_S)
    detected_s = 1.0 + 0.181_666_7 + 0.573_333_3 + 0.181_666_7 + 0.06 + 0.02
    assert {path.name: round(path.total_s - detected_s, 4) for path in paths} == {
        "over_current_1.1": 5.0,
        "over_current_1.2": 2.5,
        "over_current_1.4": 1.25,
        "voltage": 5.0,
    }


def test_only_multiples_between_the_stages_are_shown() -> None:
    """Below the slow stage nothing is cut, from the fast stage on nothing is borne."""
    own, limits = pzem(), PortLimits(over_current_slow_ratio=1.15, over_current_fast_ratio=1.4)
    assert [path.name for path in budget.dwelling(own, [], 0, limits, RELEASE_S)] == ["over_current_1.2", "voltage"]


def test_heat_and_welds() -> None:
    """Heat that is seen after so long, at most after the age limit of a probe; two readings after the settling time."""
    assert budget.heat(19.8, 10.0, 60.0, 0.02).total_s == pytest.approx(19.8 + 10.0 + 0.08)
    assert budget.heat(61.0, 10.0, 60.0, 0.02).total_s == pytest.approx(60.0 + 10.0 + 0.08)
    own = pzem()
    assert budget.weld(own, [], 0, LIMITS, 0.1).total_s == pytest.approx(2.0 + 1.0 + 3 * own.full_s + 0.16)


@pytest.mark.parametrize(("probes", "seen_s"), [(1, 3.6), (2, 5.4), (20, 19.8)])
def test_probes_on_1_wire_are_counted_one_by_one(probes: int, seen_s: float) -> None:
    """0.8 s each and one more, a pause of 2 s; from two probes on a shared conversion may fail before: 1 s."""
    assert budget.onewire_s(probes, 2.0) == pytest.approx(seen_s)


def test_thermistors_and_modules() -> None:
    """0.1 s for each thermistor and one more; a module waits for its interval and for everybody else's turn."""
    assert budget.adc_s(8, 1.0) == pytest.approx(1.9)
    own = budget.MeterTiming(pzem().line, (budget.MODULE_BYTES,), refresh_s=6.4, again=False)
    assert budget.module_s(own, [], 0, 2.0) == pytest.approx(6.4 + 2.0 + 2 * own.full_s)
    crowd = [pzem(), pzem()]
    more_s = budget.others_s(crowd, 1, again=True)
    assert budget.module_s(own, crowd, 1, 2.0) == pytest.approx(6.4 + 2.0 + 2 * own.full_s + more_s)


# -- what holds for every bus ------------------------------------------------------------------------------

_BAUDS = (1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
_TURNAROUNDS = st.floats(0.005, 2.0)
_BLOCKS = st.lists(st.integers(2, 250), min_size=1, max_size=3).map(tuple)
_SLOW = st.lists(st.integers(2, 250), max_size=2).map(tuple)


@st.composite
def _buses(draw: st.DrawFn) -> list[MeterTiming]:
    """Return the meters of one bus, its own first."""
    line = line_timing(draw(st.sampled_from(_BAUDS)), draw(st.sampled_from("NEO")), 1, draw(_TURNAROUNDS))
    count = draw(st.integers(1, 12))
    return [MeterTiming(line, draw(_BLOCKS), draw(_SLOW), draw(st.floats(0, 5))) for _ in range(count)]


def _both_s(own: MeterTiming, others: list[MeterTiming], dead: int) -> tuple[float, float]:
    return budget.seen(own, others, dead, LIMITS, RELEASE_S).total_s, budget.oldest_s(own, others, dead)


def _with(meter: MeterTiming, line: LineTiming) -> MeterTiming:
    return MeterTiming(line, meter.fast, meter.slow, meter.refresh_s)


@given(_buses(), st.integers(0, 8), _BLOCKS)
def test_more_ports_take_longer(meters: list[MeterTiming], dead: int, blocks: tuple[int, ...]) -> None:
    """One more meter on the bus makes no port faster, and every reading older."""
    own, *others = meters
    more = [*others, MeterTiming(own.line, blocks)]
    before, after = _both_s(own, others, dead), _both_s(own, more, dead)
    assert after[0] >= before[0] - 1e-9
    assert after[1] > before[1]


@given(_buses(), st.integers(0, 8))
def test_more_dead_meters_take_longer(meters: list[MeterTiming], dead: int) -> None:
    """One more dead meter makes no port faster, and readings older as long as there is a meter left to die."""
    own, *others = meters
    before, after = _both_s(own, others, dead), _both_s(own, others, dead + 1)
    assert after[0] >= before[0] - 1e-9
    assert after[1] > before[1] if dead < len(others) else after[1] == before[1]


@given(_buses(), st.integers(0, 8), st.floats(0.001, 1.0))
def test_slower_meters_take_longer(meters: list[MeterTiming], dead: int, more_s: float) -> None:
    """A longer turnaround makes no port faster, and every reading older."""
    own, *others = meters
    line = own.line
    slow = LineTiming(
        line.character_s, line.silence_s, line.turnaround_s + more_s, max(line.quiet_s, line.turnaround_s + more_s)
    )
    before = _both_s(own, others, dead)
    after = _both_s(_with(own, slow), [_with(meter, slow) for meter in others], dead)
    assert after[0] >= before[0] - 1e-9
    assert after[1] > before[1]
    worse, better = budget.silence(_with(own, slow), LIMITS, RELEASE_S), budget.silence(own, LIMITS, RELEASE_S)
    assert worse.total_s > better.total_s


@given(_buses(), st.integers(0, 8), st.integers(0, len(_BAUDS) - 2), _TURNAROUNDS)
def test_a_faster_line_is_faster(meters: list[MeterTiming], dead: int, index: int, turnaround_s: float) -> None:
    """A higher baud rate makes no port slower, and every reading younger."""
    slow, fast = (line_timing(baud, "N", 1, turnaround_s) for baud in _BAUDS[index : index + 2])
    own, *others = meters
    before = _both_s(_with(own, slow), [_with(meter, slow) for meter in others], dead)
    after = _both_s(_with(own, fast), [_with(meter, fast) for meter in others], dead)
    assert after[0] <= before[0] + 1e-9
    assert after[1] < before[1]


@given(_buses(), st.integers(0, 8), st.floats(0.5, 10))
def test_silence_bounds_what_the_wire_may_do(meters: list[MeterTiming], dead: int, age_s: float) -> None:
    """Where a port is read within its age limit, the path through the wire is never longer than the absolute bound."""
    own, *others = meters
    limits = PortLimits(meter_max_age_s=age_s)
    found, bound = budget.seen(own, others, dead, limits, RELEASE_S), budget.silence(own, limits, RELEASE_S)
    if 2 * own.full_s - own.sample_s <= age_s:
        assert found.total_s <= bound.total_s + 1e-9
