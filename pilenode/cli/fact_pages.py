"""Reads facts of the station page by page, with progress for long logs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from pilenode.ipc.messages import Facts, FactsReply
from pilenode.station.read_log import Taker, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal

_PAGE: Final = 500
#: Nobody needs to be told of a log that is read within this time, seconds.
_PATIENCE_S: Final = 1.0
_EVERY_S: Final = 0.5


def read(terminal: Terminal, ask: Ask, kinds: Iterable[str], takers: Sequence[Taker]) -> FactsReply:
    """Give every fact of ``kinds`` to all ``takers``, oldest first, and return the first page."""
    wanted, watch = sorted({str(kind) for kind in kinds}), _Watch(terminal)
    first = walk(lambda after: ask(Facts(kinds=wanted, after=after, limit=_PAGE), FactsReply), takers, watch.tell)
    watch.end()
    return first


class _Watch:
    """Tells on a terminal how far a long log has been read."""

    def __init__(self, terminal: Terminal) -> None:
        self._pick = terminal.pick
        self._at_s = time.monotonic() + _PATIENCE_S
        self._said = False

    def tell(self, seq: int, last: int) -> None:
        """Say how far it is, now and then."""
        if not sys.stderr.isatty() or time.monotonic() < self._at_s:
            return
        self._at_s = time.monotonic() + _EVERY_S
        self._said = True
        share = 100 * seq // max(1, last)
        click.echo(self._pick(f"\r读取记录 {share}%", f"\rreading the journal {share}%"), err=True, nl=False)

    def end(self) -> None:
        """Clear the line."""
        if self._said:
            click.echo("\r\x1b[K", err=True, nl=False)
