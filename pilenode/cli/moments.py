"""Dates and times as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pilenode.cli.terminal import Misuse

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_ms(text: str, zone: ZoneInfo | None = None) -> int:
    """Return "2026-11-30" or "2026-11-30T08:00" as ms since the epoch; a date alone is its midnight.

    Without an offset of its own it is the time of ``zone``; None: of this machine. Raises Misuse.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(
            f"时间 {text} 应写作 2026-11-30 或 2026-11-30T08:00。",
            f"Write the time {text} like 2026-11-30 or 2026-11-30T08:00.",
        ) from error
    if moment.tzinfo is None:
        moment = moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
    passed = (moment - _EPOCH) // timedelta(milliseconds=1)
    if passed < 0:
        raise Misuse(f"时间 {text} 早于 1970 年。", f"The time {text} is before 1970.")
    return passed
