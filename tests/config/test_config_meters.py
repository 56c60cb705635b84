"""Meter profiles: shipped ones are sound, and a wrong one is told like a wrong configuration."""

from __future__ import annotations

import pytest

from config import load, meter_files
from config.errors import ConfigError

_GOOD = """\
model = "m1"
title = "Test"
source = "none"
function = 4

[serial]
baud = 9600

[[block]]
name = "fast"
start = 0
count = 6

[values.voltage_v]
block = "fast"
address = 0
type = "u16"

[values.current_a]
block = "fast"
address = 1
type = "u32"

[values.power_w]
block = "fast"
address = 3
type = "u16"

[values.energy_wh]
block = "fast"
address = 4
type = "f32"
"""


@pytest.mark.parametrize("model", load.meters())
def test_every_shipped_meter_loads(model: str) -> None:
    """Every file in config/meters is a sound profile under its own name."""
    assert load.load_meter(model).model == model


def test_a_good_profile_loads() -> None:
    """What is right is accepted."""
    assert meter_files.load_meter_text(_GOOD, "m1").block[0].count == 6


@pytest.mark.parametrize(("line", "expected"), [("", 1000.0), ("refresh_ms = 0", 0.0), ("refresh_ms = 400", 400.0)])
def test_how_often_registers_are_renewed(line: str, expected: float) -> None:
    """Where a maker says nothing a second is taken: the worst-case time must not be reckoned too short."""
    assert meter_files.load_meter_text(f"{line}\n{_GOOD}", "m1").refresh_ms == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('model = "m1"', 'model = "m2"', [("model", "not_one_of")]),
        ("function = 4", "function = 6", [("function", "not_one_of")]),
        ("count = 6", "count = 126", [("block[1].count", "out_of_range")]),
        ("count = 6", "count = 5", [("values.energy_wh.address", "out_of_range")]),
        ("start = 0", "start = 1", [("values.voltage_v.address", "out_of_range")]),
        (
            "function = 4",
            "function = 4\nbytes_per_register = 4",
            [("values.voltage_v.type", "not_one_of"), ("values.power_w.type", "not_one_of")],
        ),
        ("count = 6", "count = 5\n[x]", [("x", "unknown_key"), ("values.energy_wh.address", "out_of_range")]),
        ('block = "fast"\naddress = 3', 'block = "fats"\naddress = 3', [("values.power_w.block", "unknown_reference")]),
        (
            "[values.voltage_v]",
            '[[block]]\nname = "fast"\nstart = 0\ncount = 6\n[values.voltage_v]',
            [("block[2].name", "duplicate")],
        ),
        ('name = "fast"', 'name = "fa st"', [("block[1].name", "wrong_format")]),
        ("function = 4", "function = 4\nrefresh_ms = -1", [("refresh_ms", "out_of_range")]),
        ("function = 4", "function = 4\nrefresh_ms = 5001", [("refresh_ms", "out_of_range")]),
        ("baud = 9600", "baud = 9601", [("serial.baud", "not_one_of")]),
        ('type = "f32"', 'type = "f32"\nscale = inf', [("values.energy_wh.scale", "out_of_range")]),
        ('type = "f32"', 'type = "f32"\nscale = 0', [("values.energy_wh.scale", "out_of_range")]),
        ('type = "f32"', 'type = "f32"\nscale = 1' + "0" * 400, [("values.energy_wh.scale", "out_of_range")]),
        (
            "[values.energy_wh]",
            "[values.energy_kwh]",
            [("values.energy_kwh", "unknown_key"), ("values.energy_wh", "missing_key")],
        ),
    ],
)
def test_a_wrong_profile_gives_exactly_its_own_problems(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    """A value must lie inside its block: what is read beyond it would be another quantity."""
    text = _GOOD.replace(old, new, 1)
    try:
        meter_files.load_meter_text(text, "m1")
        found = []
    except ConfigError as error:
        found = [(one.key, one.code) for one in error.problems]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("model", ["nope", "../profiles/default", "", "PZEM004T-V3"])
def test_an_unknown_meter_is_a_problem_that_lists_the_known_ones(model: str) -> None:
    """A name that is no shipped meter reads no file."""
    with pytest.raises(ConfigError) as caught:
        load.load_meter(model)
    (problem,) = caught.value.problems
    assert problem.code == "unknown_reference"
    assert "sdm120" in problem.en


_MORE = """\
[[block]]
name = "more"
start = 5
count = 2

[values.frequency_hz]
block = "more"
address = 6
type = "u16"

"""
_SCALES = """\
[values.power_factor]
block = "fast"
address = 6
type = "u16"
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # overlaps of values: current takes 1 and 2, power 3, energy 4 and 5
        ("address = 3", "address = 2", [("values.power_w.address", "overlap")]),
        (
            "address = 1\n",
            "address = 3\n",
            [("values.power_w.address", "overlap"), ("values.energy_wh.address", "overlap")],
        ),
        ("address = 3\n", "address = 3\nplus = [0]\n", [("values.power_w.plus[1]", "overlap")]),
        ("address = 3\n", "address = 3\nplus = [3]\n", [("values.power_w.plus[1]", "overlap")]),
        ("address = 3\n", "address = 3\nplus = [6]\n", [("values.power_w.plus[1]", "out_of_range")]),
        # lengths
        ("start = 0\ncount = 6", "start = 65530\ncount = 7", None),
        # blocks
        ('name = "fast"', 'name = "fast"\nrate = "slow"', "slow"),
        (
            "[values.voltage_v]",
            '[[block]]\nname = "more"\nstart = 6\ncount = 1\n[values.voltage_v]',
            [("block[2].name", "without_effect")],
        ),
        (
            "[values.voltage_v]",
            f"{_MORE}[values.voltage_v]",
            [("block[2].start", "overlap")],
        ),
        # channels
        (
            "[values.voltage_v]",
            "[[channel]]\n[values.voltage_v]",
            [(f"channel[1].{key}", "missing_key") for key in ("voltage_v", "current_a", "power_w", "energy_wh")],
        ),
        # notes
        ("function = 4", 'function = 4\nquirks = ["a"]\nquirks_zh = ["a", "b"]', [("quirks_zh", "wrong_length")]),
        ("function = 4", 'function = 4\nquirks = ["a"]', []),
        # types and units
        ('type = "u32"', 'type = "u24"', [("values.current_a.type", "not_one_of")]),
        (
            "[values.power_w]",
            "[values.power_kw]",
            [("values.power_kw", "unknown_key"), ("values.power_w", "missing_key")],
        ),
    ],
)
def test_a_contradiction_in_a_profile_is_told(old: str, new: str, expected: list[tuple[str, str]] | str | None) -> None:
    """Overlaps, impossible lengths, unknown types and units: each is refused with its key."""
    assert old in _GOOD
    found = problems(_GOOD.replace(old, new, 1))
    if expected is None:
        assert ("block[1].count", "out_of_range") in found
    elif expected == "slow":
        assert found == [(f"values.{key}.block", "not_one_of") for key in ("current_a", "power_w", "voltage_v")]
    else:
        assert found == sorted(expected)


def problems(text: str) -> list[tuple[str, str]]:
    """Return key and code of every problem of a profile."""
    try:
        meter_files.load_meter_text(text, "m1")
    except ConfigError as error:
        return sorted((one.key, one.code) for one in error.problems)
    return []


@pytest.mark.parametrize(("count", "expected"), [(62, []), (63, [("block[1].count", "out_of_range")])])
def test_a_block_of_wide_registers_is_half_as_long(count: int, expected: list[tuple[str, str]]) -> None:
    """One reply holds 250 bytes: 62 registers of four."""
    wide = _GOOD.replace("function = 4", "function = 4\nbytes_per_register = 4").replace("u16", "s32")
    assert problems(wide.replace("count = 6", f"count = {count}")) == expected


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("0, 7, 9, 10", []),  # the voltage is shared, everything else its own
        ("0, 1, 9, 10", []),  # a whole quantity may be shared
        ("0, 2, 9, 10", [("channel[1].current_a.address", "overlap")]),
        ("4, 7, 9, 10", [("channel[1].voltage_v.address", "overlap")]),
        ("0, 7, 9, 11", [("channel[1].energy_wh.address", "out_of_range")]),
    ],
)
def test_channels_share_whole_quantities_or_nothing(channel: str, expected: list[tuple[str, str]]) -> None:
    """The same volts in the same place are one supply; half a register of somebody else's current is a mistake."""
    places = [int(one) for one in channel.split(", ")]
    tables = "".join(
        f'[channel.{key}]\nblock = "fast"\naddress = {at}\ntype = "{kind}"\n'
        for key, at, kind in zip(
            ("voltage_v", "current_a", "power_w", "energy_wh"), places, ("u16", "u32", "u16", "f32"), strict=True
        )
    )
    assert problems(_GOOD.replace("count = 6", "count = 12") + "[[channel]]\n" + tables) == expected


@pytest.mark.parametrize(
    ("key", "line", "factor", "expected"),
    [
        ("power_w", "scales = [1, 10]", _SCALES, []),
        ("power_w", "scales = [2, 1]", _SCALES, []),
        ("power_w", "scales = [1]", _SCALES, [("values.power_w.scales", "out_of_range")]),
        ("power_w", "scales = [1, 1.99]", _SCALES, [("values.power_w.scales", "out_of_range")]),
        ("power_w", "scales = [1, 1]", _SCALES, [("values.power_w.scales", "out_of_range")]),
        ("power_w", "scales = [1, 0]", _SCALES, [("values.power_w.scales[2]", "out_of_range")]),
        ("power_w", "scales = [1, 10, 100, 1000, 10000]", _SCALES, [("values.power_w.scales", "wrong_length")]),
        ("power_w", "scales = [1, 10]\nscale = 0.1", _SCALES, [("values.power_w.scale", "without_effect")]),
        ("power_w", "scales = [1, 10]", "", [("values.power_w.scales", "incomplete")]),
        ("current_a", "scales = [1, 10]", _SCALES, [("values.current_a.scales", "without_effect")]),
    ],
)
def test_scales_to_choose_from(key: str, line: str, factor: str, expected: list[tuple[str, str]]) -> None:
    """Only power, at least two that can be told apart, in the place of a scale, and with a power factor to tell by."""
    text = _GOOD.replace("count = 6", "count = 7").replace(f"[values.{key}]\n", f"[values.{key}]\n{line}\n")
    assert problems(text + factor) == expected


@pytest.mark.parametrize("model", load.meters())
def test_every_shipped_meter_says_in_both_languages_what_to_know(model: str) -> None:
    """Source, and the same number of notes in Chinese as in English."""
    profile = load.load_meter(model)
    assert profile.source
    assert profile.quirks
    assert len(profile.quirks) == len(profile.quirks_zh)
