"""Promises of confirmations: only who has the same history is believed, and a log is given up rarely."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.confirmations import Pending, Verdict, judge, may_be_given_up
from pilenode.station.entries import JournalStatus
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import NO_LINK, Ack, Resend
from pilenode.upstream.facts import Fact, FactKind, canonical
from pilenode.upstream.facts_journal import LogSalvaged

LOG = "0123456789abcdef"
HERE, THERE = "a" * 64, "b" * 64
STATUS = JournalStatus(log_id=LOG, last_seq=9, acked_seq=4, problem=None)
HOUR_MS = 3_600_000
NOW = Stamp("boot-2", 10 * HOUR_MS, 100 * HOUR_MS, ClockQuality.NTP)


@pytest.mark.parametrize(
    ("log_id", "upto", "digest", "link", "verdict"),
    [
        (LOG, 5, HERE, HERE, Verdict.NEW),
        (LOG, 9, HERE, HERE, Verdict.NEW),
        (LOG, 4, HERE, HERE, Verdict.OLD),
        (LOG, 3, HERE, HERE, Verdict.OLD),
        (LOG, 0, NO_LINK, None, Verdict.OLD),
        (LOG, 5, HERE, None, Verdict.NEW),
        (LOG, 3, THERE, None, Verdict.OLD),
        (LOG, 5, THERE, HERE, Verdict.DIFFERS),
        (LOG, 3, THERE, HERE, Verdict.DIFFERS),
        (LOG, 0, THERE, None, Verdict.DIFFERS),
        (LOG, 10, HERE, None, Verdict.DIFFERS),
        ("f" * 16, 5, THERE, HERE, Verdict.FOREIGN),
        ("f" * 16, 10, HERE, None, Verdict.FOREIGN),
    ],
)
def test_an_acknowledgement_is_worth_what_its_link_proves(
    log_id: str, upto: int, digest: str, link: str | None, verdict: Verdict
) -> None:
    """The same link: believed. Another, or a fact that is not there: another history. Another log: none of ours."""
    assert judge(Ack(log_id=log_id, upto=upto, hash=digest), STATUS, link) is verdict


def began(cause: str = "renounced", *, boot: str = "boot-2", boottime_ms: int = 0, wall_ms: int = 0) -> Fact:
    """Return the first fact of a log that took the place of another."""
    body = msgspec.Raw(canonical(LogSalvaged(cause=cause)))
    return Fact(
        seq=1, boot=boot, boottime_ms=boottime_ms, wall_ms=wall_ms, clock="ntp", kind=FactKind.LOG_SALVAGED, body=body
    )


@pytest.mark.parametrize(
    ("fact", "may"),
    [
        (None, True),
        (began("corrupt", boottime_ms=10 * HOUR_MS), True),
        (began(boottime_ms=9 * HOUR_MS), True),
        (began(boottime_ms=9 * HOUR_MS + 1), False),
        (began(boot="boot-1", wall_ms=99 * HOUR_MS), True),
        (began(boot="boot-1", wall_ms=99 * HOUR_MS + 1), False),
    ],
)
def test_a_log_is_given_up_once_an_hour_at_most(fact: Fact | None, may: bool) -> None:  # noqa: FBT001 - a table
    """Whoever speaks as the backend cannot make a cabinet begin one log after the other."""
    assert may_be_given_up(STATUS, fact, NOW) is may


def test_without_a_clock_a_given_up_log_of_another_boot_counts_as_recent() -> None:
    """Where nobody can tell how long ago it was, it is not done again."""
    undated = replace(NOW, clock=ClockQuality.NONE)
    assert not may_be_given_up(STATUS, began(boot="boot-1"), undated)
    assert may_be_given_up(STATUS, None, undated)


@pytest.mark.parametrize(("aside", "may"), [(3, True), (4, False)])
def test_files_that_wait_for_a_person_bound_it(aside: int, may: bool) -> None:  # noqa: FBT001 - a table
    """The room that is kept for damaged files is not used up by a backend's word."""
    assert may_be_given_up(replace(STATUS, set_aside=("f",) * aside), None, NOW) is may


def ack(upto: int, log_id: str = LOG, resend: Resend | None = None) -> Ack:
    """Return an acknowledgement."""
    return Ack(log_id=log_id, upto=upto, hash=HERE, resend=resend)


def taken(acks: list[Ack]) -> list[Ack]:
    """Return what is left of acknowledgements that arrive together."""

    async def main() -> list[Ack]:
        pending, found = Pending(), []
        for one in acks:
            pending.add(one)
        while True:
            try:
                async with asyncio.timeout(0.001):
                    found.append(await pending.next())
            except TimeoutError:
                return found

    return asyncio.run(main())


WANTED = Resend(since=1, upto=2)


@pytest.mark.parametrize(
    ("arrived", "left"),
    [
        ([ack(1), ack(2), ack(5)], [ack(5)]),
        ([ack(5), ack(2)], [ack(5), ack(2)]),
        ([ack(5), ack(5)], [ack(5), ack(5)]),
        ([ack(1), ack(9, "f" * 16), ack(2)], [ack(1), ack(9, "f" * 16), ack(2)]),
        ([ack(1, resend=WANTED), ack(2), ack(3)], [ack(1, resend=WANTED), ack(3)]),
        ([ack(1), ack(2, resend=WANTED)], [ack(2, resend=WANTED)]),
    ],
)
def test_a_later_confirmation_stands_for_earlier_ones(arrived: list[Ack], left: list[Ack]) -> None:
    """Of confirmations that arrive faster than they are kept, the furthest counts; no wish is lost."""
    assert taken(arrived) == left


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([LOG, "f" * 16]), st.booleans()), max_size=30))
def test_no_order_of_confirmations_hides_the_furthest_or_a_wish(arrived: list[tuple[int, str, bool]]) -> None:
    """The furthest confirmation of each log, and every wish for facts, are among what is left."""
    acks = [ack(upto, log_id, WANTED if wants else None) for upto, log_id, wants in arrived]
    left = taken(acks)
    for log_id in (LOG, "f" * 16):
        of_log = [one.upto for one in acks if one.log_id == log_id]
        assert max(of_log, default=None) == max((one.upto for one in left if one.log_id == log_id), default=None)
    assert [one for one in left if one.resend] == [one for one in acks if one.resend]


def test_a_flood_of_confirmations_is_bounded() -> None:
    """However many come in whatever order, only the newest few are held."""
    assert taken([ack(100 - at) for at in range(100)]) == [ack(100 - at) for at in range(68, 100)]
