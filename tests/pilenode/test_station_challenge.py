"""Promises of challenges and buckets: fresh words only, rates that hold whatever the clock does."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.station.buckets import Bucket
from pilenode.station.challenge import ROTATION_S, Challenge


def test_challenges_are_random() -> None:
    """128 bits that nobody can guess, another for each process."""
    words = {Challenge().current(0.0) for _ in range(100)}
    assert len(words) == 100
    assert all(len(word) == 32 for word in words)


@pytest.mark.parametrize(
    ("age_s", "good"),
    [(0, True), (ROTATION_S - 1, True), (ROTATION_S, True), (2 * ROTATION_S - 1, True), (2 * ROTATION_S, False)],
)
@pytest.mark.parametrize("asked", [False, True])
def test_challenge_lives_for_two_rotations(age_s: float, good: bool, asked: bool) -> None:  # noqa: FBT001 - a table
    """It is told for one rotation and counts for one more, also when nobody asked for a new one in between."""
    challenge = Challenge()
    told = challenge.current(100.0)
    if asked and age_s >= ROTATION_S:
        assert challenge.current(100.0 + ROTATION_S) != told
    assert challenge.accepts(told, 100.0 + age_s) is good


def test_only_what_was_told_is_accepted() -> None:
    """Nothing, the empty word and words of other alphabets are none of it."""
    challenge = Challenge()
    assert not any(challenge.accepts(word, 0.0) for word in (None, "", "é", "x" * 32))


@given(st.lists(st.floats(-10, 400), max_size=40))
def test_nothing_older_than_two_rotations_counts(steps: list[float]) -> None:
    """Whatever the times between two looks, also back."""
    names = itertools.count()
    challenge, now = Challenge(lambda: f"w{next(names)}"), 0.0
    told: dict[str, float] = {}
    for step in steps:
        now += step
        for word, at_s in told.items():
            if challenge.accepts(word, now):
                assert now - at_s < 2 * ROTATION_S
        told.setdefault(challenge.current(now), now)


@given(st.lists(st.floats(0, 30), max_size=200))
def test_bucket_never_gives_more_than_it_holds_and_gets(gaps: list[float]) -> None:
    """In any minute at most twice the burst; after a minute of rest the whole burst."""
    bucket, now, taken = Bucket(5, 60.0), 0.0, []
    for gap in gaps:
        now += gap
        if bucket.take(now):
            taken.append(now)
    for first in taken:
        assert sum(first <= moment < first + 60 for moment in taken) <= 10
    now += 61
    assert [bucket.take(now) for _ in range(6)] == [True] * 5 + [False]


def test_clock_that_goes_back_gives_nothing() -> None:
    """A bucket is not filled by a step back, nor by the way forward again."""
    bucket = Bucket(1, 60.0)
    assert bucket.take(1000.0)
    assert not bucket.take(0.0)
    assert not bucket.take(1.0)
