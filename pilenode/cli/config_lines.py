"""Desired configuration in the status: what is in force and what waits, as text and style."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.ipc.messages import ConfigShown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.cli.terminal import Terminal


def lines(terminal: Terminal, shown: ConfigShown | None) -> Iterator[tuple[str, str]]:
    """Yield what is in force, what waits for idle ports or is on trial, and what does not count.

    Nothing where nothing was ever desired.
    """
    pick = terminal.pick
    if shown is None or shown == ConfigShown():
        return
    if shown.applied:
        yield pick(f"v{shown.applied} 生效", f"v{shown.applied} in force"), "green"
    else:
        yield pick("机柜自己的配置文件生效", "the cabinet's own file counts"), ""
    if shown.on_trial is not None:
        yield pick(f"v{shown.on_trial} 试运行中", f"v{shown.on_trial} on trial"), "yellow"
    if shown.staged is not None:
        yield pick(f"v{shown.staged} 等待端口空闲", f"v{shown.staged} waits for idle ports"), "yellow"
    if shown.forget:
        yield pick("恢复机柜自己的配置，等待端口空闲", "the own file is to count again, waits for idle ports"), "yellow"
    if shown.code:
        which = "" if shown.refused is None else f"v{shown.refused} "
        detail = f" ({shown.detail})" if shown.detail else ""
        yield pick(f"{which}未采用 [{shown.code}]{detail}", f"{which}does not count [{shown.code}]{detail}"), "yellow"
