"""How a session ends, each reason at its limit, on states made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safety.completion import begin
from safety.ending import end, settle, why_end
from safety.inputs import PortInputs
from safety.limits import PortLimits
from safety.port import PortStatus, Signal
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import Event, Plan, PortState, Settings

NOW = 1000.0
GOOD = MeterReading(NOW, 220.0, 1.0, 200.0, None, 530.0, NOW)
SETTINGS = Settings(ports={1: PortLimits()}, max_duration_s=600.0)
ON = PortState(
    status=PortStatus.ON,
    session="s",
    lease_until_s=NOW + 10.0,
    armed_at_s=NOW - 105.0,
    closed_at_s=NOW - 100.0,
    start_energy_wh=500.0,
)
LOST = Missing(MissingReason.TIMEOUT, 990.0)


def reason(
    port: PortState = ON, meter: MeterReading | Missing = GOOD, faults: tuple[str, ...] = (), now: float = NOW
) -> tuple[str | None, str]:
    """Return the reason to end and its detail."""
    return why_end(port, PortInputs(meter), SETTINGS, faults, now)[1:]


def test_a_session_goes_on_when_nothing_ends_it() -> None:
    """The case that the others differ from."""
    assert reason() == (None, "")


def test_protection_comes_first() -> None:
    """The first fault is the reason; for a lost meter the detail says how it was lost."""
    late = replace(ON, lease_until_s=0.0, plan=Plan(1.0, 1.0, 1.0))
    assert reason(late, faults=("smoke", "rcd")) == ("smoke", "")
    error = Missing(MissingReason.BAD_CRC, 990.0)
    inputs = PortInputs(GOOD, meter_error=error)
    assert why_end(late, inputs, SETTINGS, ("meter_lost",), NOW)[1:] == ("meter_lost", "bad_crc")
    assert why_end(late, inputs, SETTINGS, ("smoke", "meter_lost"), NOW)[1:] == ("smoke", "")
    assert reason(late, faults=("meter_lost",)) == ("meter_lost", "")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"lease_until_s": NOW + 0.01}, None),
        ({"lease_until_s": NOW}, ("lease_expired", "")),
        ({"lease_until_s": NOW, "plan": Plan(1.0, 1.0, 1.0)}, ("lease_expired", "")),
        ({"plan": Plan(deadline_s=105.1)}, None),
        ({"plan": Plan(deadline_s=105.0)}, ("planned_deadline", "105 s")),
        (
            {"plan": Plan(deadline_s=105.0), "status": PortStatus.ARMED, "closed_at_s": None},
            ("planned_deadline", "105 s"),
        ),
        ({"plan": Plan(deadline_s=105.1, for_hours=True)}, None),
        ({"plan": Plan(deadline_s=105.0, for_hours=True)}, ("hours_ended", "105 s")),
        ({"plan": Plan(duration_s=100.1)}, None),
        ({"plan": Plan(duration_s=100.0)}, ("planned_duration", "100 s")),
        ({"plan": Plan(duration_s=100.0), "status": PortStatus.ARMED}, None),
        ({"closed_at_s": NOW - 599.9}, None),
        ({"closed_at_s": None, "plan": Plan(duration_s=1.0)}, None),
        ({"closed_at_s": NOW - 600.0}, ("max_duration", "600 s")),
        ({"plan": Plan(energy_wh=30.1)}, None),
        ({"plan": Plan(energy_wh=30.0)}, ("planned_energy", "30.0 Wh")),
        ({"plan": Plan(energy_wh=30.1, for_amount=True)}, None),
        ({"plan": Plan(energy_wh=30.0, for_amount=True)}, ("planned_amount", "30.0 Wh")),
        ({"plan": Plan(duration_s=100.0, for_amount=True)}, ("planned_duration", "100 s")),
        ({"plan": Plan(energy_wh=30.0), "start_energy_wh": None}, None),
        ({"plan": Plan(energy_wh=0.0), "start_energy_wh": 530.0}, ("planned_energy", "0.0 Wh")),
        ({"plan": Plan(duration_s=0.0)}, ("planned_duration", "100 s")),
        ({"plan": Plan(deadline_s=0.0)}, ("planned_deadline", "105 s")),
    ],
)
def test_a_session_ends_at_its_limit(changed: dict[str, object], expected: tuple[str, str] | None) -> None:
    """Lease and deadline also while it waits; duration and energy count from the closing."""
    assert reason(replace(ON, **changed)) == (expected or (None, ""))  # type: ignore[arg-type]


def test_energy_ends_no_session_without_a_register() -> None:
    """Nor does anything that needs a reading, without one; the clock goes on."""
    planned = replace(ON, plan=Plan(energy_wh=30.0))
    assert reason(planned, replace(GOOD, energy_wh=None, energy_taken_s=None)) == (None, "")
    assert reason(planned, LOST) == (None, "")
    assert reason(replace(ON, plan=Plan(duration_s=1.0)), LOST) == (None, "")
    assert reason(replace(ON, plan=Plan(deadline_s=1.0)), LOST) == ("planned_deadline", "105 s")


def test_the_completion_rules_get_the_reading_as_it_is() -> None:
    """Time, volts, amperes, watts, power factor and temperature of the newest reading, once each."""
    port = replace(ON, completion=begin(NOW - 1.0), sampled_s=NOW - 1.0)
    reading = replace(GOOD, power_factor=0.9)
    with_probe = PortInputs(reading, probe=ProbeReading(NOW, 41.0))
    after, code, detail = why_end(port, with_probe, SETTINGS, (), NOW)
    assert (code, detail, after.sampled_s) == (None, "", NOW)
    assert after == replace(port, completion=after.completion, sampled_s=NOW)
    assert after.completion != port.completion
    assert why_end(after, with_probe, SETTINGS, (), NOW + 0.05) == (after, None, "")
    half = why_end(port, PortInputs(replace(reading, power_w=100.0)), SETTINGS, (), NOW)[0]
    assert half.completion != after.completion


# -- opening ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [PortStatus.IDLE, PortStatus.ENDED, PortStatus.TRIPPED])
def test_what_is_not_live_does_not_finish(status: PortStatus) -> None:
    """The table refuses it: nothing changes and nothing is told."""
    port = replace(ON, status=status)
    assert end(1, port, Signal.FINISH, "user", "", NOW) == (port, [])


def test_a_finished_session_waits_for_its_register() -> None:
    """Open, with reason, detail and time; nothing is latched."""
    after, events = end(1, ON, Signal.FINISH, "user", "card", NOW)
    assert after == replace(
        ON,
        status=PortStatus.ENDED,
        reason="user",
        detail="card",
        opened_at_s=NOW,
        awaiting_register=True,
        relay_opened_s=NOW,
    )
    assert events == [Event("opened", NOW, 1, "s", "user", "card")]


def test_a_trip_latches_and_tells_whose_session_it_was() -> None:
    """Of a live port; an idle one has no session to tell, and keeps what ended before."""
    after, events = end(1, ON, Signal.TRIP, "rcd", "x", NOW)
    assert (after.status, after.latched, after.reason, after.awaiting_register) == (
        PortStatus.TRIPPED,
        "rcd",
        "rcd",
        True,
    )
    assert events == [Event("opened", NOW, 1, "s", "rcd", "x"), Event("tripped", NOW, 1, "s", "rcd", "x")]
    armed = replace(ON, status=PortStatus.ARMED, closed_at_s=None)
    after, events = end(1, armed, Signal.TRIP, "rcd", "x", NOW)
    assert (after.opened_at_s, after.relay_opened_s) == (NOW, None)
    assert events == [Event("tripped", NOW, 1, "s", "rcd", "x")]
    ended = replace(ON, status=PortStatus.ENDED, reason="user", detail="card", opened_at_s=NOW - 5.0)
    after, events = end(1, ended, Signal.TRIP, "rcd", "x", NOW)
    assert after == replace(ended, status=PortStatus.TRIPPED, latched="rcd")
    assert events == [Event("tripped", NOW, 1, None, "rcd", "x")]


# -- the register after it -------------------------------------------------------------------------------------

OPENED = replace(
    ON,
    status=PortStatus.ENDED,
    reason="user",
    detail="card",
    opened_at_s=NOW - 1.0,
    awaiting_register=True,
    relay_opened_s=NOW - 1.0,
)


@pytest.mark.parametrize(
    ("meter", "waited_s", "end_wh"),
    [
        (replace(GOOD, energy_taken_s=NOW - 1.0), 1.0, "waits"),
        (replace(GOOD, energy_taken_s=NOW - 0.9), 1.0, 530.0),
        (LOST, 1.0, "waits"),
        (LOST, 4.9, "waits"),
        (LOST, 5.0, None),
        (replace(GOOD, energy_taken_s=NOW - 9.0), 4.9, "waits"),
        (replace(GOOD, energy_taken_s=NOW - 9.0), 5.0, 530.0),
        (replace(GOOD, energy_wh=None, energy_taken_s=None), 1.0, "waits"),
        (replace(GOOD, energy_wh=None, energy_taken_s=None), 5.0, None),
    ],
)
def test_the_end_is_told_with_the_register_read_after_it(
    meter: MeterReading | Missing, waited_s: float, end_wh: float | str | None
) -> None:
    """Or, two seconds beyond the age limit of a reading, with what there is."""
    port = replace(OPENED, opened_at_s=NOW - waited_s)
    after, events = settle(1, port, PortInputs(meter), SETTINGS, NOW)
    if end_wh == "waits":
        assert (after, events) == (port, [])
        return
    assert not isinstance(end_wh, str)
    assert after == replace(port, awaiting_register=False, end_energy_wh=end_wh)
    assert events == [
        Event(
            "ended",
            NOW,
            1,
            "s",
            "user",
            "card",
            start_energy_wh=500.0,
            end_energy_wh=end_wh,
            closed_for_s=100.0 - waited_s,
        )
    ]


def test_nothing_is_told_twice_and_nothing_without_an_end() -> None:
    """A port that waits for no register has nothing to tell; one that never closed waits for none."""
    told = replace(OPENED, awaiting_register=False)
    assert settle(1, told, PortInputs(GOOD), SETTINGS, NOW) == (told, [])
    assert settle(1, replace(OPENED, opened_at_s=None), PortInputs(GOOD), SETTINGS, NOW)[1] == []
    never = replace(OPENED, closed_at_s=None, start_energy_wh=None)
    after, (event,) = settle(1, never, PortInputs(LOST), SETTINGS, NOW)
    assert after == replace(never, awaiting_register=False)
    assert event == Event("ended", NOW, 1, "s", "user", "card")


def test_how_long_a_session_had_power() -> None:
    """Up to now while it has, up to its opening afterwards, unknown when it never had."""
    assert ON.closed_for_s(NOW) == 100.0
    assert OPENED.closed_for_s(NOW) == 99.0
    assert PortState().closed_for_s(NOW) is None
    assert [replace(ON, status=status).live for status in PortStatus] == [False, True, True, False, False]
