"""Promises of the outbox rules: everything is sent until it is confirmed, never too much at once, pauses are spread."""

from __future__ import annotations

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.outbox import WINDOW_FACTS, Pace, Patience, Window, fit, not_taken_s
from pilenode.upstream.contract import MAX_BATCH_BYTES, MAX_BATCH_FACTS, FactBatch
from pilenode.upstream.facts import Fact

FRESH = Window(acked=10, sent=10, timeout_s=30.0)
SENT = FRESH.after_sending(60, now=100.0, chance=0.0)


#: What the names of boots and sessions are made of.
NAMES = string.ascii_letters + string.digits + "-_.:"


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


@pytest.mark.parametrize(("sent", "room"), [(10, 6400), (11, 6399), (6409, 1), (6410, 0), (6411, 0)])
def test_window_bounds_what_is_on_its_way(sent: int, room: int) -> None:
    """At most a window of facts is unconfirmed."""
    assert Window(acked=10, sent=sent, timeout_s=30.0).room == room
    assert WINDOW_FACTS == 6400


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


BACKLOG = Window(acked=0, sent=0, timeout_s=30.0, mark=7000)


def test_fresh_facts_go_beside_a_backlog() -> None:
    """What happens while a backlog is sent has room of its own, and both are one lane once the backlog is sent."""
    window = BACKLOG.after_sending(6400, 0.0, 0.0)
    assert (window.room, window.fresh_room, window.last) == (0, 6400, 7000)
    window = window.after_sending(7003, 1.0, 0.0, is_fresh=True)
    assert (window.sent, window.fresh, window.last, window.fresh_room) == (6400, 7003, 7003, 6397)
    window = window.after_ack(6400, 2.0, 0.0).after_sending(7000, 3.0, 0.0)
    assert (window.catching_up, window.sent, window.last) == (False, 7003, 7003)
    window = window.after_ack(7003, 4.0, 0.0)
    assert (window.deadline_s, window.room) == (None, 6400)


def test_a_confirmation_over_the_backlog_ends_it() -> None:
    """A backend that had the backlog already is not sent it again."""
    window = BACKLOG.after_sending(7002, 0.0, 0.0, is_fresh=True).after_ack(7001, 1.0, 0.0)
    assert (window.catching_up, window.sent, window.deadline_s) == (False, 7002, 31.0)


def test_going_back_makes_everything_sent_a_backlog() -> None:
    """What was sent in vain is sent again without waiting, and what happens then still goes first."""
    window = BACKLOG.after_sending(200, 0.0, 0.0).after_sending(7005, 0.0, 0.0, is_fresh=True).after_waiting(30.0)
    assert (window.sent, window.mark, window.fresh, window.last, window.attempt) == (0, 7005, 0, 7005, 1)


@given(
    st.integers(0, 500),
    st.lists(
        st.tuples(st.sampled_from(["send", "fresh", "ack", "wait", "back"]), st.integers(0, 300), st.floats(0, 100)),
        max_size=60,
    ),
)
def test_no_sequence_loses_a_fact(mark: int, steps: list[tuple[str, int, float]]) -> None:
    """Whatever comes in whatever order: unconfirmed facts are on their way with a deadline, or are next to be sent."""
    window, now = Window(acked=0, sent=0, timeout_s=30.0, mark=mark), 0.0
    for kind, number, step_s in steps:
        now += step_s
        if kind == "send" and window.room:
            upto = window.sent + min(number + 1, window.room)
            window = window.after_sending(min(upto, window.mark) if window.catching_up else upto, now, 0.5)
        elif kind == "fresh" and window.fresh_room:
            window = window.after_sending(window.last + min(number + 1, window.fresh_room), now, 0.5, is_fresh=True)
        elif kind == "ack":
            window = window.after_ack(min(number, window.last), now, 0.5)
        else:
            window = window.gone_back() if kind == "back" else window.after_waiting(now)
        assert 0 <= window.acked <= window.sent <= window.last
        assert window.sent - window.acked <= 2 * WINDOW_FACTS
        assert (window.deadline_s is not None) == window.on_its_way
        assert window.catching_up or window.fresh == 0


def test_pace_lets_a_second_go_at_once_and_then_that_much_a_second() -> None:
    """In any hour no more goes out than the pace allows and one second more, but for the last batch."""
    pace, now, sent = Pace(16_000.0), 0.0, 0
    while now < 3600.0:
        wait_s = pace.wait_s(now)
        if wait_s:
            now += wait_s
            continue
        pace, sent = pace.after_sending(30_000, now), sent + 30_000
    assert 3600 * 16_000 <= sent <= 3601 * 16_000 + 30_000


def test_pace_saves_nothing_up() -> None:
    """After a day of silence a second's worth goes at once, not a day's; without a pace nothing waits."""
    pace = Pace(1000.0).after_sending(1000, 0.0)
    assert pace.wait_s(86_400.0) == 0.0
    assert pace.after_sending(2000, 86_400.0).wait_s(86_400.0) == pytest.approx(1.001)
    assert Pace(0.0).after_sending(10**9, 0.0).wait_s(0.0) == 0.0


@pytest.mark.parametrize(
    ("now", "count", "urgent", "wait_s"),
    [
        (10.0, 1, True, 0.0),
        (10.0, 199, False, 90.0),
        (10.0, 200, False, 0.0),
        (99.9, 1, False, 0.1),
        (100.0, 1, False, 0.0),
    ],
)
def test_readings_wait_for_company(now: float, count: int, urgent: bool, wait_s: float) -> None:  # noqa: FBT001 - a table
    """Facts that can wait go when one comes that cannot, when they fill a batch, or after their time."""
    patience = Patience(100.0).seen(0.0, waiting=True).seen(5.0, waiting=True)
    assert patience.wait_s(now, count=count, urgent=urgent) == pytest.approx(wait_s)
    assert patience.seen(6.0, waiting=False).wait_s(now, count=1, urgent=False) == 100.0


def test_a_broker_that_takes_nothing_is_asked_less_and_less() -> None:
    """The pause doubles from some seconds to ten minutes, half of it by chance."""
    assert [not_taken_s(times, 1.0) for times in (0, 1, 2, 7, 60)] == [5.0, 10.0, 20.0, 600.0, 600.0]
    assert not_taken_s(0, 0.0) == 2.5


def test_batch_is_bounded_in_number() -> None:
    """A batch has at most its number of facts, from the beginning."""
    assert [item.seq for item in fit([fact(seq) for seq in range(1, 280)])] == list(range(1, MAX_BATCH_FACTS + 1))


@given(st.text(NAMES, max_size=64), st.text(NAMES, max_size=64), st.integers(0, 3000))
def test_size_of_a_fact_is_never_judged_too_small(boot: str, session: str, size: int) -> None:
    """Whatever names a fact has, a batch of its like fits."""
    big = msgspec.structs.replace(
        fact(2**53 - 1, size), boot=boot, session=session, boottime_ms=2**53 - 1, wall_ms=2**53 - 1, clock="serverxx"
    )
    chosen = fit([big] * 300)
    assert len(msgspec.json.encode(FactBatch(log_id="0" * 16, facts=chosen))) <= MAX_BATCH_BYTES


@given(st.lists(st.integers(0, 80_000), max_size=60))
def test_batch_is_bounded_in_bytes_and_never_empty(sizes: list[int]) -> None:
    """A batch fits its bytes, is the beginning of what waits, and always moves on."""
    facts = [fact(seq, size) for seq, size in enumerate(sizes, start=1)]
    chosen = fit(facts)
    assert chosen == facts[: len(chosen)]
    assert bool(chosen) == bool(facts)
    if chosen:
        assert len(msgspec.json.encode(FactBatch(log_id="0" * 16, facts=chosen))) <= MAX_BATCH_BYTES
