"""``pilenode stats``: energy, sessions, refusals, use and faults by day or month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.cli.bilingual import Text, option
from pilenode.cli.control import talks
from pilenode.cli.exits import Exit
from pilenode.ipc.messages import Status, StatusReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal


@talks(
    "stats",
    Text(
        "按日或按月统计电量、会话、拒绝、利用率和故障（柜所在时区）。",
        "Energy, sessions, refusals, use and faults by day or month, in the time zone of the cabinet.",
    ),
)
@option("--day", "span", flag_value="day", text=Text("按日。", "By day."))
@option("--month", "span", flag_value="month", text=Text("按月（默认）。", "By month (default)."))
def command(terminal: Terminal, ask: Ask, span: str | None) -> int:
    """Read the log and print its sums."""
    from pilenode.cli import fact_pages, ledger_tables  # noqa: PLC0415 - rich and decoders cost more than the rest
    from pilenode.cli.ledger import zone_of  # noqa: PLC0415 - as above
    from pilenode.station.statistics import KINDS, Statistics  # noqa: PLC0415 - as above

    status = ask(Status(), StatusReply)
    zone = zone_of(status)
    sums = Statistics(zone)
    first = fact_pages.read(terminal, ask, KINDS, [sums])
    ports = status.place.ports if status.place is not None else []
    rows = sums.rows(
        "day" if span == "day" else "month", ports, None if status.clock is None else status.clock.known_ms
    )
    if terminal.json:
        terminal.data({"log_id": first.log_id, "timezone": zone.key, "rows": rows})
    elif not rows:
        terminal.line(terminal.pick("还没有会话。", "No sessions yet."))
    else:
        ledger_tables.console().print(ledger_tables.statistics(terminal, rows))
    return Exit.OK
