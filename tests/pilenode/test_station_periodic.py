"""Promises of the schedule of periodic tests: due in time whatever the clocks do, and never in anybody's way."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from config.load import load
from pilenode.station.periodic import FAILED_PAUSE_S, GUARDS, PAUSE_S, Kind, Last, Plan, elapsed_s, is_due, plans, rests
from pilenode.station.periodic import results as results_of
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import Fact, PeriodicResult, canonical
from safety.proof import KINDS

DAY_S = 86_400
NOON = 1_800_000_000_000
LAST = Last(seq=7, boot="b1", boottime_ms=1_000_000, wall_ms=NOON, clock="ntp", ok=True, guard_boot="g1")
PLAN = Plan(Kind.RELAYS, DAY_S, fitted=True)


def at(
    seconds: float, *, boot: str = "b1", wall_s: float | None = None, clock: ClockQuality = ClockQuality.NTP
) -> Stamp:
    """Return the moment ``seconds`` after ``LAST``; ``wall_s``: what the wall clock says instead."""
    wall_ms = NOON + round(1000 * (seconds if wall_s is None else wall_s))
    boottime_ms = LAST.boottime_ms + round(1000 * seconds) if boot == "b1" else 5_000
    return Stamp(boot, boottime_ms, wall_ms, clock)


def test_guards_tests_are_those_that_guard_knows() -> None:
    """What is asked of guard is what its core can do."""
    assert {kind.value for kind in GUARDS} == set(KINDS)


@pytest.mark.parametrize(
    ("now", "elapsed"),
    [
        (at(100), 100.0),
        (at(100, wall_s=-9e8), 100.0),
        (at(100, wall_s=9e8), 100.0),
        (at(100, clock=ClockQuality.NONE), 100.0),
        (at(100, boot="b2"), 100.0),
        (at(0, boot="b2"), 0.0),
        (at(-1, boot="b2"), None),
        (at(100, boot="b2", clock=ClockQuality.NONE), None),
    ],
)
def test_time_is_measured_on_the_boot_clock_else_on_a_trusted_wall_clock(now: Stamp, elapsed: float | None) -> None:
    """Within one boot the wall clock may jump as it likes; across boots only two trusted clocks count."""
    assert elapsed_s(LAST, now) == elapsed


def test_a_result_under_an_untrusted_clock_is_of_unknown_age_after_a_reboot() -> None:
    """A wall time that nobody trusted says nothing later, however good the clock has become."""
    assert elapsed_s(replace(LAST, clock="none"), at(100, boot="b2")) is None


def test_a_kernel_without_a_boot_id_makes_no_two_moments_one_boot() -> None:
    """Then the wall clock has to tell."""
    last = replace(LAST, boot="unknown")
    now = Stamp("unknown", LAST.boottime_ms + 5_000, NOON + 9_000, ClockQuality.NTP)
    assert elapsed_s(last, now) == 9.0


@pytest.mark.parametrize(("late_s", "due"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("boot", ["b1", "b2"])
def test_a_test_is_due_after_its_interval(late_s: float, due: bool, boot: str) -> None:  # noqa: FBT001 - a table
    """Not a second earlier; also across a reboot."""
    assert is_due(PLAN, LAST, at(DAY_S + late_s, boot=boot), "g1") is due


def test_what_cannot_be_told_is_due() -> None:
    """Never done, failed, or of unknown age: due at once."""
    assert is_due(PLAN, None, at(0), "g1")
    assert is_due(PLAN, replace(LAST, ok=False), at(1), "g1")
    assert is_due(PLAN, LAST, at(1, boot="b2", clock=ClockQuality.NONE), "g1")
    assert not is_due(PLAN, LAST, at(1), "g1")


def test_what_is_not_fitted_is_never_due() -> None:
    """Nobody is reminded of a test that cannot be done."""
    assert not is_due(replace(PLAN, fitted=False), None, at(0), "g1")


@pytest.mark.parametrize(
    ("kind", "guard_boot", "due"),
    [
        (Kind.DEAD_MAN, "g1", False),
        (Kind.DEAD_MAN, "g2", True),
        (Kind.DEAD_MAN, None, False),
        (Kind.RELAYS, "g2", False),
    ],
)
def test_the_dead_man_is_proved_after_every_start_of_guard(kind: Kind, guard_boot: str | None, due: bool) -> None:  # noqa: FBT001 - a table
    """Another guard than the one that was proved makes it due, and no other test."""
    assert is_due(replace(PLAN, kind=kind), LAST, at(60), guard_boot) is due


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(("tried_for_s", "pauses"), [(None, False), (PAUSE_S - 1, True), (PAUSE_S, False)])
def test_a_test_pauses_after_a_try(kind: Kind, tried_for_s: float | None, pauses: bool) -> None:  # noqa: FBT001 - a table
    """Refused or not: it is not asked for again within the pause."""
    assert rests(kind, LAST, at(DAY_S), tried_for_s) is pauses


@pytest.mark.parametrize(
    ("kind", "ago_s", "pauses"),
    [
        (Kind.PROBES, FAILED_PAUSE_S - 1, True),
        (Kind.PROBES, FAILED_PAUSE_S, False),
        (Kind.METERS, FAILED_PAUSE_S - 1, True),
        (Kind.DEAD_MAN, 1, False),
        (Kind.RELAYS, FAILED_PAUSE_S - 1, True),
        (Kind.RELAYS, FAILED_PAUSE_S, False),
    ],
)
def test_instruments_that_disagree_are_not_asked_every_minute(kind: Kind, ago_s: float, pauses: bool) -> None:  # noqa: FBT001 - a table
    """Every result is a fact, and a relay proof takes time; a failed dead man is refused until somebody was there."""
    assert rests(kind, replace(LAST, ok=False), at(ago_s), None) is pauses
    assert not rests(kind, replace(LAST, ok=False), at(ago_s, boot="b2", clock=ClockQuality.NONE), None)


def test_plans_follow_the_configuration() -> None:
    """Intervals in days; fitted is what the configuration has wired."""
    config = load("config/example.toml")
    bare = msgspec.structs.replace(config.gpio, contactor_pin=17, heartbeat_pin=27, contactor_feedback_pin=None)
    cabinet = msgspec.structs.replace(config.cabinet, inlet=None, probe=None)
    config = msgspec.structs.replace(config, gpio=bare, cabinet=cabinet)
    found = {plan.kind: plan for plan in plans(config)}
    assert list(found) == list(Kind)
    assert [plan.fitted for plan in found.values()] == [False, True, True, False, True]
    assert found[Kind.PROBES].interval_s == 7 * DAY_S
    gpio = msgspec.structs.replace(config.gpio, contactor_feedback_pin=22)
    proved = {plan.kind: plan.fitted for plan in plans(msgspec.structs.replace(config, gpio=gpio))}
    assert proved[Kind.DEAD_MAN]
    for missing in ("contactor_pin", "heartbeat_pin"):
        broken = msgspec.structs.replace(config, gpio=msgspec.structs.replace(gpio, **{missing: None}))
        assert not {plan.kind: plan.fitted for plan in plans(broken)}[Kind.DEAD_MAN]
    one = msgspec.structs.replace(
        config, port=[msgspec.structs.replace(port, probe=None) for port in config.port[1:]] + config.port[:1]
    )
    assert not {plan.kind: plan.fitted for plan in plans(one)}[Kind.PROBES]


def fact(seq: int, body: PeriodicResult) -> Fact:
    """Return a row of the journal."""
    raw = msgspec.Raw(canonical(body))
    return Fact(
        seq=seq, boot="b1", boottime_ms=9_000, wall_ms=NOON, clock="rtc", kind="tested", body=raw, hash="0" * 64
    )


def test_results_are_dated_when_they_happened() -> None:
    """By the age that the fact tells; a test that this version does not know is left out."""
    told = PeriodicResult(test="dead_man", ok=False, detail="d", by="Li", age_ms=4_000, guard_boot="g", event=3)
    found = results_of([fact(5, told), fact(6, PeriodicResult(test="brew_coffee", ok=True))])
    assert found == {
        Kind.DEAD_MAN: Last(5, "b1", 5_000, NOON - 4_000, "rtc", ok=False, detail="d", by="Li", guard_boot="g")
    }
