"""How often each relay was operated, what tripped, how often guard began: kept through restarts and power cuts.

The tick counts in memory; the housekeeper writes, at most once a minute and at the end. A power cut loses at most a
minute of counting: these figures plan maintenance, nothing protective rests on them. A damaged file therefore starts at
zero; it is set aside and that is said.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from pilenode.guard import durable
from safety.reading import MeterReading

if TYPE_CHECKING:
    from pathlib import Path

    from safety.inputs import PortInputs

_NAME = "counters.json"
_WRITE_EVERY_S: Final = 60.0
#: Below this current a contact opens without an arc, A (also the limit of the weld test, requirements SAF-9).
_LOADED_A: Final = 0.05
#: Operations after which data sheets of 10 to 16 A power relays let a contact count as worn out: at rated resistive
#: load, and mechanically. A contact that switches chargers, which draw an inrush, wears faster.
ELECTRICAL_LIFE: Final = 100_000
MECHANICAL_LIFE: Final = 10_000_000


_Count = Annotated[int, msgspec.Meta(ge=0)]


class RelayCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Operations of one port's relay. ``openings_loaded`` are among ``openings``."""

    closings: _Count = 0
    openings: _Count = 0
    openings_loaded: _Count = 0

    @property
    def life_used(self) -> float:
        """Share of the contact's life that is used, 0 = new, 1 = replace: by loaded openings or by all, the higher.

        A figure to plan by, taken from data sheets, not a measurement of this contact.
        """
        return max(self.openings_loaded / ELECTRICAL_LIFE, (self.openings + self.closings) / 2 / MECHANICAL_LIFE)


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is counted: relays by port, trips by catalogue code, starts of guard."""

    relays: dict[int, RelayCount] = {}
    trips: dict[str, _Count] = {}
    starts: _Count = 0


def load(directory: Path) -> tuple[Counts, str]:
    """Return what was counted so far and a complaint ("" = none). A damaged file is set aside beside the new one."""
    path = directory / _NAME
    try:
        counts = msgspec.json.decode(path.read_bytes(), type=Counts)
    except FileNotFoundError:
        return Counts(), ""
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        return Counts(), f"{path}: {error}; counting starts at zero, {_set_aside(path)}"
    return counts, ""


def _set_aside(path: Path) -> str:
    aside = path.with_name(path.name + ".damaged")
    try:
        path.replace(aside)
    except OSError as error:
        return f"the file stays where it is ({error})"
    return f"the file is now {aside.name}"


def save(directory: Path, counts: Counts) -> None:
    """Replace the file durably. Raises OSError; the old file is whole then."""
    durable.replace(directory / _NAME, msgspec.json.encode(counts))


def loaded(inputs: PortInputs) -> bool:
    """Whether the relay that opens now opens under load; so counted too when nobody knows."""
    return not isinstance(inputs.meter, MeterReading) or inputs.meter.current_a > _LOADED_A


class Tally:
    """Counts. Only the tick thread calls what counts; ``due`` and ``counts`` may be called from another thread."""

    def __init__(self, held: Counts, now: float) -> None:
        self._counts = msgspec.structs.replace(held, starts=held.starts + 1)
        self._written = held
        self._tried_s = now - _WRITE_EVERY_S  # the start itself is worth a write

    @property
    def counts(self) -> Counts:
        """What is counted now; a value that does not change any more."""
        return self._counts

    def closed(self, port: int) -> None:
        """Count a closing."""
        one = self._counts.relays.get(port, RelayCount())
        self._put(port, msgspec.structs.replace(one, closings=one.closings + 1))

    def opened(self, port: int, *, under_load: bool) -> None:
        """Count an opening."""
        one = self._counts.relays.get(port, RelayCount())
        arcs = one.openings_loaded + under_load
        self._put(port, msgspec.structs.replace(one, openings=one.openings + 1, openings_loaded=arcs))

    def tripped(self, code: str) -> None:
        """Count a trip."""
        trips = Counter(self._counts.trips)
        trips[code] += 1
        self._counts = msgspec.structs.replace(self._counts, trips=dict(trips))

    def due(self, now: float) -> Counts | None:
        """Return what is to be written now, None when nothing has changed or the last try is less than a minute ago."""
        if now - self._tried_s < _WRITE_EVERY_S:
            return None
        self._tried_s = now
        return self.unwritten

    @property
    def unwritten(self) -> Counts | None:
        """What the disk does not hold yet, None when it holds everything; for the last write at the end."""
        return None if self._counts is self._written else self._counts

    def written(self, counts: Counts) -> None:
        """Take note that ``counts`` is on disk."""
        self._written = counts

    def _put(self, port: int, one: RelayCount) -> None:
        self._counts = msgspec.structs.replace(self._counts, relays=self._counts.relays | {port: one})
