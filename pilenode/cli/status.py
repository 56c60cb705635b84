"""``pilenode status``: the whole cabinet at a glance, once or live."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pilenode.cli.bilingual import Number, Text, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.ipc.client import RequestError
from pilenode.ipc.messages import Status, StatusReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal


@talks(
    "status",
    Text(
        "查看整柜状态：端口、测量值、会话、故障、上行和记录。",
        "Show the cabinet: ports, measured values, sessions, faults, upstream and journal.",
    ),
)
@option("--watch", is_flag=True, text=Text("持续刷新，Ctrl-C 结束。", "Keep refreshing; Ctrl-C ends it."))
@option(
    "--interval",
    type=Number(float, 0.2, 60),
    metavar="S",
    default=1.0,
    text=Text("刷新间隔（秒），默认 1。", "Seconds between two refreshes; default 1."),
)
def command(terminal: Terminal, ask: Ask, *, watch: bool, interval: float) -> int:
    """Ask for the status and print it."""
    if not watch:
        return _once(terminal, ask)
    try:
        return (
            _live(terminal, ask, interval)
            if sys.stdout.isatty() and not terminal.json
            else _repeat(terminal, ask, interval)
        )
    except KeyboardInterrupt:
        return Exit.OK


def _once(terminal: Terminal, ask: Ask) -> int:
    reply = ask(Status(), StatusReply)
    if terminal.json:
        terminal.data(reply)
    else:
        from pilenode.cli import tables  # noqa: PLC0415 - rich costs more than the rest of the command

        tables.console().print(tables.status(terminal, reply))
    # A script that only looks at the status must not take a cabinet without its cutoff process for a sound one.
    return terminal.error(RequestError("guard_absent")) if reply.guard is None else Exit.OK


def _repeat(terminal: Terminal, ask: Ask, interval: float) -> int:
    """Print again and again; an answer that fails to come is told and tried again."""
    while True:
        try:
            _once(terminal, ask)
        except RequestError as error:
            terminal.error(error)
        sys.stdout.flush()
        time.sleep(interval)


def _live(terminal: Terminal, ask: Ask, interval: float) -> int:
    """Keep one picture up to date; what cannot be had is told in its place."""
    from rich.console import Group  # noqa: PLC0415 - rich costs more than the rest of the command
    from rich.live import Live  # noqa: PLC0415 - see above

    from pilenode.cli import tables  # noqa: PLC0415 - see above

    with Live(console=tables.console(), auto_refresh=False, screen=True) as live:
        while True:
            try:
                picture = tables.status(terminal, ask(Status(), StatusReply))
            except RequestError as error:
                picture = Group(terminal.pick(error.zh, error.en), terminal.pick(error.remedy_zh, error.remedy_en))
            live.update(picture, refresh=True)
            time.sleep(interval)
