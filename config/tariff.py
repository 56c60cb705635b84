"""A tariff schedule as it is carried and kept: small, whole, integers only, and what can be wrong with one.

The same value stands in the configuration (``config.schema_tariff`` is how people write it), in the act ``set_tariff``
and in the record of every session, so that a record can be priced anywhere. Prices are 0.001 yuan per kWh or per hour,
moments ms since the epoch (UTC), slots half hours of the local day (0 = 00:00, 48 = 24:00).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.locate import Path

#: Half hours of a day.
SLOTS: Final = 48
#: Dearest price that is believed: 100 yuan per kWh or per hour.
MOST_MILLI_YUAN: Final = 100_000
#: A tier ends at a whole number of these, W: the classes in which power is counted (requirements 3.6, row G).
CLASS_W: Final = 100

_ZONE: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"

Moment = Annotated[int, Meta(ge=0, le=2**53)]
VersionName = Annotated[str, Meta(min_length=1, max_length=40)]
ZoneName = Annotated[str, Meta(min_length=1, max_length=64, pattern=_ZONE)]


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """The same prices from one half hour of the local day to another: ``[from, to, electricity, service]``.

    Prices are 0.001 yuan per kWh; ``service`` is 0 where the version asks for it by time.
    """

    from_slot: Annotated[int, Meta(ge=0, le=SLOTS)]
    to_slot: Annotated[int, Meta(ge=0, le=SLOTS)]
    electricity: int
    service: int = 0


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """Service fee by sustained power: ``[up_to_w, milli_yuan_per_hour]``. The last tier holds above its end, too."""

    up_to_w: int
    milli_yuan_per_hour: int


class TariffVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Prices that hold from a moment on, until the next version begins (or until ``valid_until_ms``).

    At most one of ``service_milli_yuan_per_hour`` and ``service_tier``; with neither, service is by the kWh.
    """

    version: VersionName
    valid_from_ms: Moment | None = None
    valid_until_ms: Moment | None = None
    periods: Annotated[list[Period], Meta(max_length=SLOTS)]
    service_milli_yuan_per_hour: int | None = None
    service_tier: Annotated[list[Tier], Meta(max_length=8)] | None = None


class TariffSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """All prices of a cabinet. ``schedule`` is its number: a higher one replaces a lower; 0 is the configuration's.

    ``fallback`` names the version whose lowest prices count while the time is not known; "" is the first one.
    """

    schedule: Annotated[int, Meta(ge=0, le=2**53)]
    timezone: ZoneName
    versions: Annotated[list[TariffVersion], Meta(max_length=16)]
    fallback: Annotated[str, Meta(max_length=40)] = ""


class Mistake(NamedTuple):
    """One thing wrong with a schedule at ``path`` (``("versions", 0, "periods", 3)``), with its details."""

    path: Path
    code: str
    zh: str
    en: str


@lru_cache(maxsize=16)
def zone(name: str) -> ZoneInfo | None:
    """Return the time zone called ``name``, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # no such file, not a zone, a name that is none (ZoneInfoNotFoundError)
        return None


def clock(slot: int) -> str:
    """Return the time of day at which a half hour begins: ``clock(17)`` is "08:30"."""
    return f"{slot // 2:02}:{slot % 2 * 30:02}"


def mistakes(schedule: TariffSchedule) -> Iterator[Mistake]:
    """Yield everything that is wrong with ``schedule``; nothing, and it can price every moment."""
    if zone(schedule.timezone) is None:
        name = schedule.timezone
        yield Mistake(("timezone",), "unknown_zone", f"{name}。", f"{name}.")
    if not schedule.versions:
        yield Mistake(("versions",), "tariff_gap", "没有任何版本。", "There is no version at all.")
    for index, version in enumerate(schedule.versions):
        path: Path = ("versions", index)
        yield from _periods(version, path)
        yield from _service(version, path)
    yield from _names(schedule)
    yield from _validity(schedule.versions)


def _negative(price: int, path: Path) -> Iterator[Mistake]:
    if price < 0:
        yield Mistake(path, "tariff_negative", f"{price}。", f"{price}.")
    elif price > MOST_MILLI_YUAN:
        most = MOST_MILLI_YUAN
        yield Mistake(path, "tariff_too_high", f"{price}：至多 {most}。", f"{price}: at most {most}.")


def _periods(version: TariffVersion, path: Path) -> Iterator[Mistake]:
    """Yield every gap, overlap and wrong price of the 24 hours."""
    covered_by: list[int | None] = [None] * SLOTS
    for index, period in enumerate(version.periods):
        here = (*path, "periods", index)
        for price in (period.electricity, period.service):
            yield from _negative(price, here)
        start, end = clock(period.from_slot), clock(period.to_slot)
        if period.from_slot >= period.to_slot:
            yield Mistake(here, "tariff_order", f"{start} 不早于 {end}。", f"{start} is not before {end}.")
            continue
        taken = next((slot for slot in range(period.from_slot, period.to_slot) if covered_by[slot] is not None), None)
        if taken is not None:
            other, at = (covered_by[taken] or 0) + 1, clock(taken)
            yield Mistake(
                here, "tariff_overlap", f"{at} 已属于第 {other} 个时段。", f"{at} belongs to period {other} already."
            )
        for slot in range(period.from_slot, period.to_slot):
            covered_by[slot] = index
    free = [slot for slot, owner in enumerate(covered_by) if owner is None]
    if free:
        last = next(slot for slot in range(free[0], SLOTS + 1) if slot not in free)
        start_text, end_text = clock(free[0]), clock(last)
        yield Mistake(
            (*path, "periods"),
            "tariff_gap",
            f"{start_text} 至 {end_text} 没有价格。",
            f"No price from {start_text} to {end_text}.",
        )


def _service(version: TariffVersion, path: Path) -> Iterator[Mistake]:
    per_hour, tiers = version.service_milli_yuan_per_hour, version.service_tier
    by_energy = any(period.service != 0 for period in version.periods)
    if sum((by_energy, per_hour is not None, tiers is not None)) > 1:
        key = "service_tier" if tiers is not None else "service_milli_yuan_per_hour"
        yield Mistake((*path, key), "tariff_service", "", "")
    if per_hour is not None:
        yield from _negative(per_hour, (*path, "service_milli_yuan_per_hour"))
    if tiers is None:
        return
    if not tiers:
        yield Mistake((*path, "service_tier"), "tariff_no_tiers", "", "")
    for index, tier in enumerate(tiers):
        here = (*path, "service_tier", index)
        yield from _negative(tier.milli_yuan_per_hour, here)
        if tier.up_to_w <= 0 or tier.up_to_w % CLASS_W:
            what = tier.up_to_w
            yield Mistake(
                here,
                "tariff_tiers",
                f"{what} W：应为 {CLASS_W} 的正整数倍。",
                f"{what} W: a positive multiple of {CLASS_W}.",
            )
        if index and tier.up_to_w <= tiers[index - 1].up_to_w:
            low = tiers[index - 1].up_to_w
            yield Mistake(
                here,
                "tariff_tiers",
                f"{tier.up_to_w} W 不高于前一档 {low} W。",
                f"{tier.up_to_w} W is not above {low} W of the tier before.",
            )


def _names(schedule: TariffSchedule) -> Iterator[Mistake]:
    names = [version.version for version in schedule.versions]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Mistake(("versions", index, "version"), "tariff_order", f"版本 {name} 重复。", f"{name} comes twice.")
    if schedule.fallback and schedule.fallback not in names:
        name = schedule.fallback
        yield Mistake(("fallback",), "tariff_order", f"没有版本 {name}。", f"There is no version {name}.")


def _validity(versions: list[TariffVersion]) -> Iterator[Mistake]:
    """Yield every version that does not begin exactly where the one before it ends."""
    for index, version in enumerate(versions):
        start, end = version.valid_from_ms, version.valid_until_ms
        if index and start is None:
            yield Mistake(
                ("versions", index, "valid_from_ms"),
                "tariff_order",
                "除第一个版本外都需要生效时间。",
                "Every version but the first needs a beginning.",
            )
        if start is not None and end is not None and end <= start:
            path: Path = ("versions", index, "valid_until_ms")
            yield Mistake(path, "tariff_order", "失效不晚于生效。", "It ends before it begins.")
    for index, (one, following) in enumerate(pairwise(versions), 1):
        begins, ends = following.valid_from_ms, one.valid_until_ms
        if begins is None:
            continue
        path = ("versions", index, "valid_from_ms")
        if one.valid_from_ms is not None and begins <= one.valid_from_ms:
            yield Mistake(
                path,
                "tariff_order",
                "不晚于前一版本的生效时间。",
                "It does not begin after the version before.",
            )
        elif ends is not None and ends < begins:
            yield Mistake(path, "tariff_gap", "前一版本失效更早。", "The version before ends earlier.")
        elif ends is not None and ends > begins:
            yield Mistake(path, "tariff_overlap", "前一版本失效更晚。", "The version before ends later.")


def flat_schedule(version: str, electricity: int, service: int = 0, timezone: str = "Asia/Shanghai") -> TariffSchedule:
    """Return a schedule with one price all day (居民合表) for each component, 0.001 yuan per kWh."""
    periods = [Period(0, SLOTS, electricity, service)]
    return TariffSchedule(schedule=0, timezone=timezone, versions=[TariffVersion(version=version, periods=periods)])
