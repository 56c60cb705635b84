"""Which registers are read together: cheaper, never longer than a reply, and never over a gap that may not be read."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.budget import ENERGY_APART, line_timing
from safety.read_plan import MAX_DATA_BYTES, MAX_REGISTERS, SLOW_SHARE, Span, plan

LINE = line_timing(9600, "N", 1, 0.1)


def seconds(size: int) -> float:
    """Return a round cost: 100 for a transaction and 1 for a byte."""
    return 100.0 + size


def test_a_slow_block_is_in_one_poll_of_four() -> None:
    """The share that joining is reckoned with is that of the schedule."""
    assert SLOW_SHARE == 1 / (ENERGY_APART + 1) == 0.25


@pytest.mark.parametrize("gaps", [False, True])
def test_neighbours_are_read_together(*, gaps: bool) -> None:
    """Two fast blocks that adjoin cost one transaction less, whether gaps may be read or not; order is no matter."""
    spans = [Span(6, 4, fast=True), Span(0, 6, fast=True)]
    assert plan(spans, 2, seconds, gaps_readable=gaps) == (Span(0, 10, fast=True),)


@pytest.mark.parametrize(("start", "joined"), [(51, True), (53, False)])
def test_a_gap_is_read_while_its_bytes_cost_less_than_a_transaction(start: int, joined: bool) -> None:  # noqa: FBT001
    """49 registers are 98 bytes and cheaper than 100; 51 are 102 and are not."""
    spans = [Span(0, 2, fast=True), Span(start, 2, fast=True)]
    found = plan(spans, 2, seconds, gaps_readable=True)
    assert found == ((Span(0, start + 2, fast=True),) if joined else tuple(spans))
    assert plan(spans, 2, seconds, gaps_readable=False) == tuple(spans)


@pytest.mark.parametrize(("start", "joined"), [(13, True), (14, False)])
def test_a_slow_block_joins_for_a_quarter_of_its_transaction(start: int, joined: bool) -> None:  # noqa: FBT001
    """It saves 104 / 4 = 26 in each poll: 11 registers of gap and its own 2 cost the same, one more 28."""
    spans = [Span(0, 2, fast=True), Span(start, 2, fast=False)]
    found = plan(spans, 2, seconds, gaps_readable=True)
    assert found == ((Span(0, start + 2, fast=True),) if joined else tuple(spans))


def test_a_slow_block_between_two_fast_ones_rides_for_nothing() -> None:
    """Its registers are read anyway when the blocks around it are joined."""
    spans = [Span(0, 2, fast=True), Span(20, 2, fast=False), Span(40, 2, fast=True)]
    assert plan(spans, 2, seconds, gaps_readable=True) == (Span(0, 42, fast=True),)


def test_two_slow_blocks_stay_slow() -> None:
    """What is joined is in every poll only when a part of it has to be."""
    spans = [Span(500, 2, fast=False), Span(502, 2, fast=False), Span(0, 2, fast=True)]
    assert plan(spans, 2, seconds, gaps_readable=True) == (Span(0, 2, fast=True), Span(500, 4, fast=False))


@pytest.mark.parametrize(("width", "count", "joined"), [(2, 125, True), (2, 126, False), (4, 62, True), (4, 63, False)])
def test_a_read_is_never_longer_than_a_reply(width: int, count: int, joined: bool) -> None:  # noqa: FBT001
    """125 registers and 250 bytes, whichever comes first."""
    spans = [Span(0, count - 2, fast=True), Span(count - 2, 2, fast=True)]
    assert (len(plan(spans, width, lambda size: 1000.0 + size, gaps_readable=True)) == 1) is joined


@st.composite
def layouts(draw: st.DrawFn) -> list[Span]:
    """Return up to six blocks that do not overlap, in any order."""
    spans, at = [], draw(st.integers(0, 100))
    for _ in range(draw(st.integers(1, 6))):
        count = draw(st.integers(1, 40))
        spans.append(Span(at, count, fast=draw(st.booleans())))
        at += count + draw(st.sampled_from([0, 0, 1, 5, 30, 200]))
    return draw(st.permutations(spans))


@given(spans=layouts(), width=st.sampled_from([2, 4]), gaps=st.booleans(), baud=st.sampled_from([1200, 9600, 115_200]))
def test_whatever_the_layout_every_register_is_read_and_nothing_is_read_twice(
    spans: list[Span], width: int, baud: int, *, gaps: bool
) -> None:
    """All blocks are covered, no read is too long, none touches an unreadable gap; it is never dearer than apart."""
    line = line_timing(baud, "N", 1, 0.05)
    spans = [Span(one.start, min(one.count, MAX_DATA_BYTES // width), one.fast) for one in spans]
    found = plan(spans, width, line.transaction_s, gaps_readable=gaps)
    wanted = {address for one in spans for address in range(one.start, one.end)}
    read = [address for one in found for address in range(one.start, one.end)]
    assert wanted <= set(read)
    assert len(read) == len(set(read))
    assert gaps or set(read) == wanted
    assert all(one.count <= MAX_REGISTERS and one.count * width <= MAX_DATA_BYTES for one in found)
    fast = {address for one in found if one.fast for address in range(one.start, one.end)}
    assert {address for one in spans if one.fast for address in range(one.start, one.end)} <= fast
    assert [one.fast for one in found] == sorted((one.fast for one in found), reverse=True)

    def cost(reads: tuple[Span, ...]) -> float:
        return sum(line.transaction_s(one.count * width) * (1 if one.fast else SLOW_SHARE) for one in reads)

    assert cost(found) <= cost(tuple(spans)) + 1e-9


@given(spans=layouts(), gaps=st.booleans())
def test_no_further_pair_is_worth_joining(spans: list[Span], *, gaps: bool) -> None:
    """What is left apart is cheaper apart, or must not be joined."""
    found = sorted(plan(spans, 2, LINE.transaction_s, gaps_readable=gaps), key=lambda one: one.start)
    for one, other in pairwise(found):
        both = Span(one.start, other.end - one.start, one.fast or other.fast)
        if both.count > MAX_REGISTERS or (one.end < other.start and not gaps):
            continue
        apart_s = sum(LINE.transaction_s(2 * part.count) * (1 if part.fast else SLOW_SHARE) for part in (one, other))
        assert LINE.transaction_s(2 * both.count) * (1 if both.fast else SLOW_SHARE) >= apart_s - 1e-9
