"""Promises of the judgement of cards: every limit at its edge, denial above everything, and never over a cap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.station.cards import (
    DAY_MS,
    LEAST_FEN,
    Book,
    Card,
    CardList,
    Debounce,
    Present,
    RefusalRoom,
    Rules,
    Usage,
    Verdict,
    judge,
)
from safety.catalogue import CATALOGUE

A, B = "a" * 32, "b" * 32
NOW_MS = 1_800_000_000_000
NOW = Present(NOW_MS, trusted=True)
RULES = Rules()
LISTED = CardList(1, "0" * 64, {A: Card()}, frozenset(), set_ms=NOW_MS)


def book(card: Card | None = None, *, set_ms: int | None = NOW_MS, valid_until_ms: int | None = None) -> Book:
    """Return a book whose list holds A."""
    return Book(replace(LISTED, cards={A: card or Card()}, set_ms=set_ms, valid_until_ms=valid_until_ms))


def asked(
    known: Book | None = None,
    usage: Usage | None = None,
    now: Present = NOW,
    rules: Rules = RULES,
    *,
    connected: bool = False,
) -> Verdict:
    """Judge card A."""
    return judge(A, known or book(), rules, usage or Usage(), now, connected=connected)


def test_a_listed_card_gets_the_cap_of_a_session() -> None:
    """And a card nobody knows gets nothing."""
    assert asked() == Verdict(amount_fen=300)
    assert judge(B, book(), RULES, Usage(), NOW, connected=True).code == "card_unknown"
    assert asked(Book()).code == "card_unknown"


@pytest.mark.parametrize(
    ("day_fen", "debt_fen", "code", "amount_fen"),
    [
        (200, 0, "", 300),
        (201, 0, "", 299),
        (500 - LEAST_FEN, 0, "", LEAST_FEN),
        (501 - LEAST_FEN, 0, "card_day_cap", 0),
        (500, 0, "card_day_cap", 0),
        (600, 0, "card_day_cap", 0),
        (0, 19_700, "", 300),
        (0, 19_701, "", 299),
        (0, 20_000 - LEAST_FEN, "", LEAST_FEN),
        (0, 20_001 - LEAST_FEN, "debt_cap", 0),
        (500, 20_000, "card_day_cap", 0),
    ],
)
def test_money_at_its_edges(day_fen: int, debt_fen: int, code: str, amount_fen: int) -> None:
    """What is left is what a session may cost; less than it takes to begin with is nothing."""
    verdict = asked(usage=Usage(day_fen, debt_fen))
    assert (verdict.code, verdict.amount_fen) == (code, amount_fen)


def test_a_card_of_its_own_day_cap() -> None:
    """A list may give more and less than the configuration."""
    assert asked(book(Card(day_cap_fen=10))).amount_fen == 10
    assert asked(book(Card(day_cap_fen=9))).code == "card_day_cap"
    assert asked(book(Card(day_cap_fen=900)), Usage(day_fen=620)).amount_fen == 280


@pytest.mark.parametrize(("wall_ms", "code"), [(-1, ""), (0, "card_expired"), (1, "card_expired")])
def test_the_end_of_a_card_to_the_millisecond(wall_ms: int, code: str) -> None:
    """Its end is the first moment at which it is no longer good."""
    known = book(Card(until_ms=NOW_MS), set_ms=NOW_MS)
    assert asked(known, now=Present(NOW_MS + wall_ms, trusted=True)).code == code


@pytest.mark.parametrize(
    ("not_before_ms", "until_ms", "code"),
    [
        (0, None, ""),
        (0, NOW_MS, "card_no_clock"),
        (NOW_MS - 1, NOW_MS, "card_no_clock"),
        (NOW_MS, NOW_MS, "card_expired"),
    ],
)
def test_a_card_without_a_trusted_clock(not_before_ms: int, until_ms: int | None, code: str) -> None:
    """A card with an end is refused, whatever the clock claims; one without an end is not."""
    known = book(Card(until_ms=until_ms), set_ms=None)
    assert asked(known, now=Present(5, trusted=False, not_before_ms=not_before_ms)).code == code


@pytest.mark.parametrize(
    ("known", "now", "code"),
    [
        (book(valid_until_ms=NOW_MS + 1), NOW, ""),
        (book(valid_until_ms=NOW_MS), NOW, "card_list_expired"),
        (book(set_ms=NOW_MS - 90 * DAY_MS), NOW, ""),
        (book(set_ms=NOW_MS - 90 * DAY_MS - 1), NOW, "card_list_expired"),
        (book(set_ms=None), NOW, ""),
        (book(valid_until_ms=NOW_MS), Present(0, trusted=False, not_before_ms=NOW_MS - 1), ""),
        (book(valid_until_ms=NOW_MS), Present(0, trusted=False, not_before_ms=NOW_MS), "card_list_expired"),
    ],
)
def test_the_age_of_a_list(known: Book, now: Present, code: str) -> None:
    """Its own end, and the most that the configuration allows; without a clock what has certainly passed."""
    assert asked(known, now=now).code == code


def test_a_list_without_a_limit_of_age() -> None:
    """0 days switch the limit off, and its own end stays."""
    rules = replace(RULES, list_max_age_ms=0)
    assert asked(book(set_ms=0), rules=rules).code == ""
    assert asked(book(set_ms=0, valid_until_ms=1), rules=rules).code == "card_list_expired"


def test_learned_cards_need_no_list() -> None:
    """They stand in for an old list too, with their own end; a damaged one takes everything with it."""
    learned = {A: Card(until_ms=NOW_MS + 1)}
    assert asked(Book(learned=learned)).code == ""
    assert asked(replace(book(valid_until_ms=1), learned=learned)).code == ""
    assert asked(Book(learned={A: Card(until_ms=NOW_MS)})).code == "card_expired"
    assert asked(Book(damaged=True, learned=learned)).code == "card_list_damaged"


@pytest.mark.parametrize(
    ("running", "limit", "code"), [(0, 1, ""), (1, 1, "card_in_use"), (1, 2, ""), (2, 2, "card_in_use")]
)
def test_sessions_of_one_card(running: int, limit: int, code: str) -> None:
    """One at a time, or as many as configured; a staff card any number."""
    rules = replace(RULES, per_card_sessions=limit)
    assert asked(usage=Usage(running=running), rules=rules).code == code
    assert asked(book(Card(kind="staff")), Usage(running=running), rules=rules).code == ""


def test_without_the_backend_by_configuration() -> None:
    """Where it is forbidden a card works only while the backend is connected."""
    rules = replace(RULES, offline_starts=False)
    assert asked(rules=rules).code == "card_offline"
    assert asked(rules=rules, connected=True).code == ""


CARDS = st.builds(
    Card,
    until_ms=st.none() | st.integers(0, 2 * NOW_MS),
    day_cap_fen=st.none() | st.integers(0, 2_000),
    kind=st.sampled_from(["user", "staff"]),
)
LISTS = st.none() | st.builds(
    CardList,
    st.integers(1, 9),
    st.just("0" * 64),
    st.dictionaries(st.sampled_from([A, B]), CARDS),
    st.frozensets(st.sampled_from([A, B])),
    st.none() | st.integers(0, 2 * NOW_MS),
    st.none() | st.integers(0, 2 * NOW_MS),
)
BOOKS = st.builds(
    Book, LISTS, st.booleans(), st.frozensets(st.sampled_from([A, B])), st.dictionaries(st.sampled_from([A, B]), CARDS)
)
USAGES = st.builds(Usage, st.integers(0, 3_000), st.integers(0, 30_000), st.integers(0, 3))
TIMES = st.builds(Present, st.integers(0, 2 * NOW_MS), st.booleans(), st.integers(0, 2 * NOW_MS))


@settings(deadline=None)
@given(BOOKS, USAGES, TIMES, st.booleans())
def test_denial_wins_over_everything(known: Book, usage: Usage, now: Present, connected: bool) -> None:  # noqa: FBT001
    """Whatever else holds, a denied card is told so, and no other card is."""
    denied = A in known.denied or (known.listed is not None and A in known.listed.denied)
    assert (judge(A, known, RULES, usage, now, connected=connected).code == "card_denied") == denied


@settings(deadline=None)
@given(BOOKS, USAGES, TIMES, st.booleans())
def test_no_session_is_promised_over_a_cap(known: Book, usage: Usage, now: Present, connected: bool) -> None:  # noqa: FBT001
    """What is owed and what is promised stay below every cap, and every refusal is in the catalogue."""
    verdict = judge(A, known, RULES, usage, now, connected=connected)
    if verdict.code:
        assert (verdict.code in CATALOGUE, verdict.amount_fen) == (True, 0)
        return
    assert LEAST_FEN <= verdict.amount_fen <= RULES.session_cap_fen
    assert usage.debt_fen + verdict.amount_fen <= RULES.debt_cap_fen
    caps = [card.day_cap_fen for card in _entries(known)]
    assert usage.day_fen + verdict.amount_fen <= max(RULES.day_cap_fen if cap is None else cap for cap in caps)


def _entries(known: Book) -> list[Card]:
    listed = [] if known.listed is None else [known.listed.cards.get(A)]
    return [card for card in (*listed, known.learned.get(A)) if card is not None]


@pytest.mark.parametrize(("pause_ms", "repeated"), [(0, True), (4_999, True), (5_000, False), (5_001, False)])
def test_debounce_to_the_millisecond(pause_ms: int, repeated: bool) -> None:  # noqa: FBT001
    """Five seconds after it was seen last a card means something again."""
    debounce = Debounce(5_000)
    assert not debounce.repeated("r", A, 1_000)
    assert debounce.repeated("r", A, 1_000 + pause_ms) is repeated


def test_a_card_left_on_the_reader_is_one_swipe() -> None:
    """Each sight of it begins the window anew. Another card and another reader are not it."""
    debounce = Debounce(5_000)
    assert [debounce.repeated("r", A, at) for at in range(0, 60_000, 4_000)] == [False, *[True] * 14]
    assert not debounce.repeated("r", B, 60_000)
    assert not debounce.repeated("s", A, 60_000)


def test_debounce_remembers_no_more_than_it_has_room_for() -> None:
    """Thousands of invented numbers take no memory, and the newest are still known."""
    debounce = Debounce(5_000)
    for number in range(Debounce.ROOM + 1):
        assert not debounce.repeated("r", f"{number:032x}", number)
    assert debounce.repeated("r", f"{Debounce.ROOM:032x}", 300)
    assert not debounce.repeated("r", f"{0:032x}", 300)


def test_room_for_refusals() -> None:
    """Twenty at once, then one every 30 s, for each reader by itself."""
    room = RefusalRoom()
    assert [room.take("r", 1_000) for _ in range(22)] == [True] * 20 + [False] * 2
    assert room.take("s", 1_000)
    assert not room.take("r", 30_999)
    assert [room.take("r", 31_000) for _ in range(2)] == [True, False]
    assert [room.take("r", 91_000) for _ in range(3)] == [True, True, False]
    assert sum(room.take("r", 10_000_000) for _ in range(50)) == 20
