"""Setting the energy register of a meter to zero: an act of its own, with a confirmation, for it cannot be undone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.commission_steps import SETTLE_S, Outcome, State, Why, first_refusal, untouched, write
from drivers.wire import LineLostError, Wire
from drivers.writes import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.frames import Question


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
        return Cleared(untouched(Why.NOT_SETTABLE))
    if confirmed != confirmation(model, question.unit):
        return Cleared(untouched(Why.NOT_CONFIRMED))
    refused = first_refusal(wire, question)
    if refused is not None:
        return Cleared(refused)
    before_wh = read(wire)
    if before_wh is None:
        return Cleared(untouched(Why.UNREADABLE))
    why, exception = write(wire, Command(question.unit, *command))
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
