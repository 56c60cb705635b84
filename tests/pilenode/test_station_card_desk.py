"""Promises of a swipe: begin, end, learn or refuse; the right port, the right session, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pilenode.ipc.acts import DenyCard, ListedCard, SetCards
from pilenode.ipc.messages import Refused
from pilenode.station.card_desk import CardStart, Outcome, order_of
from pilenode.station.cards import Rules
from tests.pilenode.card_rig import NOON_MS, A, B, Rig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a cabinet that knows A, and B as a staff card."""
    made = Rig(tmp_path)
    made.act(SetCards(version=1, cards=[ListedCard(card=A), ListedCard(card=B, kind="staff", day_cap_fen=2_000)]))
    return made


def swipe(rig: Rig, card: str = A, reader: str = "front", after_ms: int = 10_000) -> Outcome:
    """Hold a card against a reader, long after the last one."""
    rig.pass_ms(after_ms)
    return asyncio.run(rig.desk.swipe(reader, card, rig.boottime_ms))


def test_begin_and_end(rig: Rig) -> None:
    """The first swipe begins at the first port of the reader, the second ends that session, the third begins anew."""
    outcome = swipe(rig)
    assert outcome == Outcome("front", A, "started", 2, "S1", 300)
    assert rig.wishes == [CardStart(2, f"card-boot-1-{rig.boottime_ms}-aaaaaaaa", A, "front", 300, offline=True)]
    assert swipe(rig) == Outcome("front", A, "ended", 2, "S1")
    assert rig.stops == [(2, "user", "S1")]
    rig.end("S1", 100)
    outcome = swipe(rig)
    assert (outcome.code, outcome.session, outcome.amount_fen) == ("started", "S2", 300)
    rig.end("S2", 150)
    assert swipe(rig).amount_fen == 250
    assert rig.refusals() == []


def test_a_swipe_that_was_seen_twice_is_one(rig: Rig) -> None:
    """Within the window of 5 s nothing happens and nothing is on record."""
    assert swipe(rig).code == "started"
    before = len(rig.facts)
    assert [swipe(rig, after_ms=4_999).code for _ in range(3)] == ["repeated"] * 3
    assert (len(rig.facts), rig.stops) == (before, [])
    assert swipe(rig, after_ms=5_000).code == "ended"


def test_the_next_port_when_the_first_is_taken(rig: Rig) -> None:
    """By the order of the reader's list; with none left the refusal of the first one is told."""
    rig.obstacles[2] = Refused(code="port_faulty", detail="over_current")
    assert swipe(rig).port == 1
    rig.begin(CardStart(3, "o", "c" * 32, "back", 100, offline=True))
    outcome = swipe(rig, B, "back")
    assert (outcome.code, outcome.port) == ("port_busy", 3)
    outcome = swipe(rig, B)
    assert (outcome.code, outcome.port, outcome.detail) == ("port_faulty", 2, "over_current")
    assert [(one.code, one.port, one.card) for one in rig.refusals()] == [("port_busy", 3, B), ("port_faulty", 2, B)]


def test_one_session_at_a_time(rig: Rig) -> None:
    """At another reader the card is in use; there it ends nothing."""
    swipe(rig)
    outcome = swipe(rig, reader="back")
    assert (outcome.code, outcome.port, rig.stops) == ("card_in_use", 3, [])


def test_another_card_ends_nothing(rig: Rig) -> None:
    """Whoever holds a strange card against the reader gets a port of his own, or none."""
    rig.begin(CardStart(3, "o", A, "back", 100, offline=True))
    assert (swipe(rig, B, "back").code, rig.stops) == ("port_busy", [])


def test_a_stop_needs_nothing(rig: Rig) -> None:
    """A denied card, without a journal, ends what it began; another refusal of guard is told."""
    swipe(rig)
    rig.act(DenyCard(card=A))
    rig.broken = True
    assert swipe(rig).code == "ended"
    assert rig.refusals() == []


def test_no_start_without_a_journal(rig: Rig) -> None:
    """What could not be recorded is not begun."""
    rig.broken = True
    assert (swipe(rig).code, rig.wishes) == ("journal_failed", [])


def test_denial_is_told_before_a_busy_port(rig: Rig) -> None:
    """It wins over everything, also over what stands in the way."""
    rig.act(DenyCard(card=A))
    rig.obstacles |= {1: Refused(code="port_faulty"), 2: Refused(code="port_faulty")}
    assert swipe(rig).code == "card_denied"
    (fact,) = rig.refusals()
    assert (fact.code, fact.port, fact.card, fact.source) == ("card_denied", 2, A, "card")


def test_a_refusal_of_the_engine_is_told_and_recorded_once(rig: Rig) -> None:
    """The engine records its own refusals."""
    rig.refuse = Refused(code="cabinet_faulty", detail="smoke")
    outcome = swipe(rig)
    assert (outcome.code, outcome.detail, rig.refusals()) == ("cabinet_faulty", "smoke", [])


def test_a_staff_card_takes_every_port(rig: Rig) -> None:
    """One after the other; with all of the reader's ports taken it ends its oldest session there."""
    assert [swipe(rig, B).port for _ in range(2)] == [2, 1]
    outcome = swipe(rig, B)
    assert (outcome.code, outcome.session) == ("ended", "S1")
    assert swipe(rig, B, "back").code == "started"


def test_two_sessions_for_a_card(tmp_path: Path) -> None:
    """Where the configuration allows two, the third swipe ends the older one; reserves share the day."""
    rig = Rig(tmp_path, Rules(per_card_sessions=2))
    rig.act(SetCards(version=1, cards=[ListedCard(card=A)]))
    assert [swipe(rig).amount_fen for _ in range(2)] == [300, 200]
    outcome = swipe(rig)
    assert (outcome.code, outcome.session) == ("ended", "S1")


def test_a_flood_of_invented_cards_does_not_fill_the_journal(rig: Rig) -> None:
    """Each is refused; twenty and then two a minute are recorded."""
    before = len(rig.facts)
    outcomes = [swipe(rig, f"{number:032x}", after_ms=100).code for number in range(200)]
    assert set(outcomes) == {"card_unknown"}
    assert len(rig.facts) - before == 20
    assert swipe(rig, "d" * 32, after_ms=30_000).code == "card_unknown"
    assert len(rig.facts) - before == 21


def test_with_the_backend_it_says_so(rig: Rig) -> None:
    """What was lent without it is told apart."""
    rig.connected = True
    swipe(rig)
    assert rig.wishes[0].offline is False


def test_order_ids_are_unique_and_short(rig: Rig) -> None:
    """Another card, another moment or another boot make another order."""
    rig.boot, rig.boottime_ms = "1c7d2f0e-9a51-4c0b-9f6e-0d7e4b1a2c3d", 2**53
    first = order_of(rig.now(), A)
    assert first == f"card-1c7d2f0e-{2**53}-aaaaaaaa"
    assert len(first) <= 64
    assert order_of(rig.now(), B) != first
    rig.pass_ms(1)
    assert order_of(rig.now(), A) != first
    assert rig.wall_ms == NOON_MS + 1
