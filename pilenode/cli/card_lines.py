"""What ``pilenode card list`` and ``card follow`` print for people, line by line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pilenode.cli.codes import every

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import CardsReport, ReaderReport
    from pilenode.station.card_report import OwnCard

#: What a card led to when it was no refusal.
_OUTCOMES: Final = {
    "started": ("开始充电", "session started"),
    "ended": ("结束充电", "session ended"),
    "learned": ("已登记", "learned"),
    "stale": ("等待过久，未处理", "waited too long, not taken"),
    "bad_number": ("卡号不可用", "its number cannot be used"),
}


def _day(ms: int | None) -> str:
    return "-" if ms is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(ms / 1000))


def report_lines(terminal: Terminal, report: CardsReport) -> Iterator[str]:
    """Yield what is known of cards, in short."""
    pick = terminal.pick
    if report.list_version is None:
        yield pick("没有名单。", "There is no list.")
    else:
        zh = f"名单 {report.list_version}：{report.list_cards} 张卡，{report.list_denied} 张停用，有效至 "
        en = f"List {report.list_version}: {report.list_cards} cards, {report.list_denied} denied, valid until "
        yield pick(zh, en) + _day(report.list_valid_until_ms)
    if report.staged:
        yield pick("正在接收：", "On its way: ") + report.staged
    yield pick("密钥 ", "Key ") + (report.key_id or "-")
    debt = f"{report.debt_fen // 100}.{report.debt_fen % 100:02}"
    yield pick(f"未同步欠费 {debt} 元", f"Owed and not acknowledged: {debt} yuan")
    if report.trouble is not None:
        yield f"{_words(terminal, report.trouble)} ({report.detail})"


def own_line(terminal: Terminal, card: OwnCard) -> str:
    """Return one card that the cabinet knows by itself: hash, state, last day, words."""
    state = {"learned": ("登记", "learned"), "denied": ("停用", "denied")}[card.state]
    return f"{card.card}  {terminal.pick(*state)}  {_day(card.until_ms)}  {card.words}".rstrip()


def outcome_line(terminal: Terminal, reader: ReaderReport) -> str:
    """Return what the last card at a reader led to."""
    code = reader.last_outcome or ""
    known = _OUTCOMES.get(code)
    words = terminal.pick(*known) if known is not None else _words(terminal, code)
    port = "" if reader.last_port is None else terminal.pick(f"端口 {reader.last_port}：", f"port {reader.last_port}: ")
    return f"{reader.reader}: {reader.last_card or '-'}  {port}{words}"


def state_line(terminal: Terminal, reader: ReaderReport) -> str:
    """Return how a reader is."""
    if reader.code is None:
        return f"{reader.reader}: {terminal.pick('就绪', 'ready')}"
    return f"{reader.reader}: {_words(terminal, reader.code)} ({reader.detail})"


def _words(terminal: Terminal, code: str) -> str:
    known = every().get(code)
    return code if known is None else f"{terminal.pick(known.zh, known.en)} [{code}]"
