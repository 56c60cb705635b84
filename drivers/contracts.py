"""What the rest of the house may expect of hardware. Trouble is a value, never an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drivers.frames import Question
    from safety.reading import Missing, MissingReason, ProbeReading


class Line(Protocol):
    """One serial line with Modbus RTU slaves on it. One transaction at a time; not thread-safe."""

    def read(self, question: Question) -> bytes | MissingReason:
        """Return the data bytes of one reply (``question.size``), or why there is none."""

    def transaction_s(self, size: int) -> float:
        """Return the longest time one good ``read`` of ``size`` data bytes may take, in seconds."""

    def failure_s(self, size: int) -> float:
        """Return the longest time one failing ``read`` of that size costs, quiet time included, in seconds."""

    def close(self) -> None:
        """Release the device."""


class Relays(Protocol):
    """The outputs of a cabinet. Everything is off after construction and after ``close``."""

    def switch(self, port: int, *, closed: bool) -> None:
        """Close or open the relay of ``port``."""

    def contactor(self, *, closed: bool) -> None:
        """Close or open the master contactor (no effect where none is configured)."""

    def heartbeat(self) -> None:
        """Toggle the dead-man output once."""

    def all_off(self) -> None:
        """Open everything at once; never raises."""

    def close(self) -> None:
        """Open everything and release the pins."""


class Contacts(Protocol):
    """Digital inputs by name."""

    def alarms(self) -> Mapping[str, bool]:
        """Return for every configured input whether it is in alarm (wire break on a normally-closed loop too)."""


class Thermometer(Protocol):
    """One temperature probe."""

    def read(self, now: float) -> ProbeReading | Missing:
        """Return the temperature now. May block for a conversion (up to 0.8 s): never call it in a tick."""


class ProbeRound(Protocol):
    """Several temperature probes that are read together, each under the number that its owner gave it."""

    def round(self, now: Callable[[], float]) -> Iterator[tuple[int, ProbeReading | Missing]]:
        """Yield number and reading of every probe once. May block for conversions: never use it in a tick."""

    def news(self) -> list[str]:
        """Return what a technician should know and has not been told yet."""


class Indicators(Protocol):
    """Lights and a buzzer, by (kind, port). Convenience: nothing here raises, and nothing else depends on it."""

    def names(self) -> frozenset[tuple[str, int]]:
        """Return what can be shown on: every configured line that could be claimed."""

    def show(self, name: tuple[str, int], *, lit: bool) -> None:
        """Switch one on or off."""

    def dark(self) -> None:
        """Switch everything off."""

    def news(self) -> list[str]:
        """Return which lines have failed since it was last asked, each told once."""
