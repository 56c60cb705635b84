"""What a line brought after one request, judged without taking anything for granted. Pure, no I/O.

Guard reads strictly and throws everything else away. At commissioning the rest is what matters: a reply of another
length names another model, two replies to one question are two meters with one address, bytes without a CRC are a
collision, another parity or noise, and an exception says that somebody is at home.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from drivers.frames import EXCEPTION_BIT, EXCEPTION_BYTES, crc_holds

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Stray bytes that a transceiver puts around a frame when it turns its direction: a real one gives one or two.
_STRAY: Final = 4
#: Unit, function and CRC: the answer to a command that has no data.
_SHORTEST: Final = 4


class Sound(StrEnum):
    """What the bytes after a request are."""

    SILENCE = "silence"
    #: A good frame of the unit and function that was asked; ``frame`` is it.
    ANSWER = "answer"
    #: The unit that was asked refused: it is there, but does not know this register or function.
    EXCEPTION = "exception"
    #: A good frame of another unit, or to another function: a late answer to an earlier question, or another master.
    STRANGER = "stranger"
    #: Several good frames: two devices have this address.
    SEVERAL = "several"
    #: Bytes that are no frame: a collision, another parity, another baud rate, noise.
    GARBAGE = "garbage"


@dataclass(frozen=True, slots=True)
class Heard:
    """``frame``: the good frame, empty where there is none. ``raw``: all that came behind a copy of the request.

    ``echo``: the adapter heard the request itself. ``stray``: bytes stood around the good frame.
    """

    sound: Sound
    frame: bytes = b""
    raw: bytes = b""
    echo: bool = False
    stray: bool = False

    @property
    def present(self) -> bool:
        """Whether exactly the unit that was asked answered, a good reply or an exception."""
        return self.sound in {Sound.ANSWER, Sound.EXCEPTION}


def judge(request: bytes, raw: bytes, *, answers_with_copy: bool = False, echoes: bool = False) -> Heard:
    """Return what ``raw`` is as an answer to the Modbus request ``request`` (CRC included).

    The good answer to some writes is a copy of the request (``answers_with_copy``): such a copy counts as the adapter's
    own echo only where the adapter is known to echo (``echoes``). The answer to a read never is one.
    """
    echo = raw.startswith(request) and (echoes or not answers_with_copy or raw.startswith(request + request))
    if echo:
        raw = raw[len(request) :]
    if not raw:
        return Heard(Sound.SILENCE, echo=echo)
    if crc_holds(raw):
        return Heard(_kind(request, raw), raw, raw, echo)
    frames = _frames(request, raw)
    if len(frames) > 1:
        return Heard(Sound.SEVERAL, frames[0], raw, echo)
    if frames and len(raw) - len(frames[0]) <= _STRAY:
        return Heard(_kind(request, frames[0]), frames[0], raw, echo, stray=True)
    return Heard(Sound.GARBAGE, b"", raw, echo)


def _kind(request: bytes, frame: bytes) -> Sound:
    if frame[0] != request[0]:
        return Sound.STRANGER
    if frame[1] == request[1]:
        return Sound.ANSWER
    exception = frame[1] == request[1] | EXCEPTION_BIT and len(frame) == EXCEPTION_BYTES
    return Sound.EXCEPTION if exception else Sound.STRANGER


def _frames(request: bytes, raw: bytes) -> list[bytes]:
    """Return the good frames of the unit that was asked inside ``raw``, in their order, none overlapping another."""
    found: list[bytes] = []
    position = 0
    while position + _SHORTEST <= len(raw):
        frame = next(_beginning(request, raw[position:]), None)
        if frame is None:
            position += 1
        else:
            found.append(frame)
            position += len(frame)
    return found


def _beginning(request: bytes, raw: bytes) -> Iterator[bytes]:
    """Yield every good frame of the asked unit and function that ``raw`` begins with, shortest first."""
    if raw[0] != request[0] or raw[1] & ~EXCEPTION_BIT != request[1]:
        return
    for end in range(_SHORTEST, len(raw) + 1):
        if crc_holds(raw[:end]):
            yield raw[:end]
