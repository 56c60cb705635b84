"""Prices in the configuration: the tables ``[[tariff]]``, one for each version, and how they become a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from config.tariff import CLASS_W, MOST_MILLI_YUAN, SLOTS, Period, TariffSchedule, TariffVersion, Tier, ZoneName, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
#: How a moment is written: date and time of the cabinet's zone.
LOCAL = "%Y-%m-%d %H:%M"

Price = Annotated[int, Meta(ge=0, le=MOST_MILLI_YUAN)]
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$", max_length=16)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: immutable, and an unknown key is an error."""


class TariffPeriod(_Table, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Prices of a part of the day; all parts together cover its 24 hours once."""

    from_: Annotated[
        str, Meta(pattern=r"^([01]\d|2[0-3]):(00|30)$", max_length=5, description="Beginning, a half hour of the day")
    ]
    to: Annotated[
        str,
        Meta(
            pattern=r"^(([01]\d|2[0-3]):(00|30)|24:00)$",
            max_length=5,
            description="End, a half hour; 24:00 is midnight",
        ),
    ]
    electricity_milli_yuan_per_kwh: Annotated[Price, Meta(description="0.001 yuan per kWh")]
    service_milli_yuan_per_kwh: Annotated[Price, Meta(description="0.001 yuan per kWh")] = 0


class TariffTier(_Table, frozen=True, kw_only=True):
    """Service fee of a power that a session keeps up; above the last tier the last one holds."""

    up_to_w: Annotated[
        int, Meta(ge=CLASS_W, le=10_000, description="Highest power of this tier, W, a multiple of 100; tiers rise")
    ]
    milli_yuan_per_hour: Annotated[Price, Meta(description="0.001 yuan per hour with power")]


class Tariff(_Table, frozen=True, kw_only=True):
    """One version of the prices; electricity and service are priced and shown separately.

    Electricity is one price all day (居民合表), or one for each ``period``. Service is by the kWh, by the hour, or by
    the hour and ``service_tier``.
    """

    version: Annotated[str, Meta(min_length=1, max_length=40, description="Printed on every session")]
    valid_from: (
        Annotated[Moment, Meta(description='Local "YYYY-MM-DD HH:MM"; needed in every version but the first')] | None
    ) = None
    valid_until: (
        Annotated[Moment, Meta(description="Local; at the end of the last version the fallback takes over")] | None
    ) = None
    fallback: Annotated[
        bool,
        Meta(description="Its lowest prices count while the time is not known; default: the first version"),
    ] = False
    electricity_milli_yuan_per_kwh: Annotated[Price, Meta(description="0.001 yuan per kWh, all day")] | None = None
    service_milli_yuan_per_kwh: Annotated[Price, Meta(description="0.001 yuan per kWh, all day")] | None = None
    service_milli_yuan_per_hour: Annotated[Price, Meta(description="0.001 yuan per hour with power")] | None = None
    period: Annotated[list[TariffPeriod], Meta(max_length=SLOTS)] = []
    service_tier: Annotated[list[TariffTier], Meta(max_length=8)] | None = None


class TariffFile(_Table, frozen=True, kw_only=True):
    """A file for ``pilenode tariff set``: a whole schedule with its number."""

    schedule: Annotated[int, Meta(ge=1, le=2**53, description="Number; a higher one replaces a lower")]
    timezone: Annotated[ZoneName, Meta(description="Zone in which its days are reckoned")] = "Asia/Shanghai"
    tariff: Annotated[list[Tariff], Meta(min_length=1, max_length=16)]


#: What counts where the configuration names no prices.
UNPRICED = Tariff(version="unpriced", electricity_milli_yuan_per_kwh=0)


def moment_ms(local: str, timezone: str) -> int:
    """Return ms since the epoch of ``local`` in ``timezone``; raises ValueError when there is no such day or time.

    An hour that comes twice counts as the first one. An unknown zone counts as UTC; it is a mistake of its own.
    """
    at = datetime.strptime(local, LOCAL).replace(tzinfo=zone(timezone) or UTC)
    ms = (at - _EPOCH) // _MS
    if ms < 0:
        raise ValueError(f"{local} is before 1970")
    return ms


def _slot(text: str) -> int:
    return int(text[:2]) * 2 + int(text[3:]) // 30


def _version(table: Tariff, timezone: str) -> TariffVersion:
    periods = [
        Period(_slot(one.from_), _slot(one.to), one.electricity_milli_yuan_per_kwh, one.service_milli_yuan_per_kwh)
        for one in table.period
    ]
    if table.electricity_milli_yuan_per_kwh is not None:
        flat = Period(0, SLOTS, table.electricity_milli_yuan_per_kwh, table.service_milli_yuan_per_kwh or 0)
        periods = [flat, *periods]
    tiers = table.service_tier
    return TariffVersion(
        version=table.version,
        valid_from_ms=None if table.valid_from is None else moment_ms(table.valid_from, timezone),
        valid_until_ms=None if table.valid_until is None else moment_ms(table.valid_until, timezone),
        periods=periods,
        service_milli_yuan_per_hour=table.service_milli_yuan_per_hour,
        service_tier=None if tiers is None else [Tier(one.up_to_w, one.milli_yuan_per_hour) for one in tiers],
    )


def compact(tables: Sequence[Tariff], timezone: str, number: int = 0) -> TariffSchedule:
    """Return the schedule that ``tables`` describe; raises ValueError when a moment is no moment."""
    written = [*tables] or [UNPRICED]
    return TariffSchedule(
        schedule=number,
        timezone=timezone,
        versions=[_version(table, timezone) for table in written],
        fallback=next((table.version for table in written if table.fallback), ""),
    )
