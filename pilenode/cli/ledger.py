"""``pilenode ledger``: the ledger of problems, what was done about them, inspections, and exports for a supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pilenode.cli.bilingual import Group, Late, Number, Option, Text, argument, json_option, option
from pilenode.cli.control import address_options, asker, talks
from pilenode.cli.exits import Exit
from pilenode.cli.moments import moment_ms
from pilenode.cli.orders import who
from pilenode.cli.terminal import Misuse
from pilenode.ipc.acts import Inspect, UpdateEntry
from pilenode.ipc.messages import Done, Perform, Status, StatusReply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from pilenode.cli.control import Ask
    from pilenode.cli.ledger_export import Frame
    from pilenode.cli.terminal import Terminal
    from pilenode.station.ledger import Ledger
    from pilenode.station.ledger_records import Records
    from pilenode.station.read_log import Taker

_LEDGER = Text(
    "台账：故障、巡检、断电措施及其整改。",
    "The ledger: faults, inspections and lock-outs, and what was done about them.",
)
_LIST = Text("列出未销号的条目。", "List the entries that are not closed.")
_SHOW = Text("显示一个条目及其经过。", "Show one entry with its history.")
_UPDATE = Text("填写整改措施、责任人、期限或状态。", "Write measure, responsible, deadline or state of an entry.")
_INSPECT = Text("登记一次巡检；不合格的成为台账条目。", "Record an inspection; a bad one opens an entry.")
_EXPORT = Text("导出台账为 CSV 或 JSON。", "Export the ledger as CSV or JSON.")
_REPORT = Text("为监管部门生成可打印的 HTML 报告。", "Make a printable HTML report for the supervisor.")
_ENTRY = Text("条目编号，或其末尾的数字。", "Id of the entry, or the number at its end.")


class Read(NamedTuple):
    """The ledger of a station, the records beside it, and what stands around them."""

    ledger: Ledger
    records: Records
    frame: Frame
    status: StatusReply


def zone_of(status: StatusReply) -> ZoneInfo:
    """Return the time zone of the cabinet."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - only where local times are told

    from pilenode.station.statistics import DEFAULT_TIMEZONE  # noqa: PLC0415 - as above

    return ZoneInfo(status.place.timezone if status.place is not None else DEFAULT_TIMEZONE)


def read_all(terminal: Terminal, ask: Ask, more: Sequence[Taker] = (), kinds: Sequence[str] = ()) -> Read:
    """Read ledger and records from the station; ``more`` take the same facts, and those of ``kinds`` too."""
    from pilenode.cli import fact_pages  # noqa: PLC0415 - decoders cost more than the rest of the command
    from pilenode.cli.ledger_export import Frame  # noqa: PLC0415 - as above
    from pilenode.station import ledger, ledger_records  # noqa: PLC0415 - as above

    status = ask(Status(), StatusReply)
    place = status.place
    policy = (
        ledger.Policy()
        if place is None
        else ledger.Policy(place.serious_days, place.normal_days, place.responsible, place.contingency)
    )
    entries, records = ledger.Ledger(policy), ledger_records.Records()
    wanted = {*ledger.KINDS, *ledger_records.KINDS, *kinds}
    first = fact_pages.read(terminal, ask, wanted, [entries, records, *more])
    now = status.clock
    told = (0, "none") if now is None else (now.wall_ms, now.quality)
    acked_seq = status.acked_seq if status.log_id == first.log_id else 0
    frame = Frame(first.log_id, *told, zone_of(status), acked_seq)
    return Read(entries, records, frame, status)


# -- looking -----------------------------------------------------------------------------------------------


def _which() -> list[click.Parameter]:
    words = {
        "open": Text("未销号的（默认）。", "Those not closed (default)."),
        "overdue": Text("仅逾期的。", "Only those past their deadline."),
        "all": Text("包括已销号的。", "Closed ones too."),
    }
    return [Option([f"--{name}", "which"], flag_value=name, text=text) for name, text in words.items()]


def _list(terminal: Terminal, ask: Ask, which: str | None) -> int:
    from pilenode.cli import ledger_tables  # noqa: PLC0415 - rich costs more than the rest of the command
    from pilenode.cli.ledger_export import data  # noqa: PLC0415 - as above
    from pilenode.station.ledger_entry import Late as Lateness  # noqa: PLC0415 - as above
    from pilenode.station.ledger_entry import State, as_of, late  # noqa: PLC0415 - as above

    found = read_all(terminal, ask)
    frame = found.frame
    entries = [as_of(entry, frame.now_ms, frame.clock) for entry in found.ledger.entries.values()]
    if which == "overdue":
        entries = [entry for entry in entries if late(entry, frame.now_ms, frame.clock) is Lateness.YES]
    elif which != "all":
        entries = [entry for entry in entries if entry.state is not State.CLOSED]
    if terminal.json:
        terminal.data(data(frame, entries, []))
    elif not entries:
        terminal.line(terminal.pick("没有条目。", "No entries."))
    else:
        ledger_tables.console().print(ledger_tables.entries(terminal, frame, entries))
    return Exit.OK


@talks("list", _LIST)
def listed(terminal: Terminal, ask: Ask, which: str | None) -> int:
    """List entries."""
    return _list(terminal, ask, which)


listed.params = [*_which(), *listed.params]


@talks("show", _SHOW)
@argument("entry", metavar="ENTRY", text=_ENTRY)
def show(terminal: Terminal, ask: Ask, entry: str) -> int:
    """Show one entry."""
    from pilenode.cli import ledger_tables  # noqa: PLC0415 - rich costs more than the rest of the command
    from pilenode.cli.ledger_export import data  # noqa: PLC0415 - as above
    from pilenode.ipc.client import RequestError  # noqa: PLC0415 - as above
    from pilenode.station.ledger_entry import as_of, seq_of  # noqa: PLC0415 - as above

    found = read_all(terminal, ask)
    seq = seq_of(entry, found.frame.log_id)
    known = None if seq is None else found.ledger.entries.get(seq)
    if known is None:
        raise RequestError("unknown_entry", entry)
    known = as_of(known, found.frame.now_ms, found.frame.clock)
    if terminal.json:
        terminal.data(data(found.frame, [known], []))
    else:
        ledger_tables.console().print(ledger_tables.one(terminal, found.frame, known))
    return Exit.OK


# -- writing -----------------------------------------------------------------------------------------------


@talks("update", _UPDATE)
@argument("entry", metavar="ENTRY", text=_ENTRY)
@option("--measure", metavar="TEXT", text=Text("整改措施。", "What was or will be done."))
@option("--responsible", metavar="NAME", text=Text("责任人。", "Who answers for it."))
@option("--contingency", metavar="TEXT", text=Text("应急预案。", "What is done meanwhile."))
@option("--due", metavar="TIME", text=Text("期限（柜所在时区）。", "Deadline, in the time zone of the cabinet."))
@option(
    "--state",
    type=click.Choice(["open", "in-progress", "closed"]),
    text=Text("状态；closed 须有整改措施。", "State; closed needs a measure."),
)
@option("--note", metavar="TEXT", text=Text("备注，记入经过。", "A note for the history."))
def update(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    ask: Ask,
    entry: str,
    *,
    measure: str | None,
    responsible: str | None,
    contingency: str | None,
    due: str | None,
    state: str | None,
    note: str | None,
) -> int:
    """Write into an entry."""
    if all(one is None for one in (measure, responsible, contingency, due, state, note)):
        raise Misuse("没有要填写的内容。", "There is nothing to write.")
    act = UpdateEntry(
        entry=entry,
        measure=measure,
        responsible=responsible,
        contingency=contingency,
        due_ms=None if due is None else moment_ms(due, zone_of(ask(Status(), StatusReply))),
        state=None if state is None else _STATES[state],
        note=note,
    )
    ask(Perform(act=act, by=who()), Done)
    return _recorded(terminal)


_STATES: Any = {"open": "open", "in-progress": "in_progress", "closed": "closed"}


@talks("inspect", _INSPECT)
@argument("what", metavar="WHAT", text=Text("巡检项目。", "What was inspected."))
@option("--by", metavar="NAME", required=True, text=Text("巡检人。", "Who looked."))
@option("--port", type=Number(int, 1, 99), metavar="PORT", text=Text("只涉及此端口。", "It concerns this port only."))
@option(
    "--failed",
    metavar="TEXT",
    text=Text("不合格：说明情况。不给出则为合格。", "It was bad: say how. Without it, it was good."),
)
@option("--note", metavar="TEXT", default="", text=Text("合格时的说明。", "What there is to say of a good one."))
def inspect(
    terminal: Terminal, ask: Ask, what: str, *, by: str, port: int | None, failed: str | None, note: str
) -> int:
    """Record an inspection."""
    act = Inspect(what=what, ok=failed is None, by=by, detail=note if failed is None else failed, port=port)
    ask(Perform(act=act, by=who()), Done)
    return _recorded(terminal)


def _recorded(terminal: Terminal) -> int:
    if terminal.json:
        terminal.data(Done())
    else:
        terminal.line(terminal.pick("已登记。", "Recorded."))
    return Exit.OK


@click.pass_context
def _show(context: click.Context, socket: str | None, config: str | None, which: str | None) -> int:
    """List, unless there is a command to run."""
    if context.invoked_subcommand is not None:
        return Exit.OK
    return _list(context.obj, asker(socket, config), which)


command = Group(
    "ledger",
    text=_LEDGER,
    late={
        "list": Late("pilenode.cli.ledger:listed", _LIST),
        "show": Late("pilenode.cli.ledger:show", _SHOW),
        "update": Late("pilenode.cli.ledger:update", _UPDATE),
        "inspect": Late("pilenode.cli.ledger:inspect", _INSPECT),
        "export": Late("pilenode.cli.ledger_files:export", _EXPORT),
        "report": Late("pilenode.cli.ledger_files:report", _REPORT),
    },
    callback=_show,
    invoke_without_command=True,
    params=[*_which(), *address_options(), json_option()],
)
