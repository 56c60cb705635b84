"""``pilenode lock``, ``unlock`` and ``maintenance``: ports and cabinet without power, in somebody's name."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from pilenode.cli.bilingual import Number, Text, argument, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.moments import moment_ms
from pilenode.cli.orders import who
from pilenode.cli.terminal import Misuse
from pilenode.ipc.acts import LiftLock, Lock
from pilenode.ipc.client import RequestError
from pilenode.ipc.messages import Done, Perform, Status, StatusReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal

_PORT = Number(int, 1, 99)
_PORT_TEXT = Text("端口号，即插座旁的编号。", "Number printed beside the socket.")
_CABINET = Text("整柜。", "The whole cabinet.")


def _place(terminal: Terminal, port: int | None) -> str:
    return terminal.pick("整柜", "the cabinet") if port is None else terminal.pick(f"端口 {port}", f"port {port}")


def _one_place(port: int | None, *, cabinet: bool) -> None:
    if cabinet == (port is not None):
        raise Misuse("请给出端口号或 --cabinet，二者选一。", "Give either a port or --cabinet.")


@talks(
    "lock",
    Text(
        "断电措施：锁定端口或整柜，正在进行的充电随即结束。",
        "Lock-out: keep a port or the cabinet without power; what runs there ends.",
    ),
)
@argument("port", type=_PORT, required=False, text=_PORT_TEXT)
@option("--cabinet", is_flag=True, text=_CABINET)
@option("--authority", required=True, metavar="NAME", text=Text("作出决定的单位。", "In whose name."))
@option("--reason", required=True, metavar="TEXT", text=Text("原因。", "Why."))
@option(
    "--from",
    "begin",
    metavar="TIME",
    text=Text("开始时间（本机当地时间）；默认立即。", "When it begins, local time of this machine; default: at once."),
)
@option(
    "--until",
    metavar="TIME",
    text=Text(
        "截止时间（本机当地时间）；默认直到解除。", "When it ends, local time of this machine; default: when lifted."
    ),
)
@option(
    "--id",
    "name",
    metavar="LOCK",
    text=Text("锁定编号；默认新建。", "Id of the lock; default: a new one."),
)
def lock(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    ask: Ask,
    port: int | None,
    *,
    cabinet: bool,
    authority: str,
    reason: str,
    begin: str | None,
    until: str | None,
    name: str | None,
) -> int:
    """Ask the station to set a lock and print its id."""
    _one_place(port, cabinet=cabinet)
    act = Lock(
        lock=f"lock-{secrets.token_hex(4)}" if name is None else name,
        port=port,
        kind="lockout",
        authority=authority,
        reason=reason,
        from_ms=None if begin is None else moment_ms(begin),
        until_ms=None if until is None else moment_ms(until),
    )
    ask(Perform(act=act, by=who()), Done)
    place = _place(terminal, port)
    return _told(terminal, [act.lock], f"{place}：已锁定，编号 {act.lock}。", f"Locked {place}: {act.lock}.")


@talks(
    "unlock",
    Text(
        "解除锁定；断电措施须写明设置它的单位。",
        "Lift a lock; a lock-out is lifted in the name of the authority that set it.",
    ),
)
@argument("name", metavar="LOCK", text=Text("锁定编号，见 pilenode status。", "Id of the lock, see pilenode status."))
@option("--authority", required=True, metavar="NAME", text=Text("以哪个单位的名义。", "In whose name."))
@option("--reason", required=True, metavar="TEXT", text=Text("原因。", "Why."))
def unlock(terminal: Terminal, ask: Ask, name: str, authority: str, reason: str) -> int:
    """Ask the station to lift a lock."""
    ask(Perform(act=LiftLock(lock=name, authority=authority, reason=reason), by=who()), Done)
    return _told(terminal, [name], f"已解除 {name}。", f"Lifted {name}.")


@talks(
    "maintenance",
    Text(
        "检修：端口或整柜停电，直到结束检修。", "Maintenance: keep a port or the cabinet without power while at work."
    ),
)
@argument(
    "switch",
    type=click.Choice(["on", "off"]),
    metavar="on|off",
    text=Text("on 开始，off 结束。", "on begins, off ends."),
)
@argument("port", type=_PORT, required=False, text=_PORT_TEXT)
@option("--cabinet", is_flag=True, text=_CABINET)
@option("--reason", default="", metavar="TEXT", text=Text("作业内容。", "What is done."))
def maintenance(terminal: Terminal, ask: Ask, switch: str, port: int | None, *, cabinet: bool, reason: str) -> int:
    """Ask the station to begin or to end maintenance."""
    _one_place(port, cabinet=cabinet)
    by, place = who(), _place(terminal, port)
    if switch == "on":
        name = f"work-{secrets.token_hex(4)}"
        act = Lock(lock=name, port=port, kind="maintenance", authority=by, reason=reason or "maintenance")
        ask(Perform(act=act, by=by), Done)
        return _told(terminal, [name], f"{place}：开始检修，编号 {name}。", f"Maintenance of {place} begins: {name}.")
    found = [held.lock for held in ask(Status(), StatusReply).locks if held.kind == "maintenance" and held.port == port]
    if not found:
        raise RequestError("unknown_lock", place)
    for name in found:
        ask(Perform(act=LiftLock(lock=name, authority=by, reason=reason or "done"), by=by), Done)
    return _told(terminal, found, f"{place}：结束检修。", f"Maintenance of {place} is over.")


def _told(terminal: Terminal, locks: list[str], zh: str, en: str) -> int:
    if terminal.json:
        terminal.data({"type": "done", "locks": locks})
    else:
        terminal.line(terminal.pick(zh, en))
    return Exit.OK
