"""Promises of the report by exception: an alarm at once, a session soon, watts and degrees rarely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pilenode.ipc.messages import PortSnapshot, Snapshot
from pilenode.station.report import report
from pilenode.station.telling import Telling
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts_config import ConfigReport

if TYPE_CHECKING:
    from pilenode.upstream.contract import StateReport

AT = Stamp("b", 5, 1000, ClockQuality.NTP)
PORT = PortSnapshot(port=1, state="on", closed=True, session="s1.3", power_w=200.4, temperature_c=25.04)
SNAPSHOT = Snapshot(guard_boot="g", last_event=0, uptime_s=1, contactor=True, cabinet_faults=["smoke"], ports=[PORT])
TOLD = report(SNAPSHOT, AT, journal_ok=True)


def later(**fields: object) -> StateReport:
    """Return the report with other values of port 1."""
    snapshot = msgspec.structs.replace(SNAPSHOT, ports=[msgspec.structs.replace(PORT, **fields)])
    return report(snapshot, AT, journal_ok=True)


def due_after_s(state: StateReport, credit: float = 6.0) -> float | None:
    """Return the first of some ages of the last message at which ``state`` is told, None when it is told at none."""
    telling = Telling(told=TOLD, told_at_s=0.0, credit=credit)
    return next((age for age in (0.0, 899.9, 900.0, 1799.9, 1800.0, 3599.9) if telling.is_due(state, age)), None)


@pytest.mark.parametrize(
    ("fields", "due_s"),
    [
        ({}, None),
        ({"power_w": 210.4}, None),
        ({"power_w": 211.0}, 900.0),
        ({"power_w": 190.0}, None),
        ({"power_w": 189.0}, 900.0),
        ({"power_w": None}, 900.0),
        ({"temperature_c": 27.0}, None),
        ({"temperature_c": 27.1}, 900.0),
        ({"temperature_c": None}, 900.0),
        ({"state": "ended"}, 0.0),
        ({"session": "s2"}, 0.0),
        ({"reason": "full"}, 0.0),
        ({"findings": ["meter_lost"]}, 0.0),
        ({"voltage_v": 230.0}, None),
    ],
)
def test_a_word_is_told_at_once_and_a_number_rarely(fields: dict[str, object], due_s: float | None) -> None:
    """A word that changed is told at once; a number only when it moved by more than its threshold, and not soon."""
    assert due_after_s(later(**fields)) == due_s


@pytest.mark.parametrize(("power_w", "is_news"), [(1050.0, False), (1051.0, True)])
def test_threshold_grows_with_the_power(power_w: float, is_news: bool) -> None:  # noqa: FBT001 - a table
    """Above 200 W a change of five percent is news, not one of ten watts."""
    telling = Telling(told=later(power_w=1000.0))
    assert telling.is_due(later(power_w=power_w), 1000.0) is is_news


@pytest.mark.parametrize(
    ("fields", "due_s"),
    [
        ({"state": "ended"}, 1800.0),
        ({"power_w": 500.0}, 1800.0),
        ({"findings": ["meter_lost"]}, 0.0),
        ({"state": "tripped"}, 0.0),
    ],
)
def test_without_credit_only_alarms_are_told(fields: dict[str, object], due_s: float) -> None:
    """Sessions that come and go all the time use their credit up; what somebody has to know needs none."""
    assert due_after_s(later(**fields), credit=0.0) == due_s


def test_the_first_state_is_told_and_then_one_an_hour() -> None:
    """A connection begins with the state, and silence never lasts longer than an hour; time alone is no news."""
    assert Telling().is_due(TOLD, 0.0)
    later_on = report(SNAPSHOT, Stamp("b", 9, 9, ClockQuality.NONE), journal_ok=True)
    telling = Telling().after(TOLD, 100.0)
    assert [telling.is_due(later_on, now) for now in (100.1, 3699.9, 3700.0)] == [False, False, True]


def test_a_day_of_changes_is_bounded() -> None:
    """A state that changes every second all day is told 53 times: six at once and two an hour."""
    telling, told = Telling(), 0
    for second in range(86_400):
        state = later(session=f"s{second}.1")
        if telling.is_due(state, float(second)):
            telling, told = telling.after(state, float(second)), told + 1
    assert told == 53


def test_where_configuration_stands_is_told_at_once() -> None:
    """Whoever desired it waits for the answer."""
    state = msgspec.structs.replace(TOLD, config=ConfigReport(applied=7))
    assert due_after_s(state, credit=0.0) == 0.0
