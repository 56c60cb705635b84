"""Promises of the outbox rules: everything is sent until it is confirmed, never too much at once, pauses are spread."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.outbox import WINDOW_FACTS, Window, fit, pause_s
from pilenode.upstream.contract import MAX_BATCH_BYTES, MAX_BATCH_FACTS, FactBatch
from pilenode.upstream.facts import Fact

FRESH = Window(acked=10, sent=10, timeout_s=30.0)
SENT = FRESH.after_sending(60, now=100.0, chance=0.0)


def fact(seq: int, size: int = 0) -> Fact:
    """Return a fact whose body has ``size`` more bytes than none."""
    return Fact(
        seq=seq,
        boot="b",
        boottime_ms=0,
        wall_ms=0,
        clock="none",
        kind="boot",
        body=msgspec.Raw(b'{"version":"' + b"x" * size + b'"}'),
        hash="0" * 64,
    )


@pytest.mark.parametrize(("sent", "room"), [(10, 200), (11, 199), (209, 1), (210, 0), (211, 0)])
def test_window_bounds_what_is_on_its_way(sent: int, room: int) -> None:
    """At most a window of facts is unconfirmed."""
    assert Window(acked=10, sent=sent, timeout_s=30.0).room == room
    assert WINDOW_FACTS == 200


@pytest.mark.parametrize(("now", "again"), [(129.9, False), (130.0, True), (1e9, True)])
def test_unconfirmed_facts_are_sent_again_from_the_first(now: float, again: bool) -> None:  # noqa: FBT001 - a table
    """When the confirmation is overdue, sending goes back to the first unconfirmed fact."""
    window = SENT.after_waiting(now)
    assert window.sent == (10 if again else 60)


def test_patience_doubles_and_has_a_ceiling() -> None:
    """Each time nothing is confirmed the patience doubles, to ten minutes at most; a confirmation resets it."""
    window, now, waits = FRESH, 0.0, []
    for _ in range(8):
        window = window.after_sending(60, now, chance=0.0)
        assert window.deadline_s is not None
        waits.append(window.deadline_s - now)
        now = window.deadline_s
        window = window.after_waiting(now)
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]
    window = window.after_sending(60, now, chance=0.0).after_ack(60, now, chance=0.0).after_sending(61, now, 0.0)
    assert window.deadline_s == now + 30


def test_patience_longer_than_the_ceiling_is_kept() -> None:
    """A configured patience is never shortened."""
    window = Window(acked=0, sent=0, timeout_s=600.0).after_sending(1, 0.0, chance=0.0)
    assert window.deadline_s == 600.0


@given(st.floats(0, 1))
def test_patience_is_spread_a_little(chance: float) -> None:
    """Nodes that lost the same backend do not send again in the same moment."""
    deadline_s = FRESH.after_sending(60, 0.0, chance).deadline_s
    assert deadline_s is not None
    assert 30.0 <= deadline_s <= 36.0


@pytest.mark.parametrize(
    ("acked", "left", "deadline_s"), [(9, 60, 130.0), (10, 60, 130.0), (11, 60, 140.0), (60, 60, None), (70, 70, None)]
)
def test_confirmation_moves_forward_only(acked: int, left: int, deadline_s: float | None) -> None:
    """An old confirmation changes nothing; a new one gives the rest new time; a full one ends the waiting."""
    window = SENT.after_ack(acked, now=110.0, chance=0.0)
    assert (window.acked, window.sent, window.deadline_s) == (max(10, acked), left, deadline_s)


def test_oldest_fact_rules_the_deadline() -> None:
    """Sending more does not give the facts already sent more time."""
    assert SENT.after_sending(90, now=120.0, chance=0.0).deadline_s == 130.0


@given(
    st.lists(st.tuples(st.sampled_from(["send", "ack", "wait"]), st.integers(0, 300), st.floats(0, 100)), max_size=60)
)
def test_no_sequence_loses_a_fact(steps: list[tuple[str, int, float]]) -> None:
    """Whatever comes in whatever order: unconfirmed facts are on their way with a deadline, or are next to be sent."""
    window, now = Window(acked=0, sent=0, timeout_s=30.0), 0.0
    for kind, number, step_s in steps:
        now += step_s
        if kind == "send" and window.room:
            window = window.after_sending(window.sent + min(number + 1, window.room), now, 0.5)
        elif kind == "ack":
            window = window.after_ack(min(number, window.sent), now, 0.5)
        else:
            window = window.after_waiting(now)
        assert 0 <= window.acked <= window.sent
        assert window.sent - window.acked <= WINDOW_FACTS
        assert (window.deadline_s is not None) == (window.sent > window.acked)


def test_batch_is_bounded_in_number() -> None:
    """A batch has at most its number of facts, from the beginning."""
    assert [item.seq for item in fit([fact(seq) for seq in range(1, 80)])] == list(range(1, MAX_BATCH_FACTS + 1))


@given(st.lists(st.integers(0, 40_000), max_size=60))
def test_batch_is_bounded_in_bytes_and_never_empty(sizes: list[int]) -> None:
    """A batch fits its bytes, is the beginning of what waits, and always moves on."""
    facts = [fact(seq, size) for seq, size in enumerate(sizes, start=1)]
    chosen = fit(facts)
    assert chosen == facts[: len(chosen)]
    assert bool(chosen) == bool(facts)
    if chosen:
        assert len(msgspec.json.encode(FactBatch(log_id="0" * 16, facts=chosen))) <= MAX_BATCH_BYTES


@pytest.mark.parametrize(
    ("attempt", "longest_s"), [(0, 2.0), (1, 4.0), (2, 8.0), (8, 512.0), (9, 900.0), (1_000_000, 900.0)]
)
def test_pause_is_full_jitter_below_a_cap(attempt: int, longest_s: float) -> None:
    """The pause is anything from none to the doubled base, and to the cap at most."""
    assert pause_s(attempt, 2.0, 900.0, 0.0) == 0.0
    assert pause_s(attempt, 2.0, 900.0, 1.0) == longest_s
    assert pause_s(attempt, 2.0, 900.0, 0.5) == longest_s / 2
