"""``pilenode explain``: what a code means and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from config.errors import similar
from pilenode.cli import codes
from pilenode.cli.bilingual import Command, Text, argument, json_option, language_option
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from pilenode.cli.terminal import Terminal


@click.command(
    "explain",
    cls=Command,
    params=[json_option(), language_option()],
    text=Text("解释一个代码：含义和处理办法。", "Explain a code: what it means and what to do about it."),
)
@argument("code", text=Text("代码，例如 over_current。", "The code, for example over_current."))
@click.pass_obj
def command(terminal: Terminal, code: str) -> int:
    """Print one entry of the catalogue."""
    known = codes.every()
    if code not in known:
        zh, en = similar(code, known)
        raise Misuse(f"没有代码 {code}。{zh}", f"No such code: {code}. {en}".rstrip())
    found = known[code]
    if terminal.json:
        terminal.data(found._asdict())
        return Exit.OK
    terminal.line(f"{code} ({terminal.pick(*codes.kind_words(found))})")
    terminal.line(terminal.pick(found.zh, found.en))
    terminal.line(terminal.pick(f"办法：{found.remedy_zh}", f"remedy: {found.remedy_en}"))
    return Exit.OK
