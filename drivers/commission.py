"""Changing a meter at commissioning: address, baud rate, protocol, energy register. Never done in normal running.

Every act here

- looks before it writes: one meter, and only one, must answer where it should, the new place must be free, and the
  register that holds the setting must show the present value, or the profile belongs to another model;
- writes once, whatever the answer is: an answer may be lost although the meter obeyed, and a second write might meet a
  meter that has moved;
- looks again, at the old and at the new place, and says what it found: what counts is where the meter answers, not what
  it said to the write.

After a power cut in between nothing is lost: the meter is at the old place or at the new one, and both are searched.
A serial device that is lost raises ``drivers.wire.LineLostError`` where nothing has been written yet; afterwards it
ends in the state ``UNKNOWN``.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from drivers import dlt645
from drivers.frames import EXCEPTION_BIT, MAX_UNIT, Question
from drivers.heard import Sound
from drivers.scan import DLT645_FORMAT
from drivers.wire import ASK_TURNAROUND_S, Format, LineLostError, Wire
from drivers.writes import ChangeOver, Command, WriteMultiple, WriteSingle
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.settings import Setting
    from drivers.wire import Lines

    Ask = Callable[[int], Question]
    _Answered: TypeAlias = "Outcome | tuple[Why, int | None]"

#: What a meter may take to store a setting and come back, seconds, before it is looked for.
SETTLE_S: Final = 1.0
#: So often a meter must answer, and an address be silent, before either is believed.
_LOOKS: Final = 3


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


def _untouched(why: Why, shown: float | None = None) -> Outcome:
    return Outcome(State.UNTOUCHED, why, shown)


# -- looking -----------------------------------------------------------------------------------------------


class _Seen(StrEnum):
    NOBODY = "nobody"
    ONE = "one"
    SHARED = "shared"


def _look(wire: Wire, question: Question) -> _Seen:
    """Return who answers a question, asked several times: one good answer each time is one meter."""
    seen = set()
    for _ in range(_LOOKS):
        heard = wire.hear(question.frame)
        if heard is None or heard.sound in {Sound.GARBAGE, Sound.SEVERAL, Sound.STRANGER}:
            return _Seen.SHARED
        seen.add(heard.present)
    if seen == {True}:
        return _Seen.ONE
    return _Seen.NOBODY if seen == {False} else _Seen.SHARED


def _answers(wire: Wire, question: Question) -> bool:
    """Return whether the unit answers at all, well or with an exception, in a few attempts."""
    for _ in range(_LOOKS):
        heard = wire.hear(question.frame)
        if heard is not None and heard.sound is not Sound.SILENCE:
            return True
    return False


def _first_refusal(wire: Wire, question: Question) -> Outcome | None:
    """Return why a meter may not be written to, None when exactly one answers with data."""
    seen = _look(wire, question)
    if seen is not _Seen.ONE:
        return _untouched(Why.ABSENT if seen is _Seen.NOBODY else Why.SHARED)
    if not isinstance(wire.ask(question), bytes):
        return _untouched(Why.OTHER_MODEL)
    return None


def _register(wire: Wire, unit: int, setting: Setting) -> bytes | MissingReason:
    """Return what the register of the setting holds."""
    question = Question(unit, 3, setting.address, setting.registers)
    found: bytes | MissingReason = MissingReason.TIMEOUT
    for _ in range(_LOOKS):
        found = wire.ask(question)
        if isinstance(found, bytes) or found is MissingReason.EXCEPTION_REPLY:
            break
    return found


# -- writing -----------------------------------------------------------------------------------------------


def _write(wire: Wire, exchange: WriteSingle | WriteMultiple | Command) -> tuple[Why, int | None]:
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


def _set(wire: Wire, unit: int, setting: Setting, now: int, then: int) -> _Answered:
    """Write ``then`` where ``now`` stands; an Outcome when that was refused before anything was written."""
    old, new = setting.code(now), setting.code(then)
    if new is None:
        return _untouched(Why.NO_CODE)
    before = _register(wire, unit, setting)
    if isinstance(before, bytes):
        shown = setting.shown(before)
        # A register that does not show where the meter was just found is not the one the profile means.
        if old is None or shown != old:
            return _untouched(Why.OTHER_MODEL, shown)
    elif setting.packed or before is not MissingReason.EXCEPTION_REPLY:
        return _untouched(Why.UNREADABLE)
    words = setting.words(new, before if isinstance(before, bytes) else b"")
    if setting.function == 6:  # noqa: PLR2004 - a function
        return _write(wire, WriteSingle(unit, setting.address, words[0]))
    return _write(wire, WriteMultiple(unit, setting.address, words))


def _verified(setting: Setting, answered: tuple[Why, int | None], *, old: bool, new: bool, stored: bool) -> Outcome:
    """Return the outcome of a write after which the meter was looked for at both places."""
    why, exception = answered
    if new:
        return Outcome(State.BOTH if old else State.DONE, why, exception=exception)
    if old:
        waits = stored or (why is Why.AGREED and setting.takes_effect == "after_power_cycle")
        return Outcome(State.PENDING if waits else State.OLD, why, exception=exception)
    return Outcome(State.UNKNOWN, why, exception=exception)


def _stored(wire: Wire, unit: int, setting: Setting, value: int) -> bool:
    """Return whether the register shows the new value although the meter still answers at the old place."""
    held = _register(wire, unit, setting)
    return isinstance(held, bytes) and setting.shown(held) == setting.code(value)


# -- address -----------------------------------------------------------------------------------------------


def set_unit(
    wire: Wire,
    setting: Setting | None,
    ask: Ask,
    units: tuple[int, int],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Give the meter at ``units[0]`` the address ``units[1]``; ``ask`` makes the question that this model answers.

    Raises ValueError for an address outside 1 to 247 (0 and F8h would reach every meter), LineLostError before the
    write.
    """
    old, new = units
    if not (1 <= old <= MAX_UNIT and 1 <= new <= MAX_UNIT):
        raise ValueError(f"addresses {old} and {new} must be from 1 to {MAX_UNIT}")
    if setting is None or old == new:
        return _untouched(Why.NOT_SETTABLE if setting is None else Why.SAME)
    answered: _Answered | None = _first_refusal(wire, ask(old))
    if answered is None and _look(wire, ask(new)) is not _Seen.NOBODY:
        answered = _untouched(Why.TAKEN)
    answered = answered or _set(wire, old, setting, old, new)
    if isinstance(answered, Outcome):
        return answered
    try:
        pause(SETTLE_S)
        at_new = _answers(wire, ask(new))
        at_old = _answers(wire, ask(old))
        stored = at_old and not at_new and _stored(wire, old, setting, new)
    except LineLostError:
        return Outcome(State.UNKNOWN, Why.LINE_LOST)
    return _verified(setting, answered, old=at_old, new=at_new, stored=stored)


# -- baud rate ---------------------------------------------------------------------------------------------


def set_baud(
    lines: Lines,
    setting: Setting | None,
    question: Question,
    formats: tuple[Format, Format],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Move the meter that ``question`` is for from ``formats[0]`` to ``formats[1]``, which differ in the baud rate.

    Raises LineLostError before the write.
    """
    old, new = formats
    if setting is None or old.baud == new.baud or setting.code(new.baud) is None:
        return _untouched(Why.NOT_SETTABLE if setting is None else Why.SAME if old.baud == new.baud else Why.NO_CODE)
    with _wire(lines, new) as wire:
        free = _look(wire, question) is _Seen.NOBODY
    with _wire(lines, old) as wire:
        answered: _Answered | None = _first_refusal(wire, question)
        if answered is None and not free:
            answered = _untouched(Why.TAKEN)
        answered = answered or _set(wire, question.unit, setting, old.baud, new.baud)
    if isinstance(answered, Outcome):
        return answered
    try:
        pause(SETTLE_S)
        with _wire(lines, new) as wire:
            at_new = _answers_well(wire, question)
        with _wire(lines, old) as wire:
            at_old = _answers_well(wire, question)
            stored = at_old and not at_new and _stored(wire, question.unit, setting, new.baud)
    except LineLostError:
        return Outcome(State.UNKNOWN, Why.LINE_LOST)
    return _verified(setting, answered, old=at_old, new=at_new, stored=stored)


def _answers_well(wire: Wire, question: Question) -> bool:
    """Return whether one good answer comes in a few attempts; a meter at another rate may be heard as garbage."""
    return any(isinstance(wire.ask(question), bytes) for _ in range(_LOOKS))


@contextlib.contextmanager
def _wire(lines: Lines, format_: Format) -> Iterator[Wire]:
    wire = Wire(lines(format_.baud, format_.parity, format_.stopbits), ASK_TURNAROUND_S)
    with contextlib.closing(wire):
        yield wire


# -- DL/T 645 ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChangedOver:
    """``address``: the DL/T 645 number of the meter; ``format`` and ``unit``: where it speaks Modbus now."""

    outcome: Outcome
    address: str = ""
    format: Format | None = None
    unit: int = 0


def change_over_dlt645(
    lines: Lines,
    ask: Ask,
    formats: Sequence[Format],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> ChangedOver:
    """Make the only DL/T 645 meter on the line (2400 8E1) speak Modbus, and find out where it does so.

    No source says at which rate and address a changed-over meter comes up: it is looked for at all ``formats``, at the
    last two digits of its number and at 1. Raises LineLostError before the write.
    """
    with _wire(lines, DLT645_FORMAT) as wire:
        addresses = [_address(wire) for _ in range(_LOOKS)]
        if not any(addresses):
            return ChangedOver(_untouched(Why.ABSENT))
        address = addresses[0]
        if not address or set(addresses) != {address}:
            return ChangedOver(_untouched(Why.SHARED))
        exchange = ChangeOver(address)
        answered = _order(wire, exchange)
    try:
        pause(SETTLE_S)
        found = _arrived(lines, ask, formats, address)
        with _wire(lines, DLT645_FORMAT) as wire:
            still = any(_address(wire) for _ in range(_LOOKS))
    except LineLostError:
        return ChangedOver(Outcome(State.UNKNOWN, Why.LINE_LOST), address)
    if found is not None:
        return ChangedOver(Outcome(State.BOTH if still else State.DONE, answered), address, *found)
    return ChangedOver(Outcome(State.OLD if still else State.UNKNOWN, answered), address)


def _address(wire: Wire) -> str | None:
    """Return the number of the only meter; "" when what came is unreadable, None when nothing came."""
    question = dlt645.who_is_there()
    raw = (wire.raw(question) or b"").removeprefix(question)
    return (dlt645.address_in(raw) or "") if raw else None


def _order(wire: Wire, exchange: ChangeOver) -> Why:
    try:
        raw = wire.raw(exchange.frame)
    except LineLostError:
        return Why.LINE_LOST
    outcome = exchange.check((raw or b"").removeprefix(exchange.frame))
    if isinstance(outcome, bytes):
        return Why.AGREED
    named = {MissingReason.TIMEOUT: Why.NO_REPLY, MissingReason.EXCEPTION_REPLY: Why.REFUSED}
    return named.get(outcome, Why.ODD_REPLY)


def _arrived(lines: Lines, ask: Ask, formats: Sequence[Format], address: str) -> tuple[Format, int] | None:
    units = [unit for unit in dict.fromkeys((int(address[-2:]), 1)) if 1 <= unit <= MAX_UNIT]
    for format_ in formats:
        with _wire(lines, format_) as wire:
            for unit in units:
                if _answers_well(wire, ask(unit)):
                    return format_, unit
    return None


# -- energy ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cleared:
    """Energy before and after in the unit of ``read``, watt-hours; None where it could not be read."""

    outcome: Outcome
    before_wh: float | None = None
    after_wh: float | None = None


#: A meter under load counts on: so much may stand in a register that was just cleared, Wh.
_COUNTED_ON_WH: Final = 5.0


def confirmation(model: str, unit: int) -> str:
    """Return what must be typed before the energy of a meter is cleared."""
    return f"{model}@{unit}"


def clear_energy(
    wire: Wire,
    command: tuple[bytes, bytes] | None,
    question: Question,
    read: Callable[[Wire], float | None],
    *,
    model: str,
    confirmed: str,
    pause: Callable[[float], None] = time.sleep,
) -> Cleared:
    """Set the energy register of a meter to zero for good: ``command`` is its request and reply without unit and CRC.

    ``question`` is what this model answers; ``confirmed`` must be ``confirmation(model, unit)``, typed by whoever
    orders it; ``read`` returns the energy in Wh.
    What counts is the register afterwards: a PZEM-016 answers with an error and clears all the same.
    Raises LineLostError before the write.
    """
    if command is None:
        return Cleared(_untouched(Why.NOT_SETTABLE))
    if confirmed != confirmation(model, question.unit):
        return Cleared(_untouched(Why.NOT_CONFIRMED))
    refused = _first_refusal(wire, question)
    if refused is not None:
        return Cleared(refused)
    before_wh = read(wire)
    if before_wh is None:
        return Cleared(_untouched(Why.UNREADABLE))
    why, exception = _write(wire, Command(question.unit, *command))
    try:
        pause(SETTLE_S)
        after_wh = read(wire)
    except LineLostError:
        return Cleared(Outcome(State.UNKNOWN, Why.LINE_LOST), before_wh)
    if after_wh is None:
        state = State.UNKNOWN
    elif after_wh <= _COUNTED_ON_WH and (after_wh < before_wh or before_wh == 0):
        state = State.DONE
    else:
        state = State.OLD
    return Cleared(Outcome(state, why, exception=exception), before_wh, after_wh)
