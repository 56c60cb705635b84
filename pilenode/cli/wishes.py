"""Plans as people type them: options for energy, time, clock time and money. No binary fraction touches money."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from pilenode.cli.bilingual import Number, Text, option, terminal_of
from pilenode.cli.terminal import Misuse
from pilenode.station.local_time import next_clock_ms, parse_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.cli.control import Ask

_YUAN = re.compile(r"(\d{1,5})(?:\.(\d{1,2}))?")
#: 10 000 yuan, as in ``pilenode.ipc.wish``.
_MOST_FEN = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Yuan(click.ParamType[int]):
    """An amount above 0 and up to 10 000 yuan with at most two decimals; its value is fen."""

    name = "amount"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return fen, or fail with what is allowed."""
        found = _YUAN.fullmatch(str(value))
        fen = 0 if found is None else int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
        if not 0 < fen <= _MOST_FEN:
            zh = "应为大于 0、至多 10000 元的金额，最多两位小数。"
            en = "expected an amount above 0 and up to 10000 yuan, with at most two decimals."
            self.fail(zh if ctx is not None and terminal_of(ctx).language == "zh" else en, param, ctx)
        return fen


def plan_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options of a plan: ``energy_wh``, ``minutes``, ``until`` and ``amount`` (fen)."""
    options = (
        option(
            "--energy-wh",
            type=Number(int, 1, 100_000),
            metavar="WH",
            text=Text("达到此电量（瓦时，至多 100000）时停止。", "Stop after this energy, watt-hours (up to 100000)."),
        ),
        option(
            "--minutes",
            type=Number(float, 0, 720, above=True),
            metavar="MIN",
            text=Text("达到此时长（分钟，至多 720）时停止。", "Stop after this time, minutes (up to 720)."),
        ),
        option(
            "--until",
            metavar="TIME",
            text=Text(
                "到此时刻停止：HH:MM（下一次）或 2026-05-01T06:00，柜体当地时间。",
                "Stop at this time: HH:MM (the next one) or 2026-05-01T06:00, local time of the cabinet.",
            ),
        ),
        option(
            "--amount",
            type=Yuan(),
            metavar="YUAN",
            text=Text("达到此金额（元，最多两位小数）时停止。", "Stop at this amount, yuan with up to two decimals."),
        ),
    )
    for add in reversed(options):
        function = add(function)
    return function


def duration_s(minutes: float | None) -> int | None:
    """Return whole seconds, at least one."""
    return None if minutes is None else max(1, round(minutes * 60))


def until_ms(text: str | None, ask: Ask, now_ms: Callable[[], int]) -> int | None:
    """Return the moment that is meant; the station is asked for its time zone where ``text`` names none."""
    if text is None:
        return None
    from pilenode.ipc.messages import Status, StatusReply  # noqa: PLC0415 - only needed for a clock time

    return moment_ms(text, lambda: ask(Status(), StatusReply).timezone, now_ms())


def moment_ms(text: str, timezone: Callable[[], str], now_ms: int) -> int:
    """Return ms since the epoch of "HH:MM" (the next one after ``now_ms``) or an ISO 8601 time; Misuse otherwise."""
    minutes = parse_clock(text)
    if minutes is not None:
        return next_clock_ms(now_ms, minutes, ZoneInfo(timezone()))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Misuse(
            f"时刻无法识别：{text}。应为 HH:MM 或 2026-05-01T06:00。",
            f"Not a time: {text}. Expected HH:MM or 2026-05-01T06:00.",
        ) from None
    return _ms(found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(timezone())))


def _ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // _MS
