"""What comes back after a request, told apart without a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.frames import Question, sealed
from drivers.heard import Sound, judge

REQUEST = Question(3, 4, 0, 2).frame
GOOD = sealed(bytes([3, 4, 4, 8, 0xD1, 0, 0x6C]))
OTHER = sealed(bytes([3, 4, 4, 9, 0xD1, 0, 0x6C]))
LONGER = sealed(bytes([3, 4, 6, 8, 0xD1, 0, 0x6C, 1, 2]))
REFUSAL = sealed(bytes([3, 0x84, 2]))
STRANGER = sealed(bytes([9, 4, 4, 8, 0xD1, 0, 0x6C]))


@pytest.mark.parametrize(
    ("raw", "sound", "frame"),
    [
        (b"", Sound.SILENCE, b""),
        (GOOD, Sound.ANSWER, GOOD),
        (LONGER, Sound.ANSWER, LONGER),
        (REFUSAL, Sound.EXCEPTION, REFUSAL),
        (STRANGER, Sound.STRANGER, STRANGER),
        (sealed(bytes([3, 3, 2, 1, 1])), Sound.STRANGER, sealed(bytes([3, 3, 2, 1, 1]))),
        (GOOD + OTHER, Sound.SEVERAL, GOOD),
        (GOOD + b"\x55\xaa" + OTHER, Sound.SEVERAL, GOOD),
        (REFUSAL + GOOD, Sound.SEVERAL, REFUSAL),
        (b"\x00" + GOOD, Sound.ANSWER, GOOD),
        (GOOD + b"\xff\x00", Sound.ANSWER, GOOD),
        (b"\x00" * 5 + GOOD, Sound.GARBAGE, b""),
        (GOOD[:-1], Sound.GARBAGE, b""),
        (b"\x00", Sound.GARBAGE, b""),
        (bytes(byte & other for byte, other in zip(GOOD, OTHER[::-1], strict=True)), Sound.GARBAGE, b""),
    ],
)
def test_sounds(raw: bytes, sound: Sound, frame: bytes) -> None:
    """Every kind of answer has its name; a few stray bytes do not hide a frame."""
    heard = judge(REQUEST, raw)
    assert (heard.sound, heard.frame, heard.echo) == (sound, frame, False)
    assert heard.stray == (sound is Sound.ANSWER and raw != frame)
    assert heard.present == (sound in {Sound.ANSWER, Sound.EXCEPTION})


@pytest.mark.parametrize(("raw", "sound"), [(b"", Sound.SILENCE), (GOOD, Sound.ANSWER), (b"\x01\x02", Sound.GARBAGE)])
def test_a_copy_of_a_read_is_the_adapter(raw: bytes, sound: Sound) -> None:
    """An adapter that hears itself is noticed and taken away."""
    heard = judge(REQUEST, REQUEST + raw)
    assert (heard.sound, heard.echo, heard.raw) == (sound, True, raw)


@pytest.mark.parametrize(
    ("raw", "echoes", "sound", "echo"),
    [
        (b"w", False, Sound.ANSWER, False),
        (b"w", True, Sound.SILENCE, True),
        (b"ww", False, Sound.ANSWER, True),
        (b"ww", True, Sound.ANSWER, True),
    ],
)
def test_a_copy_of_a_write_may_be_the_answer(raw: bytes, echoes: bool, sound: Sound, echo: bool) -> None:  # noqa: FBT001 - a table
    """Function 06 is answered with a copy: only what is known of the adapter tells the two apart."""
    write = sealed(bytes([3, 6, 0, 2, 0, 5]))
    heard = judge(write, raw.replace(b"w", write), answers_with_copy=True, echoes=echoes)
    assert (heard.sound, heard.echo) == (sound, echo)


@given(st.binary(max_size=60))
def test_whatever_comes_is_judged(raw: bytes) -> None:
    """No bytes raise, and only a frame with a good CRC is ever called one."""
    heard = judge(REQUEST, raw)
    assert heard.sound is not Sound.SILENCE or raw in {b"", REQUEST}
    if heard.frame:
        assert sealed(heard.frame[:-2]) == heard.frame
