"""Promises of lists: whole or not at all, never backwards, and what was durable is what counts after a power cut."""

from __future__ import annotations

import asyncio
import random
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest

from pilenode.ipc.acts import AllowCard, DenyCard, ForgetCard, LearnCard, ListedCard, Lock, SetCards
from pilenode.ipc.codec import MAX_REQUEST, encode
from pilenode.ipc.messages import Perform, Refused
from pilenode.station import card_store
from pilenode.station.card_book import LEARN_MS, MAX_SINGLES
from pilenode.station.card_parts import MAX_CARDS, split
from pilenode.station.card_store import ListFile
from pilenode.station.cards import Card, is_denied
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.contract import MAX_COMMAND_BYTES, Command
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_cards import CardDenied, CardLearned, CardsSet
from tests.pilenode.card_rig import LI, NOON_MS, A, B, Rig

if TYPE_CHECKING:
    from pathlib import Path


C = "c" * 32


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a cabinet that knows no card."""
    return Rig(tmp_path)


def listed(*cards: str) -> list[ListedCard]:
    """Return cards without anything of their own."""
    return [ListedCard(card=card) for card in cards]


def code(outcome: Refused | int) -> str:
    """Return the code of a refusal."""
    assert isinstance(outcome, Refused)
    return outcome.code


def known(rig: Rig) -> list[str] | None:
    """Return the cards of the list that counts."""
    found = rig.book.book.listed
    return None if found is None else sorted(found.cards)


def many(count: int, *, until: bool) -> ListFile:
    """Return a list of ``count`` cards, one in ten of them denied."""
    numbers = random.Random(1)  # noqa: S311 - a test
    ids = [f"{numbers.getrandbits(128):032x}" for _ in range(count)]
    cards = [ListedCard(card=one, until_ms=NOON_MS if until else None) for one in ids]
    return ListFile(version=3, valid_until_ms=None, cards=cards, denied=ids[::10])


def test_a_list_counts_when_its_last_part_is_there(rig: Rig) -> None:
    """In any order, with repeats; before that the old one counts, and only the last part makes a fact."""
    assert rig.act(SetCards(version=1, cards=listed(A))) == 1
    parts = [
        SetCards(version=2, part=1, parts=3, cards=listed(B)),
        SetCards(version=2, part=2, parts=3, cards=[ListedCard(card=C, until_ms=5, day_cap_fen=7, kind="staff")]),
        SetCards(version=2, part=3, parts=3, denied=[A, A]),
    ]
    assert [rig.act(parts[number]) for number in (2, 0, 2)] == [0, 0, 0]
    assert (known(rig), rig.book.lists.staged) == ([A], "version 2: 2 of 3 parts")
    assert rig.act(parts[1]) == 1
    assert (known(rig), rig.book.lists.staged) == ([B, C], "")
    assert is_denied(A, rig.book.book)
    found = rig.book.book.listed
    assert found is not None
    assert (found.cards[C], found.set_ms) == (Card(5, 7, "staff"), NOON_MS)
    (_, body) = rig.bodies(CardsSet, FactKind.CARDS_SET)
    assert (body.version, body.cards, body.denied, body.by, body.sha256) == (2, 2, 1, "Li", found.sha256)


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        (SetCards(version=4, cards=listed(A)), "card_list_old"),
        (SetCards(version=5, cards=listed(B)), "card_list_old"),
        (SetCards(version=5, cards=listed(A), valid_until_ms=9), "card_list_old"),
        (SetCards(version=6, part=3, parts=2), "card_list_bad"),
        (SetCards(version=6, cards=[*listed(A), ListedCard(card=A, until_ms=1)]), "card_list_bad"),
        (SetCards(version=6, cards=listed(A), key_id="deadbeef"), "card_key_mismatch"),
    ],
)
def test_what_a_bad_list_gets(rig: Rig, act: SetCards, refusal: str) -> None:
    """A code, and nothing changes."""
    assert rig.act(SetCards(version=5, cards=listed(A), key_id="0badcafe")) == 1
    assert code(rig.act(act)) == refusal
    assert (known(rig), len(rig.bodies(CardsSet, FactKind.CARDS_SET))) == ([A], 1)


def test_the_same_list_again_is_no_second_one(rig: Rig) -> None:
    """Whoever saw no answer sends it again, in other parts if need be."""
    assert rig.act(SetCards(version=5, cards=listed(B, A))) == 1
    assert rig.act(SetCards(version=5, part=1, parts=2, cards=listed(A))) == 0
    assert rig.act(SetCards(version=5, part=2, parts=2, cards=listed(B))) == 0
    assert len(rig.bodies(CardsSet, FactKind.CARDS_SET)) == 1


def test_parts_that_contradict_each_other(rig: Rig) -> None:
    """Other content of a part, another end of the list; a newer version takes the place, an older one does not."""
    part = SetCards(version=2, part=1, parts=2, cards=listed(A))
    assert rig.act(part) == 0
    assert code(rig.act(msgspec.structs.replace(part, cards=listed(B)))) == "card_list_bad"
    assert code(rig.act(SetCards(version=2, part=2, parts=2, valid_until_ms=1))) == "card_list_bad"
    assert code(rig.act(SetCards(version=1, cards=listed(B)))) == "card_list_old"
    assert rig.act(SetCards(version=3, part=2, parts=2)) == 0
    assert rig.book.lists.staged == "version 3: 1 of 2 parts"
    assert known(rig) is None


def test_a_restart_in_the_middle_forgets_the_parts(rig: Rig) -> None:
    """And the list that counts stays."""
    rig.act(SetCards(version=1, cards=listed(A)))
    rig.act(SetCards(version=2, part=1, parts=2, cards=listed(B)))
    rig.restart()
    assert (known(rig), rig.book.lists.staged) == ([A], "")


@pytest.mark.parametrize("until", [False, True])
def test_twenty_thousand_cards(rig: Rig, until: bool) -> None:  # noqa: FBT001
    """And 2,000 denied ones fit the commands they travel in: 168 cards in each, 107 with an end of their own."""
    parts = split(many(20_000, until=until), "0badcafe")
    assert len(parts) == (199 if until else 131)
    assert len(parts[0].cards) == (107 if until else 168)
    for part in parts:
        command = Command(id="x" * 64, op="act", act=part, iat=2**53, exp=2**53)
        assert len(msgspec.json.encode(command)) <= MAX_COMMAND_BYTES
        assert len(encode(Perform(act=part, by="x" * 200))) <= MAX_REQUEST
    random.Random(2).shuffle(parts)  # noqa: S311 - a test
    assert [rig.act(part) for part in parts] == [0] * (len(parts) - 1) + [1]
    rig.restart()
    assert len(known(rig) or []) == 20_000


def test_too_many_cards(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are refused part by part, before memory is gone."""
    assert MAX_CARDS == 50_000
    monkeypatch.setattr("pilenode.station.card_parts.MAX_CARDS", 3)
    assert rig.act(SetCards(version=1, part=1, parts=3, cards=listed(A, B))) == 0
    assert code(rig.act(SetCards(version=1, part=2, parts=3, cards=listed(C), denied=[A]))) == "card_list_long"
    assert rig.act(SetCards(version=1, part=2, parts=3, cards=listed(C))) == 0


def test_an_empty_list_is_a_list(rig: Rig) -> None:
    """It takes every card away."""
    rig.act(SetCards(version=1, cards=listed(A)))
    assert [rig.act(part) for part in split(ListFile(version=2, valid_until_ms=None, cards=[], denied=[]))] == [1]
    assert known(rig) == []


# -- the file ----------------------------------------------------------------------------------------------------


def files(rig: Rig) -> list[Path]:
    """Return the files of lists."""
    return sorted((rig.folder / "cards").iterdir())


def test_the_file_is_its_owners_and_alone(rig: Rig) -> None:
    """0600, in a folder of 0700; older lists are removed."""
    rig.act(SetCards(version=1, cards=listed(A)))
    rig.act(SetCards(version=2, cards=listed(B)))
    (path,) = files(rig)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert path.name == f"{rig.bodies(CardsSet, FactKind.CARDS_SET)[1].sha256}.list"


def test_a_power_cut_between_file_and_fact_leaves_the_old_list(rig: Rig) -> None:
    """And one between the fact and the removal of the old file the new one."""
    rig.act(SetCards(version=1, cards=listed(A)))
    (old,) = files(rig)
    facts = rig.book.judge(SetCards(version=2, cards=listed(B)), LI, rig.now())
    assert len(files(rig)) == 2
    rig.restart()
    assert (known(rig), files(rig)) == ([A], [old])
    assert not isinstance(facts, Refused)
    facts = rig.book.judge(SetCards(version=2, cards=listed(B)), LI, rig.now())
    assert not isinstance(facts, Refused)
    rig.write(facts[0].kind, facts[0].body)
    rig.restart()
    assert known(rig) == [B]
    assert old not in files(rig)


@pytest.mark.parametrize("damage", ["gone", "cut", "bit", "empty", "other"])
def test_half_a_list_is_no_list(rig: Rig, damage: str) -> None:
    """Whatever happened to the file, no card is taken by it, and the same list sent again heals it."""
    rig.act(SetCards(version=1, cards=listed(A, B)))
    (path,) = files(rig)
    content = path.read_bytes()
    other = card_store.encode(ListFile(version=1, valid_until_ms=None, cards=listed(A), denied=[]))[1]
    path.write_bytes({"cut": content[:-1], "bit": content.replace(b"a", b"e", 1), "empty": b""}.get(damage, other))
    if damage == "gone":
        path.unlink()
    rig.restart()
    assert (known(rig), rig.book.book.damaged, bool(rig.book.lists.trouble)) == (None, True, True)
    assert rig.act(SetCards(version=1, cards=listed(A, B))) == 0
    assert (known(rig), rig.book.book.damaged, rig.book.lists.trouble) == ([A, B], False, "")
    path.unlink()
    rig.restart()
    assert rig.act(SetCards(version=2, cards=listed(A))) == 1
    assert (known(rig), rig.book.book.damaged) == ([A], False)


def test_a_list_that_cannot_be_stored_does_not_count(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told, and the old list stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    rig.act(SetCards(version=1, cards=listed(A)))
    monkeypatch.setattr(card_store, "write", full)
    assert code(rig.act(SetCards(version=2, cards=listed(B)))) == "card_list_not_kept"
    assert known(rig) == [A]


def test_the_age_of_a_list_without_a_clock_is_not_known(rig: Rig) -> None:
    """So it is not invented."""
    rig.clock = ClockQuality.NONE
    rig.act(SetCards(version=1, cards=listed(A)))
    found = rig.book.book.listed
    assert found is not None
    assert found.set_ms is None


# -- single cards ------------------------------------------------------------------------------------------------


def test_a_denial_stands_through_lists_and_restarts(rig: Rig) -> None:
    """Until it is taken back; what the list denies cannot be allowed one by one."""
    assert [rig.act(DenyCard(card=A, reason="stolen")) for _ in range(2)] == [1, 0]
    rig.act(SetCards(version=1, cards=listed(A), denied=[B]))
    rig.restart()
    assert is_denied(A, rig.book.book)
    assert code(rig.act(AllowCard(card=B))) == "card_denied"
    assert [rig.act(AllowCard(card=A)) for _ in range(2)] == [1, 0]
    rig.restart()
    assert not is_denied(A, rig.book.book)


def test_learning(rig: Rig) -> None:
    """The next card within 30 s at that reader, once; it is there after a restart, and can be forgotten."""
    assert code(rig.act(LearnCard(reader="side"))) == "card_reader_unknown"
    assert code(rig.act(LearnCard(reader="front", until_ms=NOON_MS))) == "card_expired"
    assert rig.act(LearnCard(reader="front", name="Wang", until_ms=NOON_MS + 1)) == 0
    assert rig.book.learning("back", rig.boottime_ms) is None
    assert asyncio.run(rig.desk.swipe("front", A, 0)).code == "learned"
    assert asyncio.run(rig.desk.swipe("front", B, 0)).code == "card_unknown"
    rig.restart()
    assert rig.book.book.learned == {A: Card(until_ms=NOON_MS + 1)}
    (body,) = rig.bodies(CardLearned, FactKind.CARD_LEARNED)
    assert (body.card, body.name, body.by, body.reader) == (A, "Wang", "Li", "front")
    assert rig.act(ForgetCard(card=A)) == 1
    assert rig.book.book.learned == {}
    assert code(rig.act(ForgetCard(card=A))) == "card_unknown"


@pytest.mark.parametrize(("passed_ms", "learned"), [(LEARN_MS - 1, True), (LEARN_MS, False)])
def test_learning_ends_after_thirty_seconds(rig: Rig, passed_ms: int, learned: bool) -> None:  # noqa: FBT001
    """To the millisecond, and by a clock that nobody sets."""
    rig.act(LearnCard(reader="front"))
    rig.boottime_ms += passed_ms
    rig.wall_ms = 0
    assert (asyncio.run(rig.desk.swipe("front", A, 0)).code == "learned") is learned


def test_a_denied_card_is_not_learned(rig: Rig) -> None:
    """Denial wins here too; and a journal that fails keeps nothing."""
    rig.act(DenyCard(card=A))
    rig.act(LearnCard(reader="front"))
    assert asyncio.run(rig.desk.swipe("front", A, 0)).code == "card_denied"
    rig.act(LearnCard(reader="front"))
    rig.broken = True
    assert asyncio.run(rig.desk.swipe("front", B, 0)).code == "journal_failed"
    assert rig.book.book.learned == {}


def test_single_cards_are_bounded(rig: Rig) -> None:
    """A thousand of each: more is what lists are for."""
    for number in range(MAX_SINGLES):
        card = f"{number:032x}"
        rig.write(FactKind.CARD_DENIED, CardDenied(card=card, source="cli"))
        rig.write(FactKind.CARD_LEARNED, CardLearned(card=card, reader="front", source="cli"))
    assert code(rig.act(DenyCard(card=A))) == "card_list_long"
    assert code(rig.act(LearnCard(reader="front"))) == "card_list_long"
    assert rig.act(DenyCard(card=f"{0:032x}")) == 0


def test_an_act_of_another_desk_is_not_taken(rig: Rig) -> None:
    """The dispatcher never brings one; if it did, nothing would happen."""
    lock = Lock(lock="l", port=1, kind="lockout", authority="a", reason="r")
    assert rig.book.judge(lock, LI, rig.now()) == Refused(code="card_unknown")
