"""``pilenode station``: the session process in the foreground, as systemd starts it."""

from __future__ import annotations

import click

from config.load import merge
from pilenode.cli.bilingual import Command, Text, language_option, option
from pilenode.station.main import run


@click.command(
    "station",
    cls=Command,
    params=[language_option()],
    text=Text(
        "在前台运行会话进程：会话、计费、记录和上报。通常由 systemd 启动。",
        "Run the session process in the foreground: sessions, prices, records and the upstream. "
        "Normally systemd starts it.",
    ),
)
@option("--config", "path", required=True, metavar="FILE", text=Text("配置文件。", "The configuration."))
def command(path: str) -> int:
    """Load the configuration and run station until it is told to stop."""
    merged = merge(path)
    return run(merged.config, merged)
