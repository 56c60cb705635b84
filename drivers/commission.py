"""Changing address and baud rate of a meter at commissioning. Never done in normal running.

Every act here (and in ``drivers.change_over``, ``drivers.clear_energy``)

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

import time
from typing import TYPE_CHECKING, TypeAlias

from drivers.commission_steps import (
    SETTLE_S,
    Outcome,
    Seen,
    State,
    Why,
    answers,
    answers_well,
    first_refusal,
    look,
    opened,
    register,
    untouched,
    write,
)
from drivers.frames import MAX_UNIT, Question
from drivers.wire import ASK_TURNAROUND_S, Format, LineLostError, Wire
from drivers.writes import WriteMultiple, WriteSingle
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.settings import Setting
    from drivers.wire import Lines

    Ask = Callable[[int], Question]
    _Answered: TypeAlias = "Outcome | tuple[Why, int | None]"


def _set(wire: Wire, unit: int, setting: Setting, now: int, then: int) -> _Answered:
    """Write ``then`` where ``now`` stands; an Outcome when that was refused before anything was written."""
    old, new = setting.code(now), setting.code(then)
    if new is None:
        return untouched(Why.NO_CODE)
    before = register(wire, unit, setting)
    if isinstance(before, bytes):
        shown = setting.shown(before)
        # A register that does not show where the meter was just found is not the one the profile means.
        if old is None or shown != old:
            return untouched(Why.OTHER_MODEL, shown)
    elif setting.packed or before is not MissingReason.EXCEPTION_REPLY:
        return untouched(Why.UNREADABLE)
    words = setting.words(new, before if isinstance(before, bytes) else b"")
    if setting.function == 6:  # noqa: PLR2004 - a function
        return write(wire, WriteSingle(unit, setting.address, words[0]))
    return write(wire, WriteMultiple(unit, setting.address, words))


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
    held = register(wire, unit, setting)
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
        return untouched(Why.NOT_SETTABLE if setting is None else Why.SAME)
    answered: _Answered | None = first_refusal(wire, ask(old))
    if answered is None and look(wire, ask(new)) is not Seen.NOBODY:
        answered = untouched(Why.TAKEN)
    answered = answered or _set(wire, old, setting, old, new)
    if isinstance(answered, Outcome):
        return answered
    try:
        pause(SETTLE_S)
        at_new = answers_well(wire, ask(new))
        at_old = answers(wire, ask(old))
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
    turnaround_s: float = ASK_TURNAROUND_S,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Move the meter that ``question`` is for from ``formats[0]`` to ``formats[1]``, which differ in the baud rate.

    Raises LineLostError before the write.
    """
    old, new = formats
    if setting is None or old.baud == new.baud or setting.code(new.baud) is None:
        return untouched(Why.NOT_SETTABLE if setting is None else Why.SAME if old.baud == new.baud else Why.NO_CODE)
    with opened(lines, new, turnaround_s) as wire:
        free = look(wire, question) is Seen.NOBODY
    with opened(lines, old, turnaround_s) as wire:
        answered: _Answered | None = first_refusal(wire, question)
        if answered is None and not free:
            answered = untouched(Why.TAKEN)
        answered = answered or _set(wire, question.unit, setting, old.baud, new.baud)
    if isinstance(answered, Outcome):
        return answered
    try:
        pause(SETTLE_S)
        with opened(lines, new, turnaround_s) as wire:
            at_new = answers_well(wire, question)
        with opened(lines, old, turnaround_s) as wire:
            at_old = answers_well(wire, question)
            stored = at_old and not at_new and _stored(wire, question.unit, setting, new.baud)
    except LineLostError:
        return Outcome(State.UNKNOWN, Why.LINE_LOST)
    return _verified(setting, answered, old=at_old, new=at_new, stored=stored)
