"""``pilenode config check``, ``show`` and ``forget``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from config.desired_load import check_desired
from config.errors import ConfigError
from config.load import Merged, merge
from config.load import check as problems_of
from config.read import read
from config.show import as_toml
from pilenode.cli.bilingual import Command, Group, Late, Text, argument, json_option, language_option, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.orders import who
from pilenode.cli.terminal import Misuse
from pilenode.ipc.messages import Done, ForgetConfig

if TYPE_CHECKING:
    from config.errors import Problem
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal

_CHECK = Text("检查配置文件，一次列出全部错误。", "Check configuration files and list every error at once.")
_SHOW = Text(
    "显示实际生效的配置，以及每个值的来源。",
    "Show the configuration in force, and where each value comes from.",
)
_FORGET = Text(
    "放弃后台下发的配置，恢复机柜自己的配置文件；在所有端口空闲时生效。",
    "Give up what the backend desires and go back to the cabinet's own file, when all ports are idle.",
)


@click.command("check", cls=Command, text=_CHECK, params=[json_option(), language_option()])
@argument("files", nargs=-1, required=True, metavar="FILE...", text=Text("配置文件。", "Configuration files."))
@option(
    "--desired",
    metavar="TEXT-FILE",
    text=Text(
        "再检查要下发给这些机柜的配置文本，如同机柜收到时一样。",
        "Check a text that is to be desired of these cabinets as well, as each of them would.",
    ),
)
@click.pass_obj
def check(terminal: Terminal, files: tuple[str, ...], *, desired: str | None) -> int:
    """Print every problem of every file; nothing is started or changed."""
    results = [(file, problems_of(file) if desired is None else _problems_with(file, desired)) for file in files]
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


def _problems_with(file: str, desired: str) -> list[Problem]:
    """Return what is wrong with the file of a cabinet, or with a text desired of it."""
    try:
        return check_desired(merge(file), read(Path(desired)), desired)[1]
    except ConfigError as error:
        return [*error.problems]


@click.command("show", cls=Command, text=_SHOW, params=[json_option(), language_option()])
@argument("file", metavar="FILE", text=Text("配置文件。", "The configuration."))
@option(
    "--own",
    is_flag=True,
    text=Text("只看机柜自己的配置文件。", "The cabinet's own file alone, without what the backend desires."),
)
@click.pass_obj
def show(terminal: Terminal, file: str, *, own: bool) -> int:
    """Print the merged configuration as TOML that could be loaded again."""
    merged, version = merge(file), 0
    if not own:
        merged, version = _in_force(terminal, merged)
    if terminal.json:
        terminal.data(msgspec.to_builtins(merged.config))
        return Exit.OK
    line, profile, default, desired = (
        ("第 {} 行", "配置档 {}", "默认值", f"远程 v{version}"),
        ("line {}", "profile {}", "default", f"desired v{version}"),
    )[terminal.language == "en"]
    terminal.line(as_toml(merged, line=line, profile=profile, default=default, desired=desired).rstrip())
    return Exit.OK


def _in_force(terminal: Terminal, local: Merged) -> tuple[Merged, int]:
    """Return what the station that has this file runs with, and the version desired; tell what cannot be known."""
    from pilenode.station import desired_start, desired_store  # noqa: PLC0415 - only needed here

    store = desired_store.DesiredStore(Path(local.config.station.data_dir) / desired_store.FOLDER)
    try:
        text = store.load().in_force
        found = local if text is None else desired_start.overlaid(store, local, text)
    except (desired_store.DamagedError, OSError) as error:
        _note(terminal, f"无法得知后台下发的配置：{error}", f"What the backend desires cannot be known: {error}")
        return local, 0
    if not isinstance(found, Merged):
        why = f"[{found.code}] {found.detail}"
        zh, en = "后台下发的配置不适用于此文件", "What the backend desires does not count with this file"
        _note(terminal, f"{zh} v{found.version} {why}", f"{en}: v{found.version} {why}")
        return local, 0
    return found, 0 if text is None else text.version


def _note(terminal: Terminal, zh: str, en: str) -> None:
    click.echo(terminal.pick(zh, en), err=True)


@talks("forget", _FORGET)
@option("--yes", is_flag=True, text=Text("脚本用：不再询问。", "For scripts: do not ask."))
def forget(terminal: Terminal, ask: Ask, *, yes: bool) -> int:
    """Ask the person, then the station."""
    if not yes and not _confirmed(terminal):
        return Exit.INTERRUPTED
    reply = ask(ForgetConfig(by=who()), Done)
    if terminal.json:
        terminal.data(reply)
    else:
        terminal.line(
            terminal.pick(
                "所有端口空闲后恢复机柜自己的配置文件；pilenode status 显示进度。",
                "The cabinet's own file counts again as soon as all ports are idle; see pilenode status.",
            )
        )
    return Exit.OK


def _confirmed(terminal: Terminal) -> bool:
    if terminal.json or not sys.stdin.isatty():
        raise Misuse("须有人确认，或给出 --yes。", "A person must confirm, or give --yes.")
    question = terminal.pick("放弃后台下发的配置？", "Give up what the backend desires?")
    try:
        return click.confirm(question, default=False)
    except click.Abort as error:
        raise KeyboardInterrupt from error


command = Group(
    "config",
    text=Text("检查或显示配置；恢复机柜自己的配置。", "Check or show a configuration, or go back to the own one."),
    late={
        "check": Late("pilenode.cli.config:check", _CHECK),
        "show": Late("pilenode.cli.config:show", _SHOW),
        "forget": Late("pilenode.cli.config:forget", _FORGET),
    },
)
