"""The tables of ``status``, ``sessions`` and ``tests`` for people. rich is imported here and nowhere else.

Columns carry no frame: box-drawing characters are of ambiguous width and fall apart in some Chinese terminals.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text as Styled

from pilenode.cli import config_lines, oversight_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from pilenode.cli.terminal import Terminal
    from pilenode.ipc.messages import ClockStatus, PeriodicTest, PortSnapshot, SessionRecord, Snapshot, StatusReply

_NOTHING = "-"
_NARROWEST = 80
#: Length of a session id.
_SESSION_WIDTH = 26
#: Word and colour of each ``safety.port.PortStatus``.
STATES = {
    "idle": ("空闲", "idle", "default"),
    "armed": ("待合闸", "starting", "yellow"),
    "on": ("充电", "charging", "green"),
    "ended": ("已结束", "ended", "cyan"),
    "tripped": ("锁定", "tripped", "bold red"),
}
#: Words of ``SessionRecord.state``.
#: Words of ``pilenode.station.wallclock.ClockQuality``.
_QUALITIES = {
    "none": ("时间不可信", "time not trusted"),
    "rtc": ("硬件时钟", "hardware clock"),
    "server": ("平台授时", "told by the backend"),
    "ntp": ("网络授时", "network time"),
}
#: The system's own clock is said to differ from what is believed above this, ms.
_AHEAD_MS = 1000
_SESSION_STATES = {"starting": ("启动中", "starting"), "running": ("充电中", "running"), "ended": ("已结束", "ended")}


def console() -> Console:
    """Return the console of this process's output; colours only where a person looks.

    A narrower terminal wraps the lines itself: better than a table that cuts digits off.
    """
    made = Console(highlight=False)
    made.width = max(made.width, _NARROWEST)
    return made


def duration(seconds: float) -> str:
    """Return ``seconds`` in at most five characters where they are under 100 hours: 45s, 2m05, 10h00."""
    whole = int(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{whole}s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes:02}" if hours else f"{minutes}m{whole % 60:02}"


def yuan(fen: int) -> str:
    """Return an amount in fen as yuan with two decimals."""
    return f"{fen // 100}.{fen % 100:02}"


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _table(*columns: tuple[str, bool]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title, right in columns:
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=right)
    # The last column is copied by hand: others give way before it is broken over two lines, and it is never cut.
    table.columns[-1].width = _SESSION_WIDTH
    return table


def _words(terminal: Terminal, code: str) -> tuple[str, str]:
    """Return sentence and remedy of ``code``; a code of a newer version stands for itself."""
    from pilenode.cli.codes import every  # noqa: PLC0415 - a sound cabinet needs no words, and they cost 30 ms

    known = every().get(code)
    if known is None:
        return code, ""
    return f"{terminal.pick(known.zh, known.en)} [{code}]", terminal.pick(known.remedy_zh, known.remedy_en)


# -- status ------------------------------------------------------------------------------------------------


def _upstream(terminal: Terminal, reply: StatusReply) -> Iterator[Styled]:
    """Yield whether there is a connection, what is wrong with it or why there is none, and what to do."""
    pick, url = terminal.pick, reply.upstream_url
    if url is None:
        yield Styled(pick("未配置", "not configured"))
    elif reply.upstream_connected:
        yield Styled(f"{pick('已连接', 'connected')} {url} {reply.upstream_protocol or ''}", "green")
    else:
        yield Styled(f"{pick('未连接', 'not connected')} {url}", "yellow")
    if url is not None and reply.upstream_problem is not None:
        sentence, remedy = _words(terminal, reply.upstream_problem)
        yield Styled(f"{sentence} ({reply.upstream_detail})" if reply.upstream_detail else sentence, "yellow")
        yield Styled(remedy, "dim")


def _head(terminal: Terminal, reply: StatusReply) -> Table:
    pick = terminal.pick
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(pick("机柜", "Cabinet"), f"{reply.node}  pilenode {reply.version}")
    grid.add_row(pick("保护", "Guard"), _guard(terminal, reply.guard))
    for index, line in enumerate(_upstream(terminal, reply)):
        grid.add_row("" if index else pick("上行", "Upstream"), line)
    grid.add_row(
        pick("待发", "Outbox"),
        pick(
            f"{reply.outbox} 条待确认（最新 {reply.last_seq}，已确认 {reply.acked_seq}）",
            f"{reply.outbox} facts to be confirmed (newest {reply.last_seq}, confirmed {reply.acked_seq})",
        ),
    )
    problem = reply.journal_problem or ""
    journal = (
        Styled(pick("正常", "good"), "green")
        if reply.journal_ok
        else Styled(f"{pick('故障', 'failed')} {problem}", "red")
    )
    grid.add_row(pick("记录", "Journal"), journal)
    if reply.clock is not None:
        grid.add_row(pick("时钟", "Clock"), _clock(terminal, reply.clock))
    if reply.load is not None and reply.load.queue:
        places = "  ".join(f"{one.position}: {one.order} → {one.port}" for one in reply.load.queue)
        waits = pick(f"{len(reply.load.queue)} 个等候", f"{len(reply.load.queue)} waiting")
        grid.add_row(pick("排队", "Queue"), Styled(f"{waits}  {places}", "yellow"))
    if reply.readers:
        grid.add_row(pick("读卡器", "Readers"), _readers(terminal, reply))
    for index, told in enumerate(config_lines.lines(terminal, reply.config)):
        grid.add_row("" if index else pick("远程配置", "Desired"), Styled(*told))
    attention = _attention(terminal, reply.tests)
    if attention is not None:
        grid.add_row(pick("试验", "Tests"), attention)
    for lock in reply.locks:
        grid.add_row(pick("锁定", "Lock"), Styled(*oversight_lines.lock(terminal, lock)))
    if reply.ledger is not None and (reply.ledger.open or reply.ledger.in_progress):
        grid.add_row(pick("台账", "Ledger"), Styled(*oversight_lines.ledger(terminal, reply.ledger)))
    if any(reply.dropped.values()):
        dropped = ", ".join(f"{source} {count}" for source, count in reply.dropped.items() if count)
        grid.add_row(pick("丢弃", "Dropped"), dropped)
    return grid


def _clock(terminal: Terminal, clock: ClockStatus) -> Styled:
    """Return what is believed of the time, how wrong it may be, and by how much the system's own clock differs."""
    zh, en = _QUALITIES.get(clock.quality, (clock.quality, clock.quality))
    parts = [f"{terminal.pick(zh, en)} [{clock.quality}]"]
    if clock.uncertainty_ms is not None:
        parts.append(f"{_when(clock.wall_ms)} ±{duration(-(-clock.uncertainty_ms // 1000))}")
    if abs(clock.system_ahead_ms) > _AHEAD_MS:
        by = duration(abs(clock.system_ahead_ms) / 1000)
        fast = clock.system_ahead_ms > 0
        parts.append(
            terminal.pick(f"系统时钟{'快' if fast else '慢'} {by}", f"system {by} {'fast' if fast else 'slow'}")
        )
    if clock.anchor_age_ms is not None:
        ago = duration(max(0, clock.anchor_age_ms) / 1000)
        parts.append(terminal.pick(f"锚点 {ago} 前", f"anchored {ago} ago"))
    return Styled("  ".join(parts), "yellow" if clock.uncertainty_ms is None else "green")


def _readers(terminal: Terminal, reply: StatusReply) -> Styled:
    """Return how many card readers are ready, which are not, and what keeps cards from being taken."""
    troubled = [f"{one.reader} [{one.code}]" for one in reply.readers if one.code is not None]
    trouble = reply.cards.trouble if reply.cards is not None else None
    troubled += [f"[{trouble}]"] if trouble is not None else []
    ready = f"{sum(one.code is None for one in reply.readers)}/{len(reply.readers)} {terminal.pick('就绪', 'ready')}"
    return Styled("; ".join([ready, *troubled]), "yellow" if troubled else "green")


def _attention(terminal: Terminal, tests: Iterable[PeriodicTest]) -> Styled | None:
    """Return what somebody has to know about periodic tests, None when all is well."""
    failed = [kind_of(test) for test in tests if test.last_ok is False]
    due = [kind_of(test) for test in tests if test.due and test.last_ok is not False]
    words = []
    if failed:
        words.append(f"{terminal.pick('不合格', 'failed')} {', '.join(failed)}")
    if due:
        words.append(f"{terminal.pick('到期', 'due')} {', '.join(due)}")
    if not words:
        return None
    return Styled(f"{'; '.join(words)} (pilenode tests)", "red" if failed else "yellow")


def _guard(terminal: Terminal, guard: Snapshot | None) -> Styled:
    if guard is None:
        return Styled(terminal.pick("没有应答", "does not answer"), "bold red")
    up = duration(guard.uptime_s)
    contactor = terminal.pick("闭合", "closed") if guard.contactor else terminal.pick("断开", "open")
    text = terminal.pick(f"运行 {up}，主接触器{contactor}", f"up {up}, contactor {contactor}")
    return Styled(text, "green")


def _state(terminal: Terminal, port: PortSnapshot) -> Styled:
    zh, en, style = STATES.get(port.state, (port.state, port.state, "default"))
    return Styled(
        terminal.pick(zh, en) + ("!" if port.findings else ""),
        "yellow" if port.findings and port.state != "tripped" else style,
    )


def _energy_wh(port: PortSnapshot) -> float | None:
    if port.register_mwh is None or port.start_register_mwh is None:
        return None
    return (port.register_mwh - port.start_register_mwh) / 1000


def _ports(terminal: Terminal, guard: Snapshot) -> Table:
    pick = terminal.pick
    table = _table(
        (pick("端口", "Port"), True),
        (pick("状态", "State"), False),
        ("V", True),
        ("A", True),
        ("W", True),
        ("°C", True),
        ("Wh", True),
        (pick("时长", "Time"), True),
        (pick("租约", "Lease"), True),
        (pick("会话", "Session"), False),
    )
    for port in guard.ports:
        busy = port.session is not None and port.state != "tripped"
        table.add_row(
            str(port.port),
            _state(terminal, port),
            _number(port.voltage_v, 1),
            _number(port.current_a, 2),
            _number(port.power_w, 0),
            _number(port.temperature_c, 1),
            _number(_energy_wh(port) if busy else None, 0),
            _NOTHING if port.closed_for_s is None else duration(port.closed_for_s),
            _NOTHING if port.lease_left_s is None else f"{port.lease_left_s:.0f}s",
            port.session or _NOTHING,
        )
    return table


def _codes(port: PortSnapshot) -> Iterator[str]:
    """Yield what stands or is latched on a port, worst first, then why its session ended, then its meter's trouble."""
    yield from dict.fromkeys(code for code in (port.reason, *port.findings, *_errors(port)) if code)


def _errors(port: PortSnapshot) -> tuple[str, ...]:
    """Return what the newest polls of meter and probe failed with, as far as they did."""
    return tuple(code for code in (port.meter_error, port.probe_error) if code)


def _notes(terminal: Terminal, guard: Snapshot) -> Iterator[RenderableType]:
    pick = terminal.pick
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    entries = [(pick("整柜", "cabinet"), code, "red") for code in guard.cabinet_faults]
    for port in guard.ports:
        for code in _codes(port):
            calm = port.state != "tripped" and code not in port.findings and code not in _errors(port)
            entries.append((pick(f"端口 {port.port}", f"port {port.port}"), code, "default" if calm else "yellow"))
    for place, code, style in entries:
        sentence, remedy = _words(terminal, code)
        grid.add_row(place, Styled(sentence, style))
        if style != "default":
            grid.add_row("", Styled(remedy, "dim"))
    if entries:
        yield ""
        yield grid


def _lines(terminal: Terminal, guard: Snapshot) -> Iterator[RenderableType]:
    """Yield every serial line that is gone or had failed reads, with its failures by address."""
    pick = terminal.pick
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for line in guard.lines:
        place = pick(f"总线 {line.name}", f"bus {line.name}")
        if line.trouble:
            grid.add_row(place, Styled(f"{line.device}: {line.trouble}", "red"))
        asked = sum(unit.requests for unit in line.units)
        failed = sum(sum(unit.failed.values()) for unit in line.units)
        if failed:
            grid.add_row(place, pick(f"已询问 {asked} 次，失败 {failed} 次", f"{asked} questions, {failed} failed"))
        for unit in line.units:
            if unit.failed:
                counts = ", ".join(f"{reason} {count}" for reason, count in unit.failed.items())
                grid.add_row("", Styled(pick(f"地址 {unit.unit}：{counts}", f"address {unit.unit}: {counts}"), "dim"))
    if grid.row_count:
        yield ""
        yield grid


def status(terminal: Terminal, reply: StatusReply) -> Group:
    """Return everything that ``pilenode status`` shows."""
    parts: list[RenderableType] = [_head(terminal, reply)]
    if reply.guard is not None:
        parts += ["", _ports(terminal, reply.guard), *_notes(terminal, reply.guard), *_lines(terminal, reply.guard)]
    elif reply.sessions:
        parts += ["", sessions(terminal, reply.sessions)]
    return Group(*parts)


# -- sessions ----------------------------------------------------------------------------------------------


def _outcome(terminal: Terminal, record: SessionRecord) -> str:
    if record.reason is not None:
        return record.reason
    zh, en = _SESSION_STATES.get(record.state, (record.state, record.state))
    return terminal.pick(zh, en)


def sessions(terminal: Terminal, records: Iterable[SessionRecord]) -> Table:
    """Return sessions as a table, in the order given. Times are local; fees are yuan."""
    pick = terminal.pick
    table = _table(
        (pick("开始", "Started"), True),
        (pick("端口", "Port"), True),
        (pick("时长", "Time"), True),
        ("Wh", True),
        (pick("电费", "Elec."), True),
        (pick("服务", "Serv."), True),
        (pick("结果", "Result"), False),
        (pick("已报", "Sent"), False),
        (pick("会话", "Session"), False),
    )
    for record in records:
        table.add_row(
            _when(record.started_wall_ms),
            str(record.port),
            _NOTHING if record.duration_s is None else duration(record.duration_s),
            _NOTHING if record.energy_wh is None else str(record.energy_wh),
            _NOTHING if record.electricity_fen is None else yuan(record.electricity_fen),
            _NOTHING if record.service_fen is None else yuan(record.service_fen),
            _outcome(terminal, record),
            pick("是", "yes") if record.acknowledged else pick("否", "no"),
            record.session,
        )
    return table


# -- periodic tests ----------------------------------------------------------------------------------------

#: What each periodic test is, by ``PeriodicTest.kind``.
TESTS = {
    "dead_man": ("心跳停止，接触器释放", "no heartbeat, contactor drops"),
    "relays": ("全部断开时插座无电", "all open, no socket is live"),
    "probes": ("静置后探头互相一致", "agree with each other at rest"),
    "meters": ("各端口之和与进线一致", "ports add up to the inlet"),
    "rcd": ("由人按试验按钮", "test button, by a person"),
}


def kind_of(test: PeriodicTest) -> str:
    """Return the name of a test as it is typed."""
    return test.kind.replace("_", "-")


def outcome(terminal: Terminal, test: PeriodicTest) -> Styled:
    """Return how a test went last."""
    if test.last_ok is None:
        return Styled(terminal.pick("未做", "never") if test.fitted else _NOTHING)
    if test.last_ok:
        return Styled(terminal.pick("合格", "good"), "green")
    return Styled(terminal.pick("不合格", "failed"), "bold red")


def _due(terminal: Terminal, test: PeriodicTest) -> Styled:
    if not test.fitted:
        return Styled(terminal.pick("未装配", "not fitted"), "dim")
    if test.running:
        return Styled(terminal.pick("进行中", "running"), "yellow")
    if test.due:
        return Styled(terminal.pick("到期", "due"), "yellow")
    return Styled(terminal.pick("否", "no"))


def tests(terminal: Terminal, listed: Iterable[PeriodicTest]) -> Group:
    """Return the periodic tests as a table, and below it what there is to say about the last results."""
    pick = terminal.pick
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in (pick("试验", "Test"), pick("内容", "What"), pick("上次", "Last"), pick("结果", "Result")):
        table.add_column(title, overflow="fold")
    table.add_column(pick("到期", "Due"), overflow="fold")
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_column(no_wrap=True)
    notes.add_column(overflow="fold")
    for test in listed:
        zh, en = TESTS.get(test.kind, (test.kind, test.kind))
        at = _NOTHING if test.last_wall_ms is None else _when(test.last_wall_ms)
        table.add_row(kind_of(test), pick(zh, en), at, outcome(terminal, test), _due(terminal, test))
        said = "; ".join(words for words in (test.last_detail, test.last_by) if words)
        if said:
            notes.add_row(kind_of(test), said)
        if test.waits is not None:
            notes.add_row(kind_of(test), Styled(_words(terminal, test.waits)[0], "yellow"))
    parts: list[RenderableType] = [table]
    if notes.row_count:
        parts += ["", notes]
    return Group(*parts)


def _when(wall_ms: int) -> str:
    return time.strftime("%m-%d %H:%M", time.localtime(wall_ms / 1000))
