"""Changing a DL/T 645 meter over to Modbus, as ``drivers.commission`` does things: look, write once, look again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers import dlt645
from drivers.commission_steps import LOOKS, SETTLE_S, Outcome, State, Why, opened, untouched
from drivers.frames import MAX_UNIT, Question
from drivers.scan import DLT645_FORMAT
from drivers.wire import ASK_TURNAROUND_S, Format, LineLostError, Wire
from drivers.writes import ChangeOver
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.wire import Lines

    Ask = Callable[[int], Question]


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
    turnaround_s: float = ASK_TURNAROUND_S,
    pause: Callable[[float], None] = time.sleep,
) -> ChangedOver:
    """Make the only DL/T 645 meter on the line (2400 8E1) speak Modbus, and find out where it does so.

    No source says at which rate and address a changed-over meter comes up: it is looked for at all ``formats``, at the
    last two digits of its number and at 1. Raises LineLostError before the write.
    """
    with opened(lines, DLT645_FORMAT, turnaround_s) as wire:
        addresses = [_address(wire) for _ in range(LOOKS)]
        if all(address is None for address in addresses):
            return ChangedOver(untouched(Why.ABSENT))
        address = addresses[0]
        if not address or set(addresses) != {address}:
            return ChangedOver(untouched(Why.SHARED))
        exchange = ChangeOver(address)
        answered = _order(wire, exchange)
    try:
        pause(SETTLE_S)
        found = _arrived(lines, ask, formats, address, turnaround_s)
        with opened(lines, DLT645_FORMAT, turnaround_s) as wire:
            still = any(_address(wire) is not None for _ in range(LOOKS))
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


def _arrived(
    lines: Lines, ask: Ask, formats: Sequence[Format], address: str, turnaround_s: float
) -> tuple[Format, int] | None:
    """Return where the meter speaks Modbus now; every place is tried, and all of them a second time."""
    units = [unit for unit in dict.fromkeys((int(address[-2:]), 1)) if 1 <= unit <= MAX_UNIT]
    for format_ in (*formats, *formats):
        with opened(lines, format_, turnaround_s) as wire:
            for unit in units:
                if isinstance(wire.ask(ask(unit)), bytes):
                    return format_, unit
    return None
