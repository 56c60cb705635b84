"""``pilenode reprice``: prices records again from their own content, to the same fen or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.cli.bilingual import Text, argument, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.terminal import Misuse
from pilenode.ipc.messages import Facts, FactsReply, StoredFact
from pilenode.station.reprice import KIND, reprice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal
    from pilenode.station.reprice import Repriced

_PAGE: Final = 100
#: A year of a busy cabinet takes some 100 MB.
_MOST_BYTES: Final = 512 * 1024 * 1024


def _asked(ask: Ask) -> Iterator[StoredFact]:
    after = 0
    while True:
        page = ask(Facts(kinds=[KIND], after=after, limit=_PAGE), FactsReply).facts
        if not page:
            return
        yield from page
        after = page[-1].seq


def _filed(file: str) -> list[StoredFact]:
    """Return the facts in a file: one, a list, an object with ``facts``, or one to a line."""
    path = Path(file)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Misuse(f"{file}：文件过大。", f"{file}: the file is too large.")
        text = path.read_bytes().strip()
        lines = text.splitlines() if text.startswith(b"{") and b"\n{" in text else [text]
        decoded = [msgspec.json.decode(line) for line in lines]
        (whole,) = decoded if len(decoded) == 1 else (decoded,)
        if isinstance(whole, dict):
            whole = whole.get("facts", [whole])
        facts = msgspec.json.decode(msgspec.json.encode(whole), type=list[StoredFact])
        return [one for one in facts if one.kind == KIND]
    except OSError as error:
        raise Misuse(f"{file}：{error.strerror}。", f"{file}: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Misuse(f"{file}：不是事实记录：{error}。", f"{file}: these are no facts: {error}.") from error


def _judged(facts: Iterable[StoredFact], session: str | None) -> list[Repriced]:
    chosen = [fact for fact in facts if session in (None, fact.session)]
    return [reprice(fact.session or "-", bytes(fact.body)) for fact in chosen]


@talks(
    "reprice",
    Text(
        "用记录自身的内容重新计费，并与记录比较。",
        "Price records again from their own content and compare.",
    ),
)
@argument("session", required=False, metavar="SESSION", text=Text("会话号。", "The session."))
@option("--all", "everything", is_flag=True, text=Text("全部已结束的会话。", "Every session that has ended."))
@option(
    "--file",
    metavar="FILE",
    text=Text("从 JSON 文件读取事实，不询问站点。", "Read facts from a JSON file; the station is not asked."),
)
def command(terminal: Terminal, ask: Ask, session: str | None, *, everything: bool, file: str | None) -> int:
    """Price one record, all of them, or those of a file again. Status 7: something differs."""
    if sum((session is not None or file is not None, everything)) != 1:
        raise Misuse("请给出会话号、--all 或 --file 之一。", "Give a session, --all, or --file.")
    results = _judged(_asked(ask) if file is None else _filed(file), session)
    if session is not None and not results:
        raise Misuse(f"没有会话 {session} 的结束记录。", f"There is no end of a session {session}.")
    if terminal.json:
        terminal.data({"sessions": results})
    else:
        _print(terminal, results)
    return Exit.FAILED if any(one.result == "differs" for one in results) else Exit.OK


def _print(terminal: Terminal, results: list[Repriced]) -> None:
    from pilenode.cli import tables, tariff_tables  # noqa: PLC0415 - rich costs more than the rest of the command

    if results:
        tables.console().print(tariff_tables.repriced(terminal, results))
    wrong = sum(one.result == "differs" for one in results)
    terminal.line(
        terminal.pick(f"{len(results)} 条记录，{wrong} 条不一致。", f"{len(results)} records, {wrong} differ.")
    )
