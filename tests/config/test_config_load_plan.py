"""The table of orderly charging: below the installer's supply, in order, and about ports that exist."""

from __future__ import annotations

import pytest

from config import load
from pilenode.station.load_values import Feeder, LoadRules

LEFT = '[[load.feeder]]\nname = "left"\nports = [1]\nlimit_a = 5.0\n'
RIGHT = '[[load.feeder]]\nname = "right"\nports = [2]\nlimit_a = 5.0\n'


def found(good: str, text: str) -> list[tuple[str, str]]:
    """Return key and code of every problem of a good file with ``text``."""
    return [(one.key, one.code) for one in load.check_text(good + text)]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[load]\nbudget_a = 10.0\n", []),
        ("[load]\nbudget_a = 10.1\n", [("load.budget_a", "above_cabinet_limit")]),
        ("[cabinet]\ncurrent_limit_a = 12.0\n[load]\nbudget_a = 12.0\n", []),
        ("[load]\nadmit_ratio = 0.89\nshed_ratio = 0.9\n", []),
        ("[load]\nadmit_ratio = 0.9\nshed_ratio = 0.9\n", [("load.shed_ratio", "wrong_order")]),
        ("[load]\nshed_ratio = 1.01\n", [("load.shed_ratio", "out_of_range")]),
        (LEFT + RIGHT, []),
        (LEFT + RIGHT.replace("right", "left"), [("load.feeder[2].name", "duplicate")]),
        (LEFT + RIGHT.replace("[2]", "[2, 1]"), [("load.feeder[2].ports[2]", "duplicate")]),
        (LEFT.replace("[1]", "[1, 1]"), [("load.feeder[1].ports[2]", "duplicate")]),
        (LEFT.replace("[1]", "[3]"), [("load.feeder[1].ports[1]", "unknown_reference")]),
        (LEFT.replace("[1]", "[]"), [("load.feeder[1].ports", "wrong_length")]),
        (LEFT.replace("5.0", "0"), [("load.feeder[1].limit_a", "out_of_range")]),
    ],
)
def test_contradictions_are_told(good: str, text: str, problems: list[tuple[str, str]]) -> None:
    """Each beside the others, with its place."""
    assert found(good, text) == problems


def test_a_port_whose_number_is_wrong_makes_no_feeder_wrong(good: str) -> None:
    """One mistake, one message."""
    assert found(good.replace("number = 2", "number = 0"), RIGHT) == [("port[2].number", "out_of_range")]


def test_the_plan_gets_the_values_of_the_file(good: str) -> None:
    """The budget is that of the cabinet where none is given; every other key arrives under its own name."""
    rules = LoadRules.of(load.load_text(good))
    assert rules == LoadRules(10.0)
    rules = LoadRules.of(load.load_text(good + "[load]\nbudget_a = 8.0\nmax_pauses = 1\n" + LEFT))
    assert (rules.budget_a, rules.max_pauses) == (8.0, 1)
    assert rules.feeders == (Feeder("left", frozenset({1}), 5.0),)
