"""``pilenode sessions``: the newest sessions with their energy and fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.cli.bilingual import Number, Text, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.ipc.messages import Sessions, SessionsReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal


@talks("sessions", Text("查看最近的会话，最新在前。", "Show the newest sessions, newest first."))
@option(
    "--limit",
    type=Number(int, 1, 1000),
    metavar="N",
    default=20,
    text=Text("最多显示多少条，默认 20。", "How many at most; default 20."),
)
def command(terminal: Terminal, ask: Ask, limit: int) -> int:
    """Ask for the newest sessions and print them."""
    reply = ask(Sessions(limit=limit), SessionsReply)
    if terminal.json:
        terminal.data(reply)
        return Exit.OK
    if not reply.sessions:
        terminal.line(terminal.pick("还没有会话。", "No sessions yet."))
        return Exit.OK
    from pilenode.cli import tables  # noqa: PLC0415 - rich costs more than the rest of the command

    tables.console().print(tables.sessions(terminal, reply.sessions))
    return Exit.OK
