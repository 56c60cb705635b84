"""``pilenode meter set-address``, ``set-baud`` and ``change-over``: settings of one meter, at commissioning only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from config.load import load_meter
from drivers.change_over import change_over_dlt645
from drivers.commission import set_baud, set_unit
from drivers.commission_steps import State, Why
from drivers.wire import Format
from pilenode.cli.bilingual import Number, Text, argument
from pilenode.cli.exits import Exit
from pilenode.cli.meter_line import on_line
from pilenode.cli.meter_models import ask, factory_format, setting
from pilenode.cli.meter_words import outcome_words
from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from drivers.commission_steps import Outcome
    from pilenode.cli.meter_line import Place
    from pilenode.cli.terminal import Terminal

_UNIT = Number(int, 1, 247)
_MODEL = Text("型号，即档案名。", "Model: the name of its profile.")
_RATES = ("1200", "2400", "4800", "9600", "19200", "38400")


def tell(terminal: Terminal, outcome: Outcome, where_zh: str, where_en: str, **more: object) -> Exit:
    """Print how a change came out and return its status; ``where``: the new place, told when the change is done."""
    what, remedy = outcome_words(outcome)
    if terminal.json:
        terminal.data(
            {
                "state": outcome.state.value,
                "why": outcome.why.value,
                "shown": outcome.shown,
                "exception": outcome.exception,
                "message": terminal.pick(*what),
                "remedy": terminal.pick(*remedy),
                **more,
            }
        )
    else:
        place = terminal.pick(f"{where_zh}：", f"{where_en}: ") if outcome.good else ""
        terminal.line(f"{place}{terminal.pick(*what)}")
        if outcome.state is not State.DONE:
            terminal.line(f"{terminal.pick('办法：', 'remedy: ')}{terminal.pick(*remedy)}")
    if outcome.good:
        return Exit.OK
    if outcome.state is not State.UNTOUCHED:
        return Exit.FAILED
    return Exit.NO_ANSWER if outcome.why is Why.ABSENT else Exit.REFUSED


@on_line(
    "set-address",
    Text(
        "更改一个电表的地址：先核对，再写一次，最后在新旧两处核对。",
        "Change the address of one meter: look first, write once, look again at both addresses.",
    ),
)
@argument("name", metavar="MODEL", text=_MODEL)
@argument("old", type=_UNIT, text=Text("现在的地址。", "Its address now."))
@argument("new", type=_UNIT, text=Text("新地址。", "Its new address."))
def set_address(terminal: Terminal, place: Place, name: str, old: int, new: int) -> int:
    """Set the address and tell where the meter is now."""
    profile = load_meter(name)
    with contextlib.closing(place.wire(factory_format(profile))) as wire:
        outcome = set_unit(wire, setting(profile.commission.unit), ask(profile), (old, new))
    return tell(terminal, outcome, f"{name} 现在的地址为 {new}", f"{name} has the address {new} now", unit=new)


@on_line(
    "set-baud",
    Text(
        "更改一个电表的波特率：先核对，再写一次，最后在新旧波特率下核对。",
        "Change the baud rate of one meter: look first, write once, look again at both rates.",
    ),
)
@argument("name", metavar="MODEL", text=_MODEL)
@argument("unit", type=_UNIT, text=Text("电表地址。", "Its address."))
@argument("new", type=click.Choice(_RATES), metavar="BAUD", text=Text("新波特率。", "Its new baud rate."))
def set_rate(terminal: Terminal, place: Place, name: str, unit: int, new: str) -> int:
    """Set the rate and tell at which the meter answers now."""
    profile = load_meter(name)
    before = place.chosen(factory_format(profile))
    after = Format(int(new), before.parity, before.stopbits)
    outcome = set_baud(
        place.lines,
        setting(profile.commission.baud),
        ask(profile)(unit),
        (before, after),
        turnaround_s=place.turnaround_s,
    )
    where_zh, where_en = f"{name}（地址 {unit}）现在为 {after}", f"{name} at address {unit} speaks {after} now"
    return tell(terminal, outcome, where_zh, where_en, unit=unit, format=str(after))


@on_line(
    "change-over",
    Text(
        "把线上唯一的 DL/T 645 电表（DDSU666 出厂状态，2400 8E1）改为 Modbus，并找出它现在的位置。",
        "Make the only DL/T 645 meter on the line (DDSU666 from the factory, 2400 8E1) speak Modbus, and find it.",
    ),
)
@argument("name", metavar="MODEL", text=_MODEL)
def change_over(terminal: Terminal, place: Place, name: str) -> int:
    """Change over and tell where the meter is now."""
    profile = load_meter(name)
    if place.bauds or place.parity or place.stopbits:
        raise Misuse(
            "此命令自己选择波特率和校验位。", "This command chooses baud rate, parity and stop bits by itself."
        )
    if not profile.commission.dlt645:
        raise Misuse(f"{name} 出厂不是 DL/T 645。", f"{name} does not leave the factory speaking DL/T 645.")
    rates = {entry.baud for entry in profile.commission.baud.codes} if profile.commission.baud else set()
    own = factory_format(profile)
    others = [Format(baud, parity) for baud in sorted({*rates, 2400, 9600}, reverse=True) for parity in ("N", "E")]
    formats = [own, *(one for one in others if one != own)]
    done = change_over_dlt645(place.lines, ask(profile), formats, turnaround_s=place.turnaround_s)
    return tell(
        terminal,
        done.outcome,
        f"表号 {done.address} 现在为 Modbus，{done.format}，地址 {done.unit}",
        f"Meter {done.address} speaks Modbus now, {done.format}, address {done.unit}",
        address=done.address or None,
        unit=done.unit or None,
        format=None if done.format is None else str(done.format),
    )
