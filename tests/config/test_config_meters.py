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
