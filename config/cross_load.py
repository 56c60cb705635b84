"""Rules between the keys of orderly charging, and between them and the protective limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.cross import each, pick, unknown
from config.locate import spell
from config.walk import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.locate import Path


def _budget(tree: object) -> Iterator[Finding]:
    budget, limit = pick(tree, "load", "budget_a"), pick(tree, "cabinet", "current_limit_a")
    if isinstance(budget, int | float) and isinstance(limit, int | float) and budget > limit:
        yield Finding(
            ("load", "budget_a"),
            "above_cabinet_limit",
            f"{budget} 高于 cabinet.current_limit_a = {limit}。",
            f"{budget} is above cabinet.current_limit_a = {limit}.",
        )


def _thresholds(tree: object) -> Iterator[Finding]:
    admit, shed = pick(tree, "load", "admit_ratio"), pick(tree, "load", "shed_ratio")
    if isinstance(admit, int | float) and isinstance(shed, int | float) and shed <= admit:
        yield Finding(
            ("load", "shed_ratio"),
            "wrong_order",
            f"shed_ratio = {shed} 必须大于 admit_ratio = {admit}。",
            f"shed_ratio = {shed} must be above admit_ratio = {admit}.",
            ("load", "admit_ratio"),
        )


def _feeders(tree: object) -> Iterator[Finding]:
    """Names are unique, ports exist, and each stands in one feeder, once."""
    feeders = pick(tree, "load", "feeder")
    count = len(feeders) if isinstance(feeders, list) else 0
    names: dict[object, Path] = {}
    ports: dict[object, Path] = {}
    numbers = [number for _, number in each(tree, "port", "number")]
    listed = pick(tree, "port")
    complete = isinstance(listed, list) and len(numbers) == len(listed)
    for index in range(count):
        place: Path = ("load", "feeder", index)
        yield from _once(names, (*place, "name"), pick(tree, *place, "name"))
        named = pick(tree, *place, "ports")
        for at, number in enumerate(named if isinstance(named, list) else []):
            here = (*place, "ports", at)
            yield from _once(ports, here, number)
            if complete and isinstance(number, int) and number not in numbers:
                yield unknown(here, number, [*map(str, numbers)])


def _once(first: dict[object, Path], path: Path, value: object) -> Iterator[Finding]:
    if value is None:
        return
    if value in first:
        other = spell(first[value])
        yield Finding(path, "duplicate", f"{value} 已用于 {other}。", f"{value} is used by {other} already.")
    else:
        first[value] = path


def load_findings(tree: object) -> Iterator[Finding]:
    """Yield every contradiction in the load plan of a cabinet's configuration."""
    yield from _budget(tree)
    yield from _thresholds(tree)
    yield from _feeders(tree)
