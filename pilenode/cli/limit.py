"""``pilenode limit AMPS``: lower what all ports may draw together, in somebody's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.moments import moment_ms
from pilenode.cli.orders import who
from pilenode.ipc.acts import SetBudget
from pilenode.ipc.messages import Done, Perform

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal

_MOST_A = 125


@talks(
    "limit",
    Text(
        "下调整柜电流预算；不得高于安装时的设定值。",
        "Lower what all ports may draw together; never above the installer's budget.",
    ),
)
@argument("amps", type=Number(float, 0, _MOST_A), text=Text("电流预算，A。", "The budget, A."))
@option("--authority", required=True, metavar="NAME", text=Text("作出决定的单位。", "In whose name."))
@option("--reason", required=True, metavar="TEXT", text=Text("原因。", "Why."))
@option(
    "--until",
    metavar="TIME",
    text=Text("截止时间（本机当地时间）；默认直到下次设置。", "When it ends, local time; default: when set again."),
)
def limit(terminal: Terminal, ask: Ask, amps: float, *, authority: str, reason: str, until: str | None) -> int:
    """Ask the station to set the budget."""
    act = SetBudget(
        limit_ma=round(amps * 1000),
        authority=authority,
        reason=reason,
        until_ms=None if until is None else moment_ms(until),
    )
    ask(Perform(act=act, by=who()), Done)
    if terminal.json:
        terminal.data({"type": "done", "limit_ma": act.limit_ma})
    else:
        terminal.line(terminal.pick(f"整柜电流预算：{amps:g} A。", f"All ports together: at most {amps:g} A."))
    return Exit.OK
