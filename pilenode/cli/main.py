"""The command ``pilenode``: one table of commands, and the only place where an error becomes an exit status."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import click

from pilenode import __version__
from pilenode.cli.bilingual import Group, Late, Option, Text
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Terminal, language_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "guard": Late("pilenode.cli.guard:command", Text("运行保护进程。", "Run the cutoff process.")),
    "station": Late("pilenode.cli.station:command", Text("运行会话进程。", "Run the session process.")),
    "status": Late("pilenode.cli.status:command", Text("查看整柜状态。", "Show the state of the cabinet.")),
    "start": Late("pilenode.cli.orders:start", Text("在端口上开始充电。", "Start a session on a port.")),
    "modify": Late("pilenode.cli.orders:modify", Text("修改进行中的充电计划。", "Change the plan of a session.")),
    "stop": Late("pilenode.cli.orders:stop", Text("停止端口上的充电。", "Stop the session on a port.")),
    "reset": Late("pilenode.cli.orders:reset", Text("复位锁定的故障。", "Reset a latched fault.")),
    "lock": Late("pilenode.cli.lock:lock", Text("断电措施：锁定端口或整柜。", "Lock out a port or the cabinet.")),
    "unlock": Late("pilenode.cli.lock:unlock", Text("解除锁定。", "Lift a lock.")),
    "maintenance": Late("pilenode.cli.lock:maintenance", Text("开始或结束检修。", "Begin or end maintenance.")),
    "limit": Late("pilenode.cli.limit:limit", Text("下调整柜电流预算。", "Lower the current of all ports together.")),
    "ledger": Late("pilenode.cli.ledger:command", Text("台账、巡检、导出和报告。", "Ledger, inspections, reports.")),
    "stats": Late("pilenode.cli.stats:command", Text("按日或按月统计。", "Statistics by day or month.")),
    "sessions": Late("pilenode.cli.sessions:command", Text("查看最近的会话。", "Show the newest sessions.")),
    "card": Late("pilenode.cli.card:command", Text("读卡器、卡和名单。", "Card readers, cards and lists of cards.")),
    "tests": Late("pilenode.cli.periodic:command", Text("查看或进行周期试验。", "Show or run the periodic tests.")),
    "meter": Late(
        "pilenode.cli.meter:command",
        Text("电表型号；查找、设置和核对电表。", "Meter models; find, set and check meters."),
    ),
    "tariff": Late("pilenode.cli.tariff:command", Text("查看、检查或设置电价。", "Show, check or set the prices.")),
    "reprice": Late("pilenode.cli.reprice:command", Text("重新计费并核对记录。", "Price records again and compare.")),
    "identity": Late("pilenode.cli.identity:command", Text("证书和密钥。", "Key and certificate for the broker.")),
    "config": Late(
        "pilenode.cli.config:command",
        Text("检查或显示配置；恢复机柜自己的配置。", "Check or show a configuration, or go back to the own one."),
    ),
    "budget": Late(
        "pilenode.cli.budget:command", Text("计算最坏断电时间。", "Compute the worst-case time to an open relay.")
    ),
    "explain": Late("pilenode.cli.explain:command", Text("解释一个代码。", "Explain a code.")),
}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    del param
    if value:
        click.echo(f"pilenode {__version__}")
        ctx.exit()


cli = Group(
    "pilenode",
    text=Text("共享充电柜控制器。", "Controller of a shared charging cabinet."),
    late=_COMMANDS,
    params=[
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            text=Text("显示版本。", "Show the version."),
        )
    ],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command with ``arguments`` (default: those of the process) and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no Chinese must show a mark, not end the program.
            stream.reconfigure(errors="replace")
    terminal = Terminal(language=language_of(arguments, os.environ), json="--json" in arguments)
    try:
        # Not cli.main(): that would decide some exit statuses by itself.
        with cli.make_context("pilenode", [*arguments], obj=terminal) as context:
            result = cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not stumble over it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return Exit.USAGE
    except Exception as error:  # noqa: BLE001 - the outermost place: words and a status instead of a bare traceback
        return terminal.error(error)
    return int(result or Exit.OK)
