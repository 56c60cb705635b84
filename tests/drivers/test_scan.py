"""Searching a line: what is found, what is told, how long it takes, and that nothing is ever written."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import pytest

from drivers.bus import SerialLine
from drivers.scan import Finding, Kind, Plan, Probe, Progress, formats_of, scan
from drivers.wire import Format, LineLostError
from hil_rig.commissioning import ServiceMeter, ServiceRack
from hil_rig.wire import Reply
from pilenode.cli.meter_models import factory_format, first_probes
from tests.drivers.service_models import ALL, DDSU666, IM1281B, LOAD, PZEM, SDM120, Desk, lines_of

TURNAROUND_S = 0.02
FAST = Format(115_200)


def pzem(unit: int, baud: int = 115_200) -> ServiceMeter:
    """Return a PZEM on a fast line, so that tests are short."""
    return ServiceMeter(PZEM, lambda: LOAD, unit=unit, baud=baud)


def plan(*formats: Format, to: int = 5, **more: object) -> Plan:
    """Return a short search."""
    made = Plan(formats=formats or (FAST,), units=tuple(range(1, to + 1)), turnaround_s=TURNAROUND_S)
    return replace(made, **more)  # type: ignore[arg-type] # tests name the fields


def findings(rack: ServiceRack | Desk, search: Plan) -> list[Finding]:
    """Return everything that a search of ``rack`` finds."""
    with contextlib.closing(scan(search, lines_of(rack))) as events:
        return [event for event in events if isinstance(event, Finding)]


def only_reads(rack: ServiceRack | Desk) -> bool:
    """Whether nothing but reads, and the DL/T 645 question, went over the line."""
    return all(
        frame[1] in (3, 4) or (frame[:5] == b"\xfe\xfe\xfe\xfe\x68" and frame[12] == 0x13) for _, frame in rack.heard
    )


def test_meters_of_several_makes_and_rates_are_found() -> None:
    """Each at its own rate, a DL/T 645 meter too; the factory address is found before any other is tried."""
    stations = [
        ServiceMeter(DDSU666, lambda: LOAD, dlt645="202311000042"),
        pzem(2, 9600),
        ServiceMeter(IM1281B, lambda: LOAD, baud=19_200),
    ]
    with ServiceRack(stations) as rack:
        found = findings(rack, plan(Format(19_200), Format(9600), to=2, dlt645=True, first_probes=first_probes(ALL)))
        assert [(one.kind, one.format.baud, one.unit) for one in found] == [
            (Kind.DLT645, 2400, 0),
            (Kind.METER, 19_200, 1),
            (Kind.METER, 9600, 2),
        ]
        assert found[0].address == "202311000042"
        assert found[2].functions == (4,)
        assert only_reads(rack)
        assert not any(station.writes for station in stations)


def test_an_exception_is_presence() -> None:
    """A meter that refuses what it is asked is there all the same."""
    with Desk([ServiceMeter(IM1281B, lambda: LOAD, unit=3, baud=115_200)]) as rack:
        (found,) = findings(rack, plan(to=3))
    assert (found.kind, found.unit, found.functions) == (Kind.METER, 3, ())


@pytest.mark.parametrize(
    ("lag_s", "voltage_v", "kind"),
    [(0.0, 231.0, Kind.GARBAGE), (0.02, 231.0, Kind.SEVERAL), (0.02, LOAD.voltage_v, Kind.SEVERAL)],
)
def test_two_meters_with_one_address(lag_s: float, voltage_v: float, kind: Kind) -> None:
    """Overlapping answers are garbage, answers one after the other are two: never a meter."""
    second = ServiceMeter(PZEM, lambda: replace(LOAD, voltage_v=voltage_v), unit=2, baud=115_200)
    second.faults.lag_s = lag_s
    with Desk([pzem(2), second]) as rack:
        (found,) = findings(rack, plan(to=2))
    assert (found.kind, found.unit) == (kind, 2) or (lag_s == 0 and found.kind is Kind.UNSTEADY)


def test_a_meter_that_answers_by_turns_is_unsteady() -> None:
    """Good and bad answers to the same question: two meters, or a bad line; it is not called a meter."""
    meter = pzem(1)
    turns = iter(range(100))
    good = meter.hear

    def wobbling(frame: bytes, baud: int, parity: str | None) -> Reply | None:
        reply = good(frame, baud, parity)
        return Reply(b"\x55" * 9) if reply and next(turns) % 2 else reply

    meter.hear = wobbling  # type: ignore[method-assign]
    with Desk([meter]) as rack:
        (found,) = findings(rack, plan(to=1))
    assert found.kind is Kind.UNSTEADY


def test_another_parity_is_not_called_a_meter() -> None:
    """A line that is opened with another parity hears nothing that it could call a meter."""
    with Desk([ServiceMeter(PZEM, lambda: LOAD, baud=115_200, parity="E")]) as rack:
        assert findings(rack, plan(to=1)) == []
        (found,) = findings(rack, plan(Format(115_200, "E"), to=1))
    assert (found.kind, found.format.parity) == (Kind.METER, "E")


def test_an_adapter_that_hears_itself_is_told_once() -> None:
    """The echo is a finding of its own and hides no meter."""
    with Desk([pzem(2)], echo=True) as rack:
        found = findings(rack, plan(to=2))
    assert [(one.kind, one.unit) for one in found] == [(Kind.ECHO, 0), (Kind.METER, 2)]


def test_a_late_meter_is_not_lost() -> None:
    """An answer that comes during a later probe carries its own address, and that one is asked again."""
    slow = pzem(1)
    slow.faults.lag_s = 0.1
    first = slow.hear

    def hear(frame: bytes, baud: int, parity: str | None) -> Reply | None:
        reply = first(frame, baud, parity)
        slow.faults.lag_s = 0.0
        return reply

    slow.hear = hear  # type: ignore[method-assign]
    with ServiceRack([slow]) as rack:
        found = findings(rack, plan(to=3))
    assert [(one.kind, one.unit) for one in found] == [(Kind.METER, 1)]


def test_a_silent_line_has_no_findings_and_takes_the_time_that_was_told() -> None:
    """The estimate is what a silent line takes, within a machine's slack; progress counts down to its end."""
    search = plan(FAST, Format(57_600), to=3)
    with ServiceRack([]) as rack:
        begun_s = time.monotonic()
        with contextlib.closing(scan(search, lines_of(rack))) as events:
            heard = [*events]
        took_s = time.monotonic() - begun_s
    assert all(isinstance(event, Progress) for event in heard)
    assert search.estimate_s() * 0.9 <= took_s <= search.estimate_s() * 1.3 + 0.3
    left = [event.left_s for event in heard if isinstance(event, Progress)]
    assert left[0] == pytest.approx(search.estimate_s())
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(0.0, abs=1e-6)
    last = heard[-1]
    assert isinstance(last, Progress)
    assert (last.done, last.total, last.number, last.rounds) == (3, 3, 4, 4)


def test_the_search_ends_with_the_number_of_meters_expected() -> None:
    """Whoever knows how many there are does not wait for the rest."""
    with Desk([pzem(1), pzem(2), pzem(3)]) as rack:
        found = findings(rack, plan(to=200, expect=2))
    assert [one.unit for one in found] == [1, 2]


def test_whoever_stops_asking_releases_the_device() -> None:
    """Closing the search in the middle closes the line: it can be opened at once."""
    with ServiceRack([pzem(1)]) as rack:
        events = scan(plan(to=200), lines_of(rack))
        next(events)
        next(events)
        events.close()
        found = findings(rack, plan(to=1))
    assert [one.unit for one in found] == [1]


def test_a_device_in_use_and_one_that_is_absent_are_told_apart() -> None:
    """The lock of guard is noticed before anything is sent; the number of the operating system says why."""
    with ServiceRack([pzem(1)]) as rack:
        holder = SerialLine(rack.device, 115_200, "N", 1, TURNAROUND_S)
        holder.hear(b"\x01\x03\x00\x00\x00\x02\xc4\x0b", 0.01)
        sent = len(rack.heard)
        with pytest.raises(LineLostError) as error:
            findings(rack, plan(to=1))
        assert error.value.errno == 11
        assert len(rack.heard) == sent
        holder.close()
    with pytest.raises(LineLostError) as error:
        [*scan(plan(to=1), lambda *_: SerialLine("/dev/no-such-tty", 9600, "N", 1, 0.05))]
    assert error.value.errno == 2


def test_a_line_that_talks_by_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another master on the line: nothing is sent into its talk, and it is a finding of its own."""
    with ServiceRack([]) as rack:
        monkeypatch.setattr(SerialLine, "_await_silence", lambda _: False)
        found = findings(rack, plan(to=3))
        assert rack.heard == []
    assert [one.kind for one in found] == [Kind.BABBLE]


def test_dlt645_meters_that_collide_are_told() -> None:
    """Two of them answer the call together: unreadable, and no number is invented."""
    stations = [ServiceMeter(DDSU666, lambda: LOAD, dlt645=number) for number in ("202311000042", "202311000057")]
    with Desk(stations) as rack:
        found = findings(rack, Plan(formats=(), units=(), dlt645=True, turnaround_s=TURNAROUND_S))
    assert [(one.kind, one.address) for one in found] == [(Kind.DLT645_GARBAGE, "")]


def test_formats_come_in_the_order_of_frequency() -> None:
    """The most frequent factory setting first, each rate and parity once, with the fewest stop bits."""
    formats = formats_of(factory_format(one) for one in (SDM120, PZEM, DDSU666, IM1281B))
    assert formats == (Format(9600), Format(4800), Format(2400))


@pytest.mark.parametrize("units", [(0,), (248,), (1, 300)])
def test_addresses_that_do_not_exist_are_refused(units: tuple[int, ...]) -> None:
    """No search asks the broadcast address."""
    with pytest.raises(ValueError, match="1 to 247"):
        Plan(formats=(FAST,), units=units)
    with pytest.raises(ValueError, match="format"):
        Plan(formats=())


def test_first_probes_are_where_the_models_are_read() -> None:
    """Every model is asked at least one thing that it surely answers."""
    assert Probe(3, 0x0048) in first_probes(ALL)
    assert Probe(4, 0x0000) in first_probes(ALL)
    assert Probe(3, 0x2000) in first_probes(ALL)
