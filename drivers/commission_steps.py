"""The steps that every act of commissioning is made of: look who is there, write once, say how it came out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from drivers.frames import EXCEPTION_BIT, Question
from drivers.heard import Sound
from drivers.wire import Format, LineLostError, Wire
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.settings import Setting
    from drivers.wire import Lines
    from drivers.writes import Command, WriteMultiple, WriteSingle

#: What a meter may take to store a setting and come back, seconds, before it is looked for.
SETTLE_S: Final = 1.0
#: So often a meter must answer, and an address be silent, before either is believed.
LOOKS: Final = 3


class State(StrEnum):
    """Where the meter was found after the write; ``UNTOUCHED``: nothing was written, see ``Outcome.why``."""

    DONE = "done"
    UNTOUCHED = "untouched"
    #: It answers at the old place only: it did not take the setting.
    OLD = "old"
    #: It has stored the setting, which holds from its next start.
    PENDING = "pending"
    #: Something answers at both places: there were two meters at the old one.
    BOTH = "both"
    #: It answers at neither place, or unreadably.
    UNKNOWN = "unknown"


class Why(StrEnum):
    """Why nothing was written, or what the write was answered with."""

    NONE = ""
    SAME = "same"
    NOT_SETTABLE = "not_settable"
    NO_CODE = "no_code"
    TAKEN = "taken"
    ABSENT = "absent"
    SHARED = "shared"
    OTHER_MODEL = "other_model"
    UNREADABLE = "unreadable"
    NOT_CONFIRMED = "not_confirmed"
    #: The write was answered well, refused by the meter, not answered, or answered with something else.
    AGREED = "agreed"
    REFUSED = "refused"
    NO_REPLY = "no_reply"
    ODD_REPLY = "odd_reply"
    LINE_LOST = "line_lost"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``shown``: what the register showed where that is the trouble. ``exception``: code with which it refused."""

    state: State
    why: Why = Why.NONE
    shown: float | None = None
    exception: int | None = None

    @property
    def good(self) -> bool:
        """Whether it was done as ordered, if only from the next start of the meter."""
        return self.state in {State.DONE, State.PENDING}


def untouched(why: Why, shown: float | None = None) -> Outcome:
    """Return the outcome of an act that has written nothing."""
    return Outcome(State.UNTOUCHED, why, shown)


# -- looking -----------------------------------------------------------------------------------------------


class Seen(StrEnum):
    """Who is at a place; ``SHARED``: answers come and go, are unreadable or doubled."""

    NOBODY = "nobody"
    ONE = "one"
    SHARED = "shared"


def look(wire: Wire, question: Question) -> Seen:
    """Return who answers a question, asked several times: one good answer each time is one meter."""
    seen = set()
    for _ in range(LOOKS):
        heard = wire.hear(question.frame)
        if heard is None or heard.sound in {Sound.GARBAGE, Sound.SEVERAL, Sound.STRANGER}:
            return Seen.SHARED
        seen.add(heard.present)
    if seen == {True}:
        return Seen.ONE
    return Seen.NOBODY if seen == {False} else Seen.SHARED


def answers(wire: Wire, question: Question) -> bool:
    """Return whether the unit answers at all, well or with an exception, in a few attempts."""
    for _ in range(LOOKS):
        heard = wire.hear(question.frame)
        if heard is not None and heard.sound is not Sound.SILENCE:
            return True
    return False


def first_refusal(wire: Wire, question: Question) -> Outcome | None:
    """Return why a meter may not be written to, None when exactly one answers with data."""
    seen = look(wire, question)
    if seen is not Seen.ONE:
        return untouched(Why.ABSENT if seen is Seen.NOBODY else Why.SHARED)
    if not isinstance(wire.ask(question), bytes):
        return untouched(Why.OTHER_MODEL)
    return None


def register(wire: Wire, unit: int, setting: Setting) -> bytes | MissingReason:
    """Return what the register of the setting holds."""
    question = Question(unit, 3, setting.address, setting.registers)
    found: bytes | MissingReason = MissingReason.TIMEOUT
    for _ in range(LOOKS):
        found = wire.ask(question)
        if isinstance(found, bytes) or found is MissingReason.EXCEPTION_REPLY:
            break
    return found


@contextlib.contextmanager
def opened(lines: Lines, format_: Format, turnaround_s: float) -> Iterator[Wire]:
    """Open a line of a format and close it behind the block."""
    wire = Wire(lines(format_.baud, format_.parity, format_.stopbits), turnaround_s)
    with contextlib.closing(wire):
        yield wire


def answers_well(wire: Wire, question: Question) -> bool:
    """Return whether one good answer comes in a few attempts; a meter at another rate may be heard as garbage."""
    return any(isinstance(wire.ask(question), bytes) for _ in range(LOOKS))


# -- writing -----------------------------------------------------------------------------------------------


def write(wire: Wire, exchange: WriteSingle | WriteMultiple | Command) -> tuple[Why, int | None]:
    """Send a write once and return what it was answered with, and the exception code if that was one."""
    copies = isinstance(exchange.check(exchange.frame), bytes)
    try:
        heard = wire.hear(exchange.frame, answers_with_copy=copies)
    except LineLostError:
        return Why.LINE_LOST, None
    if heard is None:  # the line talked by itself, nothing was sent
        return Why.NO_REPLY, None
    outcome = exchange.check(heard.frame or heard.raw)
    if isinstance(outcome, bytes):
        return Why.AGREED, None
    if outcome is MissingReason.EXCEPTION_REPLY and heard.frame[1] & EXCEPTION_BIT:
        return Why.REFUSED, heard.frame[2]
    return (Why.NO_REPLY if outcome is MissingReason.TIMEOUT else Why.ODD_REPLY), None
