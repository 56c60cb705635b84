"""``pilenode guard``: the cutoff process in the foreground, as systemd starts it."""

from __future__ import annotations

import click

from config.load import load
from pilenode.cli.bilingual import Command, Text, language_option, option
from pilenode.guard.main import run


@click.command(
    "guard",
    cls=Command,
    params=[language_option()],
    text=Text(
        "在前台运行保护进程：读电表和探头，控制继电器，随时断电。通常由 systemd 启动。",
        "Run the cutoff process in the foreground: it reads meters and probes and drives the relays. "
        "Normally systemd starts it.",
    ),
)
@option("--config", "path", required=True, metavar="FILE", text=Text("配置文件。", "The configuration."))
def command(path: str) -> int:
    """Load the configuration and run guard until it is told to stop."""
    return run(load(path))
