"""Random histories: the invariants hold, the histories get somewhere, and a broken core is found out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import safety
from hil_rig import histories
from hil_rig.histories import InvariantError, batch
from safety.hazards import judge
from safety.port import PortStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from safety.state import Event, Inputs, Orders, State

    Step = Callable[[State, Inputs, float], tuple[State, Orders, tuple[Event, ...]]]


def test_no_history_breaks_an_invariant_and_many_faults_are_reached() -> None:
    """A history in which nothing closes and nothing trips proves nothing."""
    reached = batch(1, 400)
    assert reached["closed"] >= 200
    tripped = {what for what in reached if what.startswith("tripped ")}
    assert {"tripped over_current", "tripped over_temperature", "tripped relay_welded", "tripped smoke"} <= tripped
    assert len(tripped) >= 8
    assert reached["tested relays"] > 0


def test_the_same_seed_is_the_same_history() -> None:
    """A seed that broke something can be lived through again."""
    assert batch(7, 5) == batch(7, 5)


def _closed_without_lease(step: Step) -> Step:
    def broken(state: State, inputs: Inputs, now: float) -> tuple[State, Orders, tuple[Event, ...]]:
        after, orders, events = step(state, inputs, now)
        return after, replace(orders, closed=frozenset({1})), events

    return broken


def _forgets_latches(step: Step) -> Step:
    def broken(state: State, inputs: Inputs, now: float) -> tuple[State, Orders, tuple[Event, ...]]:
        after, orders, events = step(state, inputs, now)
        tripped = {n: after.ports[n] for n, p in state.ports.items() if p.status is PortStatus.TRIPPED}
        freed = {n: replace(p, status=PortStatus.IDLE, latched=None) for n, p in tripped.items()}
        return replace(after, ports={**after.ports, **freed}), orders, events

    return broken


def _refusal_that_acts(step: Step) -> Step:
    def broken(state: State, inputs: Inputs, now: float) -> tuple[State, Orders, tuple[Event, ...]]:
        after, orders, events = step(state, inputs, now)
        if any(answer.code for answer in orders.answers):
            after = replace(after, cabinet=replace(after.cabinet, closed_at_s=now))
        return after, orders, events

    return broken


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (_closed_without_lease, "without a live lease"),
        (_forgets_latches, "left its latch"),
        (_refusal_that_acts, "was refused and changed something"),
    ],
)
def test_a_broken_core_is_found_out(
    monkeypatch: pytest.MonkeyPatch, break_it: Callable[[Step], Step], words: str
) -> None:
    """Each invariant has been seen to fail."""
    monkeypatch.setattr(safety, "step", break_it(safety.step))
    with pytest.raises(InvariantError, match=words):
        batch(1, 40)


def test_a_verdict_that_silence_makes_milder_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that forget when nothing new comes break the third invariant."""

    def forgetful(memory, inputs, limits, now):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as judge
        after, codes = judge(memory, inputs, limits, now)
        fresh = inputs.meter_error is None and getattr(inputs.meter, "taken_s", now) == now
        return after, codes if fresh else ()

    monkeypatch.setattr(histories, "judge", forgetful)
    with pytest.raises(InvariantError, match=r"by .* of silence"):
        batch(1, 100)
