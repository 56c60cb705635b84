"""Promises of confirmations: only who has the same history is believed, and a log is given up rarely."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from pilenode.station.confirmations import Verdict, judge, may_be_given_up
from pilenode.station.entries import JournalStatus
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import NO_LINK, Ack
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
