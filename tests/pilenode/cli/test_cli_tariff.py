"""Promises of ``pilenode tariff`` and ``pilenode reprice``: what is shown, checked, set and told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.tariff import Period, TariffSchedule, TariffVersion, Tier
from pilenode.ipc.acts import SetTariff
from pilenode.ipc.messages import Done, Facts, FactsReply, GetTariff, Perform, Refused, StoredFact, TariffReply
from pilenode.station.bill import settlement
from pilenode.upstream.facts import SessionEnded, canonical
from pilenode.upstream.facts_money import Payment, UsagePiece

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

SCHEDULE = TariffSchedule(
    schedule=4,
    timezone="Asia/Shanghai",
    versions=[
        TariffVersion(version="flat", periods=[Period(0, 48, 520, 300)]),
        TariffVersion(
            version="tou",
            valid_from_ms=1_798_732_800_000,
            periods=[Period(0, 16, 310), Period(16, 48, 580)],
            service_tier=[Tier(200, 100), Tier(400, 250)],
        ),
    ],
)
FILE = """schedule = 4
[[tariff]]
version = "flat"
electricity_milli_yuan_per_kwh = 520
service_milli_yuan_per_kwh = 300
"""


WORDS = {"en": ("fallback", "service up to 200 W"), "zh": ("后备", "服务费 至 200 W")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_prices_are_shown_as_a_day_and_as_a_table(run: Run, station: FakeStation, language: str) -> None:
    """Number, where they come from, validity in local time, the line of the day, every price with three decimals."""
    station.reply = TariffReply(tariff=SCHEDULE, source="upstream", by="c-1", set_wall_ms=5)
    status, out, err = run("tariff", "show", "--lang", language)
    assert (status, err) == (0, "")
    assert station.asked == [GetTariff()]
    for word in (*WORDS[language], "c-1", "4", "0.520", "0.310", "2027-01-01 00:00", "▁" * 16 + "▇" * 32, "08:00"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 80


def test_prices_are_shown_as_json(run: Run, station: FakeStation) -> None:
    """The schedule as it is carried, so that it can be set elsewhere."""
    station.reply = TariffReply(tariff=SCHEDULE, source="config")
    status, out, _ = run("tariff", "show", "--json")
    assert status == 0
    assert msgspec.json.decode(out, type=TariffReply) == station.reply
    assert "configuration" in run("tariff", "show")[1]


def test_a_file_is_checked_without_a_station(run: Run, station: FakeStation, tmp_path: Path) -> None:
    """Good: its prices and its size; else every mistake with its line."""
    file = tmp_path / "p.toml"
    file.write_text(FILE, encoding="utf-8")
    status, out, _ = run("tariff", "check", str(file))
    assert (status, "0.520" in out, "good" in out) == (0, True, True)
    file.write_text(FILE.replace("520", "-1"), encoding="utf-8")
    status, out, _ = run("tariff", "check", str(file))
    assert (status, "p.toml:4:tariff[1].electricity" in out) == (2, True)
    status, out, _ = run("tariff", "check", str(file), "--json")
    assert (status, json.loads(out)["problems"][0]["code"], json.loads(out)["tariff"]) == (2, "out_of_range", None)
    assert station.asked == []


def test_a_file_is_set_by_its_person_and_a_refusal_is_told(run: Run, station: FakeStation, tmp_path: Path) -> None:
    """A file with mistakes never leaves the command; what the cabinet refuses has status 3 and its code."""
    file = tmp_path / "p.toml"
    file.write_text(FILE, encoding="utf-8")
    station.reply = Done()
    assert run("tariff", "set", str(file))[:2] == (0, "Prices number 4 are in force.\n")
    (asked,) = station.asked
    assert isinstance(asked, Perform)
    assert isinstance(asked.act, SetTariff)
    assert (asked.act.tariff.schedule, asked.act.tariff.versions[0]) == (4, SCHEDULE.versions[0])
    assert asked.by.startswith("cli:")
    station.reply = Refused(code="tariff_older", detail="4 <= 9")
    status, _, err = run("tariff", "set", str(file))
    assert (status, "4 <= 9" in err) == (3, True)
    file.write_text(FILE.replace("520", "-1"), encoding="utf-8")
    assert run("tariff", "set", str(file))[0] == 2
    assert len(station.asked) == 2


def fact(session: str, seq: int, **change: object) -> StoredFact:
    """Return the end of a session as the journal holds it."""
    piece = UsagePiece(from_wall_ms=1_782_864_000_000, to_wall_ms=1_782_867_600_000, on_ms=3_600_000, energy_mwh=10**6)
    body = SessionEnded(
        order="o",
        port=1,
        reason="full",
        age_ms=0,
        start_register_mwh=0,
        end_register_mwh=10**6,
        energy_wh=1000,
        duration_s=3600,
        electricity_fen=52,
        service_fen=30,
        tariff_version="flat",
        money=settlement([piece], [], Payment(mode="postpaid"), SCHEDULE),
    )
    raw = msgspec.Raw(canonical(msgspec.structs.replace(body, **change)))
    return StoredFact(
        seq=seq,
        boot="b",
        boottime_ms=1,
        wall_ms=2,
        clock="ntp",
        kind="session_ended",
        session=session,
        body=raw,
        hash="",
    )


def file_of(path: Path, *facts: StoredFact) -> str:
    """Write facts as the socket tells them."""
    path.write_bytes(msgspec.json.encode({"facts": facts}))
    return str(path)


def test_records_of_a_file_are_priced_again(run: Run, station: FakeStation, tmp_path: Path) -> None:
    """All the same: status 0; one that differs: status 7, and which value, as recorded and as computed."""
    good = file_of(tmp_path / "good.json", fact("s1", 1), fact("s2", 2))
    status, out, _ = run("reprice", "--file", good)
    assert (status, "2 records, 0 differ." in out) == (0, True)
    bad = file_of(tmp_path / "bad.json", fact("s1", 1), fact("s2", 2, service_fen=31))
    status, out, _ = run("reprice", "--file", bad)
    assert (status, "2 records, 1 differ." in out) == (7, True)
    assert ["s2", "service_fen", "31", "30"] in [line.split() for line in out.splitlines()]
    assert run("reprice", "s1", "--file", bad)[0] == 0
    status, out, _ = run("reprice", "s2", "--file", bad, "--json")
    assert status == 7
    assert [(one["session"], one["result"]) for one in json.loads(out)["sessions"]] == [("s2", "differs")]
    assert station.asked == []


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_a_file_may_hold_facts_in_any_form(run: Run, tmp_path: Path, form: str) -> None:
    """One fact, a list, one to a line; facts of other kinds are passed over."""
    other = msgspec.structs.replace(fact("s9", 9), kind="checkpoint")
    encoded = [msgspec.json.encode(one) for one in (fact("s1", 1), other)]
    text = {"one": encoded[0], "list": b"[" + b",".join(encoded) + b"]", "lines": b"\n".join(encoded)}[form]
    (tmp_path / "f.json").write_bytes(text)
    status, out, _ = run("reprice", "--file", str(tmp_path / "f.json"))
    assert (status, "1 records, 0 differ." in out) == (0, True)


@pytest.mark.parametrize("text", [b"", b"nothing", b"[1]", b'{"facts": 3}', b'[{"seq":1}]', b"[" * 5000])
def test_a_file_of_something_else_is_a_usage_error(run: Run, tmp_path: Path, text: bytes) -> None:
    """It is told, and nothing crashes."""
    (tmp_path / "f.json").write_bytes(text)
    assert run("reprice", "--file", str(tmp_path / "f.json"))[0] == 2
    assert run("reprice", "--file", str(tmp_path / "absent.json"))[0] == 2


def test_records_are_asked_for_by_their_kind(run: Run, station: FakeStation) -> None:
    """A session that is not there is told; without a session --all is needed."""
    station.reply = FactsReply(log_id="0" * 16, last_seq=3, facts=[])
    assert run("reprice", "--all")[:2] == (0, "0 records, 0 differ.\n")
    assert station.asked == [Facts(kinds=["session_ended"], after=0, limit=100)]
    assert run("reprice", "s1")[0] == 2
    assert run("reprice")[0] == 2
    assert run("reprice", "s1", "--all")[0] == 2
