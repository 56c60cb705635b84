"""``pilenode card hash``: what lists of cards call a card, for whoever makes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pilenode.cli.bilingual import Command, Text, argument, json_option, language_option, option
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Misuse
from pilenode.station.card_id import CardKeyError, card_id, key_id, read_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pilenode.cli.terminal import Terminal

TEXT = Text(
    "计算卡号在名单中的代号（带密钥的散列）。卡号不出现在名单、记录和日志中。",
    "Compute what lists call a card: a keyed hash of its number, which stands in no list, record or log itself.",
)


def _ids(numbers: Iterable[str], key: bytes) -> Iterator[str]:
    for place, number in enumerate(numbers, 1):
        try:
            yield card_id(number, key)
        except ValueError as error:
            # Not the number itself: what is wrong with it may be the only secret about it.
            raise Misuse(
                f"第 {place} 个不是卡号：应为 1 至 16 字节的十六进制。", f"No. {place} is no card number: {error}."
            ) from error


@click.command("hash", cls=Command, text=TEXT, params=[json_option(), language_option()])
@argument(
    "numbers",
    nargs=-1,
    required=False,
    metavar="[NUMBER]...",
    text=Text(
        "卡号，十六进制，高字节在前；不给出则从标准输入读取，每行一个。",
        "Numbers in hex, highest byte first; without any, one a line from standard input.",
    ),
)
@option(
    "--key-file",
    "path",
    required=True,
    metavar="FILE",
    text=Text(
        "密钥文件：cards.key_file，或数据目录中的 card.key。",
        "The key: cards.key_file, or card.key of station.data_dir.",
    ),
)
@click.pass_obj
def hash_command(terminal: Terminal, numbers: tuple[str, ...], path: str) -> int:
    """Print one hash a line, in the order of the numbers."""
    try:
        key = read_key(Path(path))
    except CardKeyError as error:
        raise Misuse(f"密钥不可用：{error}", f"The key cannot be used: {error}") from error
    given = numbers or tuple(line for line in map(str.strip, sys.stdin) if line)
    ids = [*_ids(given, key)]
    if terminal.json:
        terminal.data({"key_id": key_id(key), "cards": ids})
    else:
        for one in ids:
            terminal.line(one)
    return Exit.OK
