"""The lists of the printable report: entries, inspections, tests, locks. Pure.

Every text that comes from people or from the log is escaped: a reason cannot become a tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from pilenode.cli.ledger_words import KINDS, LATE, STATES, local, place_of, subject
from pilenode.station.ledger_entry import Entry, Late, State, as_of, late

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pilenode.cli.ledger_export import Frame
    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import PeriodicTest, Place
    from pilenode.station.chain import Chain
    from pilenode.station.ledger_records import Check, Records
    from pilenode.station.locks import HeldLock
    from pilenode.station.statistics import Row


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is made of. ``chain`` None: the log was not checked. ``month``: "2026-11"."""

    node: str
    version: str
    place: Place
    month: str
    frame: Frame
    total: Row | None
    unknown: Row | None
    days: Sequence[Row]
    entries: Sequence[Entry]
    records: Records
    tests: Sequence[PeriodicTest]
    chain: Chain | None


class Page:
    """Writes lists in one language."""

    def __init__(self, terminal: Terminal, report: Report) -> None:
        self.terminal = terminal
        self.pick = terminal.pick
        self.report = report
        self.unknown = self.pick("时间未知", "time unknown")
        now = report.frame
        self.entries = [as_of(entry, now.now_ms, now.clock) for entry in report.entries]

    def when(self, wall_ms: int | None, empty: str | None = None) -> str:
        """Return a moment to the minute."""
        told = local(wall_ms, self.report.frame.zone, "")
        return told[: len("2026-11-30 08:00")] or (self.unknown if empty is None else empty)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
        """Return a table; a cell is text, never HTML. Columns in ``numbers`` stand right."""
        listed = [*rows]
        if not listed:
            return f"<p>{self.pick('无。', 'None.')}</p>"
        tag = ['class="n"' if index in numbers else "" for index in range(len(heads))]
        head = "".join(f"<th {how}>{escape(title)}</th>" for how, title in zip(tag, heads, strict=True))
        body = "".join(
            "<tr>" + "".join(f"<td {how}>{escape(cell)}</td>" for how, cell in zip(tag, row, strict=True)) + "</tr>"
            for row in listed
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def in_month(self, wall_ms: int | None) -> bool:
        """Return whether a moment lies in the month. One that nobody knows is listed, and said to be unknown."""
        return wall_ms is None or self.when(wall_ms).startswith(self.report.month)

    def ledger(self) -> str:
        """Return what is not closed, late ones first, and what was closed in the month."""
        pick = self.pick
        left = [entry for entry in self.entries if entry.state is not State.CLOSED]
        left.sort(key=lambda entry: (self.late(entry) is not Late.YES, entry.due_ms or 0, entry.seq))
        done = [entry for entry in self.entries if entry.state is State.CLOSED and self.in_month(entry.closed_ms)]
        overdue = sum(self.late(entry) is Late.YES for entry in left)
        said = pick(f"未销号 {len(left)} 条，其中逾期 {overdue} 条。", f"Not closed: {len(left)}, overdue: {overdue}.")
        style = ' class="late"' if overdue else ""
        return (
            f"<p{style}>{escape(said)}</p>{self.listed(left)}"
            f"<h2>{pick('本期销号', 'Closed in this period')}</h2>{self.listed(done)}"
        )

    def listed(self, entries: Iterable[Entry]) -> str:
        """Return entries as a table."""
        pick = self.pick
        heads = (
            pick("编号", "No."),
            pick("发现", "Found"),
            pick("位置与内容", "Where and what"),
            pick("次数", "Times"),
            pick("整改措施", "Measure"),
            pick("责任人", "Responsible"),
            pick("期限", "Due"),
            pick("应急预案", "Contingency"),
            pick("状态", "State"),
        )
        return self.table(heads, [self.line(entry) for entry in entries], (0, 3))

    def line(self, entry: Entry) -> list[str]:
        """Return one entry as cells."""
        pick, how = self.pick, self.late(entry)
        what = subject(self.terminal, entry.kind, entry.code)
        state = pick(*STATES[entry.state])
        if entry.state is State.CLOSED:
            state += f" {self.when(entry.closed_ms)}"
        elif how is not Late.NO:
            state += pick("，", ", ") + (
                pick(*LATE[how]) if how is Late.YES else pick("是否逾期未知", "lateness unknown")
            )
        return [
            str(entry.seq),
            self.when(entry.found_ms),
            f"{place_of(self.terminal, entry.port)}: {pick(*KINDS[entry.kind])}: {what} {entry.detail}".rstrip(),
            str(entry.count),
            entry.measure or "-",
            entry.responsible or "-",
            self.when(entry.due_ms, "-")[: len("2026-11-30")],
            entry.contingency or "-",
            state,
        ]

    def late(self, entry: Entry) -> Late:
        """Return whether an entry is past its deadline."""
        return late(entry, self.report.frame.now_ms, self.report.frame.clock)

    def checks(self) -> str:
        """Return inspections one by one, and periodic tests by kind."""
        pick = self.pick
        seen = [check for check in self.report.records.checks if self.in_month(check.wall_ms)]
        good = pick("合格", "good"), pick("不合格", "failed")
        inspections = [
            (
                self.when(check.wall_ms),
                place_of(self.terminal, check.port),
                check.what,
                good[not check.ok],
                check.by,
                check.detail,
            )
            for check in seen
            if check.kind == "inspection"
        ]
        heads = (
            pick("时间", "When"),
            pick("位置", "Where"),
            pick("项目", "What"),
            pick("结果", "Result"),
            pick("巡检人", "By"),
            pick("说明", "Detail"),
        )
        listed = self.table(heads, inspections)
        return f"{listed}<h2>{pick('周期试验', 'Periodic tests')}</h2>{self.proofs(seen)}"

    def proofs(self, seen: Sequence[Check]) -> str:
        """Return the periodic tests of the month by kind, and whether they are due now."""
        pick = self.pick
        due = {test.kind: test for test in self.report.tests}
        kinds = dict.fromkeys([*due, *(check.what for check in seen if check.kind == "test")])
        rows = []
        for kind in kinds:
            done = [check for check in seen if check.kind == "test" and check.what == kind]
            test = due.get(kind)
            if test is not None and not test.fitted and not done:
                continue
            rows.append(
                (
                    subject(self.terminal, "test", kind),
                    str(len(done)),
                    str(sum(not check.ok for check in done)),
                    self.when(done[-1].wall_ms) if done else "-",
                    pick("到期未做", "due") if test is not None and test.due else pick("否", "no"),
                )
            )
        heads = (pick("试验", "Test"), pick("次数", "Done"), pick("不合格", "Failed"), pick("最近", "Last"))
        return self.table((*heads, pick("现已到期", "Due now")), rows, (1, 2))

    def locks(self) -> str:
        """Return the locks that held at some time of the month."""
        pick, records = self.pick, self.report.records
        held = [one for one in records.locks.values() if self.touches(one)]
        rows = [
            (
                one.set.lock,
                place_of(self.terminal, one.set.port),
                pick("断电措施", "lock-out") if one.set.lock_kind == "lockout" else pick("检修", "maintenance"),
                one.set.authority,
                one.set.reason,
                self.when(one.set.from_ms or records.locked_ms.get(one.set.lock)),
                self.when(one.set.until_ms, "-"),
                "-" if one.lifted is None else f"{one.lifted.authority}: {one.lifted.reason}",
            )
            for one in held
        ]
        heads = (
            pick("编号", "Id"),
            pick("位置", "Where"),
            pick("类别", "Kind"),
            pick("单位", "Authority"),
            pick("原因", "Reason"),
            pick("自", "From"),
            pick("至", "Until"),
            pick("解除", "Lifted"),
        )
        return self.table(heads, rows)

    def touches(self, held: HeldLock) -> bool:
        """Return whether a lock may have held in the month."""
        begin = self.when(held.set.from_ms or self.report.records.locked_ms.get(held.set.lock), "")
        lifted_ms = self.report.records.lifted_ms.get(held.set.lock)
        ends = [self.when(end, "") for end in (held.set.until_ms, lifted_ms) if end is not None]
        month = self.report.month
        return begin[: len(month)] <= month and all(end[: len(month)] >= month for end in ends)
