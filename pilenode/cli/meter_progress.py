"""How the progress of a search is shown: a bar where a person looks, a line for each part of the search elsewhere."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol

from pilenode.cli.meter_words import seconds_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.scan import Progress
    from pilenode.cli.terminal import Terminal


class Show(Protocol):
    """Where lines and progress go."""

    def line(self, text: str) -> None:
        """Show one line that stays."""

    def progress(self, progress: Progress) -> None:
        """Show how far the search is."""


class _Plain:
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def line(self, text: str) -> None:
        self._terminal.line(text)

    def progress(self, progress: Progress) -> None:
        if progress.done == 0:
            left = self._terminal.pick(*seconds_words(progress.left_s))
            self._terminal.line(
                self._terminal.pick(
                    f"[{progress.number}/{progress.rounds}] {progress.format}：{progress.total} 个地址，还需约 {left}",
                    f"[{progress.number}/{progress.rounds}] {progress.format}: {progress.total} "
                    f"address{'' if progress.total == 1 else 'es'}, about {left} left",
                )
            )


@contextlib.contextmanager
def shown_by(terminal: Terminal) -> Iterator[Show]:
    """Show progress until the end of the block. rich is loaded only for a person at a terminal."""
    if terminal.json or not sys.stdout.isatty():
        yield _Plain(terminal)
        return
    from pilenode.cli.meter_bar import Bar  # noqa: PLC0415 - rich costs more than the rest of the command

    with Bar(terminal) as bar:
        yield bar
