"""Normal charging: nothing protective cuts it, a recorded power cut is explained, and a nuisance would be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil_rig.nuisance import Day, normal

if TYPE_CHECKING:
    import pytest


def test_normal_charging_is_cut_by_no_protective_rule() -> None:
    """Four ports for two simulated hours: sessions run, nothing protective cuts."""
    outcome = Day(seed=5, hours=2.0, ports=4).run()
    assert outcome.sessions >= 4
    assert outcome.nuisances == []


def test_all_curves_on_which_nothing_is_wrong_are_used() -> None:
    """Thirty of the forty curves end because the battery is full."""
    assert len(normal()) == 30


def test_a_rule_that_cuts_what_is_well_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a port limit below what a charger draws, the over-current is told as a nuisance."""
    monkeypatch.setattr(
        "safety.overload.standing", lambda memory, _, __: ("over_current",) if memory.current.multiple > 0.05 else ()
    )
    outcome = Day(seed=5, hours=1.0, ports=4).run()
    assert any("over_current" in one for one in outcome.nuisances)
