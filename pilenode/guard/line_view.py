"""What guard tells of its serial lines: counters by unit, so that the one bad meter among many is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilenode.ipc.messages import LineSnapshot, UnitCounts
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.bus import SerialLine


def lines(known: Mapping[str, SerialLine]) -> list[LineSnapshot]:
    """Return a snapshot of every line by its name. Called by the tick while bus threads count on."""
    return [_line(name, line) for name, line in known.items()]


def _line(name: str, line: SerialLine) -> LineSnapshot:
    units = sorted(line.unit_counters.items())
    return LineSnapshot(
        name=name,
        device=line.device,
        trouble=line.trouble,
        echoes=line.echoes,
        units=[_unit(unit, counts) for unit, counts in units],
    )


def _unit(unit: int, counts: Mapping[str, int]) -> UnitCounts:
    failed = {reason.value: counts[reason.value] for reason in MissingReason if counts[reason.value]}
    return UnitCounts(unit=unit, requests=counts["requests"], discarded=counts["discarded"], failed=failed)
