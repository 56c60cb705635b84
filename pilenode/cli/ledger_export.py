"""The ledger as a table for spreadsheets and as JSON for programs. Pure."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, NamedTuple

from pilenode.cli.ledger_words import KINDS, LATE, STATES, STEPS, local, place_of, subject
from pilenode.station.ledger_entry import Entry, as_of, entry_id, late

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from pilenode.cli.terminal import Terminal
    from pilenode.station.ledger_records import Check

#: A cell that begins so is a formula to a spreadsheet (OWASP, "CSV Injection").
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Columns in Chinese and English.
COLUMNS: Final = (
    ("编号", "id"),
    ("记录", "record"),
    ("类别", "kind"),
    ("代码", "code"),
    ("内容", "what"),
    ("位置", "place"),
    ("发现时间", "found"),
    ("时钟", "clock"),
    ("次数", "count"),
    ("最近一次", "last"),
    ("详情", "detail"),
    ("整改措施", "measure"),
    ("责任人", "responsible"),
    ("期限", "due"),
    ("逾期", "overdue"),
    ("应急预案", "contingency"),
    ("状态", "state"),
    ("销号时间", "closed"),
    ("经过", "history"),
)


class Frame(NamedTuple):
    """What stands around an export: the log, the moment and its clock, the zone of local times.

    ``acked_seq``: up to where the backend has acknowledged the log.
    """

    log_id: str
    now_ms: int
    clock: str
    zone: ZoneInfo
    acked_seq: int = 0

    def has_arrived(self, entry: Entry) -> bool:
        """Return whether the backend has acknowledged an entry and everything that was written into it."""
        return max([entry.seq, *(step.seq for step in entry.history)]) <= self.acked_seq


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def within(wall_ms: int | None, begin_ms: int | None, end_ms: int | None) -> bool:
    """Return whether a moment lies in [begin, end). One that nobody knows does: it might be."""
    if wall_ms is None:
        return True
    return (begin_ms is None or wall_ms >= begin_ms) and (end_ms is None or wall_ms < end_ms)


def table(terminal: Terminal, frame: Frame, entries: Iterable[Entry], checks: Iterable[Check], *, bom: bool) -> str:
    """Return entries and checks as CSV in the language of the terminal (RFC 4180; ``bom``: with a mark for Excel)."""
    out = io.StringIO()
    writer = csv.writer(out)
    english = terminal.language != "zh"
    writer.writerow([column[english] for column in COLUMNS])
    for entry in entries:
        writer.writerow([safe(cell) for cell in _entry(terminal, frame, as_of(entry, frame.now_ms, frame.clock))])
    for check in checks:
        writer.writerow([safe(cell) for cell in _check(terminal, frame, check)])
    return ("\ufeff" if bom else "") + out.getvalue()


def _entry(terminal: Terminal, frame: Frame, entry: Entry) -> list[str]:
    pick, zone = terminal.pick, frame.zone
    unknown = pick("时间未知", "time unknown")
    steps = (
        f"{local(step.wall_ms, zone, unknown)} {pick(*STEPS.get(step.what, (step.what, step.what)))} "
        f"{step.by} {step.text}".rstrip()
        for step in entry.history
    )
    return [
        entry_id(frame.log_id, entry.seq),
        pick("台账", "entry"),
        pick(*KINDS[entry.kind]),
        entry.code,
        subject(terminal, entry.kind, entry.code),
        place_of(terminal, entry.port),
        local(entry.found_ms, zone, unknown),
        entry.clock,
        str(entry.count),
        local(entry.last_ms, zone, unknown),
        entry.detail,
        entry.measure,
        entry.responsible,
        local(entry.due_ms, zone, ""),
        pick(*LATE[late(entry, frame.now_ms, frame.clock)]),
        entry.contingency,
        pick(*STATES[entry.state]),
        local(entry.closed_ms, zone, ""),
        " | ".join(steps),
    ]


def _check(terminal: Terminal, frame: Frame, check: Check) -> list[str]:
    pick = terminal.pick
    at = local(check.wall_ms, frame.zone, pick("时间未知", "time unknown"))
    told = {
        "id": entry_id(frame.log_id, check.seq),
        "record": pick("检查", "check"),
        "kind": pick(*KINDS[check.kind]),
        "code": check.what,
        "what": subject(terminal, check.kind, check.what),
        "place": place_of(terminal, check.port),
        "found": at,
        "detail": check.detail,
        "responsible": check.by,
        "state": pick("合格", "good") if check.ok else pick("不合格", "failed"),
    }
    return [told.get(column[1], "") for column in COLUMNS]


def data(frame: Frame, entries: Iterable[Entry], checks: Iterable[Check]) -> dict[str, object]:
    """Return entries and checks as what JSON knows."""
    import msgspec  # noqa: PLC0415 - the table does without

    now = [as_of(entry, frame.now_ms, frame.clock) for entry in entries]
    return {
        "log_id": frame.log_id,
        "wall_ms": frame.now_ms,
        "clock": frame.clock,
        "timezone": frame.zone.key,
        "entries": [
            {
                "id": entry_id(frame.log_id, entry.seq),
                "overdue": late(entry, frame.now_ms, frame.clock).value,
                "acknowledged": frame.has_arrived(entry),
                **msgspec.to_builtins(entry),
            }
            for entry in now
        ],
        "checks": [msgspec.to_builtins(check) for check in checks],
    }
