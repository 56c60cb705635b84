"""Interruptions: what they were, and whether a session goes on, at every limit."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import msgspec
import pytest

from config.schema_session import Session
from pilenode.ipc.messages import PortSnapshot, Snapshot
from pilenode.ipc.wish import Wish
from pilenode.station.plans import Used
from pilenode.station.resume import CLOCK_WAIT_S, SETTLE_S, Close, Instant, Interrupted, Resume, Wait, decide, outage_of
from pilenode.station.windows import Hours
from pilenode.upstream.facts_outage import Outage

WALL = 1_780_000_000_000
LAST = Instant("boot-1", "guard-1", 900_000, WALL)
#: The machine is up again for 40 s, ten minutes later.
BACK = Instant("boot-2", "guard-2", 40_000, WALL + 600_000)
POLICY = Session()
ALWAYS = Hours((), ZoneInfo("Asia/Shanghai"))
LEG = Interrupted(port=2, wish=Wish(), used=Used(), last=LAST, why=None, resumed=0)


def guard(uptime_s: float = 30.0, boot: str = "guard-2", **port: object) -> Snapshot:
    """Return what guard shows: port 2 fit for use unless ``port`` says otherwise."""
    shown = msgspec.structs.replace(PortSnapshot(port=2, state="idle", closed=False, register_mwh=5_000_000), **port)
    return Snapshot(guard_boot=boot, last_event=0, uptime_s=uptime_s, contactor=False, cabinet_faults=[], ports=[shown])


def verdict(
    session: Interrupted = LEG,
    now: Instant = BACK,
    snapshot: Snapshot | None = None,
    policy: Session = POLICY,
    hours: Hours = ALWAYS,
) -> Resume | Wait | Close:
    """Return what becomes of the session."""
    return decide(session, now, snapshot or guard(), policy, hours)


# -- what happened ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "now", "present", "why", "outage"),
    [
        (LAST, BACK, "guard-2", None, Outage(cause="power", from_ms=WALL, length_ms=600_000)),
        (replace(LAST, wall_ms=None), BACK, "guard-2", None, Outage(cause="power")),
        (LAST, replace(BACK, wall_ms=None), "guard-2", None, Outage(cause="power", from_ms=WALL)),
        (LAST, replace(BACK, wall_ms=WALL - 1), "guard-2", None, Outage(cause="power", from_ms=WALL)),
        (LAST, replace(BACK, wall_ms=WALL), "guard-2", None, Outage(cause="power", from_ms=WALL, length_ms=0)),
        (
            LAST,
            replace(LAST, boottime_ms=905_000),
            "guard-2",
            None,
            Outage(cause="guard", from_ms=WALL, length_ms=5000),
        ),
        (
            LAST,
            replace(LAST, boottime_ms=905_000, wall_ms=None),
            "guard-1",
            "lease_expired",
            Outage(cause="station", from_ms=WALL, length_ms=5000),
        ),
        (
            LAST,
            replace(LAST, boottime_ms=905_000, wall_ms=0),
            "guard-1",
            "supply_lost",
            Outage(cause="power", from_ms=WALL, length_ms=5000),
        ),
    ],
)
def test_an_interruption_is_told_by_boot_ids_and_measured_by_what_can_measure_it(
    last: Instant, now: Instant, present: str, why: str | None, outage: Outage
) -> None:
    """Exact within one boot; across boots only by two trusted clocks that have not gone back."""
    assert outage_of(last, replace(now, guard_boot=present), why) == outage


# -- the decision ----------------------------------------------------------------------------------------------


def test_a_session_goes_on_after_a_power_cut() -> None:
    """The case that the others differ from."""
    assert verdict() == Resume()


@pytest.mark.parametrize(
    ("changed", "policy", "why"),
    [
        ({}, {"resume": False}, "resume is off"),
        ({}, {"resume_after_guard_restart": False}, None),
        ({"why": "power_lost"}, {}, None),
        ({"why": "guard_restarted"}, {}, None),
        ({"why": "full"}, {}, "ended before: full"),
        ({"why": "user"}, {}, "ended before: user"),
        ({"why": "over_current"}, {}, "ended before: over_current"),
        ({"why": "relay_welded"}, {}, "ended before: relay_welded"),
        ({"resumed": 2}, {}, None),
        ({"resumed": 3}, {}, "interrupted 4 times"),
        ({}, {"resume_at_most": 0}, "interrupted 1 times"),
        ({}, {"resume_max_outage_s": 600}, None),
        ({}, {"resume_max_outage_s": 599}, "interrupted for 600 s"),
        ({"locked": True}, {}, "locked"),
        ({"wish": Wish(until_ms=WALL + 600_001)}, {}, None),
        ({"wish": Wish(until_ms=WALL + 600_000)}, {}, "planned_deadline"),
        ({"wish": Wish(energy_wh=1), "used": Used(999)}, {}, None),
        ({"wish": Wish(energy_wh=1), "used": Used(1000)}, {}, "planned_energy"),
        ({"wish": Wish(duration_s=1), "used": Used(0, 1000)}, {}, "planned_duration"),
        ({"amount_left_mwh": 1}, {}, None),
        ({"amount_left_mwh": 0}, {}, "planned_amount"),
        ({"port": 9}, {}, "unknown_port"),
    ],
)
def test_each_rule_at_its_limit(changed: dict[str, object], policy: dict[str, object], why: str | None) -> None:
    """Policy, reason of the last leg, count, length, lock and plan."""
    found = verdict(replace(LEG, **changed), policy=msgspec.structs.replace(POLICY, **policy))  # type: ignore[arg-type]
    assert found == (Resume() if why is None else Close("power_lost", why))


def test_hours_that_are_over_keep_a_session_from_going_on() -> None:
    """Where the time is known; a cabinet without it enforces none."""
    never = Hours(((0, 1),), ZoneInfo("Asia/Shanghai"))
    assert verdict(hours=never) == Close("power_lost", "outside_hours")
    within = Instant("boot-1", "guard-2", 905_000, None)
    assert verdict(now=within, hours=never) == Resume()
    assert verdict(replace(LEG, wish=Wish(until_ms=WALL)), now=within) == Close("guard_restarted", "clock_unknown")


@pytest.mark.parametrize(
    ("boottime_ms", "expected"),
    [
        (40_000, Wait("clock_unknown")),
        (round(CLOCK_WAIT_S * 1000) - 1, Wait("clock_unknown")),
        (round(CLOCK_WAIT_S * 1000), Close("power_lost", "length of the interruption unknown")),
    ],
)
def test_an_unknown_length_is_too_long_once_the_clock_had_its_time(boottime_ms: int, expected: Wait | Close) -> None:
    """A controller without a hardware clock is given five minutes to learn the time."""
    assert verdict(now=Instant("boot-2", "guard-2", boottime_ms, None)) == expected
    unknown = replace(LEG, last=replace(LAST, wall_ms=None))
    assert verdict(unknown) == Close("power_lost", "length of the interruption unknown")


def test_a_restarted_guard_gives_power_back_by_its_own_policy() -> None:
    """Its restart is told by its boot id under the same boot of the machine."""
    now = Instant("boot-1", "guard-2", 905_000, None)
    assert verdict(now=now) == Resume()
    off = msgspec.structs.replace(POLICY, resume_after_guard_restart=False)
    assert verdict(now=now, policy=off) == Close("guard_restarted", "resume is off")
    assert verdict(now=now, policy=msgspec.structs.replace(POLICY, resume=False)) == Resume()


def test_never_twice_for_one_interruption() -> None:
    """The leg that went on was begun under this boot and this guard: that it is gone is no interruption."""
    went_on = replace(LEG, last=BACK, resumed=1)
    later = replace(BACK, boottime_ms=BACK.boottime_ms + 5000)
    for why in (None, "power_lost", "guard_restarted"):
        assert verdict(replace(went_on, why=why), now=later) == Close("lease_expired", "interrupted again")
    assert verdict(replace(went_on, why="lease_expired"), now=later) == Resume()
    assert verdict(replace(went_on, why="smoke"), now=later) == Close("lease_expired", "ended before: smoke")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"state": "tripped", "reason": "over_current"}, Close("power_lost", "fault: over_current")),
        ({"state": "tripped"}, Close("power_lost", "fault: unknown")),
        ({"state": "on"}, Close("power_lost", "port_busy")),
        ({"state": "ended"}, Resume()),
        ({"findings": ["meter_implausible"]}, Close("power_lost", "fault: meter_implausible")),
        ({"findings": ["something_new"]}, Close("power_lost", "fault: something_new")),
        ({"findings": ["temperature_warning"]}, Resume()),
        ({"findings": ["meter_lost"]}, Wait("meter_lost")),
        ({"findings": ["meter_lost"], "uptime_s": SETTLE_S - 0.1}, Wait("meter_lost")),
        ({"findings": ["meter_lost"], "uptime_s": SETTLE_S}, Close("power_lost", "fault: meter_lost")),
        ({"register_mwh": None}, Wait("starting_up")),
        ({"register_mwh": None, "uptime_s": SETTLE_S}, Close("power_lost", "meter not read")),
        ({"findings": ["supply_lost"], "uptime_s": 1e6}, Wait("supply_lost")),
        ({"findings": ["supply_lost", "meter_lost"], "uptime_s": 1e6}, Close("power_lost", "fault: supply_lost")),
    ],
)
def test_never_after_a_fault(shown: dict[str, object], expected: Resume | Wait | Close) -> None:
    """What holds closes the session; what clears by itself has a minute, a lost supply as long as the policy allows."""
    assert verdict(snapshot=guard(**shown)) == expected  # type: ignore[arg-type]


def test_a_fault_of_the_cabinet_and_a_test_count_as_well() -> None:
    """Smoke closes the session, a periodic test is waited for."""
    smoke = msgspec.structs.replace(guard(), cabinet_faults=["smoke"])
    assert verdict(snapshot=smoke) == Close("power_lost", "fault: smoke")
    tested = msgspec.structs.replace(guard(1e6), test_running="relays")
    assert verdict(snapshot=tested) == Wait("test_running")


@pytest.mark.parametrize(
    ("position", "uptime_s", "delay_s"),
    [(0, 0.0, 0.0), (1, 0.0, 2.0), (1, 1.5, 0.5), (1, 2.0, 0.0), (3, 0.0, 6.0), (3, 7.0, 0.0)],
)
def test_ports_go_on_one_after_the_other(position: int, uptime_s: float, delay_s: float) -> None:
    """Two seconds apart, counted from guard's start, so that asking again does not begin anew."""
    assert verdict(replace(LEG, position=position), snapshot=guard(uptime_s)) == Resume(delay_s)
