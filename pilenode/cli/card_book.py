"""``pilenode card learn``, ``list``, ``forget``, ``deny``, ``allow``, ``set``: what a technician may do about cards."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.cli.bilingual import Text, argument, option
from pilenode.cli.card_lines import own_line, report_lines
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.orders import who
from pilenode.cli.terminal import Misuse
from pilenode.ipc.acts import AllowCard, CardId, DenyCard, ForgetCard, LearnCard
from pilenode.ipc.client import RequestError
from pilenode.ipc.messages import Done, Facts, FactsReply, Perform, Status, StatusReply
from pilenode.station.card_parts import split
from pilenode.station.card_report import KINDS, newest_learned, own_cards
from pilenode.station.card_store import ListFile

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.acts import AnyAct
    from pilenode.ipc.messages import StoredFact

LEARN = Text("登记一张卡：30 秒内在读卡器上刷卡。", "Learn a card: hold it against the reader within 30 s.")
LIST = Text("查看名单概况、登记的卡和单独停用的卡。", "Show the list in short, learned cards, and single denials.")
FORGET = Text("删除登记的卡。", "Forget a learned card.")
DENY = Text("停用一张卡，直到重新允许；优先于一切名单。", "Deny a card until it is allowed again, whatever lists say.")
ALLOW = Text("取消对一张卡的单独停用。", "Take back the denial of a card.")
SET = Text(
    "从文件下发整份名单，全部到齐后一次生效。",
    "Send a whole list from a file; it counts at once when all of it is there.",
)

#: The station waits 30 s for a card; what is found is on record soon after.
_PATIENCE_S: Final = 32.0
_EVERY_S: Final = 0.25
_CARD_TEXT: Final = Text(
    "卡的代号（pilenode card hash、card list）。", "What lists call the card (pilenode card hash, card list)."
)


def _until_ms(text: str | None) -> int | None:
    """Return the first moment after the day ``text`` (YYYY-MM-DD) in the time of this machine."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
        after = datetime.combine(day + timedelta(days=1), clock_time.min).astimezone()
    except (ValueError, OverflowError) as error:
        raise Misuse(f"{text} 不是日期：应为 2027-01-31。", f"{text} is no date: expected 2027-01-31.") from error
    return int(after.timestamp()) * 1000


def _pages(ask: Ask, after: int) -> list[StoredFact]:
    """Return every fact about single cards above ``after``."""
    found: list[StoredFact] = []
    while page := ask(Facts(kinds=KINDS, after=after, limit=500), FactsReply).facts:
        found += page
        after = page[-1].seq
    return found


@talks("learn", LEARN)
@option(
    "--reader", metavar="NAME", text=Text("读卡器；只有一个时可省略。", "Which reader; not needed where there is one.")
)
@option("--name", default="", metavar="TEXT", text=Text("给这张卡的说明。", "What to call it."))
@option(
    "--until", metavar="DATE", text=Text("有效期最后一天，如 2027-01-31。", "Last day of the card, 2027-01-31 say.")
)
def learn(terminal: Terminal, ask: Ask, reader: str | None, name: str, until: str | None) -> int:
    """Have a reader wait, then wait for what it finds."""
    status = ask(Status(), StatusReply)
    readers = [one.reader for one in status.readers]
    if reader is None and len(readers) != 1:
        known = ", ".join(readers) or "-"
        raise Misuse(f"请用 --reader 指定读卡器：{known}。", f"Say which with --reader: {known}.")
    chosen = reader or readers[0]
    ask(Perform(act=LearnCard(reader=chosen, name=name, until_ms=_until_ms(until)), by=who()), Done)
    if not terminal.json:
        terminal.line(
            terminal.pick(f"{chosen}：请在 30 秒内刷卡。", f"{chosen}: hold the card against it within 30 s.")
        )
    deadline_s = time.monotonic() + _PATIENCE_S
    while (card := newest_learned(_pages(ask, status.last_seq), chosen)) is None:
        if time.monotonic() > deadline_s:
            raise RequestError("card_not_seen", chosen)
        time.sleep(_EVERY_S)
    if terminal.json:
        terminal.data({"card": card, "reader": chosen})
    else:
        terminal.line(terminal.pick(f"已登记 {card}。", f"Learned {card}."))
    return Exit.OK


@talks("list", LIST)
def list_command(terminal: Terminal, ask: Ask) -> int:
    """Print what is known of cards."""
    report = ask(Status(), StatusReply).cards
    cards = own_cards(_pages(ask, 0))
    if terminal.json:
        terminal.data({"cards": report, "own": cards})
        return Exit.OK
    for line in report_lines(terminal, report) if report is not None else ():
        terminal.line(line)
    for card in cards:
        terminal.line(own_line(terminal, card))
    return Exit.OK


def _act(terminal: Terminal, ask: Ask, act: AnyAct, zh: str, en: str) -> int:
    ask(Perform(act=act, by=who()), Done)
    if terminal.json:
        terminal.data(Done())
    else:
        terminal.line(terminal.pick(zh, en))
    return Exit.OK


@talks("forget", FORGET)
@argument("card", text=_CARD_TEXT)
def forget(terminal: Terminal, ask: Ask, card: str) -> int:
    """Strike a card out of the cabinet's own list."""
    return _act(terminal, ask, ForgetCard(card=_card(card)), "已删除。", "Forgotten.")


@talks("deny", DENY)
@argument("card", text=_CARD_TEXT)
@option("--reason", default="", metavar="TEXT", text=Text("原因。", "Why."))
def deny(terminal: Terminal, ask: Ask, card: str, reason: str) -> int:
    """Deny one card."""
    return _act(terminal, ask, DenyCard(card=_card(card), reason=reason), "已停用。", "Denied.")


@talks("allow", ALLOW)
@argument("card", text=_CARD_TEXT)
@option("--reason", default="", metavar="TEXT", text=Text("原因。", "Why."))
def allow(terminal: Terminal, ask: Ask, card: str, reason: str) -> int:
    """Take a denial back."""
    return _act(terminal, ask, AllowCard(card=_card(card), reason=reason), "已允许。", "Allowed.")


def _card(text: str) -> str:
    """Return what was typed if it has the shape of a card's hash. What has not is not repeated: it may be a number."""
    try:
        return msgspec.convert(text, type=CardId)
    except msgspec.ValidationError as error:
        raise Misuse(
            "不是卡的代号：应为 32 位小写十六进制，用 pilenode card hash 计算。",
            "That is no hash of a card: 32 hex digits in lower case, as pilenode card hash prints them.",
        ) from error


@talks("set", SET)
@argument("file", metavar="FILE", text=Text("名单文件（JSON）。", "The list, a JSON file."))
@option("--key-id", metavar="ID", text=Text("制作名单所用密钥的名称。", "Name of the key the list was made with."))
def set_command(terminal: Terminal, ask: Ask, file: str, key_id: str | None) -> int:
    """Send a list in parts."""
    try:
        listed = msgspec.json.decode(Path(file).read_bytes(), type=ListFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{file}：{error}", f"{file}: {error}") from error
    parts = split(listed, key_id)
    for part in parts:
        ask(Perform(act=part, by=who()), Done)
    cards, denied = len(listed.cards), len(listed.denied)
    if terminal.json:
        terminal.data({"version": listed.version, "cards": cards, "denied": denied, "parts": len(parts)})
    else:
        zh = f"名单 {listed.version} 已生效：{cards} 张卡，{denied} 张停用。"
        terminal.line(terminal.pick(zh, f"List {listed.version} counts: {cards} cards, {denied} denied."))
    return Exit.OK
