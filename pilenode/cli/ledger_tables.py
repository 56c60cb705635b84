"""The ledger and the statistics on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text as Styled

from pilenode.cli.ledger_words import KINDS, LATE, STATES, STEPS, kwh, local, place_of, subject, yuan
from pilenode.cli.tables import console
from pilenode.station.ledger_entry import entry_id, late

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilenode.cli.ledger_export import Frame
    from pilenode.cli.terminal import Terminal
    from pilenode.station.ledger_entry import Entry
    from pilenode.station.statistics import Row

__all__ = ["console", "entries", "one", "statistics"]

_DAY = len("2026-11-30")
_MINUTE = len("2026-11-30 08:00")
_STYLES = {"yes": "bold red", "unknown": "yellow", "no": "default"}


def _grid(*titles: tuple[str, bool]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title, right in titles:
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table


def entries(terminal: Terminal, frame: Frame, listed: Iterable[Entry]) -> Table:
    """Return entries as a table; numbers are those that ``show`` and ``update`` take. ``show`` tells codes in words."""
    pick = terminal.pick
    table = _grid(
        (pick("编号", "No."), True),
        (pick("发现", "Found"), True),
        (pick("位置", "Place"), True),
        (pick("类别", "Kind"), False),
        (pick("内容", "What"), False),
        (pick("次数", "Times"), True),
        (pick("期限", "Due"), True),
        (pick("状态", "State"), False),
    )
    for entry in listed:
        how = late(entry, frame.now_ms, frame.clock).value
        due = pick(*LATE[how]) if entry.due_ms is None and how == "unknown" else local(entry.due_ms, frame.zone, "-")
        table.add_row(
            str(entry.seq),
            local(entry.found_ms, frame.zone, pick("时间未知", "unknown"))[:_MINUTE],
            place_of(terminal, entry.port),
            pick(*KINDS[entry.kind]),
            Styled(entry.code),
            str(entry.count),
            Styled(due[:_DAY], _STYLES[how]),
            pick(*STATES[entry.state]),
        )
    return table


def one(terminal: Terminal, frame: Frame, entry: Entry) -> Table:
    """Return one entry with everything that is known of it."""
    pick, zone = terminal.pick, frame.zone
    unknown = pick("时间未知", "time unknown")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    how = late(entry, frame.now_ms, frame.clock).value
    rows = [
        (pick("编号", "Id"), entry_id(frame.log_id, entry.seq)),
        (pick("内容", "What"), f"{subject(terminal, entry.kind, entry.code)} [{entry.code}]"),
        (pick("类别", "Kind"), pick(*KINDS[entry.kind])),
        (pick("位置", "Place"), place_of(terminal, entry.port)),
        (pick("发现", "Found"), local(entry.found_ms, zone, unknown)),
        (pick("次数", "Times"), f"{entry.count} ({local(entry.last_ms, zone, unknown)})"),
        (pick("详情", "Detail"), entry.detail or "-"),
        (pick("整改措施", "Measure"), entry.measure or "-"),
        (pick("责任人", "Responsible"), entry.responsible or "-"),
        (pick("期限", "Due"), local(entry.due_ms, zone, unknown)),
        (pick("逾期", "Overdue"), pick(*LATE[how])),
        (pick("应急预案", "Contingency"), entry.contingency or "-"),
        (pick("状态", "State"), pick(*STATES[entry.state])),
        (pick("后台已确认", "Acknowledged"), pick("是", "yes") if frame.has_arrived(entry) else pick("否", "no")),
    ]
    for name, words in rows:
        grid.add_row(name, Styled(words))
    for step in entry.history:
        said = "; ".join(
            part for part in (pick(*STEPS.get(step.what, (step.what, step.what))), step.by, step.text) if part
        )
        grid.add_row(local(step.wall_ms, zone, unknown), Styled(said))
    return grid


def statistics(terminal: Terminal, rows: Iterable[Row]) -> Table:
    """Return statistics, one period in a line; fees are yuan."""
    pick = terminal.pick
    table = _grid(
        (pick("期间", "Period"), False),
        (pick("会话", "Sessions"), True),
        ("kWh", True),
        (pick("电费", "Elec."), True),
        (pick("服务", "Serv."), True),
        (pick("利用率", "Use"), True),
        (pick("拒绝", "Refused"), True),
        (pick("故障", "Faults"), True),
    )
    for row in rows:
        use = "-" if row.use_permille is None else f"{row.use_permille // 10}.{row.use_permille % 10}%"
        table.add_row(
            row.period or pick("时间未知", "unknown"),
            str(row.sessions),
            kwh(row.energy_wh),
            yuan(row.electricity_fen),
            yuan(row.service_fen),
            use,
            str(sum(row.refusals.values())),
            str(sum(row.faults.values())),
        )
    return table
