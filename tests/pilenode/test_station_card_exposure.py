"""Promises of what cards owe: days by the local calendar, debt until it is acknowledged, and no cap is ever passed."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.station.card_desk import CardStart
from pilenode.station.card_exposure import local_day
from pilenode.station.cards import DAY_MS, Rules
from pilenode.station.wallclock import ClockQuality
from pilenode.upstream.facts import FactKind
from pilenode.upstream.facts_cards import CardLearned
from tests.pilenode.card_rig import NOON_MS, SHANGHAI, A, B, Rig

#: 2027-01-16 00:00 in Shanghai.
MIDNIGHT_MS = NOON_MS + 8 * 3_600_000


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a cabinet at four in the afternoon."""
    return Rig(tmp_path)


def begin(rig: Rig, card: str = A, amount_fen: int = 300, *, offline: bool = True) -> str:
    """Begin a session."""
    return rig.begin(CardStart(1, "o", card, "front", amount_fen, offline))


def day_fen(rig: Rig, card: str = A) -> int:
    """Return what a card has used of its day."""
    asyncio.run(rig.caught_up())
    return rig.exposure.usage(card, rig.now(), 0).day_fen


def test_a_day_begins_at_local_midnight() -> None:
    """To the millisecond, in the zone of the cabinet, and a mad clock has a last day."""
    assert local_day(MIDNIGHT_MS, SHANGHAI) == local_day(MIDNIGHT_MS - 1, SHANGHAI) + 1
    assert local_day(MIDNIGHT_MS + DAY_MS - 1, SHANGHAI) == local_day(MIDNIGHT_MS, SHANGHAI)
    assert local_day(2**53, SHANGHAI) == local_day(253_402_128_000_000, SHANGHAI)


def test_reserve_then_price_then_nothing(rig: Rig) -> None:
    """A session costs its reserve, then its price; on the next day only what is not acknowledged is left."""
    session = begin(rig)
    assert (day_fen(rig), day_fen(rig, B), rig.exposure.debt_fen()) == (300, 0, 300)
    rig.pass_ms(3_600_000)
    rig.end(session, 120)
    assert (day_fen(rig), rig.exposure.debt_fen()) == (120, 120)
    rig.acked = len(rig.facts)
    assert (day_fen(rig), rig.exposure.debt_fen()) == (120, 0)
    rig.wall_ms = MIDNIGHT_MS - 1
    assert day_fen(rig) == 120
    rig.wall_ms = MIDNIGHT_MS
    assert day_fen(rig) == 0


def test_an_end_counts_as_acknowledged_from_its_own_number_on(rig: Rig) -> None:
    """One fact less is not enough."""
    rig.end(begin(rig), 50)
    asyncio.run(rig.caught_up())
    rig.acked = len(rig.facts) - 1
    assert rig.exposure.debt_fen() == 50
    rig.acked += 1
    assert rig.exposure.debt_fen() == 0


def test_what_is_owed_of_another_day_is_the_debt_caps_business(rig: Rig) -> None:
    """Three days without a network are three days' caps of one card, and the debt of all of them."""
    rig.end(begin(rig), 120)
    rig.pass_ms(3 * DAY_MS)
    assert (day_fen(rig), rig.exposure.debt_fen()) == (0, 120)


def test_with_the_backend_a_paid_session_is_no_exposure(rig: Rig) -> None:
    """Begun while connected and acknowledged: the backend could have denied the card meanwhile."""
    session = begin(rig, offline=False)
    assert day_fen(rig) == 300
    rig.end(session, 120)
    assert day_fen(rig) == 120
    rig.acked = len(rig.facts)
    assert day_fen(rig) == 0


def test_a_session_over_midnight_counts_on_both_days(rig: Rig) -> None:
    """And not on the third."""
    rig.wall_ms = MIDNIGHT_MS - 1
    session = begin(rig)
    rig.pass_ms(1)
    assert day_fen(rig) == 300
    rig.end(session, 70)
    rig.acked = len(rig.facts)
    assert day_fen(rig) == 70
    rig.pass_ms(DAY_MS)
    assert day_fen(rig) == 0


def test_a_day_ahead_counts_as_today(rig: Rig) -> None:
    """Setting the clock back buys nothing."""
    rig.end(begin(rig), 120)
    rig.acked = len(rig.facts)
    rig.pass_ms(-2 * DAY_MS)
    assert day_fen(rig) == 120


def test_without_a_clock_the_boot_and_the_last_known_day_count(rig: Rig) -> None:
    """What was acknowledged on the day that the journal knows last still counts; earlier days do not."""
    rig.end(begin(rig, amount_fen=100), 100)
    rig.pass_ms(2 * DAY_MS)
    rig.end(begin(rig, amount_fen=20), 20)
    rig.acked = len(rig.facts)
    rig.reboot()
    assert day_fen(rig) == 20
    rig.end(begin(rig, amount_fen=3), 3)
    rig.acked = len(rig.facts)
    assert day_fen(rig) == 23
    rig.reboot()
    assert day_fen(rig) == 20


def test_a_session_without_a_clock_finds_its_day_later(rig: Rig) -> None:
    """The clock that counts through tells it within one boot; of another boot it is today until acknowledged."""
    rig.reboot()
    rig.end(begin(rig, amount_fen=40), 40)
    rig.pass_ms(3_600_000)
    rig.clock, rig.wall_ms = ClockQuality.NTP, MIDNIGHT_MS + 3_600_000
    rig.acked = len(rig.facts)
    assert day_fen(rig) == 40  # it ended at midnight
    rig.wall_ms -= 1
    assert day_fen(rig) == 0
    rig.reboot()
    rig.end(begin(rig, amount_fen=6), 6)
    rig.reboot(ClockQuality.NTP)
    assert day_fen(rig) == 6
    rig.acked = len(rig.facts)
    assert day_fen(rig) == 0


def test_an_end_without_a_clock_is_at_most_a_day_after_the_start(rig: Rig) -> None:
    """The clock was lost while it ran: its start is known, so its day is not forgotten with the next boot."""
    session = begin(rig)
    rig.reboot()
    rig.end(session, 90)
    rig.acked = len(rig.facts)
    assert day_fen(rig) == 90
    rig.reboot()
    assert day_fen(rig) == 90
    rig.reboot(ClockQuality.NTP)
    rig.wall_ms = MIDNIGHT_MS + DAY_MS - 1
    assert day_fen(rig) == 90
    rig.wall_ms += 1
    assert day_fen(rig) == 0


def test_a_restart_changes_nothing(rig: Rig) -> None:
    """The fold over the same facts gives the same sums."""
    begin(rig)
    rig.end(begin(rig, B, 100), 33)
    before = (day_fen(rig), day_fen(rig, B), rig.exposure.debt_fen())
    rig.restart()
    assert (day_fen(rig), day_fen(rig, B), rig.exposure.debt_fen()) == before == (300, 33, 333)


def test_old_sessions_are_forgotten_and_debt_is_not(rig: Rig) -> None:
    """Years of sessions take the room of the newest ones; what is owed stays however old it is."""
    begin(rig, B, 7)
    for _ in range(3):
        for _ in range(400):
            rig.end(begin(rig, amount_fen=1), 1)
        rig.acked = len(rig.facts)
        rig.pass_ms(3 * DAY_MS)
        asyncio.run(rig.caught_up())
    assert len(rig.exposure._sessions) <= 902
    assert rig.exposure.debt_fen() == 7


Step = tuple[Any, ...]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.sampled_from([A, A, B]), st.sampled_from(["front", "back"])),
        st.tuples(st.just("charge"), st.sampled_from([A, A, B]), st.sampled_from(["front", "back"])),
        st.tuples(st.just("swipe"), st.sampled_from([A, A, B]), st.sampled_from(["front", "back"])),
        st.tuples(st.just("end"), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.sampled_from([60_000, 8 * 3_600_000 - 120_000, 8 * 3_600_000])),
        st.tuples(st.just("met"), st.booleans()),
        st.tuples(st.just("restart"), st.booleans()),
        st.tuples(st.just("clock"), st.booleans()),
    ),
    min_size=8,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_no_sequence_of_swipes_passes_a_cap(steps: list[Step]) -> None:
    """Offline, online, restarts, power cuts, no clock: no card is lent more in a day, nor the cabinet more at all.

    Held against the true time, which the cabinet itself knows at times only.
    """
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), Rules(day_cap_fen=500, session_cap_fen=200, debt_cap_fen=800, per_card_sessions=2))
        for card in (A, B):
            rig.write(FactKind.CARD_LEARNED, CardLearned(card=card, reader="front", source="cli"))
        asyncio.run(_live(rig, steps))


async def _live(rig: Rig, steps: list[Step]) -> None:
    true = Calendar()
    for number, (word, *values) in enumerate(steps):
        if word in {"swipe", "charge"}:
            outcome = await rig.desk.swipe(values[1], values[0], number * 10_000)
            if outcome.code == "started":
                true.begun(outcome.session or "", rig)
                if word == "charge":
                    true.check(rig)
                    true.end(rig, outcome.session or "")
        elif word == "end" and rig.sessions:
            true.end(rig, rig.sessions[values[0] % len(rig.sessions)].session)
        elif word == "pass":
            true.end_before(rig, true.now_ms + values[0] - 12 * 3_600_000)
            rig.pass_ms(values[0])
            true.now_ms += values[0]
        elif word == "met":  # the backend was there for a moment, or came to stay
            rig.acked, rig.connected = len(rig.facts), values[0]
        elif word == "restart":
            rig.reboot(rig.clock) if values[0] else rig.restart()
        elif word == "clock":
            rig.clock = ClockQuality.NTP if values[0] else ClockQuality.NONE
            rig.wall_ms = true.now_ms
        true.check(rig)


class Calendar:
    """What really happened, and what may not have."""

    def __init__(self) -> None:
        self.now_ms = NOON_MS
        self.sessions: dict[str, dict[str, Any]] = {}

    def begun(self, session: str, rig: Rig) -> None:
        """Remember a start."""
        wish = rig.wishes[-1]
        self.sessions[session] = {
            "card": wish.card,
            "fen": wish.amount_fen,
            "begun_ms": self.now_ms,
            "last": None,
            "seq": None,
            "lent": wish.offline and rig.clock is not ClockQuality.NONE,
        }

    def end(self, rig: Rig, session: str) -> None:
        """End a session at all that it may cost, and remember when."""
        one = self.sessions[session]
        rig.end(session, one["fen"])
        one |= {"last": local_day(self.now_ms, SHANGHAI), "seq": len(rig.facts)}

    def end_before(self, rig: Rig, moment_ms: int) -> None:
        """End what would be longer than guard allows: what began before a moment."""
        for running in [*rig.sessions]:
            if self.sessions[running.session]["begun_ms"] < moment_ms:
                self.end(rig, running.session)

    def check(self, rig: Rig) -> None:
        """Hold every card and the cabinet against their caps."""
        today = local_day(self.now_ms, SHANGHAI)
        owed = [one for one in self.sessions.values() if one["seq"] is None or one["seq"] > rig.acked]
        assert sum(one["fen"] for one in owed) <= rig.rules.debt_cap_fen
        for card in (A, B):
            lent = [
                one["fen"]
                for one in self.sessions.values()
                if one["card"] == card and (one["last"] or today) >= today and (one in owed or one["lent"])
            ]
            assert sum(lent) <= rig.rules.day_cap_fen
