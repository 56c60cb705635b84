"""The port table."""

from __future__ import annotations

from pathlib import Path

import pytest

from safety.port import TRANSITIONS, PortStatus, Signal, diagram, transition


@pytest.mark.parametrize("status", PortStatus)
@pytest.mark.parametrize("signal", Signal)
def test_what_is_not_in_the_table_is_refused(status: PortStatus, signal: Signal) -> None:
    """A signal leads to the status in the table, or nowhere."""
    assert transition(status, signal) == TRANSITIONS.get((status, signal))


def test_only_a_turn_to_close_leads_to_on() -> None:
    """There is one way to a closed relay: an armed port whose turn it is."""
    assert [key for key, after in TRANSITIONS.items() if after is PortStatus.ON] == [(PortStatus.ARMED, Signal.CLOSE)]


def test_only_a_reset_leads_out_of_tripped() -> None:
    """A tripped port stays tripped until somebody resets it."""
    ways_out = [signal for (status, signal) in TRANSITIONS if status is PortStatus.TRIPPED]
    assert ways_out == [Signal.RESET]


def test_every_status_is_reachable_and_drawn() -> None:
    """The diagram in the documentation shows every row of the table."""
    drawn = diagram()
    assert set(TRANSITIONS.values()) | {PortStatus.IDLE} == set(PortStatus)
    assert drawn.count("-->") == len(TRANSITIONS) + 1


def test_the_documentation_shows_the_table_as_it_is() -> None:
    """The picture for people is made from the table that runs."""
    page = Path(__file__).parents[2] / "docs" / "port-table.md"
    assert f"```mermaid\n{diagram()}```\n" in page.read_text(encoding="utf-8")
