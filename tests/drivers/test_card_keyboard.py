"""Keys to ids: whole lines of digits only, big-endian, and nothing of a line that was spoilt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.card_contracts import FrameFault
from drivers.card_keyboard import PAUSE_S, Digits, Keyboard, number
from hil_rig.card_keyboard import ENTER, event, line, stroke

UID = bytes.fromhex("00BC614E")  # 12345678


def test_a_line_is_an_id_however_it_is_cut() -> None:
    """Digits of ten places, leading zeros and all; the events may come in any pieces."""
    typed = line("0012345678")
    assert Keyboard("decimal").feed(typed, 1.0) == [UID]
    keyboard = Keyboard("decimal")
    pieces = [typed[at : at + 7] for at in range(0, len(typed), 7)]
    assert [one for piece in pieces for one in keyboard.feed(piece, 1.0)] == [UID]


def test_digits_of_the_number_block_count_too() -> None:
    """Some readers press the block on the right, and its Enter."""
    block = (79, 80, 81, 75, 76, 77, 71, 72)
    typed = b"".join(stroke(code) for code in (*block, 96))
    assert Keyboard("decimal").feed(typed, 1.0) == [UID]


@pytest.mark.parametrize(
    ("text", "digits", "expected"),
    [
        ("1", "decimal", "00000001"),
        ("4294967295", "decimal", "FFFFFFFF"),
        ("4294967296", "decimal", "0100000000"),
        ("DEADBEEF", "hex", "DEADBEEF"),
        ("04112233445566", "hex", "04112233445566"),
        ("12345678", "hex", "12345678"),
    ],
)
def test_numbers_become_big_endian_bytes(text: str, digits: Digits, expected: str) -> None:
    """At least four bytes; a decimal number takes as many as it needs."""
    assert Keyboard(digits).feed(line(text), 1.0) == [bytes.fromhex(expected)]


@pytest.mark.parametrize(
    ("text", "digits"),
    [("12A4", "decimal"), ("123456", "hex"), ("123456789", "hex"), ("0" * 22, "hex"), (str(2**80), "decimal")],
)
def test_lines_that_are_no_id_are_refused(text: str, digits: Digits) -> None:
    """Letters in a decimal line, half a byte, less than four bytes or more than ten."""
    assert number(text, digits) is FrameFault.BAD_FRAME
    assert Keyboard(digits).feed(line(text), 1.0) == [FrameFault.BAD_FRAME]


def test_too_long_a_line_is_refused_and_the_next_one_read() -> None:
    """A stuck key fills no memory."""
    keyboard = Keyboard("decimal")
    assert keyboard.feed(line("1" * 33), 1.0) == [FrameFault.BAD_FRAME]
    assert keyboard.feed(line("0" * 33 + "1"), 1.0) == [FrameFault.BAD_FRAME]
    assert keyboard.feed(line("12345678"), 1.0) == [UID]


def test_another_key_spoils_its_line_only() -> None:
    """A person at the keyboard is no reader."""
    keyboard = Keyboard("decimal")
    other = stroke(57)
    assert keyboard.feed(line("1234", enter=False) + other + line("5678"), 1.0) == [FrameFault.BAD_FRAME]
    assert keyboard.feed(line("12345678"), 1.0) == [UID]


def test_repeats_releases_and_empty_lines_are_nothing() -> None:
    """Only a press counts, and Enter alone is no card."""
    keyboard = Keyboard("decimal")
    held = event(1, 2, 2) * 5 + event(1, 2, 0)
    assert keyboard.feed(stroke(ENTER) + held + line("12345678"), 1.0) == [UID]


def test_keys_that_the_kernel_dropped_spoil_the_line() -> None:
    """SYN_DROPPED: what is left of the number is not the number."""
    keyboard = Keyboard("decimal")
    dropped = event(0, 3, 0)
    assert keyboard.feed(line("99", enter=False) + dropped + line("12345678"), 1.0) == [FrameFault.BAD_FRAME]
    assert keyboard.feed(line("12345678"), 1.0) == [UID]


def test_a_line_that_does_not_end_is_dropped_and_counted_once() -> None:
    """Half a number never becomes the head of the next one."""
    keyboard = Keyboard("decimal")
    assert keyboard.feed(line("999", enter=False), 1.0) == []
    assert keyboard.feed(b"", 1.0 + PAUSE_S) == []
    assert keyboard.feed(b"", 1.0 + PAUSE_S * 1.01) == [FrameFault.BAD_FRAME]
    assert keyboard.feed(b"", 9.0) == []
    assert keyboard.feed(line("12345678"), 10.0) == [UID]


@settings(max_examples=100, deadline=None)
@given(
    pieces=st.lists(
        st.binary(max_size=60)
        | st.builds(event, st.integers(0, 5), st.integers(0, 127), st.integers(-2, 2))
        | st.sampled_from("0123456789ABCDEF").map(lambda key: line(key, enter=False))
        | st.just(stroke(ENTER))
    ),
    digits=st.sampled_from(["decimal", "hex"]),
)
def test_random_events_never_crash(pieces: list[bytes], digits: Digits) -> None:
    """Whatever is pressed, an id has 4 to 10 bytes."""
    keyboard = Keyboard(digits)
    for at, piece in enumerate(pieces):
        for one in keyboard.feed(piece, at * 0.2):
            assert isinstance(one, FrameFault) or 4 <= len(one) <= 10
