"""The walker against msgspec: what the walker accepts, msgspec converts, and what msgspec refuses, the walker tells."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from config import load
from config.schema import Config, Limits, Upstream
from config.schema_meter import MeterProfile
from config.walk import NOTHING, Walker, show, unit

_EXAMPLE = Path(load.__file__).with_name("example.toml").read_text(encoding="utf-8")
_LEAVES = (
    st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.integers(-2, 300)
    | st.floats()
    | st.floats(-1, 100)
    | st.text(max_size=40)
    | st.sampled_from(["high", "N", "smoke", "mqtt://a:1", "n1", 9600, 1, 2, math.nan, math.inf])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _walk(root: type, data: object) -> tuple[object, list[tuple[object, ...]]]:
    walker = Walker()
    clean = walker.visit(inspect.type_info(root), data)
    return clean, [tuple(one) for one in walker.findings]


def _spoil(data: dict[str, object], choices: st.DataObject) -> None:
    """Replace, add or remove one thing somewhere in ``data``."""
    node: object = data
    while True:
        assert isinstance(node, dict | list)
        keys = [*node] if isinstance(node, dict) else [*range(len(node))]
        key = choices.draw(st.sampled_from(keys))
        inner = node[key]
        if isinstance(inner, dict | list) and inner and choices.draw(st.booleans()):
            node = inner
            continue
        action = choices.draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove" and isinstance(node, dict):
            del node[key]
        elif action == "add" and isinstance(node, dict):
            node[choices.draw(st.text(max_size=8))] = choices.draw(_VALUES)
        else:
            node[key] = choices.draw(_VALUES)
        return


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_walker_accepts_exactly_what_msgspec_converts(choices: st.DataObject) -> None:
    """Spoil the example anywhere: findings and conversion never disagree, and nothing raises.

    The walker is stricter in one point only: text with control characters.
    """
    data = tomllib.loads(_EXAMPLE)
    for _ in range(choices.draw(st.integers(1, 3))):
        _spoil(data, choices)
    _, findings = _walk(Config, data)
    try:
        msgspec.convert(data, Config)
    except msgspec.ValidationError:
        assert findings
    else:
        assert all("control characters" in str(one[3]) for one in findings)


@settings(max_examples=100, deadline=None)
@given(_VALUES)
def test_any_value_at_all_can_be_walked(value: object) -> None:
    """Whatever stands where a configuration should stand, the walker returns."""
    for root in (Config, MeterProfile, Limits, Upstream):
        _walk(root, value)


def test_the_clean_tree_has_defaults_and_lacks_what_is_wrong() -> None:
    """Rules between keys see sound values only, and every default."""
    clean, findings = _walk(Upstream, {"url": "mqtt://a", "retry_cap_s": 0, "username": 3, "x": 1})
    assert isinstance(clean, dict)
    assert clean["url"] == "mqtt://a"
    assert clean["retry_base_s"] == 2.0
    assert {"retry_cap_s", "username", "x"}.isdisjoint(clean)
    assert sorted(str(one[1]) for one in findings) == ["out_of_range", "unknown_key", "wrong_type"]


def test_list_positions_survive_a_wrong_element() -> None:
    """The second port stays the second when the first is no table."""
    data = tomllib.loads(_EXAMPLE)
    data["port"][0] = 5
    clean, _ = _walk(Config, data)
    assert isinstance(clean, dict)
    assert clean["port"][0] is NOTHING
    assert clean["port"][1]["number"] == 2


def test_partial_walks_miss_nothing() -> None:
    """A profile may set one key of a table whose other keys are required."""
    walker = Walker(partial=True)
    assert walker.visit(inspect.type_info(Upstream), {"retry_cap_s": 5}) == {"retry_cap_s": 5}
    assert walker.findings == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ("a", '"a"'),
        ("a\n\x7f", '"a\\u000a\\u007f"'),
        ({}, "{…}"),
        ([1], "[…]"),
        (-(2**200), "-2^200…"),
        ("x" * 100, '"' + "x" * 58 + "…"),
    ],
)
def test_values_are_shown_in_one_short_line(value: object, text: str) -> None:
    """No value, however long or strange, breaks the line of its message."""
    assert show(value) == text


@pytest.mark.parametrize(
    ("key", "expected"), [("turnaround_ms", "ms"), ("lease_s", "seconds"), ("current_limit_a", "A"), ("number", "")]
)
def test_the_unit_of_a_key_is_the_end_of_its_name(key: str, expected: str) -> None:
    """Milliseconds are not taken for seconds."""
    assert unit(("bus", 0, key))[1] == expected
