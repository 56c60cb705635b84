"""``pilenode card learn, list, forget, deny, allow, set, hash, follow``: what is sent, what is shown, what is not."""

from __future__ import annotations

import io
import json
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from pilenode.cli import card_book
from pilenode.ipc.acts import AllowCard, DenyCard, ForgetCard, LearnCard, ListedCard, SetCards
from pilenode.ipc.messages import (
    CardsReport,
    Done,
    FactsReply,
    Perform,
    ReaderReport,
    Refused,
    StatusReply,
    StoredFact,
)
from pilenode.station.card_id import card_id, key_id
from pilenode.station.card_report import own_cards
from pilenode.upstream.facts import canonical
from pilenode.upstream.facts_cards import CardAllowed, CardDenied, CardForgotten, CardLearned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pilenode.upstream.facts import Body
    from tests.pilenode.cli.conftest import FakeStation

    Run = Callable[..., tuple[int, str, str]]

A, B = "a" * 32, "b" * 32
KEY = bytes(range(32))
STATUS = StatusReply(
    node="n1",
    version="1",
    guard=None,
    sessions=[],
    upstream_connected=False,
    upstream_url=None,
    upstream_protocol=None,
    outbox=0,
    log_id="0" * 16,
    last_seq=5,
    acked_seq=5,
    journal_ok=True,
    readers=[ReaderReport(reader="front", state="ready", outcomes={"started": 1, "repeated": 3})],
    cards=CardsReport(enabled=True, key_id="0badcafe", list_version=7, list_cards=2, list_denied=1, debt_fen=1234),
)


def stored(seq: int, kind: str, body: Body) -> StoredFact:
    """Return a fact as the station tells it."""
    return StoredFact(
        seq=seq,
        boot="b",
        boottime_ms=1,
        wall_ms=1_800_000_000_000,
        clock="ntp",
        kind=kind,
        session=None,
        body=msgspec.Raw(canonical(body)),
        hash="0" * 64,
    )


LEARNED = stored(6, "card_learned", CardLearned(card=A, reader="front", name="Wang", source="cli", by="Li"))
DENIED = stored(7, "card_denied", CardDenied(card=B, reason="stolen", source="upstream", by="c1"))


class Answers:
    """Lets a station answer by what it is asked; ``facts`` may grow while a command waits."""

    def __init__(self, station: FakeStation, monkeypatch: pytest.MonkeyPatch) -> None:
        self.facts: list[StoredFact] = []
        self.status = STATUS
        self.station = station
        monkeypatch.setattr("pilenode.cli.control.client.ask", self.ask)

    def ask(self, _path: str, request: object, _expected: type) -> object:
        """Answer like the station."""
        self.station.asked.append(request)  # type: ignore[arg-type]
        match type(request).__name__:
            case "Status":
                return self.status
            case "Facts":
                newer = [fact for fact in self.facts if fact.seq > request.after]  # type: ignore[attr-defined]
                return FactsReply(log_id="0" * 16, last_seq=9, facts=newer[:1])
            case _:
                return Done()

    def acts(self) -> list[object]:
        """Return the acts that were sent."""
        return [one.act for one in self.station.asked if isinstance(one, Perform)]


@pytest.fixture
def answers(station: FakeStation, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Return a station that knows nothing of cards yet."""
    monkeypatch.setattr(card_book, "_EVERY_S", 0.01)
    return Answers(station, monkeypatch)


def test_learning_waits_for_the_card(run: Run, answers: Answers) -> None:
    """The only reader need not be named; the card is told when it is on record."""
    timer = threading.Timer(0.1, lambda: answers.facts.append(LEARNED))
    timer.start()
    status, out, err = run("card", "learn", "--name", "Wang", "--until", "2027-01-31")
    timer.join()
    assert (status, err) == (0, "")
    assert out.splitlines() == ["front: hold the card against it within 30 s.", f"Learned {A}."]
    assert answers.acts() == [LearnCard(reader="front", name="Wang", until_ms=1_801_440_000_000)]


def test_learning_that_finds_no_card(run: Run, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends with a code; a card that was learned before does not count."""
    monkeypatch.setattr(card_book, "_PATIENCE_S", 0.05)
    answers.facts = [msgspec.structs.replace(LEARNED, seq=5)]
    status, _, err = run("card", "learn", "--json")
    assert status != 0
    assert "card_not_seen" in err


def test_learning_needs_a_reader_and_a_day(run: Run, answers: Answers) -> None:
    """With several readers one must be named, and a day must be one."""
    answers.status = msgspec.structs.replace(STATUS, readers=[*STATUS.readers, ReaderReport(reader="b", state="ready")])
    assert "front, b" in run("card", "learn")[2]
    assert "2027-02-30" in run("card", "learn", "--reader", "b", "--until", "2027-02-30")[2]
    assert answers.acts() == []


def test_the_list_shows_what_the_cabinet_knows(run: Run, answers: Answers) -> None:
    """The list in short, then denied and learned cards, page by page."""
    answers.facts = [LEARNED, DENIED]
    status, out, _ = run("card", "list")
    assert status == 0
    assert out.splitlines() == [
        "List 7: 2 cards, 1 denied, valid until -",
        "Key 0badcafe",
        "Owed and not acknowledged: 12.34 yuan",
        f"{B}  denied  -  stolen",
        f"{A}  learned  -  Wang",
    ]
    found = json.loads(run("card", "list", "--json")[1])
    assert found["cards"]["list_version"] == 7
    assert [(one["card"], one["state"], one["by"]) for one in found["own"]] == [
        (B, "denied", "c1"),
        (A, "learned", "Li"),
    ]


def test_trouble_of_cards_is_told_in_words(run: Run, answers: Answers) -> None:
    """A lost list, a list on its way, and no list at all."""
    cards = CardsReport(enabled=True, key_id=None, trouble="card_list_damaged", detail="gone", staged="version 8")
    answers.status = msgspec.structs.replace(STATUS, cards=cards)
    out = run("card", "list")[1]
    assert "There is no list." in out
    assert "On its way: version 8" in out
    assert "[card_list_damaged] (gone)" in out


def test_own_cards_are_a_fold() -> None:
    """What was forgotten and allowed again is gone."""
    facts = [
        LEARNED,
        DENIED,
        stored(8, "card_forgotten", CardForgotten(card=A, source="cli")),
        stored(9, "card_allowed", CardAllowed(card=B, source="cli")),
    ]
    assert [len(own_cards(facts[:count])) for count in range(5)] == [0, 1, 2, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "act"),
    [
        (("forget", A), ForgetCard(card=A)),
        (("deny", A, "--reason", "stolen"), DenyCard(card=A, reason="stolen")),
        (("allow", A), AllowCard(card=A)),
    ],
)
def test_single_acts(run: Run, answers: Answers, arguments: tuple[str, ...], act: object) -> None:
    """Each of them is one act, by whoever sits at the keyboard."""
    assert run("card", *arguments)[0] == 0
    assert answers.acts() == [act]


@pytest.mark.parametrize("command", ["forget", "deny", "allow"])
def test_a_number_in_the_place_of_a_hash_is_not_repeated(run: Run, answers: Answers, command: str) -> None:
    """It is told that it is none, and stands neither in the message nor in a request."""
    status, out, err = run("card", command, "0100072A5F")
    assert status != 0
    assert "0100072A5F" not in out + err
    assert answers.acts() == []


def test_a_whole_list_from_a_file(run: Run, answers: Answers, tmp_path: Path) -> None:
    """In parts that fit, under the name of its key; a file that is none is told."""
    path = tmp_path / "cards.json"
    cards = [{"card": f"{number:032x}"} for number in range(200)]
    path.write_text(json.dumps({"version": 9, "valid_until_ms": None, "cards": cards, "denied": [A]}))
    status, out, _ = run("card", "set", str(path), "--key-id", "0badcafe")
    assert (status, out) == (0, "List 9 counts: 200 cards, 1 denied.\n")
    first, second = answers.acts()
    assert isinstance(first, SetCards)
    assert (first.part, first.parts, first.key_id, first.cards[0]) == (1, 2, "0badcafe", ListedCard(card="0" * 32))
    assert isinstance(second, SetCards)
    assert second.denied == [A]
    path.write_text("{}")
    assert run("card", "set", str(path))[0] != 0


def test_a_refusal_ends_the_sending(run: Run, station: FakeStation, tmp_path: Path) -> None:
    """And its words are those of the catalogue."""
    station.reply = Refused(code="card_list_old", detail="version 9 is held")
    path = tmp_path / "cards.json"
    path.write_text(json.dumps({"version": 8, "valid_until_ms": None, "cards": [], "denied": []}))
    status, _, err = run("card", "set", str(path))
    assert status != 0
    assert "version 9 is held" in err


# -- hash ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> str:
    """Return the path of a key."""
    path = tmp_path / "card.key"
    path.write_text(KEY.hex())
    path.chmod(0o600)
    return str(path)


def test_hashes_of_arguments_and_of_lines(run: Run, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line, in order; with --json the name of the key as well."""
    expected = [card_id("0100072A5F", KEY), card_id("DEADBEEF", KEY)]
    assert run("card", "hash", "01:00:07:2a:5f", "deadbeef", "--key-file", key)[1].split() == expected
    monkeypatch.setattr("sys.stdin", io.StringIO("0100072A5F\n\nDEADBEEF\n"))
    assert json.loads(run("card", "hash", "--key-file", key, "--json")[1]) == {
        "key_id": key_id(KEY),
        "cards": expected,
    }


def test_what_cannot_be_hashed(run: Run, key: str, tmp_path: Path) -> None:
    """A number that is none is told by its place, not by itself; so is a key that is none."""
    status, out, err = run("card", "hash", "DEADBEEF", "010007ZZ", "--key-file", key)
    assert (status != 0, out) == (True, "")
    assert "No. 2" in err
    assert "010007ZZ" not in err
    assert "No such file" in run("card", "hash", "DEADBEEF", "--key-file", str(tmp_path / "none"))[2]


# -- follow --------------------------------------------------------------------------------------------------------


def test_following_shows_states_and_outcomes_as_they_come(run: Run, answers: Answers) -> None:
    """No old card, every new one, and trouble of the reader with its words."""

    def swipe() -> None:
        front = msgspec.structs.replace(
            STATUS.readers[0],
            outcomes={"started": 1, "card_denied": 1, "repeated": 4},
            last_outcome="card_denied",
            last_card=A,
            last_port=2,
        )
        time.sleep(0.1)
        answers.status = msgspec.structs.replace(STATUS, readers=[front])
        time.sleep(0.4)
        lost = msgspec.structs.replace(front, state="lost", code="reader_lost", detail="hung up")
        answers.status = msgspec.structs.replace(STATUS, readers=[lost])

    thread = threading.Thread(target=swipe)
    thread.start()
    status, out, _ = run("card", "follow", "--seconds", "0.9")
    thread.join()
    lines = out.splitlines()
    assert (status, len(lines), lines[0]) == (0, 3, "front: ready")
    assert lines[1].startswith(f"front: {A}  port 2: ")
    assert lines[1].endswith("[card_denied]")
    assert lines[2].endswith("[reader_lost] (hung up)")


def test_following_as_json(run: Run, answers: Answers) -> None:
    """One object a line."""
    assert answers.status is STATUS
    assert json.loads(run("card", "follow", "--seconds", "0.1", "--json")[1]) == {
        "type": "reader",
        "reader": "front",
        "state": "ready",
        "code": None,
    }
