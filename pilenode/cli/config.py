"""``pilenode config check`` and ``pilenode config show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from config.load import check as problems_of
from config.load import merge
from config.show import as_toml
from pilenode.cli.bilingual import Command, Group, Late, Text, argument, json_option, language_option
from pilenode.cli.exits import Exit

if TYPE_CHECKING:
    from pilenode.cli.terminal import Terminal

_CHECK = Text("检查配置文件，一次列出全部错误。", "Check configuration files and list every error at once.")
_SHOW = Text(
    "显示实际生效的配置，以及每个值的来源。",
    "Show the configuration in force, and where each value comes from.",
)


@click.command("check", cls=Command, text=_CHECK, params=[json_option(), language_option()])
@argument("files", nargs=-1, required=True, metavar="FILE...", text=Text("配置文件。", "Configuration files."))
@click.pass_obj
def check(terminal: Terminal, files: tuple[str, ...]) -> int:
    """Print every problem of every file; nothing is started or changed."""
    results = [(file, problems_of(file)) for file in files]
    if terminal.json:
        listed = [{"file": file, "problems": [one._asdict() for one in found]} for file, found in results]
        terminal.data({"files": listed})
    else:
        for file, found in results:
            for one in found:
                terminal.line(terminal.problem(one._asdict()))
            count = len(found)
            zh = f"{file}：{count} 处错误。" if found else f"{file}：正确。"
            en = f"{file}: {count} error{'s' if count > 1 else ''}." if found else f"{file}: good."
            terminal.line(terminal.pick(zh, en))
    return Exit.USAGE if any(found for _, found in results) else Exit.OK


@click.command("show", cls=Command, text=_SHOW, params=[json_option(), language_option()])
@argument("file", metavar="FILE", text=Text("配置文件。", "The configuration."))
@click.pass_obj
def show(terminal: Terminal, file: str) -> int:
    """Print the merged configuration as TOML that could be loaded again."""
    merged = merge(file)
    if terminal.json:
        terminal.data(msgspec.to_builtins(merged.config))
        return Exit.OK
    line, profile, default = (("第 {} 行", "配置档 {}", "默认值"), ("line {}", "profile {}", "default"))[
        terminal.language == "en"
    ]
    terminal.line(as_toml(merged, line=line, profile=profile, default=default).rstrip())
    return Exit.OK


command = Group(
    "config",
    text=Text("检查或显示配置文件。", "Check or show a configuration file."),
    late={"check": Late("pilenode.cli.config:check", _CHECK), "show": Late("pilenode.cli.config:show", _SHOW)},
)
