"""Wiegand codes: both parities hold, the length is the one that was asked for, and silence ends a code."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.card_contracts import FrameFault
from drivers.card_wiegand import GAP_S, Edge, Wiegand, decode
from hil_rig.card_pins import wiegand

#: npm wiegand-encoder: facility 90, card 324.
VECTOR = [int(bit) for bit in "00101101000000001010001000"]
UID = bytes([90]) + (324).to_bytes(2, "big")
LENGTHS = pytest.mark.parametrize("length", [26, 34])


def edges(bits: list[int], start_s: float = 1.0, period_s: float = 0.002) -> list[Edge]:
    """Return the edges of a code."""
    return [Edge(start_s + number * period_s, bit) for number, bit in enumerate(bits)]


def test_the_published_vector() -> None:
    """Facility 90, card 324; and the rig makes the same code."""
    assert decode(VECTOR, 26) == UID
    assert wiegand(int.from_bytes(UID, "big"), 26) == VECTOR


@LENGTHS
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_number_comes_back(length: int, data: st.DataObject) -> None:
    """All bits between the parities are the number, highest first."""
    number = data.draw(st.integers(0, 2 ** (length - 2) - 1))
    assert decode(wiegand(number, length), length) == number.to_bytes((length - 2) // 8, "big")


@LENGTHS
def test_every_flipped_bit_is_refused(length: int) -> None:
    """One wrong bit anywhere breaks the parity of its half."""
    good = wiegand(0x5A0144, length)
    for at in range(length):
        bad = [*good]
        bad[at] ^= 1
        assert decode(bad, length) is FrameFault.BAD_PARITY, at


@LENGTHS
def test_two_flips_are_seen_in_different_halves_and_not_in_one(length: int) -> None:
    """What parity cannot see: both flips in the same half. This is why a code proves little."""
    good = wiegand(0x5A0144, length)
    for one, other in combinations(range(length), 2):
        bad = [*good]
        bad[one] ^= 1
        bad[other] ^= 1
        same_half = (one < length // 2) == (other < length // 2)
        assert (decode(bad, length) is FrameFault.BAD_PARITY) != same_half, (one, other)


@LENGTHS
def test_a_stuck_line_is_no_card(length: int) -> None:
    """Nothing but zeros, and nothing but ones, fail a parity."""
    for bit in (0, 1):
        assert decode([bit] * length, length) is FrameFault.BAD_PARITY


@LENGTHS
@settings(max_examples=100, deadline=None)
@given(bits=st.lists(st.integers(0, 1), max_size=70))
def test_random_bits_yield_an_id_only_with_length_and_both_parities(length: int, bits: list[int]) -> None:
    """The rule, spelt out a second time."""
    half = length // 2
    good = len(bits) == length and sum(bits[:half]) % 2 == 0 and sum(bits[half:]) % 2 == 1
    assert isinstance(decode(bits, length), bytes) == good


@pytest.mark.parametrize("change", [-1, 1, 8])
def test_a_code_of_another_length_is_refused(change: int) -> None:
    """A lost or an extra pulse, or a reader of the other format."""
    bits = VECTOR[:change] if change < 0 else VECTOR + [0] * change
    assert Wiegand(26).judge(edges(bits)) == [FrameFault.BAD_FRAME]


def test_the_beginning_of_a_longer_code_is_nobodys_card() -> None:
    """26 bits of a code of 34 may pass both parities: the length that is configured decides."""
    long = next(
        wiegand(number, 34) for number in range(10_000) if isinstance(decode(wiegand(number, 34)[:26], 26), bytes)
    )
    assert Wiegand(34).judge(edges(long[:26])) == [FrameFault.BAD_FRAME]


@pytest.mark.parametrize(("gap_s", "codes"), [(GAP_S - 0.0001, 1), (GAP_S + 0.0001, 2)])
def test_more_than_five_milliseconds_end_a_code(gap_s: float, codes: int) -> None:
    """At 4.9 ms the code goes on and is too long, at 5.1 ms a second one begins."""
    first = edges(VECTOR)
    second = edges(VECTOR, first[-1].at_s + gap_s)
    expected = [UID, UID] if codes == 2 else [FrameFault.BAD_FRAME]
    assert Wiegand(26).judge(first + second) == expected


def test_edges_may_come_in_any_order() -> None:
    """Two lines are told by one thread or by two; the time decides."""
    assert Wiegand(26).judge(reversed(edges(VECTOR))) == [UID]


def test_the_rest_of_a_code_that_was_judged_is_no_code() -> None:
    """A full code that follows the last edge too closely belongs to what was judged before."""
    decoder = Wiegand(26)
    first = edges([0, 1, 0])
    assert decoder.judge(first) == [FrameFault.BAD_FRAME]
    late = edges(VECTOR, first[-1].at_s + 0.002)
    assert decoder.judge(late) == [FrameFault.BAD_FRAME]
    assert decoder.judge(edges(VECTOR, late[-1].at_s + 0.1)) == [UID]
    assert decoder.judge([]) == []
