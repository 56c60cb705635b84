"""How often each relay and the contactor were operated, what tripped, how often guard began: kept through restarts.

The tick counts in memory; the housekeeper writes, at most once a minute and at the end. A power cut loses at most a
minute of counting: these figures plan maintenance, nothing protective rests on them. A damaged file therefore starts at
zero; it is set aside and that is said.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from pilenode.guard import durable
from pilenode.guard.board import CABINET
from safety.reading import MeterReading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from safety.inputs import PortInputs

_NAME = "counters.json"
_WRITE_EVERY_S: Final = 60.0
#: Below this current a contact opens without an arc, A (also the limit of the weld test, requirements SAF-9).
_LOADED_A: Final = 0.05
#: The first reading this long after a closing tells whether it was one under load, seconds: meters renew their
#: registers once a second or so.
_LOOK_AFTER_S: Final = 2.0
#: Operations after which data sheets of 10 to 16 A power relays let a contact count as worn out mechanically; under
#: load it is ``gpio.relay_life``. A contact that switches chargers, which draw an inrush, wears faster.
MECHANICAL_LIFE: Final = 10_000_000
#: Share of its life at which a contact is worth a word.
WORN: Final = 0.8
#: Faults that end with new contacts: a reset with a record of the repair starts their count anew.
REPLACED: Final = frozenset({"relay_welded", "load_before_closing", "relay_worn", "contactor_welded", "contactor_worn"})


_Count = Annotated[int, msgspec.Meta(ge=0)]


class RelayCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Operations of one relay. ``openings_loaded`` are among ``openings``, ``closings_loaded`` among ``closings``."""

    closings: _Count = 0
    openings: _Count = 0
    openings_loaded: _Count = 0
    closings_loaded: _Count = 0

    def life_used(self, rated: int) -> float:
        """Return the share of the contact's life that is used, 0 = new, 1 = replace: by load or by all, the higher.

        ``rated``: operations under load that the data sheet promises. A figure to plan by, not a measurement of this
        contact.
        """
        loaded = max(self.openings_loaded, self.closings_loaded)
        return max(loaded / rated, (self.openings + self.closings) / 2 / MECHANICAL_LIFE)


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is counted: relays by port, trips by catalogue code, starts of guard.

    The master contactor stands among the relays under ``board.CABINET``.
    """

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


def contactor_loaded(ports: Mapping[int, PortInputs], opening: Collection[int]) -> bool:
    """Whether the contactor that opens now opens under load: a port shows a current whose relay did not just open.

    A relay that opens in the same tick is open first. A port without a reading is taken for open, as its relay is.
    """
    return any(
        isinstance(inputs.meter, MeterReading) and inputs.meter.current_a > _LOADED_A
        for number, inputs in ports.items()
        if number not in opening
    )


def worn(counts: Counts, relay_life: int, contactor_life: int) -> frozenset[int]:
    """Return the ports whose relay has used so much of its rated life that it is worth a word.

    ``CABINET`` among them: the contactor.
    """
    return frozenset(
        number
        for number, relay in counts.relays.items()
        if relay.life_used(relay_life if number != CABINET else contactor_life) >= WORN
    )


class Tally:
    """Counts. Only the tick thread calls what counts; ``due`` and ``counts`` may be called from another thread."""

    def __init__(self, held: Counts, now: float) -> None:
        self._counts = msgspec.structs.replace(held, starts=held.starts + 1)
        self._written = held
        self._tried_s = now - _WRITE_EVERY_S  # the start itself is worth a write
        self._closed_s: dict[int, float] = {}  # closings of which nobody knows yet whether they were under load

    @property
    def counts(self) -> Counts:
        """What is counted now; a value that does not change any more."""
        return self._counts

    def closed(self, port: int, now: float) -> None:
        """Count a closing; ``look`` will tell whether it was one under load."""
        one = self._counts.relays.get(port, RelayCount())
        self._put(port, msgspec.structs.replace(one, closings=one.closings + 1))
        if port != CABINET:  # the contactor closes before every relay
            self._closed_s[port] = now

    def look(self, ports: Mapping[int, PortInputs]) -> None:
        """Count closings under load, from the first reading that is late enough to show what they switched on."""
        for port, closed_s in list(self._closed_s.items()):
            meter = ports[port].meter
            if isinstance(meter, MeterReading) and meter.taken_s >= closed_s + _LOOK_AFTER_S:
                self._judge_closing(port, under_load=meter.current_a > _LOADED_A)

    def opened(self, port: int, *, under_load: bool) -> None:
        """Count an opening. A closing of which nothing is known yet was under load if this is."""
        if port in self._closed_s:
            self._judge_closing(port, under_load=under_load)
        one = self._counts.relays.get(port, RelayCount())
        arcs = one.openings_loaded + under_load
        self._put(port, msgspec.structs.replace(one, openings=one.openings + 1, openings_loaded=arcs))

    def renewed(self, port: int) -> None:
        """Take note of new contacts: their count starts at zero."""
        self._closed_s.pop(port, None)
        self._put(port, RelayCount())

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

    def _judge_closing(self, port: int, *, under_load: bool) -> None:
        del self._closed_s[port]
        one = self._counts.relays.get(port, RelayCount())
        if under_load:
            self._put(port, msgspec.structs.replace(one, closings_loaded=one.closings_loaded + 1))

    def _put(self, port: int, one: RelayCount) -> None:
        self._counts = msgspec.structs.replace(self._counts, relays=self._counts.relays | {port: one})
