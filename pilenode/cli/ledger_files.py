"""``pilenode ledger export`` and ``report``: the ledger as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pilenode.cli.bilingual import Text, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.cli.ledger import read_all, zone_of
from pilenode.cli.moments import moment_ms
from pilenode.cli.terminal import Misuse
from pilenode.ipc.messages import Place, Status, StatusReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal
    from pilenode.station.chain import Chain
    from pilenode.station.read_log import Taker

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@talks("export", Text("导出台账、巡检和周期试验。", "Export the ledger, inspections and periodic tests."))
@option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    required=True,
    text=Text("csv 用于表格软件，json 用于程序。", "csv for spreadsheets, json for programs."),
)
@option("--from", "begin", metavar="TIME", text=Text("仅此时之后发现的。", "Only what was found from then on."))
@option("--to", "end", metavar="TIME", text=Text("仅此时之前发现的。", "Only what was found before."))
@option(
    "--output", metavar="FILE", text=Text("写入文件；默认标准输出。", "Write to this file; default: standard output.")
)
@option(
    "--bom", is_flag=True, text=Text("CSV 加 UTF-8 标记，供 Excel 识别。", "CSV with the UTF-8 mark that Excel needs.")
)
@option(
    "--verify",
    is_flag=True,
    text=Text("同时核对记录的哈希链（读取全部记录）。", "Check the hash chain too, which reads the whole log."),
)
def export(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    ask: Ask,
    *,
    form: str,
    begin: str | None,
    end: str | None,
    output: str | None,
    bom: bool,
    verify: bool,
) -> int:
    """Read the log and write the ledger."""
    from pilenode.cli import ledger_export  # noqa: PLC0415 - only needed here
    from pilenode.station.read_log import EVERY_KIND  # noqa: PLC0415 - as above

    status = ask(Status(), StatusReply)
    zone = zone_of(status)
    begin_ms = None if begin is None else moment_ms(begin, zone)
    end_ms = None if end is None else moment_ms(end, zone)
    chain = _chain(status) if verify else None
    more: list[Taker] = [chain] if chain is not None else []
    found = read_all(terminal, ask, more, EVERY_KIND if verify else ())
    entries = [one for one in found.ledger.entries.values() if ledger_export.within(one.found_ms, begin_ms, end_ms)]
    checks = [one for one in found.records.checks if ledger_export.within(one.wall_ms, begin_ms, end_ms)]
    if form == "csv":
        _write(terminal, ledger_export.table(terminal, found.frame, entries, checks, bom=bom), output)
    else:
        import msgspec  # noqa: PLC0415 - only needed here

        told = ledger_export.data(found.frame, entries, checks)
        told["chain"] = None if chain is None else _told(chain)
        _write(terminal, msgspec.json.encode(told).decode() + "\n", output)
    return _verdict(terminal, chain)


@talks("report", Text("生成可打印的 HTML 报告（A4）。", "Make a printable HTML report (A4)."))
@option("--output", metavar="FILE", required=True, text=Text("写入此文件。", "Write to this file."))
@option(
    "--month",
    metavar="MONTH",
    text=Text("月份，如 2026-11；默认本月。", "Which month, like 2026-11; default: this one."),
)
@option(
    "--no-verify",
    "unchecked",
    is_flag=True,
    text=Text("不核对哈希链，报告中注明。", "Do not check the hash chain; the report says so."),
)
def report(terminal: Terminal, ask: Ask, *, output: str, month: str | None, unchecked: bool) -> int:
    """Read the whole log and write the report."""
    from pilenode.cli.ledger_report import Report, html  # noqa: PLC0415 - only needed here
    from pilenode.station import statistics  # noqa: PLC0415 - as above
    from pilenode.station.read_log import EVERY_KIND  # noqa: PLC0415 - as above

    status = ask(Status(), StatusReply)
    month = _month(status, month)
    sums = statistics.Statistics(zone_of(status))
    chain = None if unchecked else _chain(status)
    takers: list[Taker] = [sums] if chain is None else [sums, chain]
    found = read_all(terminal, ask, takers, statistics.KINDS if unchecked else EVERY_KIND)
    place = found.status.place or Place(timezone=sums.zone.key, serious_days=0, normal_days=0)
    now_ms = found.frame.now_ms if found.frame.clock != "none" else None
    months = {row.period: row for row in sums.rows("month", place.ports, now_ms)}
    days = [row for row in sums.rows("day", place.ports, now_ms) if (row.period or "").startswith(month)]
    made = Report(
        node=found.status.node,
        version=found.status.version,
        place=place,
        month=month,
        frame=found.frame,
        total=months.get(month),
        unknown=months.get(None),
        days=days,
        entries=[*found.ledger.entries.values()],
        records=found.records,
        tests=found.status.tests,
        chain=chain,
    )
    _write(terminal, html(terminal, made), output)
    if terminal.json:
        told = None if chain is None else _told(chain)
        terminal.data({"type": "done", "output": output, "month": month, "chain": told})
    else:
        terminal.line(terminal.pick(f"已写入 {output}。", f"Written: {output}."))
    return _verdict(terminal, chain)


def _chain(status: StatusReply) -> Chain:
    from pilenode.station.chain import Chain  # noqa: PLC0415 - hashing is only needed here

    return Chain(status.log_id)


def _told(chain: Chain) -> dict[str, object]:
    return {"log_id": chain.log_id, "seq": chain.seq, "hash": chain.hash, "broken_at": chain.broken_at}


def _verdict(terminal: Terminal, chain: Chain | None) -> int:
    """Return the exit status; a broken chain is told, never hidden."""
    if chain is None or chain.broken_at is None:
        return Exit.OK
    zh = f"哈希链在第 {chain.broken_at} 条处中断。"
    click.echo(terminal.pick(zh, f"The hash chain is broken at fact {chain.broken_at}."), err=True)
    return Exit.FAILED


def _month(status: StatusReply, month: str | None) -> str:
    if month is None:
        now_ms = None if status.clock is None else status.clock.known_ms
        if now_ms is None:
            raise Misuse("时钟不可信，请用 --month 给出月份。", "The clock cannot be trusted: give --month.")
        from pilenode.cli.ledger_words import local  # noqa: PLC0415 - only needed here

        return local(now_ms, zone_of(status), "")[: len("2026-11")]
    if _MONTH.fullmatch(month) is None:
        raise Misuse(f"月份 {month} 应写作 2026-11。", f"Write the month {month} like 2026-11.")
    return month


def _write(terminal: Terminal, text: str, output: str | None) -> None:
    if output is None:
        terminal.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        why = error.strerror or str(error)
        raise Misuse(f"无法写入 {output}：{why}", f"{output} cannot be written: {why}") from error
