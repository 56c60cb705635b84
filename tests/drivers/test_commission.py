"""Setting a meter over a tty: address, rate, protocol, energy, and everything that may go wrong between."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.schema_meter import MeterWrite
from drivers.bus import SerialLine
from drivers.change_over import ChangedOver, change_over_dlt645
from drivers.clear_energy import Cleared, clear_energy
from drivers.commission import set_baud, set_unit
from drivers.commission_steps import Outcome, State, Why
from drivers.registers import decode
from drivers.wire import Format, LineLostError, Wire
from hil_rig.commissioning import ServiceMeter, ServiceRack
from pilenode.cli.meter_models import ask, clear_command, model, setting
from tests.drivers.service_models import DDS238, DDSU666, IM1281B, JSY163T, LOAD, PZEM, SDM120, Desk, lines_of

if TYPE_CHECKING:
    from config.schema_meter import MeterProfile
    from hil_rig.wire import Reply

FAST = 115_200
TURNAROUND_S = 0.02


def no_pause(seconds: float) -> None:
    """Do not wait: a simulated meter is ready at once."""
    del seconds


def fitted(
    meter: MeterProfile, unit: int = 1, *, baud: int = FAST, rest: int = 0, volts: float = 229.8
) -> ServiceMeter:
    """Return a meter on a fast line, so that tests are short."""
    return ServiceMeter(meter, lambda: replace(LOAD, voltage_v=volts), unit=unit, baud=baud, rest=rest)


def moved(rack: ServiceRack | Desk, meter: MeterProfile, old: int = 1, new: int = 7) -> Outcome:
    """Set an address on the fast line of ``rack``."""
    with contextlib.closing(Wire(lines_of(rack)(FAST, "N", 1), TURNAROUND_S)) as wire:
        return set_unit(wire, setting(meter.commission.unit), ask(meter), (old, new), pause=no_pause)


def at(meter: MeterProfile, address: int, **more: str) -> MeterProfile:
    """Return a profile that holds the address of the meter in another register."""
    written = msgspec.to_builtins(meter.commission.unit) | {"address": address} | more
    unit = msgspec.convert(written, MeterWrite)
    return msgspec.structs.replace(meter, commission=msgspec.structs.replace(meter.commission, unit=unit))


def writes(rack: ServiceRack | Desk) -> list[bytes]:
    """Return every frame on the line that is no read."""
    return [frame for _, frame in rack.heard if frame[1] not in (3, 4)]


# -- address -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meter", "rest", "frame"),
    [
        (SDM120, 0, "01 10 00 14 00 02 04 40 E0 00 00"),
        (PZEM, 0, "01 06 00 02 00 07"),
        (DDSU666, 0, "01 06 00 06 00 07"),
        (DDS238, 0, "01 10 00 15 00 01 02 07 09"),
        (JSY163T, 0x40, "01 10 00 04 00 01 02 07 49"),
    ],
    ids=lambda one: one.model if hasattr(one, "model") else None,
)
def test_an_address_is_set_with_one_write(meter: MeterProfile, rest: int, frame: str) -> None:
    """Each family in its own way: a float, one register, half a register; written once, found at the new address."""
    device = fitted(meter, rest=rest)
    with Desk([device, fitted(PZEM, 9)]) as rack:
        assert moved(rack, meter) == Outcome(State.DONE, Why.AGREED)
        assert (device.unit, device.baud) == (7, FAST)
        (written,) = writes(rack)
    assert written[:-2] == bytes.fromhex(frame)


def test_the_rest_of_a_packed_register_is_written_back_as_it_was() -> None:
    """JSY-MK-163T: the two format bits and the rate of register 4 are read first, and survive."""
    device = fitted(JSY163T, baud=9600, rest=0x40)
    with Desk([device]) as rack:
        with contextlib.closing(Wire(lines_of(rack)(9600, "N", 1), TURNAROUND_S)) as wire:
            assert set_unit(wire, setting(JSY163T.commission.unit), ask(JSY163T), (1, 7), pause=no_pause).good
        reads = [frame for _, frame in rack.heard if frame[1] == 3 and frame[2:4] == b"\x00\x04"]
    assert device.writes == [bytes.fromhex("01 10 00 04 00 01 02 07 46")]
    assert reads


@pytest.mark.parametrize(
    ("stations", "meter", "units", "why"),
    [
        ([PZEM], PZEM, (1, 1), Why.SAME),
        ([IM1281B], IM1281B, (1, 7), Why.NOT_SETTABLE),
        ([PZEM], PZEM, (3, 7), Why.ABSENT),
        ([IM1281B], PZEM, (1, 7), Why.OTHER_MODEL),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    stations: list[MeterProfile], meter: MeterProfile, units: tuple[int, int], why: Why
) -> None:
    """The same address, no way known, nobody there, another model: no write leaves."""
    with Desk([fitted(one) for one in stations]) as rack:
        outcome = moved(rack, meter, *units)
        assert (outcome.state, outcome.why) == (State.UNTOUCHED, why)
        assert writes(rack) == []


@pytest.mark.parametrize("other", [PZEM, IM1281B, DDS238])
def test_a_taken_address_is_refused(other: MeterProfile) -> None:
    """Whoever answers there, an exception included, keeps the new address from being given twice."""
    with Desk([fitted(PZEM), fitted(other, 7)]) as rack:
        assert moved(rack, PZEM) == Outcome(State.UNTOUCHED, Why.TAKEN)
        assert writes(rack) == []


@pytest.mark.parametrize("lag_s", [0.0, 0.01])
def test_two_meters_at_the_old_address_are_refused(lag_s: float) -> None:
    """A collision is noticed before the write: both would take the new address."""
    second = fitted(PZEM, volts=221.5)
    second.faults.lag_s = lag_s
    with Desk([fitted(PZEM), second]) as rack:
        assert moved(rack, PZEM) == Outcome(State.UNTOUCHED, Why.SHARED)
        assert writes(rack) == []


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_meter_that_answers_now_and_then_is_not_written_to(silent: int) -> None:
    """Whatever keeps it from answering each time may be a second meter; the write waits for a steady line."""
    device = fitted(PZEM)
    good, asked = device.hear, iter(range(100))

    def hear(frame: bytes, baud: int, parity: str | None) -> Reply | None:
        reply = good(frame, baud, parity)
        return None if reply is not None and next(asked) == silent else reply

    device.hear = hear  # type: ignore[method-assign]
    with Desk([device]) as rack:
        assert moved(rack, PZEM) == Outcome(State.UNTOUCHED, Why.SHARED)
        assert writes(rack) == []


def test_a_register_that_does_not_hold_the_address_is_not_written() -> None:
    """The wrong profile with the right measuring registers is stopped by what the setting register shows."""
    with Desk([fitted(DDS238)]) as rack:
        # 0.1 V in a register of two halves: 2298 = 08FAh
        assert moved(rack, at(DDS238, 0x000C)) == Outcome(State.UNTOUCHED, Why.OTHER_MODEL, 0x08)
        assert writes(rack) == []
    with Desk([fitted(DDS238)]) as rack:
        assert moved(rack, at(DDS238, 0x0099)) == Outcome(State.UNTOUCHED, Why.UNREADABLE)
        assert writes(rack) == []
    with Desk([fitted(PZEM)]) as rack:
        # a register of its own that the meter refuses to show contradicts nothing; it refuses the write itself
        assert moved(rack, at(PZEM, 8)) == Outcome(State.OLD, Why.REFUSED, exception=2)


@pytest.mark.parametrize("new", [0, 248, -1])
def test_an_address_that_is_everybodys_is_a_mistake_of_the_program(new: int) -> None:
    """0 and F8h are never set and never written to."""
    with Desk([fitted(PZEM)]) as rack, pytest.raises(ValueError, match="1 to 247"):
        moved(rack, PZEM, 1, new)


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"mute": True}, Outcome(State.DONE, Why.NO_REPLY)),
        ({"forgets": True}, Outcome(State.OLD, Why.AGREED)),
        ({"refuses": 4}, Outcome(State.OLD, Why.REFUSED, exception=4)),
        ({"refuses": 4, "obeys_all_the_same": True}, Outcome(State.DONE, Why.REFUSED, exception=4)),
        ({"power_cut": "before"}, Outcome(State.UNKNOWN, Why.NO_REPLY)),
        ({"power_cut": "after"}, Outcome(State.UNKNOWN, Why.NO_REPLY)),
    ],
)
def test_what_counts_is_where_the_meter_is_afterwards(faults: dict[str, object], outcome: Outcome) -> None:
    """Not the answer to the write: a mute meter may have obeyed, a polite one may not, a dead one is not known."""
    device = fitted(PZEM)
    for name, value in faults.items():
        setattr(device.faults, name, value)
    with Desk([device]) as rack:
        assert moved(rack, PZEM) == outcome
        assert len(writes(rack)) == 1


@pytest.mark.parametrize(("cut", "unit"), [("before", 1), ("after", 7)])
def test_after_a_power_cut_the_meter_is_at_one_of_the_two_addresses(cut: str, unit: int) -> None:
    """When the power is back it is found where the report said to look, and the same order can be given again."""
    device = fitted(PZEM)
    device.faults.power_cut = cut  # type: ignore[assignment] # one of the two words
    with Desk([device]) as rack:
        assert moved(rack, PZEM).state is State.UNKNOWN
        device.power_cycle()
        assert device.unit == unit
        again = moved(rack, PZEM)
    assert again == (Outcome(State.DONE, Why.AGREED) if unit == 1 else Outcome(State.UNTOUCHED, Why.ABSENT))


def test_a_setting_that_waits_for_the_next_start_is_told() -> None:
    """The register shows the new address, the meter still answers at the old one: pending, done after a power cycle."""
    later = at(PZEM, 2, takes_effect="after_power_cycle")
    device = fitted(later)
    with Desk([device]) as rack:
        assert moved(rack, later) == Outcome(State.PENDING, Why.AGREED)
        device.power_cycle()
        assert device.unit == 7


def test_a_meter_that_joins_at_the_old_address_is_noticed() -> None:
    """Two looked like one (the second had no power): both places answer afterwards, and that is said."""
    sleeping = fitted(PZEM)
    sleeping.powered = False

    def wake(seconds: float) -> None:
        del seconds
        sleeping.powered = True

    with (
        Desk([fitted(PZEM), sleeping]) as rack,
        contextlib.closing(Wire(lines_of(rack)(FAST, "N", 1), TURNAROUND_S)) as wire,
    ):
        outcome = set_unit(wire, setting(PZEM.commission.unit), ask(PZEM), (1, 7), pause=wake)
    assert outcome == Outcome(State.BOTH, Why.AGREED)


def test_an_echoing_adapter_is_not_taken_for_an_answer() -> None:
    """A copy of the write from the adapter is no agreement of a mute meter; with a real answer it comes twice."""
    device = fitted(PZEM)
    device.faults.mute = True
    with Desk([device], echo=True) as rack:
        assert moved(rack, PZEM) == Outcome(State.DONE, Why.NO_REPLY)
        device.faults.mute = False
        assert moved(rack, PZEM, 7, 8) == Outcome(State.DONE, Why.AGREED)


def test_a_lost_adapter_before_and_after_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the write it is an error and nothing happened; after it the state is unknown."""
    with ServiceRack([fitted(PZEM)]) as rack:
        wire = Wire(lines_of(rack)(FAST, "N", 1), TURNAROUND_S)
        taken = SerialLine._take

        def gone(line: SerialLine, most: int, *, hung_up_without: bool = False) -> bytes:
            if writes(rack):
                raise OSError(5, "Input/output error")
            return taken(line, most, hung_up_without=hung_up_without)

        monkeypatch.setattr(SerialLine, "_take", gone)
        outcome = set_unit(wire, setting(PZEM.commission.unit), ask(PZEM), (1, 7), pause=no_pause)
        wire.close()
        assert outcome == Outcome(State.UNKNOWN, Why.LINE_LOST)
        with pytest.raises(LineLostError):
            moved(rack, PZEM)


# -- baud rate ---------------------------------------------------------------------------------------------


def rated(rack: ServiceRack | Desk, meter: MeterProfile, new: int, old: int = 9600) -> Outcome:
    """Set a rate."""
    return set_baud(
        lines_of(rack),
        setting(meter.commission.baud),
        ask(meter)(1),
        (Format(old), Format(new)),
        turnaround_s=TURNAROUND_S,
        pause=no_pause,
    )


@pytest.mark.parametrize(
    ("meter", "rest", "frame"),
    [
        (SDM120, 0, "01 10 00 1C 00 02 04 3F 80 00 00"),
        (DDSU666, 0, "01 06 00 0C 00 02"),
        (DDS238, 0, "01 10 00 15 00 01 02 01 02"),
        (JSY163T, 0xC0, "01 10 00 04 00 01 02 01 C5"),
    ],
    ids=lambda one: one.model if hasattr(one, "model") else None,
)
def test_a_rate_is_set_and_the_meter_is_found_at_it(meter: MeterProfile, rest: int, frame: str) -> None:
    """From 9600 to 4800: one write at the old rate, then the meter answers at the new one only."""
    device = fitted(meter, baud=9600, rest=rest)
    with Desk([device]) as rack:
        assert rated(rack, meter, 4800) == Outcome(State.DONE, Why.AGREED)
        assert (device.baud, device.unit) == (4800, 1)
        assert device.writes == [bytes.fromhex(frame)]
        assert [baud for baud, sent in rack.heard if sent[1] not in (3, 4)] == [9600]


@pytest.mark.parametrize(
    ("meter", "old", "new", "why"),
    [
        (PZEM, FAST, 57_600, Why.NOT_SETTABLE),
        (DDS238, FAST, FAST, Why.SAME),
        (DDS238, FAST, 19_200, Why.NO_CODE),
        (DDS238, 57_600, 9600, Why.ABSENT),
    ],
)
def test_a_rate_that_cannot_be_set_is_refused(meter: MeterProfile, old: int, new: int, why: Why) -> None:
    """No way, no change, no such rate, nobody: nothing is written."""
    with Desk([fitted(meter)]) as rack:
        assert rated(rack, meter, new, old) == Outcome(State.UNTOUCHED, why)
        assert writes(rack) == []


def test_another_meter_with_the_address_at_the_new_rate_is_refused() -> None:
    """On a line of mixed rates the address may be taken at the new one."""
    with Desk([fitted(DDS238), fitted(PZEM, baud=57_600)]) as rack:
        assert rated(rack, DDS238, 57_600, FAST) == Outcome(State.UNTOUCHED, Why.TAKEN)
        assert writes(rack) == []


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"mute": True}, Outcome(State.DONE, Why.NO_REPLY)),
        ({"forgets": True}, Outcome(State.OLD, Why.AGREED)),
        ({"refuses": 2}, Outcome(State.OLD, Why.REFUSED, exception=2)),
        ({"power_cut": "after"}, Outcome(State.UNKNOWN, Why.NO_REPLY)),
    ],
)
def test_the_rate_at_which_the_meter_answers_counts(faults: dict[str, object], outcome: Outcome) -> None:
    """As with an address."""
    device = fitted(DDS238)
    for name, value in faults.items():
        setattr(device.faults, name, value)
    with Desk([device]) as rack:
        assert rated(rack, DDS238, 57_600, FAST) == outcome
        assert len(writes(rack)) == 1


# -- DL/T 645 ----------------------------------------------------------------------------------------------

NUMBER = "202311000042"
PLACES = (Format(9600, "N", 2), Format(9600))


def changed(rack: ServiceRack | Desk) -> ChangedOver:
    """Change the meter on ``rack`` over."""
    return change_over_dlt645(lines_of(rack), ask(DDSU666), PLACES, turnaround_s=TURNAROUND_S, pause=no_pause)


def test_a_meter_from_the_factory_is_changed_over_and_found() -> None:
    """It speaks Modbus afterwards, at the rate of the maker and the last two digits of its number."""
    device = ServiceMeter(DDSU666, lambda: LOAD, dlt645=NUMBER)
    with Desk([device]) as rack:
        assert changed(rack) == ChangedOver(Outcome(State.DONE, Why.AGREED), NUMBER, PLACES[0], 42)
    assert (device.dlt645, len(device.writes)) == ("", 1)


@pytest.mark.parametrize(("numbers", "why"), [((), Why.ABSENT), ((NUMBER, "202311000057"), Why.SHARED)])
def test_nobody_and_several_are_not_changed_over(numbers: tuple[str, ...], why: Why) -> None:
    """The call goes to everybody: with two meters the answers collide, and nothing is written."""
    stations = [ServiceMeter(DDSU666, lambda: LOAD, dlt645=number) for number in numbers]
    with Desk(stations) as rack:
        assert changed(rack).outcome == Outcome(State.UNTOUCHED, why)
    assert not any(station.writes for station in stations)


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"mute": True}, Outcome(State.DONE, Why.NO_REPLY)),
        ({"forgets": True}, Outcome(State.OLD, Why.AGREED)),
        ({"refuses": 1}, Outcome(State.OLD, Why.REFUSED)),
    ],
)
def test_the_protocol_that_the_meter_speaks_counts(faults: dict[str, object], outcome: Outcome) -> None:
    """A meter that agreed and goes on in DL/T 645 is as it was."""
    device = ServiceMeter(DDSU666, lambda: LOAD, dlt645=NUMBER)
    for name, value in faults.items():
        setattr(device.faults, name, value)
    with Desk([device]) as rack:
        assert changed(rack).outcome == outcome


# -- energy ------------------------------------------------------------------------------------------------


def cleared(rack: ServiceRack | Desk, meter: MeterProfile, confirmed: str, unit: int = 1) -> Cleared:
    """Clear the energy of a meter on the fast line of ``rack``."""
    own = model(meter)
    block = next(one for one in own.registers.blocks if any(field.name == "energy_wh" for field in one.fields))

    def read(wire: Wire) -> float | None:
        data = wire.ask(own.question(unit, block))
        return decode(block, data, own.registers.bytes_per_register)["energy_wh"] if isinstance(data, bytes) else None

    with contextlib.closing(Wire(lines_of(rack)(FAST, "N", 1), TURNAROUND_S)) as wire:
        return clear_energy(
            wire, clear_command(meter), ask(meter)(unit), read, model=meter.model, confirmed=confirmed, pause=no_pause
        )


@pytest.mark.parametrize(
    ("meter", "faults", "outcome"),
    [
        (PZEM, {}, Outcome(State.DONE, Why.AGREED)),
        (JSY163T, {}, Outcome(State.DONE, Why.AGREED)),
        (PZEM, {"refuses": 3, "obeys_all_the_same": True}, Outcome(State.DONE, Why.REFUSED, exception=3)),
        (PZEM, {"mute": True}, Outcome(State.DONE, Why.NO_REPLY)),
        (PZEM, {"forgets": True}, Outcome(State.OLD, Why.AGREED)),
        (PZEM, {"power_cut": "after"}, Outcome(State.UNKNOWN, Why.NO_REPLY)),
    ],
)
def test_energy_is_cleared_when_the_register_says_so(
    meter: MeterProfile, faults: dict[str, object], outcome: Outcome
) -> None:
    """A PZEM-016 answers with an error and clears; one that agrees and keeps its energy has not cleared."""
    device = fitted(meter)
    for name, value in faults.items():
        setattr(device.faults, name, value)
    with Desk([device]) as rack:
        done = cleared(rack, meter, f"{meter.model}@1")
        assert done.outcome == outcome
        assert done.before_wh == pytest.approx(LOAD.energy_wh, abs=0.4)
        after = {State.DONE: 0.0, State.OLD: done.before_wh, State.UNKNOWN: None}[outcome.state]
        assert done.after_wh == after
        assert len(writes(rack)) == 1


@pytest.mark.parametrize(
    ("meter", "confirmed", "why"),
    [
        (PZEM, "", Why.NOT_CONFIRMED),
        (PZEM, "pzem004t-v3", Why.NOT_CONFIRMED),
        (PZEM, "pzem004t-v3@2", Why.NOT_CONFIRMED),
        (PZEM, "yes", Why.NOT_CONFIRMED),
        (IM1281B, "im1281b@1", Why.NOT_SETTABLE),
    ],
)
def test_without_the_exact_confirmation_nothing_is_sent(meter: MeterProfile, confirmed: str, why: Why) -> None:
    """Model and address must be typed; a model without a known command is never tried."""
    with Desk([fitted(meter)]) as rack:
        assert cleared(rack, meter, confirmed) == Cleared(Outcome(State.UNTOUCHED, why))
        assert rack.heard == []


def test_energy_of_two_meters_is_not_cleared() -> None:
    """A collision is noticed first."""
    with Desk([fitted(PZEM), fitted(PZEM, volts=221.5)]) as rack:
        assert cleared(rack, PZEM, "pzem004t-v3@1").outcome == Outcome(State.UNTOUCHED, Why.SHARED)
        assert writes(rack) == []


# -- on a tty ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({}, Outcome(State.DONE, Why.AGREED)),
        ({"mute": True}, Outcome(State.DONE, Why.NO_REPLY)),
        ({"forgets": True}, Outcome(State.OLD, Why.AGREED)),
        ({"power_cut": "after"}, Outcome(State.UNKNOWN, Why.NO_REPLY)),
    ],
)
def test_an_address_over_a_tty(faults: dict[str, object], outcome: Outcome) -> None:
    """The same with time, silence and a real device: one write, and the truth afterwards."""
    device = fitted(PZEM)
    for name, value in faults.items():
        setattr(device.faults, name, value)
    with ServiceRack([device, fitted(IM1281B, 2)]) as rack:
        assert moved(rack, PZEM) == outcome
        assert len(writes(rack)) == 1


def test_two_meters_at_one_address_over_a_tty() -> None:
    """The collision is heard, and nothing is written."""
    with ServiceRack([fitted(PZEM), fitted(PZEM, volts=221.5)]) as rack:
        assert moved(rack, PZEM) == Outcome(State.UNTOUCHED, Why.SHARED)
        assert writes(rack) == []


def test_a_rate_over_a_tty() -> None:
    """The line is opened at both rates in turn; the meter hears only its own."""
    device = fitted(JSY163T, baud=9600, rest=0x40)
    with ServiceRack([device]) as rack:
        assert rated(rack, JSY163T, 4800) == Outcome(State.DONE, Why.AGREED)
        assert device.writes == [bytes.fromhex("01 10 00 04 00 01 02 01 45")]


def test_a_change_over_over_a_tty() -> None:
    """From 2400 8E1 in one protocol to 9600 in the other."""
    device = ServiceMeter(DDSU666, lambda: LOAD, dlt645=NUMBER)
    with ServiceRack([device]) as rack:
        assert changed(rack) == ChangedOver(Outcome(State.DONE, Why.AGREED), NUMBER, PLACES[0], 42)


def test_energy_over_a_tty() -> None:
    """A PZEM-016 that answers with an error and clears."""
    device = fitted(PZEM)
    device.faults.refuses, device.faults.obeys_all_the_same = 3, True
    with ServiceRack([device]) as rack:
        done = cleared(rack, PZEM, "pzem004t-v3@1")
    assert done == Cleared(Outcome(State.DONE, Why.REFUSED, exception=3), 1234.0, 0.0)
