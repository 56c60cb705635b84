"""``pilenode card watch``: what each card reader reads, live, for the technician who wires it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import click

from config.errors import PilenodeError, similar
from config.load import load
from drivers.card_contracts import ReaderState
from pilenode.cli.bilingual import Command, Number, Text, json_option, language_option, option
from pilenode.cli.exits import Exit
from pilenode.cli.reader_words import READERS
from pilenode.cli.terminal import Misuse
from pilenode.station.readers import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from config.schema_reader import Reader
    from drivers.card_reader import CardSeen, ReaderStatus, ReaderThread
    from pilenode.cli.terminal import Terminal

_WATCH = Text(
    "实时显示刷卡和读卡器状态，结束时显示计数。不会开始充电。",
    "Show cards and the state of each reader as they come, and the counters at the end. Starts no session.",
)
#: Digits of an id that stay when it is masked, and the shortest id that shows its first ones as well.
_SHOWN: Final = 2
_LONG_ENOUGH: Final = 8
_FOR_EVER_S: Final = 86_400.0


def masked(uid: str) -> str:
    """Return ``uid`` with its middle hidden: an id alone starts a session on somebody's account."""
    first = _SHOWN if len(uid) >= _LONG_ENOUGH else 0
    return uid[:first] + "*" * (len(uid) - first - _SHOWN) + uid[-_SHOWN:]


def _chosen(readers: Sequence[Reader], name: str | None) -> list[Reader]:
    if not readers:
        raise Misuse("配置中没有 [[reader]]。", "The configuration has no [[reader]].")
    if name is None:
        return [*readers]
    found = [one for one in readers if one.name == name]
    if not found:
        names = [one.name for one in readers]
        zh, en = similar(name, names)
        raise Misuse(
            f"没有读卡器 {name}：已知 {', '.join(names)}。{zh}",
            f"No reader {name}: known are {', '.join(names)}. {en}".rstrip(),
        )
    return found


class _Watch:
    """Prints what the readers tell, each in the order of the configuration."""

    def __init__(self, terminal: Terminal, *, show_uid: bool) -> None:
        self._terminal = terminal
        self._show_uid = show_uid
        self._told: dict[str, ReaderStatus] = {}

    def round(self, threads: Sequence[ReaderThread]) -> None:
        """Print every change of state and every card since the last round."""
        for thread in threads:
            status = thread.status
            known = self._told.get(thread.reader)
            if known != status and status.state not in {ReaderState.STARTING, ReaderState.STOPPED}:
                self._told[thread.reader] = status
                self._state(thread.reader, status)
            while (seen := thread.get()) is not None:
                self._card(seen)

    def _state(self, reader: str, status: ReaderStatus) -> None:
        terminal = self._terminal
        ready = status.state is ReaderState.READY
        if terminal.json:
            code = None if ready else f"reader_{status.state}"
            terminal.data({"type": "reader", "reader": reader, "state": str(status.state), "code": code})
            return
        if ready:
            terminal.line(f"{reader}: " + terminal.pick("就绪，请刷卡。", "ready; hold a card against it."))
            return
        words = READERS[f"reader_{status.state}"]
        terminal.line(f"{reader}: {terminal.pick(words.zh, words.en)} ({status.detail})")
        terminal.line(f"    {terminal.pick(words.remedy_zh, words.remedy_en)}")

    def _card(self, seen: CardSeen) -> None:
        uid = seen.uid if self._show_uid else masked(seen.uid)
        if self._terminal.json:
            self._terminal.data({"type": "card", "reader": seen.reader, "uid": uid, "bytes": len(seen.uid) // 2})
        else:
            self._terminal.line(f"{seen.reader}: {self._terminal.pick('卡', 'card')} {uid}")

    def counters(self, threads: Sequence[ReaderThread]) -> None:
        """Print what was counted."""
        if self._terminal.json:
            self._terminal.data({"type": "counters", "readers": {one.reader: dict(one.counters) for one in threads}})
            return
        for thread in threads:
            counted = ", ".join(f"{name} {count}" for name, count in thread.counters.items() if count)
            nothing = self._terminal.pick("什么也没有收到", "nothing was received")
            self._terminal.line(f"{thread.reader}: {counted or nothing}")


def _listen(threads: Sequence[ReaderThread], watch: _Watch, wake: threading.Event, seconds: float | None) -> None:
    until_s = time.monotonic() + (_FOR_EVER_S if seconds is None else seconds)
    while (left_s := until_s - time.monotonic()) > 0:
        # Ctrl-C must not wait for the next card.
        wake.wait(min(left_s, 0.5))
        wake.clear()
        watch.round(threads)


def _troubles(threads: Sequence[ReaderThread]) -> Iterator[tuple[ReaderThread, str]]:
    for thread in threads:
        if thread.status.state is not ReaderState.READY:
            yield thread, f"reader_{thread.status.state}"


@click.command("watch", cls=Command, text=_WATCH, params=[json_option(), language_option()])
@option("--config", "path", required=True, metavar="FILE", text=Text("配置文件。", "The configuration."))
@option("--reader", "name", metavar="NAME", text=Text("只看这一个读卡器。", "Only this reader."))
@option(
    "--seconds",
    type=Number(float, 0, 86_400, above=True),
    metavar="N",
    text=Text("多少秒后结束；默认直到 Ctrl-C。", "End after this many seconds; default: at Ctrl-C."),
)
@option(
    "--show-uid",
    is_flag=True,
    text=Text("显示完整卡号；有卡号就能复制卡。", "Show whole ids; who knows one can copy the card."),
)
@click.pass_obj
def watch(terminal: Terminal, path: str, name: str | None, seconds: float | None, *, show_uid: bool) -> int:
    """Listen until the time is over or Ctrl-C; a reader that is not ready at the end is an error."""
    config = load(path)
    chosen = _chosen(config.reader, name)
    if show_uid:
        warning = terminal.pick(
            "注意：以下显示完整卡号，请勿截图或转发。", "Careful: whole ids follow; do not photograph or pass them on."
        )
        click.echo(warning, err=True)
    wake = threading.Event()
    threads = build(chosen, config.gpio.factory, wake.set)
    view = _Watch(terminal, show_uid=show_uid)
    for thread in threads:
        thread.start()
    interrupted = False
    try:
        _listen(threads, view, wake, seconds)
    except KeyboardInterrupt:
        interrupted = True
    view.round(threads)
    troubles = [*_troubles(threads)]
    for thread in threads:
        thread.stop()
    for thread in threads:
        thread.close()
    view.counters(threads)
    if troubles and not interrupted:
        thread, code = troubles[0]
        words = READERS[code]
        raise PilenodeError(
            code=code,
            zh=f"{thread.reader}：{words.zh}",
            en=f"{thread.reader}: {words.en}",
            remedy_zh=words.remedy_zh,
            remedy_en=words.remedy_en,
        )
    return Exit.OK
