"""Every memory begins with nothing: no count, no time, no load, no fault; and numbers that others rely on."""

from __future__ import annotations

import pytest

from safety import cabinet_heat, chatter, contactor, heat, overload, proof, supply, switching, voltage
from safety.circuit import Circuit
from safety.contactor import Contactor
from safety.ending import settle
from safety.inputs import PortInputs
from safety.limits import CabinetLimits, PortLimits
from safety.port import PortStatus
from safety.probe import Felt
from safety.reading import MeterReading
from safety.rise import Rise
from safety.state import PortState, Settings
from safety.supply import Draw

LIMITS = PortLimits()
OPEN = Circuit(closed_s=None, opened_s=None, fed_s=None, neighbours_v=None, neighbours_a=0.0)


def test_the_relay_rule() -> None:
    """Nothing seen live, dead, drawing, proved."""
    memory = switching.Switching()
    assert memory == switching.Switching(0, 0, None, 0.0, False, False, False, 0, None)  # noqa: FBT003 - in order
    assert switching.follow(memory, LIMITS, OPEN) == memory
    assert switching.standing(memory, LIMITS, OPEN, 0.0) == ()


def test_the_rule_of_voltage() -> None:
    """No excursion, no sag, no closing."""
    memory = voltage.Voltage()
    none = voltage.Excursion()
    assert memory == voltage.Voltage(none, none, none, None, None, False, None, False, None)  # noqa: FBT003 - in order
    assert voltage.standing(memory, LIMITS, OPEN, 0.0) == ()


def test_the_rule_of_load() -> None:
    """No load, no strain."""
    strain = overload.Strain(None, 0.0, 0, None, 0.0, None)
    assert overload.Overload() == overload.Overload(strain, strain)
    assert overload.standing(overload.Overload(), LIMITS, 0.0) == ()


def test_the_rule_of_contacts_that_spark() -> None:
    """No level, no break."""
    memory = chatter.Chatter()
    assert memory == chatter.Chatter(None, 0.0, None, None, (), False)  # noqa: FBT003 - in order
    assert chatter.standing(memory, LIMITS, 0.0) == ()


@pytest.mark.parametrize(("pause_s", "found"), [(6.9, True), (7.1, False)])
def test_what_stays_away_longer_than_a_contact_bounces_is_no_break(pause_s: float, *, found: bool) -> None:
    """Seven seconds from the last good reading to the next: the contact, the soft start and two late readings."""
    on = Circuit(closed_s=0.5, opened_s=None, fed_s=0.0, neighbours_v=220.0, neighbours_a=0.0)
    memory, now = chatter.Chatter(), 1.0
    for _ in range(LIMITS.chatter_breaks + 2):
        for watts, step_s in ((400.0, pause_s / 2), (0.0, pause_s / 2)):
            memory = chatter.observe(memory, MeterReading(now, 220.0, watts / 220.0, watts), LIMITS, on)
            now += step_s
    assert (chatter.standing(memory, LIMITS, now) == ("poor_contact",)) is found


def test_the_contactor() -> None:
    """No order yet, no use, nothing heard."""
    assert Contactor() == Contactor(None, None, 0.0, None)
    assert contactor.hear(Contactor(), None, 5.0) == Contactor()


def test_a_supply_that_is_just_full_is_not_over_it_by_a_rounding() -> None:
    """Ten times 0.9 A are 9 A, though their sum is a trifle more."""
    draws = [Draw(number, 0.9, -1000.0) for number in range(10)]
    assert sum(draw.current_a for draw in draws) > 9.0
    assert supply.admits(draws, CabinetLimits(), 0.0)


def test_a_port_that_closed_when_the_clock_began_is_not_the_latest() -> None:
    """Zero is a time like any other."""
    draws = [Draw(1, 6.0, 0.0), Draw(2, 6.0, 0.5)]
    memory, _ = supply.watch(supply.Supply(), draws, None, CabinetLimits(), 1.0)
    assert supply.watch(memory, draws, None, CabinetLimits(), 3.0)[1] == (2,)


@pytest.mark.parametrize(("taken_s", "stands"), [(1.4375, True), (1.5, False)])
def test_what_was_too_much_stands_for_half_a_second_of_readings(taken_s: float, *, stands: bool) -> None:
    """A good reading within it takes nothing back, one at its end does."""
    strain = overload.Strain(at_s=1.25, multiple=0.1, over_s=1.0)
    memory = overload.Overload(current=strain)
    memory = overload.observe(memory, MeterReading(taken_s, 220.0, 0.6, 100.0), LIMITS)
    assert (memory.current.over_s is not None) is stands


def test_a_port_that_draws_little_still_draws() -> None:
    """It goes in its turn, the latest start first; only one that draws nothing at all waits for all the others."""
    draws = [Draw(1, 0.5, 10.0), Draw(2, 11.5, 5.0)]
    memory, _ = supply.watch(supply.Supply(), draws, None, CabinetLimits(), 20.0)
    assert supply.watch(memory, draws, None, CabinetLimits(), 22.0)[1] == (1, 2)


def test_periodic_tests() -> None:
    """Their waits are those of the manual; their words go into events."""
    assert (proof.DROP_S, proof.DROPPED_S, proof.READ_S) == (1.0, 0.1, 20.0)
    assert [*proof.Phase] == ["closing", "silent", "reading"]
    assert proof.Proof("relays", 7.0) == proof.Proof("relays", 7.0, proof.Phase.CLOSING, 0.0, None, {})
    assert proof.begin("relays", 7.0) == proof.Proof("relays", 7.0, proof.Phase.CLOSING, 7.0, None, {})


def test_an_end_just_after_the_start_of_the_clock_waits_for_its_register() -> None:
    """The monotonic clock may begin at zero: no register read is not one read at zero."""
    port = PortState(status=PortStatus.ENDED, closed_at_s=0.1, opened_at_s=0.5, awaiting_register=True)
    inputs = PortInputs(MeterReading(0.6, 220.0, 0.0, 0.0))
    assert settle(1, port, inputs, Settings(ports={1: LIMITS}), 0.6) == (port, [])


@pytest.mark.parametrize(("loaded_s", "code"), [(99.9, "heat_without_load"), (100.0, "temperature_rising")])
def test_a_load_at_the_first_sample_of_a_rise_is_under_it(loaded_s: float, code: str) -> None:
    """From the oldest sample that the rise is computed from."""
    rise = Rise(samples=((100.0, 20.0), (160.0, 60.0)), rising=True)
    memory = heat.Heat(felt=Felt(rise=rise), loaded_s=loaded_s)
    assert rise.began_s == 100.0
    assert code in heat.standing(memory, None, LIMITS, 160.0)


def test_a_cabinet_without_probes_has_lost_none() -> None:
    """However short the limits are."""
    limits = CabinetLimits(probe_max_age_s=0.25, probes_lost_s=0.25)
    _, codes = cabinet_heat.feel(cabinet_heat.CabinetHeat(), None, {}, frozenset(), limits, 1000.0)
    assert codes == ()
