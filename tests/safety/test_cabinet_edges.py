"""What concerns the whole cabinet, at its limits, on states made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from safety.cabinet import draws, drive_contactor, inlet_current_a, judge_cabinet, next_to_close, shed
from safety.catalogue_entry import Effect
from safety.contactor import Contactor
from safety.contacts import Alarms
from safety.inputs import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.port import PortStatus
from safety.proof import begin
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading
from safety.state import CabinetState, Inputs, PortState, Settings
from safety.supply import Draw, Supply

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1000.0
GOOD = MeterReading(NOW, 220.0, 2.0, 400.0, None, 500.0, NOW)
LOST = Missing(MissingReason.TIMEOUT, 990.0)
IDLE = PortState()
ON = PortState(status=PortStatus.ON, session="s", lease_until_s=NOW + 60.0, closed_at_s=900.0)
ARMED = PortState(status=PortStatus.ARMED, session="s", lease_until_s=NOW + 60.0, armed_at_s=NOW - 5.0)
SETTINGS = Settings(ports={1: PortLimits(), 2: PortLimits()}, contactor=True, feedback=True)
QUIET = Alarms({}, (), {})


def judged(
    cabinet: CabinetState = CabinetState(),  # noqa: B008 - frozen
    *,
    alarms: Alarms = QUIET,
    ports: Mapping[int, PortState] | None = None,
    settings: Settings = SETTINGS,
    **inputs: object,
) -> CabinetState:
    """Return the cabinet one tick on."""
    state = replace(safety.initial(settings), cabinet=cabinet)
    given = {"feedback": False, **inputs}
    made = Inputs({1: PortInputs(GOOD), 2: PortInputs(GOOD)}, **given)  # type: ignore[arg-type]
    return judge_cabinet(state, ports or state.ports, alarms, made, NOW)


# -- what stands -----------------------------------------------------------------------------------------------


def test_a_quiet_cabinet_has_nothing() -> None:
    """Not latched, not found, not cutting, not inhibiting."""
    after = judged()
    assert (after.latched, after.findings, after.standing, after.cutting, after.inhibiting) == ((), (), (), (), ())


@pytest.mark.parametrize(
    ("effect", "cutting", "inhibiting"),
    [(Effect.TELL, (), ()), (Effect.INHIBIT, (), ("door_open",)), (Effect.CUT, ("door_open",), ("door_open",))],
)
def test_a_contact_does_what_was_configured(
    effect: Effect, cutting: tuple[str, ...], inhibiting: tuple[str, ...]
) -> None:
    """Tell, inhibit or cut; a door holds nothing."""
    after = judged(alarms=Alarms({"door": 1.0}, (("door_open", effect),), {}))
    assert (after.findings, after.latched, after.standing) == (("door_open",), (), ("door_open",))
    assert (after.cutting, after.inhibiting) == (cutting, inhibiting)
    assert after.alarm_since_s == {"door": 1.0}


def test_what_holds_cuts_until_its_reset() -> None:
    """Whatever its contact is configured to do now, and when it is gone; it is latched once, beside what was there."""
    alarms = Alarms({}, (("smoke", Effect.CUT),), {})
    after = judged(CabinetState(latched=("fire",)), alarms=alarms)
    assert (after.latched, after.findings, after.standing) == (("fire", "smoke"), (), ("smoke",))
    assert (after.cutting, after.inhibiting) == (("fire", "smoke"), ("fire", "smoke"))
    again = judged(after, alarms=Alarms({}, (("smoke", Effect.TELL),), {}))
    assert (again.latched, again.cutting) == (("fire", "smoke"), ("fire", "smoke"))
    gone = judged(again)
    assert (gone.latched, gone.standing, gone.cutting, gone.inhibiting) == (
        ("fire", "smoke"),
        (),
        ("fire", "smoke"),
        ("fire", "smoke"),
    )


def test_a_latch_store_that_fails_keeps_new_sessions_away() -> None:
    """What runs goes on."""
    after = judged(latch_store_ok=False)
    assert (after.findings, after.cutting, after.inhibiting) == (
        ("latch_store_failed",),
        (),
        ("latch_store_failed",),
    )


@pytest.mark.parametrize("code", ["relay_welded", "load_before_closing"])
def test_a_live_socket_is_a_finding_of_the_cabinet_with_a_contactor(code: str) -> None:
    """It follows the latch of its port, which has the record of the repair; without a contactor nothing would help."""
    ports = {1: replace(IDLE, status=PortStatus.TRIPPED, latched=code), 2: IDLE}
    after = judged(ports=ports)
    assert (after.latched, after.findings, after.cutting) == ((), ("relay_welded",), ("relay_welded",))
    alone = judged(ports=ports, settings=replace(SETTINGS, contactor=False))
    assert (alone.findings, alone.cutting) == ((), ())
    other = {1: replace(IDLE, status=PortStatus.TRIPPED, latched="rcd"), 2: IDLE}
    assert judged(ports=other).findings == ()


@pytest.mark.parametrize(("running", "latched"), [(False, ("contactor_not_closed",)), (True, ())])
def test_the_contactor_is_watched_except_in_a_proof(*, running: bool, latched: tuple[str, ...]) -> None:
    """The proof makes it drop on purpose, and judges it itself."""
    closed = Contactor(since_s=990.0, changed_s=990.0, agreed_s=None)
    cabinet = CabinetState(contactor=closed, proof=begin("dead_man", 990.0) if running else None)
    assert judged(cabinet, feedback=False).latched == latched
    assert judged(cabinet, feedback=True).contactor.agreed_s == NOW


def test_two_hot_ports_are_the_cabinets_heat() -> None:
    """Several probes that rise together, with or without a load; one alone is its port's own."""
    for codes in (("temperature_rising", "heat_without_load"), ("heat_without_load", "heat_without_load")):
        ports = {number: replace(IDLE, findings=(code,)) for number, code in zip((1, 2), codes, strict=True)}
        assert judged(ports=ports).heat.together_since_s == NOW
        assert judged(ports={**ports, 2: IDLE}).heat.together_since_s is None
    warm = {number: replace(IDLE, findings=("temperature_high",)) for number in (1, 2)}
    assert judged(ports=warm).heat.together_since_s is None


def test_the_probe_of_the_cabinet_is_heard() -> None:
    """Warning and inhibit are findings."""
    after = judged(cabinet_probe=ProbeReading(NOW, 62.0))
    assert after.findings == ("cabinet_temperature_high", "cabinet_temperature_warning")
    assert after.inhibiting == ("cabinet_temperature_high",)
    assert after.heat.heard_s == NOW


# -- supply ----------------------------------------------------------------------------------------------------


def test_every_live_port_draws() -> None:
    """What its newest reading shows, nothing without one; ports that are not live draw nothing."""
    ports = {1: ON, 2: ARMED, 3: IDLE, 4: replace(ON, status=PortStatus.ENDED), 5: ON}
    inputs = {number: PortInputs(GOOD) for number in range(1, 5)} | {5: PortInputs(LOST)}
    assert [*draws(ports, inputs)] == [Draw(1, 2.0, 900.0), Draw(2, 2.0, None), Draw(5, 0.0, 900.0)]


@pytest.mark.parametrize(("age_s", "shown_a"), [(0.0, 7.0), (4.9, 7.0), (5.0, 7.0), (5.1, None)])
def test_the_inlet_meter_counts_while_it_is_fresh(age_s: float, shown_a: float | None) -> None:
    """Five seconds, the age that a sum of ports may be held against."""
    inputs = Inputs({}, inlet=MeterReading(NOW - age_s, 220.0, 7.0, 0.0))
    assert inlet_current_a(inputs, CabinetLimits(), NOW) == shown_a
    assert inlet_current_a(Inputs({}, inlet=LOST), CabinetLimits(), NOW) is None
    assert inlet_current_a(Inputs({}), CabinetLimits(), NOW) is None


def test_shedding_remembers_since_when_it_is_too_much() -> None:
    """The ports' meters and the inlet's, whichever shows more."""
    state = replace(safety.initial(SETTINGS), ports={1: ON, 2: replace(ON, closed_at_s=950.0)})
    ports = {1: PortInputs(GOOD), 2: PortInputs(GOOD)}
    over = Inputs(ports, inlet=MeterReading(NOW, 220.0, 11.1, 0.0))
    cabinet, gone = shed(state, over, NOW)
    assert (cabinet, gone) == (replace(state.cabinet, supply=Supply(NOW, None)), ())
    cabinet, gone = shed(replace(state, cabinet=cabinet), over, NOW + 2.0)
    assert (cabinet.supply, gone) == (Supply(None, NOW + 2.0), (2,))
    assert shed(state, Inputs(ports), NOW) == (state.cabinet, ())


# -- contactor and closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "cabinet", "closed"),
    [
        ({1: IDLE, 2: IDLE}, CabinetState(), False),
        ({1: IDLE, 2: ARMED}, CabinetState(), True),
        ({1: ON, 2: IDLE}, CabinetState(), True),
        ({1: IDLE, 2: IDLE}, CabinetState(proof=begin("relays", NOW)), True),
        ({1: ON, 2: IDLE}, CabinetState(cutting=("smoke",)), False),
        ({1: ON, 2: IDLE}, CabinetState(inhibiting=("door_open",)), True),
        ({1: IDLE, 2: IDLE}, CabinetState(proof=begin("relays", NOW), cutting=("smoke",)), False),
    ],
)
def test_the_contactor_is_closed_for_live_ports_and_tests_and_never_while_something_cuts(
    ports: Mapping[int, PortState], cabinet: CabinetState, *, closed: bool
) -> None:
    """What inhibits leaves it alone."""
    assert (drive_contactor(cabinet, ports, SETTINGS, NOW).contactor.since_s is not None) is closed


def may_close(
    ports: Mapping[int, PortState],
    *,
    fed_s: float | None = 900.0,
    closed_at_s: float = -1e9,
    taken_s: float = NOW,
    refresh_s: float = 1.0,
) -> int | None:
    """Return the port that may close at 1000 s."""
    limits = PortLimits(meter_refresh_s=refresh_s)
    state = safety.initial(replace(SETTINGS, ports=dict.fromkeys(ports, limits)))
    cabinet = CabinetState(contactor=Contactor(since_s=fed_s), closed_at_s=closed_at_s)
    inputs = {number: PortInputs(replace(GOOD, taken_s=taken_s)) for number in ports}
    return next_to_close(replace(state, ports=ports, cabinet=cabinet), inputs, NOW)


def test_the_longest_wait_is_first() -> None:
    """Then the lower number; whoever does not wait is not asked."""
    longer = replace(ARMED, armed_at_s=NOW - 6.0)
    assert may_close({1: ARMED, 2: longer}) == 2
    assert may_close({2: ARMED, 1: ARMED}) == 1
    assert may_close({1: ON, 2: ARMED, 3: IDLE}) == 2
    assert may_close({1: ON, 2: IDLE}) is None


@pytest.mark.parametrize(("ago_s", "port"), [(0.19, None), (0.2, 1), (0.3, 1)])
def test_closings_are_apart(ago_s: float, port: int | None) -> None:
    """A fifth of a second between two of them."""
    assert may_close({1: ARMED}, closed_at_s=NOW - ago_s) == port


@pytest.mark.parametrize(
    ("fed_s", "taken_s", "port"),
    [
        (None, NOW, None),
        (999.81, NOW, None),
        (900.0, 901.19, None),
        (900.0, 901.2, 1),
        (998.8, NOW, 1),
        (998.81, NOW, None),
    ],
)
def test_a_port_closes_on_a_reading_of_its_socket_fed_and_open(
    fed_s: float | None, taken_s: float, port: int | None
) -> None:
    """The contactor's settling time and the refresh of the meter after it was fed."""
    assert may_close({1: ARMED}, fed_s=fed_s, taken_s=taken_s) == port


def test_a_meter_that_shows_at_once_needs_no_refresh() -> None:
    """Its reading counts from the settling time on."""
    assert may_close({1: ARMED}, fed_s=999.7, refresh_s=0.0) == 1
    assert may_close({1: ARMED}, fed_s=999.7, taken_s=999.89, refresh_s=0.0) is None


def test_a_wait_that_is_exactly_over_is_over() -> None:
    """In numbers that a computer holds exactly: settling, and the distance of two closings."""
    limits = CabinetLimits(contactor_settle_s=0.25, close_stagger_s=0.25)
    state = safety.initial(Settings(ports={1: PortLimits()}, cabinet=limits))
    for fed_s, closed_at_s, port in (
        (999.75, 0.0, 1),
        (999.875, 0.0, None),
        (900.0, 999.75, 1),
        (900.0, 999.875, None),
    ):
        cabinet = CabinetState(contactor=Contactor(since_s=fed_s), closed_at_s=closed_at_s)
        here = replace(state, ports={1: ARMED}, cabinet=cabinet)
        assert next_to_close(here, {1: PortInputs(GOOD)}, NOW) == port
