"""Rules between the keys of prices: a schedule prices every moment once, and says in one way only what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from config.cross import each, pick
from config.schema_tariff import Tariff, compact, moment_ms
from config.tariff import mistakes, zone
from config.walk import Finding, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.locate import Path

#: What the keys of a schedule are called in a file.
_KEYS = {
    "versions": "tariff",
    "periods": "period",
    "valid_from_ms": "valid_from",
    "valid_until_ms": "valid_until",
}
_FLAT = ("electricity_milli_yuan_per_kwh", "service_milli_yuan_per_kwh")


def _ways(tree: object) -> Iterator[Finding]:
    """Yield every version that gives its electricity in no way, or in two."""
    for path, _ in each(tree, "tariff", "version"):
        version = path[:-1]
        periods = pick(tree, *version, "period")
        given = [key for key in _FLAT if pick(tree, *version, key) is not None]
        if periods:
            for key in given:
                yield Finding(
                    (*version, key), "without_effect", "价格已由 period 给出。", "Each period has its own prices."
                )
        elif _FLAT[0] not in given and _silent(tree, (*version, _FLAT[0])) and isinstance(periods, list):
            yield Finding(
                (*version, _FLAT[0]),
                "missing_key",
                "给出一个全天价格，或用 period 分时段。",
                "Give one price for all day, or a price for each period.",
            )
    several = [path for path, value in each(tree, "tariff", "fallback") if value is True]
    for path in several[1:]:
        yield Finding(path, "duplicate", "只能有一个 fallback。", "Only one version is the fallback.")


def _silent(tree: object, path: Path) -> bool:
    """Return whether the file leaves the key out: the walk puts its default there, and takes away what is wrong."""
    table = pick(tree, *path[:-1])
    return isinstance(table, dict) and path[-1] in table and table[path[-1]] is None


def _moments(tree: object, timezone: str) -> Iterator[Finding]:
    """Yield every moment that no calendar has."""
    for key in ("valid_from", "valid_until"):
        for path, value in each(tree, "tariff", key):
            try:
                moment_ms(str(value), timezone)
            except (ValueError, OverflowError):
                yield Finding(
                    path, "wrong_format", f"{show(value)}：没有这个时刻。", f"{show(value)}: there is no such moment."
                )


def _typed(tree: object) -> list[Tariff] | None:
    """Return all versions, or None while one of them has a value of a wrong type or range."""
    entries = pick(tree, "tariff")
    keys = len(Tariff.__struct_fields__)
    if not isinstance(entries, list) or any(not isinstance(one, dict) or len(one) != keys for one in entries):
        return None  # the walk has taken a wrong value away
    try:
        return msgspec.convert(entries, list[Tariff])
    except msgspec.ValidationError:
        return None


def _spelled(path: Path, flat: set[int]) -> Path:
    """Return the place in a file of a place in a schedule; a flat price stands beside the version's name."""
    found = tuple(_KEYS.get(part, part) if isinstance(part, str) else part for part in path)
    if len(found) > 2 and found[2] == "period" and found[1] in flat:  # noqa: PLR2004 - ("tariff", n, "period")
        return (*found[:2], _FLAT[0])
    return found


def tariff_findings(tree: object, zone_at: Path = ("node", "timezone")) -> Iterator[Finding]:
    """Yield everything that is wrong with the prices of a file; ``zone_at`` is where it names its time zone."""
    name = pick(tree, *zone_at)
    if isinstance(name, str) and zone(name) is None:
        yield Finding(zone_at, "unknown_zone", f"{show(name)}。", f"{show(name)}.")
    timezone = name if isinstance(name, str) else "UTC"
    unclear = [*_ways(tree), *_moments(tree, timezone)]
    yield from unclear
    tables = _typed(tree)
    if tables is None or unclear:
        return
    flat = {index for index, table in enumerate(tables) if not table.period}
    for path, code, zh, en in mistakes(compact(tables, timezone)):
        if path != ("timezone",):
            yield Finding(_spelled(path, flat), code, zh, en)
