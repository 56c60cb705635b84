"""Profiles of the user's own: beside the shipped ones, never in the place of one, and told like a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import load, meter_files
from config.errors import ConfigError

EXAMPLE = Path(load.__file__).with_name("example-meter.toml")


def cabinet(good: str, own: Path, model: str) -> str:
    """Return the good configuration whose second port has a model of the user's own."""
    text = good.replace('model = "pzem004t-v3", unit = 2', f'model = "{model}", unit = 2')
    return f'{text}\n[meters]\ndirectory = "{own}"\n'


def copied(folder: Path, name: str, text: str | None = None) -> Path:
    """Put the example into ``folder`` under another name."""
    text = EXAMPLE.read_text(encoding="utf-8") if text is None else text
    path = folder / f"{name}.toml"
    path.write_text(text.replace('model = "example-meter"', f'model = "{name}"'), encoding="utf-8")
    return path


def test_the_example_to_copy_is_a_good_profile() -> None:
    """What a user starts from passes the check as it stands, and has every kind of table."""
    profile, problems = meter_files.check_meter(EXAMPLE)
    assert problems == []
    assert profile is not None
    assert (profile.model, len(profile.channel), len(profile.block)) == ("example-meter", 1, 2)
    assert profile.identity is not None
    assert profile.commission.unit is not None


def test_a_model_of_the_users_own_is_known_by_its_name(tmp_path: Path, good: str) -> None:
    """A file in the directory of the configuration is a model like any other; elsewhere it is not known."""
    copied(tmp_path, "my-meter")
    assert load.check_text(cabinet(good, tmp_path, "my-meter")) == []
    config = load.load_text(cabinet(good, tmp_path, "my-meter"))
    assert load.port_limits(config, config.port[1]).meter_refresh_s == 0.5
    assert load.budget(config).ports[1].paths[1].terms[0].seconds == 0.5
    assert "my-meter" in load.meters(tmp_path)
    assert "my-meter" not in load.meters()
    (problem,) = load.check_text(cabinet(good, tmp_path / "nowhere", "my-meter"))
    assert (problem.key, problem.code) == ("port[2].meter.model", "unknown_reference")


def test_a_file_may_not_take_the_place_of_a_shipped_model(tmp_path: Path, good: str) -> None:
    """The same name is refused wherever it is met, and the message says what to do."""
    path = copied(tmp_path, "sdm120")
    profile, problems = meter_files.check_meter(path)
    assert profile is None
    assert [(one.file, one.key, one.code) for one in problems] == [(str(path), "model", "duplicate")]
    assert "sdm120-site" in problems[0].en
    with pytest.raises(ConfigError):
        load.load_meter("sdm120", tmp_path)
    assert [one.code for one in load.check_text(cabinet(good, tmp_path, "sdm120"))] == ["duplicate"]
    assert load.check_text(cabinet(good, tmp_path, "sdm220")) == []


def test_a_wrong_file_is_told_with_its_own_name_and_lines(tmp_path: Path, good: str) -> None:
    """Mistakes of a profile that a configuration names appear beside those of the configuration."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("count = 10", "count = 3")
    path = copied(tmp_path, "short", text)
    problems = load.check_text(cabinet(good, tmp_path, "short").replace("number = 2", "number = 1"))
    keys = {(one.file, one.key) for one in problems}
    assert ("<text>", "port[2].number") in keys
    assert (str(path), "values.power_w.address") in keys
    lines = path.read_text(encoding="utf-8").splitlines()
    for one in problems:
        if one.file == str(path):
            assert one.line is not None
            assert lines[one.line - 1].startswith(one.key.rsplit(".", 1)[-1])


@pytest.mark.parametrize("text", [b"\xff", b"a = ", b"#" * 65_537])
def test_a_file_that_is_no_profile_is_a_problem(tmp_path: Path, text: bytes) -> None:
    """Not UTF-8, not TOML, or far too long: one problem, no exception."""
    path = tmp_path / "x.toml"
    path.write_bytes(text)
    profile, problems = meter_files.check_meter(path)
    assert profile is None
    assert [one.code for one in problems] == ["syntax" if text == b"a = " else "unreadable"]


def test_a_directory_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    """Most cabinets have none; that is no mistake."""
    assert load.meters(tmp_path / "none") == [
        path.stem for path in sorted(meter_files.METERS.glob("*.toml"), key=lambda p: p.stem)
    ]
