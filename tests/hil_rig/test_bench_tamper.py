"""Promises of the log against a hand that writes into its file."""

from __future__ import annotations

from collections import Counter

import pytest

from hil_rig import bench_tamper
from hil_rig.bench_tamper import ACKED, FACTS, Trial, run
from pilenode.station.confirmations import Verdict


def test_what_is_confirmed_cannot_be_changed_unnoticed() -> None:
    """A careless change is noticed wherever it is, a careful one by the link that the backend knows."""
    sums: Counter[str] = Counter()
    for row in run(24, 1).values():
        sums.update(row)
    assert (sums["tried"], sums["escaped"]) == (24, 0)
    assert min(sums["open"], sums["chain"], sums["anchor"], sums["in the window"]) > 0


@pytest.mark.parametrize(
    ("kind", "at", "careful", "must"),
    [
        ("byte", ACKED, True, True),
        ("byte", ACKED + 1, True, False),
        ("byte", FACTS, False, True),
        ("cut off", ACKED + 1, False, False),
        ("cut off", ACKED, False, True),
    ],
)
def test_the_window_is_what_nobody_has_confirmed(kind: str, at: int, careful: bool, must: bool) -> None:  # noqa: FBT001 - a table
    """Only there a change by who knows the chain, or an end that is missing, may go unnoticed."""
    assert Trial(kind, at, careful).must_be_noticed is must


def test_a_backend_that_keeps_no_link_would_be_deceived(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench sees what it is for: without the comparison of links careful changes escape."""
    monkeypatch.setattr(bench_tamper, "judge", lambda *_: Verdict.OLD)
    assert sum(row["escaped"] for row in run(12, 7).values()) > 0
