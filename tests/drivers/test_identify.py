"""Which model answers: ranked by what each would be read with, and honest where it cannot be told."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.load import load_meter
from config.schema_meter import MeterIdentity
from drivers.bus import SerialLine
from drivers.frames import sealed
from drivers.heard import Heard, Sound
from drivers.identify import Identification, Reason, Verdict, Why, identify, rank
from drivers.wire import Wire
from hil_rig.commissioning import ServiceMeter, ServiceRack
from pilenode.cli.meter_models import model
from tests.drivers.service_models import ALL, DDS238, DDSU666, IM1281B_TEN, JSY163T, LOAD, PZEM, SDM120, Desk

if TYPE_CHECKING:
    from config.schema_meter import MeterProfile
    from hil_rig.world import Quantities

KNOWN = (*ALL, IM1281B_TEN)


def asked(meter: MeterProfile, measured: Quantities = LOAD, known: tuple[MeterProfile, ...] = KNOWN) -> Identification:
    """Return what identifying says about one meter."""
    device = ServiceMeter(meter, lambda: measured, unit=7)
    wire = Wire(Desk([device]).line(device.baud, device.parity))
    return identify(wire, 7, [model(one) for one in known])


def test_a_meter_on_a_line_is_identified() -> None:
    """The same over a tty, at its own rate."""
    with ServiceRack([ServiceMeter(PZEM, lambda: LOAD, unit=7, baud=115_200)]) as rack:
        with contextlib.closing(Wire(SerialLine(rack.device, 115_200, "N", 1, 0.03), 0.03)) as wire:
            result = identify(wire, 7, [model(one) for one in KNOWN])
        assert {frame[1] for _, frame in rack.heard} == {3, 4}
    assert (result.verdict, result.models) == (Verdict.CERTAIN, (PZEM.model,))


def reasons(result: Identification, name: str) -> set[Why]:
    """Return what speaks for and against one model."""
    (found,) = [one for one in result.candidates if one.model == name]
    return {reason.why for reason in found.reasons}


@pytest.mark.parametrize("meter", [SDM120, PZEM, DDSU666, DDS238, JSY163T], ids=lambda one: one.model)
def test_every_model_is_told_from_the_others(meter: MeterProfile) -> None:
    """Under load each model is recognised among all, with a reason against every other one."""
    result = asked(meter)
    assert (result.verdict, result.models) == (Verdict.CERTAIN, (meter.model,))
    assert {Why.LENGTH, Why.VOLTAGE, Why.POWER} <= reasons(result, meter.model)
    others = [one for one in result.candidates if one.model != meter.model]
    assert all(one.ruled_out and one.reasons for one in others)


def test_a_model_with_several_scales_is_recognised_by_the_one_that_fits() -> None:
    """The watts of a JSY1031 are 1/100, 1/10 or 1/10,000 by its sources: none of them rules the model out."""
    jsy1031 = load_meter("jsy1031")
    result = asked(jsy1031, known=(*KNOWN, jsy1031))
    assert Why.POWER in reasons(result, jsy1031.model)
    assert result.models == (jsy1031.model,)
    assert result.candidates[0].values["power_w"] == pytest.approx(LOAD.power_w, rel=0.01)


def test_the_same_request_is_answered_in_two_lengths() -> None:
    """Ten registers from 48h: a JSY-MK-163T answers 25 bytes, an IM1281B 45, and the length alone tells them apart."""
    pair = (JSY163T, IM1281B_TEN)
    assert model(pair[0]).question(7, model(pair[0]).registers.blocks[0]).frame == (
        model(pair[1]).question(7, model(pair[1]).registers.blocks[0]).frame
    )
    jsy = asked(JSY163T, known=pair)
    assert jsy.models == ("jsy163t",)
    assert Reason(Why.OTHER_LENGTH, (25, 45)) in jsy.candidates[1].reasons
    other = asked(IM1281B_TEN, known=pair)
    assert other.models == ("im1281b-ten",)
    assert Reason(Why.OTHER_LENGTH, (45, 25)) in other.candidates[1].reasons


def test_models_that_share_a_map_cannot_be_told_apart() -> None:
    """SDM120, 220 and 230 answer alike: all three are named, none is chosen."""
    known = (SDM120, load_meter("sdm220"), load_meter("sdm230"), PZEM)
    result = asked(SDM120, known=known)
    assert result.verdict is Verdict.CANNOT_TELL
    assert set(result.models) == {"sdm120", "sdm220", "sdm230"}


def test_an_identity_register_settles_it() -> None:
    """A product code that fits proves its model, and rules it out where it does not."""
    code = MeterIdentity(function=4, address=0x0048, type="u32", equals=int.from_bytes(b"\x3f\x9d\xf3\xb6", "big"))
    mine = msgspec.structs.replace(SDM120, identity=code)
    other = msgspec.structs.replace(load_meter("sdm220"), identity=msgspec.structs.replace(code, equals=5))
    result = asked(SDM120, replace(LOAD, energy_wh=1234.0), (mine, other, load_meter("sdm230")))
    assert (result.verdict, result.models) == (Verdict.CERTAIN, ("sdm120",))
    assert Why.OTHER_IDENTITY in reasons(result, "sdm220")
    unreadable = msgspec.structs.replace(SDM120, identity=msgspec.structs.replace(code, address=0xFC00))
    result = asked(SDM120, known=(unreadable, PZEM))
    assert Why.NO_IDENTITY in reasons(result, "sdm120")
    assert result.models == ("sdm120",)


def test_a_wrong_power_rules_a_profile_out() -> None:
    """A profile with a wrong scale of power reads everything else well, and is ruled out under load only."""
    power = msgspec.structs.replace(PZEM.values.power_w, scale=0.01)
    wrong = msgspec.structs.replace(PZEM, model="wrong", values=msgspec.structs.replace(PZEM.values, power_w=power))
    result = asked(PZEM, known=(PZEM, wrong))
    assert result.models == (PZEM.model,)
    assert Why.OTHER_POWER in reasons(result, "wrong")
    at_rest = replace(LOAD, current_a=0.0, power_w=0.0, power_factor=0.0)
    assert asked(PZEM, at_rest, (PZEM, wrong)).verdict is Verdict.CANNOT_TELL


def test_without_voltage_nothing_is_certain() -> None:
    """A meter behind an open relay shows zeros, which fit every scale."""
    dark = replace(LOAD, voltage_v=0.0, current_a=0.0, power_w=0.0, power_factor=0.0, frequency_hz=0.0)
    result = asked(PZEM, dark)
    assert result.verdict is Verdict.CANNOT_TELL
    assert Why.NO_VOLTAGE in reasons(result, PZEM.model)


def test_nobody_and_an_unknown_meter() -> None:
    """Silence is told from a meter that answers as none of the known models does."""
    with Desk([]) as rack:
        wire = Wire(rack.line(115_200, "N"))
        with contextlib.closing(wire):
            assert identify(wire, 7, [model(one) for one in KNOWN]).verdict is Verdict.SILENT
        assert len(rack.heard) == 4
    assert asked(JSY163T, known=(PZEM, SDM120)).verdict is Verdict.UNKNOWN_MODEL


def test_two_meters_with_one_address_are_no_model() -> None:
    """Unreadable answers end it: no model is guessed from a collision."""
    stations = [
        ServiceMeter(PZEM, lambda: LOAD, unit=7, baud=115_200),
        ServiceMeter(PZEM, lambda: replace(LOAD, voltage_v=221.0), unit=7, baud=115_200),
    ]
    with Desk(stations) as rack:
        wire = Wire(rack.line(115_200, "N"))
        with contextlib.closing(wire):
            assert identify(wire, 7, [model(PZEM)]).verdict is Verdict.DISTURBED


@pytest.mark.parametrize(
    ("registers", "why"),
    [
        ([3001, 0, 0, 0, 0, 0, 0, 500, 100, 0], Why.IMPLAUSIBLE_VOLTAGE),
        ([799, 0, 0, 0, 0, 0, 0, 500, 100, 0], Why.IMPLAUSIBLE_VOLTAGE),
        ([2300, 0, 2, 0, 0, 0, 0, 500, 100, 0], Why.IMPLAUSIBLE_CURRENT),
        ([2300, 0, 0, 0, 5, 0, 0, 500, 100, 0], Why.IMPLAUSIBLE_POWER),
        ([2300, 0, 0, 0, 0, 0, 0, 449, 100, 0], Why.IMPLAUSIBLE_FREQUENCY),
        ([2300, 0, 0, 0, 0, 0, 0, 651, 100, 0], Why.IMPLAUSIBLE_FREQUENCY),
        ([2300, 0, 0, 0, 0, 0, 0, 500, 106, 0], Why.IMPLAUSIBLE_FACTOR),
        ([3000, 0, 0, 0, 0, 0, 0, 450, 105, 0], None),
        ([800, 0, 0, 0, 0, 0, 0, 650, 0, 0], None),
    ],
)
def test_limits_of_what_can_be(registers: list[int], why: Why | None) -> None:
    """80 to 300 V, 45 to 65 Hz, 100 A, 30 kW and a power factor of 1.05 are the last that can be."""
    own = model(PZEM)
    question = own.question(1, own.registers.blocks[0])
    data = b"".join(value.to_bytes(2, "big") for value in registers)
    frame = sealed(bytes([1, 4, len(data)]) + data)
    result = rank(1, [own], {question.frame: Heard(Sound.ANSWER, frame, frame)})
    (candidate,) = result.candidates
    assert [reason.why for reason in candidate.reasons if reason.rules_out] == ([] if why is None else [why])
