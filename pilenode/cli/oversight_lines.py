"""Locks and ledger in the status: one line each, as text and style."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import LedgerShown, LockShown


def lock(terminal: Terminal, held: LockShown) -> tuple[str, str]:
    """Return one lock: where, by whom, why, how long."""
    pick = terminal.pick
    place = pick("整柜", "cabinet") if held.port is None else pick(f"端口 {held.port}", f"port {held.port}")
    kind = pick("断电措施", "lock-out") if held.kind == "lockout" else pick("检修", "maintenance")
    said = f"{place} {kind} {held.authority}: {held.reason} [{held.lock}]"
    if held.from_ms is not None:
        said += pick(f" 自 {_when(held.from_ms)}", f" from {_when(held.from_ms)}")
    if held.until_ms is not None:
        said += pick(f" 至 {_when(held.until_ms)}", f" until {_when(held.until_ms)}")
    if not held.time_known and (held.from_ms, held.until_ms) != (None, None):
        said += pick("（时钟不可信，锁定有效）", " (no trusted clock: it holds)")
    elif not held.in_force:
        said += pick("（尚未生效）", " (not yet)")
    return (said, "red" if held.in_force else "yellow")


def ledger(terminal: Terminal, shown: LedgerShown) -> tuple[str, str]:
    """Return how much of the ledger waits for somebody, and what is late the longest."""
    pick = terminal.pick
    left = shown.open + shown.in_progress
    said = [pick(f"{left} 条未销号", f"{left} not closed")]
    if shown.overdue:
        where = pick("整柜", "cabinet")
        if shown.worst_port is not None:
            where = pick(f"端口 {shown.worst_port}", f"port {shown.worst_port}")
        said.append(
            pick(
                f"{shown.overdue} 条逾期，最久：{shown.worst_entry} {where} {shown.worst_code}",
                f"{shown.overdue} overdue, longest: {shown.worst_entry} {where} {shown.worst_code}",
            )
        )
    if shown.undated:
        said.append(
            pick(
                f"{shown.undated} 条因时钟不可信无法判断是否逾期",
                f"{shown.undated} of unknown age, no trusted clock",
            )
        )
    return (f"{'; '.join(said)} (pilenode ledger)", "red" if shown.overdue else "yellow")


def _when(wall_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(wall_ms / 1000))
