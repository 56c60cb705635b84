"""From configuration to the limits of the safety core: nothing is lost, and nothing loosened."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import load
from config.schema import Cabinet, Completion, Limits, Station
from safety.completion_limits import CompletionLimits
from safety.limits import CabinetLimits, PortLimits


def test_the_defaults_of_both_sides_are_the_same(good: str) -> None:
    """A file without limits gives the safety core's own defaults."""
    config = load.load_text(good)
    assert load.port_limits(config, config.port[0]) == PortLimits()
    assert load.cabinet_limits(config) == CabinetLimits()
    assert load.completion_limits(config) == CompletionLimits()
    assert load.max_duration_s(config) == 36_000


@pytest.mark.parametrize("name", list(Limits.__struct_fields__))
def test_every_limit_arrives(good: str, name: str) -> None:
    """Each key of [limits] changes the field of the same name in PortLimits, CabinetLimits or both, and only that one.

    The current limit and the temperatures of the cabinet are its own.
    """
    config = load.load_text(good)
    value = getattr(config.limits, name) + 0.01
    config = msgspec.structs.replace(config, limits=msgspec.structs.replace(config.limits, **{name: value}))
    port, cabinet = load.port_limits(config, config.port[0]), load.cabinet_limits(config)
    assert hasattr(port, name) or hasattr(cabinet, name)
    changed = {name: value}
    assert port == (dataclasses.replace(PortLimits(), **changed) if hasattr(port, name) else PortLimits())
    shared = hasattr(cabinet, name) and name not in Cabinet.__struct_fields__
    assert cabinet == (dataclasses.replace(CabinetLimits(), **changed) if shared else CabinetLimits())


@pytest.mark.parametrize("name", sorted(set(Cabinet.__struct_fields__) - {"probe", "inlet"}))
def test_every_limit_of_the_cabinet_arrives(good: str, name: str) -> None:
    """Each figure of [cabinet] changes the field of the same name in CabinetLimits, and no limit of a port."""
    config = load.load_text(good)
    value = getattr(config.cabinet, name) + 0.01
    config = msgspec.structs.replace(config, cabinet=msgspec.structs.replace(config.cabinet, **{name: value}))
    assert load.cabinet_limits(config) == dataclasses.replace(CabinetLimits(), **{name: value})
    assert load.port_limits(config, config.port[0]) == PortLimits()


@pytest.mark.parametrize(("position", "behind"), [("before_relay", False), ("behind_relay", True)])
def test_the_position_of_the_meter_arrives(good: str, position: str, *, behind: bool) -> None:
    """Whether a meter sits behind its relay is told for each port by itself."""
    config = load.load_text(good.replace("unit = 2,", f'unit = 2, position = "{position}",'))
    assert [load.port_limits(config, port).meter_behind_relay for port in config.port] == [False, behind]


def test_a_port_lowers_its_own_limits_only(good: str) -> None:
    """The limit of one port is its own; its neighbour keeps that of the cabinet."""
    config = load.load_text(good.replace("number = 2", "number = 2\ncurrent_limit_a = 3\npower_limit_w = 500"))
    first, second = (load.port_limits(config, port) for port in config.port)
    assert (first.current_limit_a, first.power_limit_w) == (6.0, 1000.0)
    assert (second.current_limit_a, second.power_limit_w) == (3.0, 500.0)


def test_guard_holds_no_lease_longer_than_the_file_says(good: str) -> None:
    """The longest lease of guard is the one that the station asks for."""
    config = load.load_text(f"{good}\n[station]\nlease_s = 12\n")
    assert load.cabinet_limits(config).lease_max_s == 12


def test_time_scale_divides_durations_and_leaves_watts(good: str) -> None:
    """A rig that is fifty times faster ends its sessions fifty times sooner, at the same powers."""
    config = load.load_text(f"{good}\n[completion]\ntime_scale = 50\nno_load_w = 0.7\n")
    limits = load.completion_limits(config)
    assert limits == CompletionLimits(no_load_w=0.7).scaled(50)
    assert limits.no_load_w == 0.7
    assert load.max_duration_s(config) == 720


def _ranges(table: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, float]]:
    kind = msgspec.inspect.type_info(table)
    assert isinstance(kind, msgspec.inspect.StructType)
    strategies = {}
    for field in kind.fields:
        assert isinstance(field.type, msgspec.inspect.Metadata)
        bare = field.type.type
        if isinstance(bare, msgspec.inspect.FloatType):
            low, high = bare.ge if bare.ge is not None else bare.gt, bare.le
            strategies[field.name] = st.floats(low, high, exclude_min=bare.ge is None)
    return st.fixed_dictionaries({}, optional=strategies)


_GOOD_TEXT = """\
[node]
id = "n1"
[[bus]]
name = "main"
device = "/dev/x"
[[port]]
number = 1
meter = { model = "pzem004t-v3", unit = 1, bus = "main" }
relay = { pin = 5 }
"""


@given(_ranges(Limits), _ranges(Cabinet), _ranges(Completion), _ranges(Station))
def test_what_the_check_accepts_the_safety_core_accepts(
    limits: dict[str, float], cabinet: dict[str, float], completion: dict[str, float], station: dict[str, float]
) -> None:
    """No configuration that passes the check can make guard fail to build its limits, be its promise kept or not."""
    text = _GOOD_TEXT
    for name, table in (("limits", limits), ("cabinet", cabinet), ("completion", completion), ("station", station)):
        text += f"[{name}]\n" + "".join(f"{key} = {value!r}\n" for key, value in table.items())
    merged, problems = load._judge(text, "f.toml", load.PROFILES)
    if merged is None:
        assert problems
        return
    config = merged.config
    load.port_limits(config, config.port[0])
    load.cabinet_limits(config)
    load.completion_limits(config)
