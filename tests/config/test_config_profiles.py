"""Profiles: values that stand where the file is silent, checked like the file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import msgspec
import pytest

from config import load
from config.errors import ConfigError
from config.schema import Cabinet, Config, Limits, Profile, Promise, Upstream

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["default", "demo", "strict"])
def test_every_shipped_profile_is_sound(good: str, name: str) -> None:
    """No shipped profile has a mistake of its own."""
    assert load.check_text(f'profile = "{name}"\n{good}') == []


def test_the_default_profile_says_what_the_schema_says() -> None:
    """The product's values stand in the profile with their reasons and in the schema as defaults: the same ones."""
    data = tomllib.loads((load.PROFILES / "default.toml").read_text(encoding="utf-8"))
    upstream = data.pop("upstream")
    assert msgspec.convert({**data}, Profile) == Profile()
    hardware = {"probe", "inlet"}
    for table in ("limits", "cabinet", "promise", "tests", "completion", "onewire"):
        assert data[table].keys() == set(getattr(Profile(), table).__struct_fields__) - hardware
    assert msgspec.convert({**upstream, "url": "mqtt://a"}, Upstream) == Upstream(url="mqtt://a")


def test_the_demo_profile_scales_durations_and_no_protective_limit(good: str) -> None:
    """A rig runs fast, but trips exactly where a real cabinet does."""
    config = load.load_text(f'profile = "demo"\n{good}')
    assert (config.limits, config.cabinet, config.promise) == (Limits(), Cabinet(), Promise())
    assert config.completion.time_scale == 200
    assert config.station.lease_s == 10
    assert config.station.checkpoint_s == 1
    assert config.onewire.interval_s == 0.2
    assert config.upstream is not None
    assert (config.upstream.retry_base_s, config.upstream.retry_cap_s, config.upstream.ack_timeout_s) == (0.3, 2, 2)


def test_the_strict_profile_ends_after_eight_hours(good: str) -> None:
    """Eight hours, and everything else as in the default profile."""
    strict, default = load.load_text(f'profile = "strict"\n{good}'), load.load_text(good)
    assert strict.completion.max_duration_s == 8 * 3600
    assert msgspec.structs.replace(strict, completion=default.completion, profile="default") == default


def test_the_file_wins_key_by_key(good: str) -> None:
    """One key set in the file leaves the other keys of its table to the profile."""
    config = load.load_text(f'profile = "demo"\n{good}\nretry_cap_s = 7\n[station]\nlease_s = 20\n')
    assert (config.station.lease_s, config.station.checkpoint_s) == (20, 1)
    assert config.upstream is not None
    assert (config.upstream.retry_cap_s, config.upstream.retry_base_s) == (7, 0.3)


def test_a_profile_never_makes_an_upstream(good: str) -> None:
    """A cabinet without an upstream stays without, although every profile has values for one."""
    assert load.load_text(good.partition("[upstream]")[0]).upstream is None


def test_mistakes_of_a_profile_are_told_under_its_own_name(good: str, tmp_path: Path) -> None:
    """Wrong keys, types and ranges of the profile, and what it makes of the file, name the profile's line."""
    profile = tmp_path / "bad.toml"
    profile.write_text("[limits]\nmeter_max_age_s = 99\ntemperature_warn_c = 54\nx = 1\n[node]\nid = 'a'\n")
    problems = load.check_text(f'profile = "bad"\n{good}', "cabinet.toml", folder=tmp_path)
    assert sorted((one.file, one.line, one.key, one.code) for one in problems) == [
        (str(profile), 2, "limits.meter_max_age_s", "out_of_range"),
        (str(profile), 3, "limits.temperature_warn_c", "wrong_order"),
        (str(profile), 4, "limits.x", "unknown_key"),
        (str(profile), 5, "node", "unknown_key"),
    ]


def test_a_profile_that_is_no_toml_is_told_under_its_own_name(good: str, tmp_path: Path) -> None:
    """A broken profile is one problem with the profile's name and line."""
    (tmp_path / "bad.toml").write_text("[limits]\nx = \n")
    (problem,) = load.check_text(f'profile = "bad"\n{good}', folder=tmp_path)
    assert (problem.file, problem.line, problem.code) == (str(tmp_path / "bad.toml"), 2, "syntax")
    with pytest.raises(ConfigError):
        load.merge_text(f'profile = "bad"\n{good}', folder=tmp_path)


def test_profiles_may_not_touch_hardware_or_identity() -> None:
    """A profile has only tables of behaviour: nothing of it can move a relay to another pin."""
    assert set(Profile.__struct_fields__) < set(Config.__struct_fields__)
    assert {"node", "bus", "port", "gpio", "input", "guard", "tariff"}.isdisjoint(Profile.__struct_fields__)
