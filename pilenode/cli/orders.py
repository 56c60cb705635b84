"""``pilenode start``, ``stop`` and ``reset``: what a technician may order."""

from __future__ import annotations

import os
import pwd
import secrets
from typing import TYPE_CHECKING

from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Misuse
from pilenode.ipc.messages import Done, Plan, ResetFault, Start, StartReply, Stop

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal

_PORT = Number(int, 1, 99)
_PORT_TEXT = Text("端口号，即插座旁的编号。", "Number printed beside the socket.")


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
@option(
    "--energy-wh",
    type=Number(float, 0, 100_000, above=True),
    metavar="WH",
    text=Text("达到此电量（瓦时，至多 100000）时停止。", "Stop after this energy, watt-hours (up to 100000)."),
)
@option(
    "--minutes",
    type=Number(float, 0, 720, above=True),
    metavar="MIN",
    text=Text("达到此时长（分钟，至多 720）时停止。", "Stop after this time, minutes (up to 720)."),
)
@option(
    "--order",
    metavar="ID",
    text=Text(
        "订单号：同一订单号只启动一次；默认新建。",
        "Order id: the same id starts one session only; default: a new one.",
    ),
)
def start(
    terminal: Terminal, ask: Ask, port: int, energy_wh: float | None, minutes: float | None, order: str | None
) -> int:
    """Ask the station to start a session and print its name."""
    plan = Plan(energy_wh=energy_wh, duration_s=None if minutes is None else minutes * 60)
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


@talks("stop", Text("停止端口上正在进行的充电。", "Stop the session that runs on a port."))
@argument("port", type=_PORT, text=_PORT_TEXT)
@option(
    "--session",
    metavar="ID",
    text=Text("仅当端口上是这个会话时才停止。", "Stop only if this session is the one on the port."),
)
def stop(terminal: Terminal, ask: Ask, port: int, session: str | None) -> int:
    """Ask the station to end what runs on a port."""
    return _done(
        terminal,
        ask(Stop(port=port, session=session, by=who()), Done),
        f"端口 {port} 已停止。",
        f"Port {port} stopped.",
    )


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
