"""``pilenode meter``: the models, one model, and a profile of one's own before it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config import load
from config.meter_files import METERS
from pilenode.cli.exits import Exit
from pilenode.cli.main import main

EXAMPLE = Path(load.__file__).with_name("example-meter.toml")
JSY1031 = "01 03 1E 5A E3 00 00 97 B2 00 00 23 4F 00 00 00 00 03 E8 13 86 00 00 01 84 00 00 03 88 00 00 03 E8 9D E5"
JSY194 = (
    "010348 00248E5F 0000940B 008AC4AA 00002DB4 000003E8 00002616 00000000 0000138B 00241EF9 0005FEB9 058B6718 "
    "00004ECA 000003E8 00003DA2 6859"
)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return exit status and output of one command."""
    status = main(["meter", *arguments])
    return status, capsys.readouterr().out


def test_the_list_names_every_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each shipped model has its line; experimental ones, inlets and channels are marked."""
    status, out = run(capsys, "list", "--directory", str(tmp_path), "--lang", "en")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert status == Exit.OK
    assert sorted(lines) == load.meters(tmp_path)
    assert "inlet" in lines["sdm630"]
    assert "2 channels" in lines["jsy-mk-194t"]
    assert "experimental" in lines["ddsu666"]
    assert "experimental" not in lines["pzem004t-v3"]


def test_the_list_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Own profiles stand beside the shipped ones; what is wrong with others is told, and the status says so."""
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text().replace('"example-meter"', '"mine"'))
    (tmp_path / "sdm120.toml").write_text(EXAMPLE.read_text().replace('"example-meter"', '"sdm120"'))
    status, out = run(capsys, "list", "--directory", str(tmp_path), "--json")
    data = json.loads(out)
    rows = {row["model"]: row for row in data["meters"]}
    assert status == Exit.USAGE
    assert rows["mine"]["shipped"] is False
    assert (rows["mine"]["channels"], rows["mine"]["serial"], rows["mine"]["unit"]) == (2, "9600 8N1", 1)
    assert rows["sdm630"]["inlet_only"] is True
    assert rows["pzem004t-v3"]["source"]
    assert [problem["code"] for problem in data["problems"]] == ["duplicate"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("model", load.meters())
def test_every_model_can_be_shown(capsys: pytest.CaptureFixture[str], model: str, language: str) -> None:
    """Source, notes in the language asked for, registers and requests of each."""
    status, out = run(capsys, "show", model, "--lang", language)
    profile = load.load_meter(model)
    assert status == Exit.OK
    assert profile.source in out
    assert all(quirk in out for quirk in (profile.quirks if language == "en" else profile.quirks_zh))
    assert f"0x{profile.values.power_w.address:04X}" in out


def test_the_requests_are_those_that_go_over_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The published request of a PZEM, and the same for another address."""
    assert "01 04 00 00 00 0A 70 0D" in run(capsys, "show", "pzem004t-v3", "--lang", "en")[1]
    status, out = run(capsys, "show", "pzem004t-v3", "--unit", "7", "--json")
    assert status == Exit.OK
    assert [read["request"] for read in json.loads(out)["reads"]] == ["07040000000A706B"]


def test_an_unknown_model_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error is answered with the closest name."""
    assert main(["meter", "show", "sdm12", "--lang", "en"]) == Exit.USAGE
    assert "Did you mean sdm120?" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_mistake_of_a_file_is_told_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, language: str
) -> None:
    """File, line, key, range and remedy of each: an overlap, a length, a type and a unit in one run."""
    path = tmp_path / "bad.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace('"example-meter"', '"bad"')
    text = text.replace("count = 4", "count = 400").replace("address = 0x0001", "address = 0x0000")
    text = text.replace('type = "u32"', 'type = "u24"', 1).replace("[values.power_factor]", "[values.power_kw]")
    path.write_text(text, encoding="utf-8")
    status, out = run(capsys, "check", str(path), "--lang", language)
    assert status == Exit.USAGE
    lines = text.splitlines()
    for key in ("block[2].count", "values.current_a.address", "values.energy_wh.type", "values.power_kw"):
        (said,) = [line for line in out.splitlines() if f":{key}:" in line]
        number = int(said.removeprefix(str(path)).split(":")[1])
        assert key.rsplit(".", 1)[-1] in lines[number - 1]
    assert "125" in out
    problems = json.loads(run(capsys, "check", str(path), "--json")[1])["problems"]
    assert len(problems) == out.count("\n    ")  # a remedy under each
    assert all(one["remedy_zh"] and one["remedy_en"] for one in problems)


def test_a_good_file_shows_its_requests_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    """One joined read of 20 registers: 10 of power, the gap, and energy."""
    status, out = run(capsys, "check", str(EXAMPLE), "--json")
    assert status == Exit.OK
    (read,) = json.loads(out)["reads"]
    assert (read["request"], read["reply_bytes"], read["fast"]) == ("010400000014F005", 45, True)
    # 2 × 3.5 + 8 + 45 characters of 10 bits at 9600 baud, 100 ms and 40 ms
    assert read["seconds"] == pytest.approx(60 / 960 + 0.14)


def test_a_captured_reply_is_decoded(capsys: pytest.CaptureFixture[str]) -> None:
    """Both channels of the vendor's example, wrong byte count and all."""
    status, out = run(capsys, "check", str(METERS / "jsy-mk-194t.toml"), "--reply", JSY194, "--json")
    ((meaning,),) = [reply["meanings"] for reply in json.loads(out)["replies"]]
    assert status == Exit.OK
    assert meaning["channels"]["1"]["power_w"] == pytest.approx(909.4314)
    assert meaning["channels"]["2"]["power_w"] == pytest.approx(9302.1976)
    assert "power_w = 909.431" in run(capsys, "check", str(METERS / "jsy-mk-194t.toml"), "--reply", JSY194)[1]


@pytest.mark.parametrize(
    ("power", "shown"), [("0000234F", {"power_w": 903.9, "power_scale": 0.1}), ("00000123", {"power_raw": 291.0})]
)
def test_a_reply_whose_scale_is_not_settled_shows_what_it_can(
    capsys: pytest.CaptureFixture[str], power: str, shown: dict[str, float]
) -> None:
    """A scale that V·I·PF tells is used and named; else the raw number stands, and no watts are made up."""
    from hil_rig.wire import crc16  # noqa: PLC0415 - only here

    body = bytes.fromhex(f"010312 5AE3 000097B2 {power} 00000000 03E8 1386")
    reply = (body + crc16(body)).hex()
    out = run(capsys, "check", str(METERS / "jsy1031.toml"), "--reply", reply, "--json")[1]
    values = json.loads(out)["replies"][0]["meanings"][0]["channels"]["1"]
    assert {key: value for key, value in values.items() if key.startswith("power_") and key != "power_factor"} == (
        pytest.approx(shown)
    )


@pytest.mark.parametrize(
    ("reply", "status", "wrong"),
    [
        ("01 04 14 00", Exit.REFUSED, "bad_frame"),
        ("01 84 02 C2 C1", Exit.REFUSED, "exception_reply"),
        (JSY1031, Exit.REFUSED, "bad_frame"),
    ],
)
def test_a_reply_that_is_none_is_told_why(
    capsys: pytest.CaptureFixture[str], reply: str, status: Exit, wrong: str
) -> None:
    """A short frame, an exception and another meter's frame decode to nothing."""
    found, out = run(capsys, "check", str(EXAMPLE), "--reply", reply, "--json")
    assert (found, json.loads(out)["replies"][0]["meanings"][0]["wrong"]) == (status, wrong)


def test_what_is_no_hex_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is decoded from words."""
    assert main(["meter", "check", str(EXAMPLE), "--reply", "zz", "--lang", "en"]) == Exit.USAGE
    assert "not hex" in capsys.readouterr().err
