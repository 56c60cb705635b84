"""Guard's tests of itself: program sequence, limits in memory, clock, rate of the loop."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.catalogue import Effect
from safety.limits import CabinetLimits, PortLimits
from safety.selftest import LimitsBlock, Pace, Rate, Sequence, canonical, intact, paced, seal, ticked
from safety.state import Contact, Settings

STAGES = ("inputs", "limits", "judge", "open", "close")
TICK = Sequence(STAGES)


def signature(stages: tuple[str, ...] | list[str], sequence: Sequence = TICK) -> int:
    """Return the signature of a tick that went through ``stages``."""
    passed = sequence.begin()
    for stage in stages:
        passed = sequence.passed(passed, stage)
    return passed


# -- program sequence ----------------------------------------------------------------------------------------


def test_every_stage_once_in_order_is_sound() -> None:
    """The declared tick matches, also in an equal sequence made elsewhere: the constant depends on the names only."""
    assert TICK.sound(signature(STAGES))
    assert Sequence(STAGES).expected == TICK.expected


@given(st.lists(st.sampled_from(STAGES), max_size=12).filter(lambda stages: tuple(stages) != STAGES))
def test_anything_else_is_not(stages: list[str]) -> None:
    """Skipped, repeated, reordered, none at all: no other run of stages has the right signature."""
    assert not TICK.sound(signature(stages))


@given(st.permutations(STAGES).filter(lambda stages: tuple(stages) != STAGES))
def test_no_other_order_is_sound(stages: list[str]) -> None:
    """Every stage once, in another order."""
    assert not TICK.sound(signature(stages))


@pytest.mark.parametrize("place", range(len(STAGES)))
def test_one_stage_left_out_or_done_twice(place: int) -> None:
    """The two smallest departures, at every place."""
    assert not TICK.sound(signature(STAGES[:place] + STAGES[place + 1 :]))
    assert not TICK.sound(signature(STAGES[: place + 1] + STAGES[place:]))


@given(st.integers(0, 63))
def test_a_flipped_bit_of_the_signature_is_seen(bit: int) -> None:
    """Also half-way: the stages after it do not heal it."""
    assert not TICK.sound(signature(STAGES) ^ 1 << bit)
    broken = signature(STAGES[:2]) ^ 1 << bit
    for stage in STAGES[2:]:
        broken = TICK.passed(broken, stage)
    assert not TICK.sound(broken)


def test_the_signature_of_the_last_tick_does_not_serve_for_the_next() -> None:
    """A tick goes on from ``begin``; going on from the end of the last one is not sound."""
    end = signature(STAGES)
    for stage in STAGES:
        end = TICK.passed(end, stage)
    assert not TICK.sound(end)


def test_a_stage_that_was_never_declared_is_a_bug() -> None:
    """A wrong name does not pass in silence."""
    with pytest.raises(KeyError):
        TICK.passed(TICK.begin(), "jugde")


@pytest.mark.parametrize("stages", [(), ("a", "b", "a")])
def test_a_sequence_must_be_one(stages: tuple[str, ...]) -> None:
    """No stages, or one twice, cannot be declared."""
    with pytest.raises(ValueError, match="distinct"):
        Sequence(stages)


# -- limits stored twice ---------------------------------------------------------------------------------------

SETTINGS = Settings(
    ports={1: PortLimits(), 7: PortLimits(current_limit_a=3.0)},
    contacts=(Contact("smoke", "fire", 0.1), Contact("door", "door_open", 0.5, Effect.TELL, (1, 7))),
)
BLOCK = seal(SETTINGS)


def flipped(data: bytes, bit: int) -> bytes:
    """Return ``data`` with one bit turned."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_limits_as_sealed_are_intact() -> None:
    """Nothing changed, nothing found; equal settings made anew count as the same."""
    assert intact(BLOCK, SETTINGS)
    assert intact(BLOCK, replace(SETTINGS, ports={7: PortLimits(current_limit_a=3.0), 1: PortLimits()}))


@given(st.integers(0, len(BLOCK.plain) * 8 - 1))
def test_any_bit_of_either_copy_is_seen(bit: int) -> None:
    """One bit of the first copy, of the inverted one, or the same of both."""
    plain, inverted = flipped(BLOCK.plain, bit), flipped(BLOCK.inverted, bit)
    assert not intact(replace(BLOCK, plain=plain), SETTINGS)
    assert not intact(replace(BLOCK, inverted=inverted), SETTINGS)
    assert not intact(replace(BLOCK, plain=plain, inverted=inverted), SETTINGS)


@pytest.mark.parametrize("bit", range(32))
def test_any_bit_of_the_checksum_is_seen(bit: int) -> None:
    """The CRC itself may be what broke."""
    assert not intact(replace(BLOCK, crc=BLOCK.crc ^ 1 << bit), SETTINGS)


def test_both_copies_changed_alike_are_seen_by_the_settings_in_use() -> None:
    """A block that is whole and belongs to other limits is not ours."""
    other = seal(replace(SETTINGS, max_duration_s=1.0))
    assert intact(other, replace(SETTINGS, max_duration_s=1.0))
    assert not intact(other, SETTINGS)


def leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every single value inside the settings."""
    if is_dataclass(value):
        return [leaf for f in fields(value) for leaf in leaves(getattr(value, f.name), (*path, f.name))]
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, tuple) and value:
        return [leaf for place, item in enumerate(value) for leaf in leaves(item, (*path, place))]
    return [path]


def other_than(value: object) -> object:
    """Return a value of the same kind that differs as little as can be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return math.nextafter(value, math.inf)
    if isinstance(value, Effect):
        return Effect.INHIBIT
    return "other" if isinstance(value, str) else (99,)


def changed(value: object, path: tuple[str | int, ...]) -> object:
    """Return ``value`` with the leaf at ``path`` changed, without asking a constructor: memory asks none."""
    if not path:
        return other_than(value)
    first, *rest = path
    if isinstance(value, dict):
        return value | {first: changed(value[first], tuple(rest))}
    if isinstance(value, tuple):
        place = int(first)
        return (*value[:place], changed(value[place], tuple(rest)), *value[place + 1 :])
    copy = object.__new__(type(value))
    for entry in fields(value):  # type: ignore[arg-type] # a dataclass: what else has leaves
        part = getattr(value, entry.name)
        object.__setattr__(copy, entry.name, changed(part, tuple(rest)) if entry.name == first else part)
    return copy


@pytest.mark.parametrize("path", leaves(SETTINGS), ids=lambda path: ".".join(map(str, path)))
def test_any_single_limit_that_changes_is_seen(path: tuple[str | int, ...]) -> None:
    """Every value of the settings, by the smallest step there is: none is outside the block."""
    broken = changed(SETTINGS, path)
    assert isinstance(broken, Settings)
    assert not intact(BLOCK, broken)


def test_a_port_more_or_less_or_renumbered_is_seen() -> None:
    """Limits belong to their port."""
    one, seven = SETTINGS.ports[1], SETTINGS.ports[7]
    for ports in ({1: one}, {1: one, 7: seven, 8: one}, {7: one, 1: seven}, {1: one, 8: seven}):
        assert not intact(BLOCK, replace(SETTINGS, ports=ports))


def test_neighbouring_fields_do_not_run_into_each_other() -> None:
    """No two different settings have the same bytes because a value moved from one place to the next."""
    first = Settings({1: PortLimits()}, contacts=(Contact("a", "bc", 1.0),))
    second = Settings({1: PortLimits()}, contacts=(Contact("ab", "c", 1.0),))
    assert canonical(first) != canonical(second)
    first = Settings({1: PortLimits()}, contacts=(Contact("a", "fire", 1.0, ports=(1, 77)),))
    second = Settings({1: PortLimits()}, contacts=(Contact("a", "fire", 1.0, ports=(17, 7)),))
    assert canonical(first) != canonical(second)
    both = Settings({1: PortLimits()}, cabinet=CabinetLimits(close_stagger_s=0.3, contactor_settle_s=0.2))
    swapped = Settings({1: PortLimits()}, cabinet=CabinetLimits(close_stagger_s=0.2, contactor_settle_s=0.3))
    assert canonical(both) != canonical(swapped)


def test_the_second_copy_is_inverted() -> None:
    """A fault that pulls all lines one way cannot make both copies agree."""
    assert all(a ^ b == 0xFF for a, b in zip(BLOCK.plain, BLOCK.inverted, strict=True))
    zero = LimitsBlock(bytes(len(BLOCK.plain)), bytes(len(BLOCK.plain)), 0)
    assert not intact(zero, SETTINGS)


# -- clock -----------------------------------------------------------------------------------------------------


def run(pairs: list[tuple[float, float | None]], pace: Pace | None = None) -> Pace:
    """Return the pace after pairs of (clock, reference)."""
    pace = pace or Pace()
    for clock_s, reference_s in pairs:
        pace = paced(pace, clock_s, reference_s)
    return pace


@pytest.mark.parametrize(
    ("factor", "fault"),
    [(1.0, False), (1.0499, False), (1.0501, True), (0.9501, False), (0.9499, True), (2.0, True), (0.5, True)],
)
def test_a_clock_more_than_five_percent_away_is_a_fault(factor: float, *, fault: bool) -> None:
    """Boundary table: a clock that runs ``factor`` times as fast as its reference, for a bit more than two windows."""
    assert run([(second * factor, float(second)) for second in range(135)]).fault is fault


@pytest.mark.parametrize(("windows", "fault"), [(1, False), (2, True), (3, True)])
def test_two_windows_in_a_row_are_needed(windows: int, *, fault: bool) -> None:
    """One bad minute is a real-time clock that somebody set."""
    pairs: list[tuple[float, float | None]] = [(60.0 * n, 60.0 * n * 1.1) for n in range(windows + 1)]
    assert run(pairs).fault is fault


@pytest.mark.parametrize("step_s", [-1e9, -3600.0, -30.0, 30.0, 3600.0, 1e9])
def test_a_reference_that_is_set_once_is_no_fault(step_s: float) -> None:
    """Forwards or backwards, by whatever: it spoils one window."""
    pairs: list[tuple[float, float | None]] = [(float(s), s + (step_s if s >= 90 else 0.0)) for s in range(400)]
    pace = Pace()
    for clock_s, reference_s in pairs:
        pace = paced(pace, clock_s, reference_s)
        assert not pace.fault
    assert pace.strikes == 0


@pytest.mark.parametrize("stuck", ["clock", "reference"])
def test_a_clock_that_stands_still_is_a_fault(stuck: str) -> None:
    """Whichever of the two it is."""
    pairs: list[tuple[float, float | None]]
    pairs = [(0.0 if stuck == "clock" else float(s), 0.0 if stuck == "reference" else float(s)) for s in range(130)]
    assert run(pairs).fault


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_a_missing_reference_is_not_judged_and_heals_nothing(missing: float | None) -> None:
    """Without a reference there is no fault; one that goes missing after a bad window does not take that back."""
    assert run([(float(s), missing) for s in range(600)]) == Pace()
    bad = run([(0.0, 0.0), (60.0, 90.0)])
    assert bad.strikes == 1
    assert run([(70.0, missing)], bad).strikes == 1
    faulty = run([(120.0, 180.0)], bad)
    assert run([(130.0, missing)], faulty).fault


def test_a_good_window_ends_the_fault() -> None:
    """The latch is the core's; the test itself says what is so now."""
    faulty = run([(60.0 * n, 90.0 * n) for n in range(3)])
    assert faulty.fault
    assert not run([(180.0, 240.0)], faulty).fault


def test_whole_seconds_of_a_real_time_clock_suffice() -> None:
    """A reference that shows whole seconds makes no fault of a good clock, whatever the phase."""
    for phase in range(10):
        pairs: list[tuple[float, float | None]]
        pairs = [(s * 1.01 + phase / 10, float(math.floor(s * 1.01 + phase / 7))) for s in range(300)]
        assert run(pairs).strikes == 0


# -- rate of the loop ------------------------------------------------------------------------------------------


def rate_of(period_s: float, count: int, rate: Rate | None = None, start_s: float = 0.0) -> Rate:
    """Return the rate after ``count`` ticks ``period_s`` apart."""
    rate = rate or Rate()
    for number in range(count):
        rate = ticked(rate, start_s + number * period_s)
    return rate


@pytest.mark.parametrize(
    ("period_s", "sound"),
    [(0.05, True), (0.0417, True), (0.0416, False), (0.0625, True), (0.0626, False), (0.001, False), (0.5, False)],
)
def test_the_rate_must_be_within_a_fifth(period_s: float, *, sound: bool) -> None:
    """Boundary table: 0.8 to 1.2 times twenty ticks a second."""
    assert rate_of(period_s, 100).sound is sound


@pytest.mark.parametrize(("stall_s", "sound"), [(0.1, True), (0.54, True), (0.56, False), (5.0, False)])
def test_one_stall_of_a_quarter_window_is_borne(stall_s: float, *, sound: bool) -> None:
    """One late tick is averaged, a longer silence is not; once it has left the window all is well again."""
    rate = rate_of(0.05, 60)
    last_s = 59 * 0.05
    rate = ticked(rate, last_s + stall_s)
    assert rate.sound is sound
    assert rate_of(0.05, 41, rate, last_s + stall_s + 0.05).sound


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_the_first_ticks_are_not_judged_too_fast(count: int) -> None:
    """A window that is not full yet says nothing about speed upwards ..."""
    assert rate_of(0.01, count).sound
    assert not rate_of(0.01, 41).sound


def test_the_first_ticks_are_judged_too_slow() -> None:
    """... but downwards it does."""
    assert not rate_of(2.6, 2).sound


def test_a_reference_that_runs_backwards_is_not_sound() -> None:
    """A clock that cannot be, is no witness."""
    assert not ticked(ticked(Rate(), 10.0), 9.0).sound


def test_memory_of_the_rate_does_not_grow() -> None:
    """A window's ticks and no more."""
    assert len(rate_of(0.05, 1000).times_s) == Rate().intervals + 1
