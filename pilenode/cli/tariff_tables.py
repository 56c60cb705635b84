"""Prices and bills as tables for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text as Styled

from config.schema_tariff import LOCAL
from config.tariff import SLOTS, clock, zone

if TYPE_CHECKING:
    from rich.console import RenderableType

    from config.tariff import TariffSchedule, TariffVersion
    from pilenode.cli.terminal import Terminal
    from pilenode.station.reprice import Repriced

_NOTHING = "-"
#: From the cheapest to the dearest price of a day.
_LEVELS = "▁▃▅▇"
_MARKS = "0     3     6     9     12    15    18    21    24"


def milli_yuan(price: int) -> str:
    """Return a price of 0.001 yuan with its three decimals."""
    return f"{price // 1000}.{price % 1000:03}"


def _plain_table(*columns: tuple[str, bool]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title, right in columns:
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table


def _when(terminal: Terminal, schedule: TariffSchedule, wall_ms: int | None, none: tuple[str, str]) -> str:
    if wall_ms is None:
        return terminal.pick(*none)
    at = datetime.fromtimestamp(wall_ms // 1000, tz=zone(schedule.timezone) or UTC)
    return at.strftime(LOCAL)


def _timeline(version: TariffVersion) -> str:
    """Return the 48 half hours of the day as a line of bars, by the price of electricity and service together."""
    prices = [0] * SLOTS
    for period in version.periods:
        for slot in range(period.from_slot, period.to_slot):
            prices[slot] = period.electricity + period.service
    levels = sorted(set(prices))
    top = max(1, len(levels) - 1)
    return "".join(_LEVELS[levels.index(price) * (len(_LEVELS) - 1) // top] for price in prices)


def _service(terminal: Terminal, version: TariffVersion) -> list[str]:
    pick = terminal.pick
    if version.service_milli_yuan_per_hour is not None:
        price = milli_yuan(version.service_milli_yuan_per_hour)
        return [pick(f"服务费 {price} 元/小时", f"service {price} yuan per hour")]
    return [
        pick(
            f"服务费 至 {tier.up_to_w} W：{milli_yuan(tier.milli_yuan_per_hour)} 元/小时",
            f"service up to {tier.up_to_w} W: {milli_yuan(tier.milli_yuan_per_hour)} yuan per hour",
        )
        for tier in version.service_tier or []
    ]


def _version(terminal: Terminal, schedule: TariffSchedule, version: TariffVersion) -> list[RenderableType]:
    pick = terminal.pick
    begins = _when(terminal, schedule, version.valid_from_ms, ("最初", "the first"))
    ends = _when(terminal, schedule, version.valid_until_ms, ("下一版本", "the next one"))
    is_fallback = version.version == (schedule.fallback or schedule.versions[0].version)
    mark = pick("（后备）", " (fallback)") if is_fallback else ""
    by_energy = version.service_milli_yuan_per_hour is None and version.service_tier is None
    table = _plain_table(
        (pick("自", "From"), True),
        (pick("至", "To"), True),
        (pick("电费 元/kWh", "Electricity yuan/kWh"), True),
        (pick("服务费 元/kWh", "Service yuan/kWh"), True),
    )
    for period in sorted(version.periods, key=lambda one: one.from_slot):
        service = milli_yuan(period.service) if by_energy else _NOTHING
        table.add_row(clock(period.from_slot), clock(period.to_slot), milli_yuan(period.electricity), service)
    return [
        "",
        Styled(f"{version.version}{mark}: {begins} -> {ends}", "bold"),
        Styled(_timeline(version), "green"),
        Styled(_MARKS, "dim"),
        table,
        *_service(terminal, version),
    ]


def schedule(terminal: Terminal, shown: TariffSchedule) -> Group:
    """Return every version: its validity, the line of its day, and its prices."""
    parts: list[RenderableType] = [terminal.pick(f"时区 {shown.timezone}", f"Time zone {shown.timezone}")]
    for version in shown.versions:
        parts += _version(terminal, shown, version)
    return Group(*parts)


def repriced(terminal: Terminal, results: list[Repriced]) -> Group:
    """Return every record with what it costs, and below it what differs."""
    pick = terminal.pick
    table = _plain_table(
        (pick("会话", "Session"), False),
        (pick("电费 分", "Electricity fen"), True),
        (pick("服务费 分", "Service fen"), True),
        (pick("结果", "Result"), False),
    )
    notes = _plain_table(
        (pick("会话", "Session"), False),
        (pick("项目", "What"), False),
        (pick("记录", "Recorded"), False),
        (pick("重算", "Computed"), False),
    )
    for one in results:
        word = {
            "same": Styled(pick("一致", "same"), "green"),
            "differs": Styled(pick("不一致", "differs"), "bold red"),
        }[one.result]
        table.add_row(one.session, str(one.electricity_fen), str(one.service_fen), word)
        for difference in one.differences:
            notes.add_row(one.session, difference.what, difference.recorded, difference.computed)
    return Group(table, "", notes) if notes.row_count else Group(table)
