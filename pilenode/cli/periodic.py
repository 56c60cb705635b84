"""``pilenode tests``: the periodic tests, what is due, and a person's own part in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from pilenode.cli.bilingual import Group, Late, Text, argument, json_option, option
from pilenode.cli.control import address_options, asker, talks
from pilenode.cli.exits import Exit
from pilenode.cli.orders import who
from pilenode.ipc.client import RequestError
from pilenode.ipc.messages import Done, OrderTest, RecordTest, Status, StatusReply

if TYPE_CHECKING:
    from pilenode.cli.control import Ask
    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import PeriodicTest

#: The longest test is that of the relays: 20 s for readings, and what surrounds them.
_PATIENCE_S: Final = 45.0
_EVERY_S: Final = 0.25

_TESTS = Text(
    "查看周期试验：上次时间、结果、是否到期。",
    "Show the periodic tests: when and how they went last, and what is due.",
)
_RUN = Text(
    "立即进行一项试验，并等待结果。须所有端口空闲。",
    "Run a test now and wait for its result. Every port must be idle.",
)
_RECORD = Text(
    "登记由人完成的试验：漏电保护器试验按钮。",
    "Record a test that a person has done: the test button of the RCD.",
)


@talks("run", _RUN)
@argument(
    "kind",
    type=click.Choice(["dead-man", "relays", "probes", "meters"]),
    metavar="KIND",
    text=Text("dead-man、relays、probes 或 meters。", "dead-man, relays, probes or meters."),
)
def run(terminal: Terminal, ask: Ask, kind: str) -> int:
    """Order a test and wait for the next result of its kind."""
    name = kind.replace("-", "_")
    before = _find(ask, name)
    ask(OrderTest(kind=name, by=who()), Done)
    deadline_s = time.monotonic() + _PATIENCE_S
    while (after := _find(ask, name)).last_seq == before.last_seq:
        if time.monotonic() > deadline_s:
            raise RequestError("guard_absent", f"{kind}: {_PATIENCE_S:g} s")
        time.sleep(_EVERY_S)
    if terminal.json:
        terminal.data(after)
    else:
        zh, en = ("合格", "good") if after.last_ok else ("不合格", "failed")
        terminal.line(
            terminal.pick(f"{kind}：{zh}。{after.last_detail}", f"{kind}: {en}. {after.last_detail}").rstrip()
        )
    return Exit.OK if after.last_ok else Exit.FAILED


def _find(ask: Ask, name: str) -> PeriodicTest:
    tests = ask(Status(), StatusReply).tests
    found = next((test for test in tests if test.kind == name), None)
    if found is None:
        raise RequestError("protocol_mismatch", name)
    return found


@talks("record", _RECORD)
@argument("kind", type=click.Choice(["rcd"]), metavar="KIND", text=Text("rcd：漏电保护器。", "rcd: the RCD."))
@option(
    "--by",
    metavar="NAME",
    required=True,
    text=Text("按下按钮的人。", "Who pressed the button."),
)
@option(
    "--failed",
    metavar="TEXT",
    text=Text(
        "不合格：说明情况。不给出则为合格（已跳闸）。", "It failed: say how. Without it, it was good (it tripped)."
    ),
)
def record(terminal: Terminal, ask: Ask, kind: str, by: str, failed: str | None) -> int:
    """Tell the station about a test, and who did it."""
    ask(RecordTest(kind=kind, ok=failed is None, by=f"{by} ({who()})", detail=failed or ""), Done)
    if terminal.json:
        terminal.data(Done())
    else:
        terminal.line(terminal.pick("已登记。", "Recorded."))
    return Exit.OK


@click.pass_context
def _show(context: click.Context, socket: str | None, config: str | None) -> int:
    """Print the table, unless there is a command to run."""
    if context.invoked_subcommand is not None:
        return Exit.OK
    terminal: Terminal = context.obj
    reply = asker(socket, config)(Status(), StatusReply)
    if terminal.json:
        terminal.data({"tests": reply.tests})
        return Exit.OK
    from pilenode.cli import tables  # noqa: PLC0415 - rich costs more than the rest of the command

    tables.console().print(tables.tests(terminal, reply.tests))
    return Exit.OK


command = Group(
    "tests",
    text=_TESTS,
    late={
        "run": Late("pilenode.cli.periodic:run", _RUN),
        "record": Late("pilenode.cli.periodic:record", _RECORD),
    },
    callback=_show,
    invoke_without_command=True,
    params=[*address_options(), json_option()],
)
