"""``pilenode tariff``: the prices in force, a check of others, and how they are set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from config.errors import ConfigError
from config.tariff_file import load_schedule
from pilenode.cli.bilingual import Command, Group, Late, Text, argument, json_option, language_option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.orders import who
from pilenode.ipc.acts import SetTariff
from pilenode.ipc.messages import Done, GetTariff, Perform, TariffReply

if TYPE_CHECKING:
    from config.tariff import TariffSchedule
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal

#: What a schedule may take in an act or a command (``MAX_COMMAND_BYTES`` less what stands around it).
MOST_BYTES: Final = 8 * 1024 - 512

_SHOW = Text("显示当前电价：版本、时段和服务费。", "Show the prices in force: versions, periods and service fee.")
_CHECK = Text("检查电价文件，不作任何更改。", "Check a file of prices; nothing is changed.")
_SET = Text(
    "启用文件中的电价，对此后开始的会话生效。",
    "Put the prices of a file in force for the sessions that start from now on.",
)
_FILE = Text("电价文件：schedule、timezone 和 [[tariff]]。", "File of prices: schedule, timezone and [[tariff]].")


@talks("show", _SHOW)
def show(terminal: Terminal, ask: Ask) -> int:
    """Ask the station for its prices and print them."""
    reply = ask(GetTariff(), TariffReply)
    if terminal.json:
        terminal.data(reply)
        return Exit.OK
    zh, en = (
        ("来自配置文件", "from the configuration")
        if reply.source == "config"
        else (
            f"由 {reply.by or reply.source} 设置",
            f"set by {reply.by or reply.source}",
        )
    )
    terminal.line(terminal.pick(f"编号 {reply.tariff.schedule}，{zh}", f"Number {reply.tariff.schedule}, {en}"))
    _table(terminal, reply.tariff)
    return Exit.OK


@click.command("check", cls=Command, text=_CHECK, params=[json_option(), language_option()])
@argument("file", metavar="FILE", text=_FILE)
@click.pass_obj
def check(terminal: Terminal, file: str) -> int:
    """Print every mistake of a file, or its prices as they would count."""
    schedule, problems = load_schedule(Path(file))
    size = 0 if schedule is None else len(msgspec.json.encode(schedule))
    if terminal.json:
        terminal.data({"problems": [one._asdict() for one in problems], "bytes": size, "tariff": schedule})
    else:
        for one in problems:
            terminal.line(terminal.problem(one._asdict()))
        if schedule is None:
            count = len(problems)
            en = f"{file}: {count} error{'s' if count > 1 else ''}."
            terminal.line(terminal.pick(f"{file}：{count} 处错误。", en))
        else:
            _table(terminal, schedule)
            en = f"{file}: good, {size} of {MOST_BYTES} bytes."
            terminal.line(terminal.pick(f"{file}：正确，{size} 字节，至多 {MOST_BYTES}。", en))
    return Exit.USAGE if problems or size > MOST_BYTES else Exit.OK


@talks("set", _SET)
@argument("file", metavar="FILE", text=_FILE)
def put(terminal: Terminal, ask: Ask, file: str) -> int:
    """Check a file and ask the station to put its prices in force."""
    schedule, problems = load_schedule(Path(file))
    if schedule is None:
        raise ConfigError(problems)
    ask(Perform(act=SetTariff(tariff=schedule), by=who()), Done)
    if terminal.json:
        terminal.data(Done())
    else:
        number = schedule.schedule
        terminal.line(terminal.pick(f"电价表 {number} 已启用。", f"Prices number {number} are in force."))
    return Exit.OK


def _table(terminal: Terminal, schedule: TariffSchedule) -> None:
    from pilenode.cli import tables, tariff_tables  # noqa: PLC0415 - rich costs more than the rest of the command

    tables.console().print(tariff_tables.schedule(terminal, schedule))


command = Group(
    "tariff",
    text=Text("查看、检查或设置电价。", "Show, check or set the prices."),
    late={
        "show": Late("pilenode.cli.tariff:show", _SHOW),
        "check": Late("pilenode.cli.tariff:check", _CHECK),
        "set": Late("pilenode.cli.tariff:put", _SET),
    },
)
