"""The moving bar of ``pilenode meter scan``; rich is imported here, for a person at a terminal only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pilenode.cli.meter_words import seconds_words

if TYPE_CHECKING:
    from typing import Self

    from drivers import scan
    from pilenode.cli.terminal import Terminal


class Bar:
    """One bar at the bottom of the terminal, findings above it; it leaves nothing behind."""

    def __init__(self, terminal: Terminal, console: Console | None = None) -> None:
        self._terminal = terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[left]}"),
            console=console or Console(highlight=False),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def line(self, text: str) -> None:
        """Show one line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def progress(self, progress: scan.Progress) -> None:
        """Move the bar."""
        left = self._terminal.pick(*seconds_words(progress.left_s))
        self._bar.update(
            self._task,
            description=f"[{progress.number}/{progress.rounds}] {progress.format}".replace("[", r"\["),
            total=progress.total,
            completed=progress.done,
            left=self._terminal.pick(f"还需约 {left}", f"about {left} left"),
        )
