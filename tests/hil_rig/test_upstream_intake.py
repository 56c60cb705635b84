"""Promises of the intake: whatever the order, every fact stands once, on the history of its cabinet; none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.upstream.intake import IN_HOLE, Intake, LogState, missing, well_formed
from pilenode.upstream.contract import NO_LINK, Hello, Resend
from pilenode.upstream.facts import GENESIS, Fact, FactKind
from tests.hil_rig.logs import LOG_ID, chain, hole, sent

if TYPE_CHECKING:
    from collections.abc import Sequence

LENGTH = 14
FACTS = chain(LENGTH)
OTHER = chain(LENGTH, words="other ")


class Memory:
    """A log in memory, written as a database is: when a transaction is done."""

    def __init__(self) -> None:
        self.state = LogState()
        self.rows: dict[int, Fact] = {}
        self.aside: list[tuple[int, str]] = []
        self.kept: set[bytes] = set()
        self.now_ms = 0

    def between(self, since: int, upto: int) -> list[Fact]:
        """Return stored facts."""
        return [self.rows[seq] for seq in sorted(self.rows) if since <= seq <= upto]

    def after(self, seq: int, limit: int) -> list[Fact]:
        """Return stored facts."""
        return [self.rows[key] for key in sorted(self.rows) if key > seq][:limit]

    def take(self, *batches: Sequence[Fact]) -> LogState:
        """Take batches in one transaction."""
        intake = Intake(LOG_ID, self.state, self)
        for batch in batches:
            assert well_formed(batch)
            intake.take(batch)
        return self._write(intake)

    def greet(self, hello: Hello) -> Resend | None:
        """Take a hello."""
        intake = Intake(LOG_ID, self.state, self)
        wanted = intake.greet(hello)
        self._write(intake)
        return wanted

    def _write(self, intake: Intake) -> LogState:
        intake.done(self.now_ms)
        for seq in intake.changes.taken:
            del self.rows[seq]
        assert not intake.changes.added.keys() & self.rows.keys()
        self.rows.update(intake.changes.added)
        self.aside += [(one.seq, one.reason) for one in intake.changes.aside]
        self.kept |= {one.content for one in intake.changes.aside}
        self.state = intake.state
        return self.state

    def bodies(self) -> list[tuple[int, bytes]]:
        """Return what stands."""
        return [(seq, bytes(self.rows[seq].body)) for seq in sorted(self.rows)]


def part(since: int, upto: int, facts: Sequence[Fact] = FACTS) -> list[Fact]:
    """Return a stretch of a log as it is sent."""
    return sent(facts[since - 1 : upto]).facts


def hello(last: int, first_unacked: int = 1, facts: Sequence[Fact] = FACTS) -> Hello:
    """Return what a cabinet says first."""
    head = facts[last - 1].hash if last else NO_LINK
    return Hello(version="1", log_id=LOG_ID, first_unacked=first_unacked, last=last, head=head)


def is_settled(memory: Memory, upto: int) -> None:
    """Assert that a log is complete up to there on the right history."""
    assert memory.state.upto == upto
    assert memory.state.link == (bytes.fromhex(FACTS[upto - 1].hash) if upto else GENESIS)


# -- order does not matter -------------------------------------------------------------------------------------

stretch = st.tuples(st.integers(1, LENGTH), st.integers(0, 5)).map(lambda one: (one[0], min(LENGTH, sum(one))))
deliveries = st.lists(st.lists(stretch, min_size=1, max_size=3), max_size=12)


@given(deliveries)
def test_any_order_and_number_of_deliveries_gives_every_fact_once(groups: list[list[tuple[int, int]]]) -> None:
    """At every moment the link is that of the newest settled fact; at the end all stand, once, and none aside."""
    memory, delivered = Memory(), 0
    for group in [*groups, [(1, LENGTH)]]:
        memory.take(*(part(*one) for one in group))
        delivered += sum(upto - since + 1 for since, upto in group)
        is_settled(memory, memory.state.upto)
        known = set(memory.rows)
        assert set(range(1, memory.state.upto + 1)) <= known
        assert memory.state.upto + 1 not in known
        assert memory.state.top == max(known)
        assert (memory.state.ask_at_ms is None) == (memory.state.top == memory.state.upto)
    is_settled(memory, LENGTH)
    assert memory.bodies() == [(fact.seq, bytes(fact.body)) for fact in FACTS]
    assert (memory.aside, memory.state.broken_at) == ([], None)
    assert memory.state.duplicates == delivered - LENGTH


@given(deliveries, st.lists(st.tuples(st.integers(0, 12), stretch, st.booleans()), max_size=6))
def test_forged_facts_behind_a_gap_never_stand_at_the_end(
    groups: list[list[tuple[int, int]]], forgeries: list[tuple[int, tuple[int, int], bool]]
) -> None:
    """What another history says behind a gap is put aside when the cabinet sends its own; of both nothing is lost."""
    memory, forged = Memory(), set()
    for at, group in enumerate(groups):
        memory.take(*(part(*one) for one in group))
        for when, (since, upto), is_whole in forgeries:
            if when != at or since <= memory.state.upto + 1:
                continue
            batch = part(since, upto, OTHER)
            if not is_whole:  # among facts of the cabinet, under the link of the cabinet
                batch[-1] = msgspec.structs.replace(FACTS[upto - 1], hash=FACTS[upto - 1].hash)
            memory.take(batch)
            forged |= {bytes(fact.body) for fact in batch} - {bytes(FACTS[upto - 1].body)}
        is_settled(memory, memory.state.upto)
    while memory.state.upto < LENGTH:  # the cabinet sends again from the first that is not confirmed
        memory.take(part(memory.state.upto + 1, min(LENGTH, memory.state.upto + 3)))
    is_settled(memory, LENGTH)
    assert memory.bodies() == [(fact.seq, bytes(fact.body)) for fact in FACTS]
    assert memory.state.broken_at is None
    assert forged <= {_body(content) for content in memory.kept}


def _body(content: bytes) -> bytes:
    return bytes(msgspec.json.decode(content, type=Fact).body)


def test_a_closed_gap_is_followed_over_pages() -> None:
    """More facts than are read at once may wait; all are settled in the transaction that closes the gap."""
    many, memory = chain(1300), Memory()
    for since in range(2, 1301, 150):
        memory.take(sent(many[since - 1 : since + 149]).facts)
    assert memory.state.upto == 0
    memory.take(sent(many[:1]).facts)
    assert (memory.state.upto, memory.state.link.hex()) == (1300, many[-1].hash)


# -- histories that differ -------------------------------------------------------------------------------------


def test_what_is_settled_never_moves() -> None:
    """Another fact under a settled number is kept aside, and so is what follows on it: it would not chain."""
    memory = Memory()
    memory.take(part(1, 5))
    memory.take(part(4, 8, OTHER))
    is_settled(memory, 5)
    assert memory.aside == [(4, "settled"), (5, "settled"), (6, "diverged"), (7, "diverged"), (8, "diverged")]
    memory.take(part(4, 8))
    is_settled(memory, 8)


def test_another_history_directly_on_ours_is_taken_and_shown() -> None:
    """Nothing sticks: the facts stand, the log is noted as broken, and the link tells the cabinet that it differs."""
    memory = Memory()
    memory.take(part(1, 5))
    memory.take(part(6, 8, OTHER))
    assert (memory.state.upto, memory.state.broken_at, memory.aside) == (8, 8, [])
    assert memory.state.link.hex() not in (FACTS[7].hash, OTHER[7].hash)
    assert bytes(memory.rows[7].body) == bytes(OTHER[6].body)


@pytest.mark.parametrize("newer_chains", [True, False])
def test_of_two_facts_behind_a_gap_the_one_stands_that_the_link_bears_out(*, newer_chains: bool) -> None:
    """The newer one stands unless its batch does not chain and the older one makes it chain."""
    memory = Memory()
    memory.take([FACTS[0]])
    older, newer = (OTHER[2], FACTS[2]) if newer_chains else (FACTS[2], OTHER[2])
    memory.take([msgspec.structs.replace(older, hash="")])  # alone and without a link: it waits
    memory.take([FACTS[1], msgspec.structs.replace(newer, hash=""), FACTS[3]])
    is_settled(memory, 4)
    assert bytes(memory.rows[3].body) == bytes(FACTS[2].body)
    assert memory.aside == [(3, "replaced" if newer_chains else "not_borne_out")]
    assert memory.state.broken_at is None


def test_what_waited_is_not_believed_against_its_link() -> None:
    """When the gap closes, facts that do not chain to their own link go on waiting, and are asked for again."""
    memory = Memory()
    memory.take([msgspec.structs.replace(fact, hash="") for fact in FACTS[2:4]] + part(5, 6, OTHER))
    memory.take(part(1, 2))
    is_settled(memory, 2)  # nothing between 2 and 6 has a link that bears it out
    assert missing(memory.state, 3) == Resend(since=3, upto=6)
    memory.take(part(3, 6))
    is_settled(memory, 6)


def test_an_announced_head_binds() -> None:
    """A cabinet that told its head and then sends another history up to it is found out, link by link."""
    memory = Memory()
    memory.greet(hello(6))
    memory.take(part(1, 4))
    memory.greet(hello(9, facts=OTHER))  # the first announcement is not taken back by a second
    rewritten = part(5, 6, OTHER)
    memory.take([msgspec.structs.replace(fact, hash="") for fact in rewritten])
    assert memory.state.broken_at == 6


def test_a_head_that_comes_true_says_nothing() -> None:
    """The announcement of an honest cabinet is forgotten when its fact is there."""
    memory = Memory()
    memory.greet(hello(6))
    memory.take(part(1, 8))
    assert (memory.state.broken_at, memory.state.head_seq) == (None, 0)


def test_a_cabinet_that_has_less_than_it_announced_is_noted() -> None:
    """Facts that were announced and are gone are a loss, also when none of them ever arrived."""
    memory = Memory()
    memory.greet(hello(9))
    memory.greet(hello(6))
    assert (memory.aside, memory.state.head_seq) == ([(9, "announced")], 6)


# -- holes -----------------------------------------------------------------------------------------------------


def test_a_hole_is_passed_and_its_facts_are_not_missed() -> None:
    """A row that names a hole has the link of its last fact; what follows chains on."""
    memory = Memory()
    memory.take([*part(1, 2), hole(FACTS, 3, 5), *part(6, 8)])
    is_settled(memory, 8)
    assert sorted(memory.rows) == [1, 2, 5, 6, 7, 8]


@pytest.mark.parametrize("first", ["fact", "hole"])
def test_a_fact_and_its_hole_do_not_contradict(first: str) -> None:
    """A fact that waited and was removed at the cabinet meanwhile is kept, whichever comes first."""
    memory = Memory()
    rows = [part(4, 5), [hole(FACTS, 3, 5)]]
    for row in rows if first == "fact" else reversed(rows):
        memory.take(row)
    memory.take(part(1, 2))
    memory.take([hole(FACTS, 3, 5), *part(6, 7)])
    is_settled(memory, 7)
    assert {reason for _, reason in memory.aside} <= {IN_HOLE}
    assert memory.state.broken_at is None
    stands = bytes(memory.rows[5].body) == bytes(FACTS[4].body)
    assert stands or any(_body(content) == bytes(FACTS[4].body) for content in memory.kept)


def test_a_settled_fact_may_be_removed_at_the_cabinet() -> None:
    """Confirmed facts leave a cabinet by age; the hole in their place changes nothing here."""
    memory = Memory()
    memory.take(part(1, 6))
    memory.take([hole(FACTS, 2, 5), *part(6, 7)])
    is_settled(memory, 7)
    assert memory.bodies() == [(fact.seq, bytes(fact.body)) for fact in FACTS[:7]]
    assert memory.aside == []


# -- asking ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "first_unacked", "wanted"),
    [
        (9, 1, None),
        (9, 5, None),
        (9, 6, Resend(since=5, upto=5)),
        (9, 10, Resend(since=5, upto=9)),
        (9, 99, Resend(since=5, upto=9)),
        (3, 4, None),
        (0, 1, None),
    ],
)
def test_a_hello_is_asked_for_what_it_believes_confirmed(last: int, first_unacked: int, wanted: Resend | None) -> None:
    """A backend that was set back asks for what it has no more; what is unconfirmed comes by itself."""
    memory = Memory()
    memory.take(part(1, 4))
    assert memory.greet(hello(last, first_unacked)) == wanted
    is_settled(memory, 4)


def test_a_gap_is_asked_for_when_it_stands_still() -> None:
    """Five seconds without progress, then doubled, eight times; any progress and any new fact begin anew."""
    memory = Memory()
    memory.take(part(1, 2), part(8, 9))
    assert memory.state.ask_at_ms == 5_000
    memory.now_ms = 4_000
    memory.take(part(10, 11))
    assert memory.state.ask_at_ms == 5_000  # fresh facts are no progress of the gap
    memory.take(part(3, 3))
    assert memory.state.ask_at_ms == 9_000
    state, pauses, now_ms = memory.state, [], 9_000
    while state.ask_at_ms is not None:
        state = state.asked(now_ms)
        pauses.append(None if state.ask_at_ms is None else state.ask_at_ms - now_ms)
        now_ms = state.ask_at_ms or now_ms
    assert pauses == [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, None]
    memory.state, memory.now_ms = state, now_ms
    memory.take(part(12, 12))
    assert memory.state.ask_at_ms == now_ms + 5_000
    last = memory.take(part(4, 7))
    assert (last.ask_at_ms, last.asks) == (None, 0)


# -- bounds ----------------------------------------------------------------------------------------------------

BAD = {
    "order": [FACTS[1], FACTS[0]],
    "twice": [FACTS[0], FACTS[0]],
    "zero byte": [msgspec.structs.replace(FACTS[0], boot="a\x00")],
    "no text": [msgspec.structs.replace(FACTS[0], body=msgspec.Raw(b'"\xff"'))],
    "hole without link": [msgspec.structs.replace(hole(FACTS, 2, 5), hash="")],
    "hole without beginning": [msgspec.structs.replace(hole(FACTS, 2, 5), body=msgspec.Raw(b"{}"))],
    "hole from behind": [hole(FACTS, 6, 5)],
    "hole from nowhere": [hole(FACTS, 0, 5)],
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_kept_is_told_beforehand(name: str) -> None:
    """A database never meets a batch that it would choke on, nor the chain one that it cannot follow."""
    assert not well_formed(BAD[name])
    assert well_formed(FACTS)
    assert well_formed([hole(FACTS, 1, 5), FACTS[5]])


def test_facts_of_every_kind_are_taken_alike() -> None:
    """A kind that this backend does not know is kept and chained like the others."""
    strange = msgspec.structs.replace(FACTS[0], kind="brand_new", hash="")
    assert strange.kind not in set(FactKind)
    memory = Memory()
    memory.take([strange])
    assert (memory.state.upto, memory.state.broken_at) == (1, None)
