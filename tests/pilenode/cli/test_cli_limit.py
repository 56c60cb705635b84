"""Promises of ``pilenode limit``: what it asks for, in whose name, and what it tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pilenode.cli.moments import moment_ms
from pilenode.ipc.acts import SetBudget
from pilenode.ipc.messages import Done, Perform, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

NAMED = ("--authority", "grid", "--reason", "peak")


def test_a_budget_is_asked_for_in_somebodys_name(run: Run, station: FakeStation) -> None:
    """In mA, with its end; the sentence says what is in force."""
    station.reply = Done()
    status, out, err = run("limit", "8.5", *NAMED, "--until", "2030-01-15 22:00", "--lang", "en")
    assert (status, err) == (0, "")
    (asked,) = station.asked
    assert isinstance(asked, Perform)
    until_ms = moment_ms("2030-01-15 22:00")
    assert asked.act == SetBudget(limit_ma=8500, authority="grid", reason="peak", until_ms=until_ms)
    assert asked.by
    assert "8.5 A" in out


def test_without_an_end_it_stands_until_the_next_one(run: Run, station: FakeStation) -> None:
    """And as JSON it says the number."""
    station.reply = Done()
    status, out, _ = run("limit", "0", *NAMED, "--json")
    assert status == 0
    (asked,) = station.asked
    assert isinstance(asked, Perform)
    assert asked.act == SetBudget(limit_ma=0, authority="grid", reason="peak")
    assert json.loads(out)["limit_ma"] == 0


def test_a_refusal_is_told(run: Run, station: FakeStation) -> None:
    """In words, with what can be done."""
    station.reply = Refused(code="budget_too_high", detail="20000 mA > 16000 mA")
    status, _, err = run("limit", "20", *NAMED, "--lang", "en")
    assert status != 0
    assert "only be lowered" in err
    assert "load.budget_a" in err


def test_wrong_usage_asks_nobody(run: Run, station: FakeStation) -> None:
    """A number out of range, or nobody's name."""
    for arguments in (("126", *NAMED), ("-1", *NAMED), ("8", "--reason", "peak"), ("8", "--authority", "grid")):
        status, _, _ = run("limit", *arguments)
        assert status == 2
    assert station.asked == []
