"""``pilenode card follow``: what cards lead to at the running station, live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pilenode.cli.bilingual import Number, Text, option
from pilenode.cli.card_lines import outcome_line, state_line
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.ipc.messages import Status, StatusReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import ReaderReport

TEXT = Text(
    "实时显示运行中的站点上每次刷卡的结果和读卡器状态。",
    "Show what cards lead to at the running station, and the state of its readers, as it happens.",
)
_EVERY_S: Final = 0.25
_FOR_EVER_S: Final = 86_400.0


class _Follower:
    """Prints every change since the last look; the first look shows the states and no old card."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._states: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, int] = {}

    def look(self, readers: list[ReaderReport]) -> None:
        """Print what has changed. Of several cards within one look only the last is told by its outcome."""
        for reader in readers:
            state = (reader.state, reader.detail)
            if self._states.get(reader.reader) != state:
                self._states[reader.reader] = state
                self._say("reader", reader, state_line(self._terminal, reader))
            count = sum(number for outcome, number in reader.outcomes.items() if outcome != "repeated")
            if self._counts.get(reader.reader, count) < count:
                self._say("card", reader, outcome_line(self._terminal, reader))
            self._counts[reader.reader] = count

    def _say(self, kind: str, reader: ReaderReport, line: str) -> None:
        if not self._terminal.json:
            self._terminal.line(line)
        elif kind == "reader":
            self._terminal.data({"type": kind, "reader": reader.reader, "state": reader.state, "code": reader.code})
        else:
            self._terminal.data(
                {
                    "type": kind,
                    "reader": reader.reader,
                    "card": reader.last_card,
                    "outcome": reader.last_outcome,
                    "port": reader.last_port,
                }
            )


@talks("follow", TEXT)
@option(
    "--seconds",
    type=Number(float, 0, 86_400, above=True),
    metavar="N",
    text=Text("多少秒后结束；默认直到 Ctrl-C。", "End after this many seconds; default: at Ctrl-C."),
)
def follow(terminal: Terminal, ask: Ask, seconds: float | None) -> int:
    """Look four times a second until the time is over or Ctrl-C."""
    follower = _Follower(terminal)
    until_s = time.monotonic() + (_FOR_EVER_S if seconds is None else seconds)
    try:
        while True:
            follower.look(ask(Status(), StatusReply).readers)
            if time.monotonic() >= until_s:
                return Exit.OK
            time.sleep(_EVERY_S)
    except KeyboardInterrupt:
        return Exit.OK
