"""``pilenode start``, ``modify``, ``stop`` and ``reset``: what a technician may order."""

from __future__ import annotations

import os
import pwd
import secrets
from typing import TYPE_CHECKING

import click

from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Misuse
from pilenode.cli.wishes import duration_s, plan_options, until_ms
from pilenode.clock import wall_ms
from pilenode.ipc.messages import Done, Modify, ResetFault, Start, StartReply, Status, StatusReply, Stop
from pilenode.ipc.wish import Change, Wish

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.wish import Limit

_PORT = Number(int, 1, 99)
_PORT_TEXT = Text("端口号，即插座旁的编号。", "Number printed beside the socket.")
#: Words of ``--without`` and the limits that they lift.
_LIMITS: dict[str, Limit] = {
    "energy": "energy_wh",
    "minutes": "duration_s",
    "until": "until_ms",
    "amount": "amount_fen",
}


def who() -> str:
    """Return who sits at the keyboard, for the record: the login behind sudo, else the user."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"cli:{os.environ.get('SUDO_USER') or user}"


@talks(
    "start",
    Text(
        "在端口上开始一次充电。不给计划时，充满或到最长时间为止。",
        "Start a session on a port. Without a plan it ends when the battery is full or the longest duration is over.",
    ),
)
@argument("port", type=_PORT, text=_PORT_TEXT)
@plan_options
@option(
    "--order",
    metavar="ID",
    text=Text(
        "订单号：同一订单号只启动一次；默认新建。",
        "Order id: the same id starts one session only; default: a new one.",
    ),
)
def start(  # noqa: PLR0913 - the options of a command
    terminal: Terminal,
    ask: Ask,
    port: int,
    *,
    energy_wh: int | None,
    minutes: float | None,
    until: str | None,
    amount: int | None,
    order: str | None,
) -> int:
    """Ask the station to start a session and print its name."""
    plan = Wish(
        energy_wh=energy_wh,
        duration_s=duration_s(minutes),
        until_ms=until_ms(until, ask, wall_ms),
        amount_fen=amount,
    )
    request = Start(port=port, order=f"cli-{secrets.token_hex(8)}" if order is None else order, plan=plan, by=who())
    reply = ask(request, StartReply)
    if terminal.json:
        terminal.data(reply)
    elif reply.repeated:
        zh = f"订单 {request.order} 已存在：端口 {reply.port}，会话 {reply.session}。"
        terminal.line(
            terminal.pick(zh, f"Order {request.order} was known: port {reply.port}, session {reply.session}.")
        )
    else:
        zh = f"端口 {reply.port} 已开始会话 {reply.session}。"
        terminal.line(terminal.pick(zh, f"Session {reply.session} started on port {reply.port}."))
    return Exit.OK


@talks(
    "modify",
    Text(
        "修改正在进行的充电的计划：未给出的限制不变；低于已用值的立即结束。",
        "Change the plan of a running session: what is not given stays; a value below what is used ends it at once.",
    ),
)
@argument("port", type=_PORT, text=_PORT_TEXT)
@option("--session", metavar="ID", required=True, text=Text("要修改的会话。", "The session that is meant."))
@plan_options
@option(
    "--without",
    multiple=True,
    type=click.Choice([*_LIMITS]),
    text=Text("取消此项限制；可重复给出。", "Lift this limit; may be given several times."),
)
def modify(  # noqa: PLR0913 - the options of a command
    terminal: Terminal,
    ask: Ask,
    port: int,
    *,
    session: str,
    energy_wh: int | None,
    minutes: float | None,
    until: str | None,
    amount: int | None,
    without: tuple[str, ...],
) -> int:
    """Ask the station to change a plan."""
    change = Change(
        energy_wh=energy_wh,
        duration_s=duration_s(minutes),
        until_ms=until_ms(until, ask, wall_ms),
        amount_fen=amount,
        without=tuple(_LIMITS[name] for name in dict.fromkeys(without)),
    )
    if change == Change():
        raise Misuse("没有要修改的内容。", "There is nothing to change.")
    reply = ask(Modify(port=port, session=session, change=change, by=who()), Done)
    return _done(terminal, reply, f"端口 {port} 的计划已修改。", f"The plan on port {port} was changed.")


@talks("stop", Text("停止端口上正在进行的充电。", "Stop the session that runs on a port."))
@argument("port", type=_PORT, text=_PORT_TEXT)
@option(
    "--session",
    metavar="ID",
    text=Text("仅当端口上是这个会话时才停止。", "Stop only if this session is the one on the port."),
)
def stop(terminal: Terminal, ask: Ask, port: int, session: str | None) -> int:
    """Ask the station to end what is on a port now: by its name, so that nobody else's session is meant."""
    order = None
    if session is None:
        session, order = _on(ask(Status(), StatusReply), port)
    return _done(
        terminal,
        ask(Stop(port=port, session=session, order=order, by=who()), Done),
        f"端口 {port} 已停止。",
        f"Port {port} stopped.",
    )


def _on(status: StatusReply, port: int) -> tuple[str | None, str | None]:
    """Return the session that is on a port, or the order that waits for it."""
    session = next((one.session for one in status.sessions if one.port == port), None)
    if session is None and status.guard is not None:
        # Guard may hold what a journal that cannot be read does not tell: its lease is the session and a number.
        lease = next((one.session for one in status.guard.ports if one.port == port and one.closed), None)
        session = None if lease is None else lease.partition(".")[0]
    queue = status.load.queue if status.load is not None else []
    order = next((one.order for one in queue if one.port == port), None)
    return session, order if session is None else None


@talks(
    "reset",
    Text(
        "复位端口（或整柜）锁定的故障。先在现场排除原因。",
        "Reset a latched fault of a port or of the cabinet. Remove its cause on the spot first.",
    ),
)
@argument("port", type=_PORT, required=False, text=_PORT_TEXT)
@option("--cabinet", is_flag=True, text=Text("复位整柜的锁定。", "Reset the latch of the whole cabinet."))
@option(
    "--repair",
    default="",
    metavar="TEXT",
    text=Text(
        "写明维修内容；部分故障须有维修记录才能复位。", "What was repaired; some faults are released with it only."
    ),
)
def reset(terminal: Terminal, ask: Ask, port: int | None, *, cabinet: bool, repair: str) -> int:
    """Ask the station to have a latch released and recorded."""
    if cabinet == (port is not None):
        raise Misuse("请给出端口号或 --cabinet，二者选一。", "Give either a port or --cabinet.")
    zh, en = (
        ("整柜已复位。", "The cabinet was reset.")
        if port is None
        else (f"端口 {port} 已复位。", f"Port {port} was reset.")
    )
    return _done(terminal, ask(ResetFault(port=port, by=who(), repair=repair), Done), zh, en)


def _done(terminal: Terminal, reply: Done, zh: str, en: str) -> int:
    if terminal.json:
        terminal.data(reply)
    else:
        terminal.line(terminal.pick(zh, en))
    return Exit.OK
