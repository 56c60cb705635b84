"""Whether a card may start a session, from values only: lists, caps, what it owes, and the time.

The order of the questions is the order of what counts more: a denial wins over everything; then whether anything is
known of the card at all; then its time; then what runs; then money. What the card may cost is the least of what is
left of its day, of the debt of the cabinet, and of one session, and is kept free until the session has its price.

Time. Without a trusted clock nobody can say that a card is still good, so a card with an end is refused; the end of a
whole list is a precaution against old lists of denied cards, which the caps bound already, so there only an end that
has certainly passed counts (docs/adr/0019-cards.md). What has certainly passed is told by the newest trusted time
that the journal holds: time has only gone on since.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

#: With less than this left nothing is started, fen: some 12 Wh at usual prices, over before a charger has begun.
LEAST_FEN: Final = 10
DAY_MS: Final = 86_400_000

Kind = Literal["user", "staff"]


@dataclass(frozen=True, slots=True)
class Card:
    """What a list says of one card. ``until_ms`` is the first moment at which it is no longer good."""

    until_ms: int | None = None
    day_cap_fen: int | None = None
    kind: Kind = "user"


@dataclass(frozen=True, slots=True)
class CardList:
    """A list from the backend, whole. ``set_ms``: when it came, None where no trusted clock could tell."""

    version: int
    sha256: str
    cards: Mapping[str, Card]
    denied: AbstractSet[str]
    valid_until_ms: int | None = None
    set_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """Everything known of cards. ``damaged``: there should be a list, and its file is not whole."""

    listed: CardList | None = None
    damaged: bool = False
    denied: AbstractSet[str] = frozenset()  # one by one
    learned: Mapping[str, Card] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """The table ``[cards]``, in fen and ms. ``list_max_age_ms`` 0: no limit."""

    day_cap_fen: int = 500
    session_cap_fen: int = 300
    debt_cap_fen: int = 20_000
    per_card_sessions: int = 1
    debounce_ms: int = 5_000
    list_max_age_ms: int = 90 * DAY_MS
    offline_starts: bool = True


@dataclass(frozen=True, slots=True)
class Present:
    """The moment of a swipe. ``trusted`` False: ``wall_ms`` means nothing, and only ``not_before_ms`` is known."""

    wall_ms: int
    trusted: bool
    not_before_ms: int = 0  # newest trusted time in the journal

    @property
    def surely_ms(self) -> int:
        """Return a moment that is certainly not in the future."""
        return self.wall_ms if self.trusted else self.not_before_ms


@dataclass(frozen=True, slots=True)
class Usage:
    """What the card and the cabinet owe, in fen, reserves of running sessions included; see ``card_exposure``."""

    day_fen: int = 0  # of this card, today
    debt_fen: int = 0  # of all cards, not known to the backend
    running: int = 0  # sessions of this card


@dataclass(frozen=True, slots=True)
class Verdict:
    """``code`` "" admits the card with ``amount_fen``; any other code is a refusal of the catalogue."""

    code: str = ""
    amount_fen: int = 0
    detail: str = ""


def judge(card: str, book: Book, rules: Rules, usage: Usage, now: Present, *, connected: bool) -> Verdict:
    """Return whether ``card`` may start a session now, and what that may cost at most."""
    if is_denied(card, book):
        return Verdict("card_denied")
    if book.damaged:
        # The list of denied cards is gone with it, so nobody can be told apart from a thief.
        return Verdict("card_list_damaged")
    known = _known(card, book, rules, now)
    if isinstance(known, Verdict):
        return known
    code = _time_code(known, now) or _use_code(known, rules, usage, connected=connected)
    return Verdict(code) if code else _money(known, rules, usage)


def is_denied(card: str, book: Book) -> bool:
    """Return whether a card is denied, by the list or one by one."""
    return card in book.denied or (book.listed is not None and card in book.listed.denied)


def _known(card: str, book: Book, rules: Rules, now: Present) -> Card | Verdict:
    """Return what is known of a card. The list speaks first; what was learned here needs no list."""
    listed = book.listed.cards.get(card) if book.listed is not None else None
    if book.listed is not None and listed is not None:
        if not _too_old(book.listed, rules, now):
            return listed
        return book.learned.get(card) or Verdict("card_list_expired")
    return book.learned.get(card) or Verdict("card_unknown")


def _too_old(listed: CardList, rules: Rules, now: Present) -> bool:
    if listed.valid_until_ms is not None and now.surely_ms >= listed.valid_until_ms:
        return True
    if rules.list_max_age_ms == 0 or listed.set_ms is None:
        return False
    return now.surely_ms - listed.set_ms > rules.list_max_age_ms


def _time_code(card: Card, now: Present) -> str:
    if card.until_ms is None:
        return ""
    if now.surely_ms >= card.until_ms:
        return "card_expired"
    return "" if now.trusted else "card_no_clock"


def _use_code(card: Card, rules: Rules, usage: Usage, *, connected: bool) -> str:
    if not connected and not rules.offline_starts:
        return "card_offline"
    return "card_in_use" if card.kind == "user" and usage.running >= rules.per_card_sessions else ""


def _money(card: Card, rules: Rules, usage: Usage) -> Verdict:
    day_cap_fen = rules.day_cap_fen if card.day_cap_fen is None else card.day_cap_fen
    day_left, debt_left = day_cap_fen - usage.day_fen, rules.debt_cap_fen - usage.debt_fen
    for code, left, cap in (("card_day_cap", day_left, day_cap_fen), ("debt_cap", debt_left, rules.debt_cap_fen)):
        if left < LEAST_FEN:
            return Verdict(code, detail=f"{max(0, left)} of {cap} fen left")
    return Verdict(amount_fen=min(day_left, debt_left, rules.session_cap_fen))


class Debounce:
    """One swipe is one swipe: the same card at the same reader within ``window_ms`` of when it was seen last is it.

    Seen, not taken: a card that is left lying on the reader must not end in its sixth second what it began.
    """

    #: Pairs of reader and card that are remembered: more than can be held against eight readers in a minute.
    ROOM: Final = 256

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._seen: OrderedDict[tuple[str, str], int] = OrderedDict()

    def repeated(self, reader: str, card: str, at_ms: int) -> bool:
        """Return whether this is still the swipe before, and remember it. ``at_ms`` never runs backwards."""
        last_ms = self._seen.pop((reader, card), None)
        self._seen[reader, card] = at_ms
        if len(self._seen) > self.ROOM:
            self._seen.popitem(last=False)
        return last_ms is not None and at_ms - last_ms < self._window_ms


class RefusalRoom:
    """How many refusals of cards become facts: an emulator held against a reader must not fill the journal.

    ``burst`` at once, then one each ``refill_ms``, for each reader. What is not written is counted all the same.
    """

    def __init__(self, burst: int = 20, refill_ms: int = 30_000) -> None:
        self._burst = burst
        self._refill_ms = refill_ms
        self._spent: dict[str, tuple[int, int]] = {}  # by reader: taken, since when

    def take(self, reader: str, at_ms: int) -> bool:
        """Return whether one more may be written at ``at_ms``."""
        taken, since_ms = self._spent.get(reader, (0, at_ms))
        back = min(taken, (at_ms - since_ms) // self._refill_ms)
        taken, since_ms = taken - back, at_ms if taken == back else since_ms + back * self._refill_ms
        free = taken < self._burst
        self._spent[reader] = (taken + free, since_ms)
        return free
