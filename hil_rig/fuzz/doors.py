"""What a door is: something of the product that is given bytes, and what must hold whatever they are."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any, Final, Protocol, Self

import structlog

#: A second in which lines are counted has this much more than one: clocks are read one after the other.
_SLACK_S: Final = 0.05


class BrokenPromiseError(Exception):
    """An input made the product do what it never may."""


class Door(Protocol):
    """One way in. Whatever ``give`` raises is a finding. ``closings``: relays closed so far, all with authority."""

    closings: int

    def give(self, data: bytes) -> str:
        """Hand ``data`` in and return what became of it: "taken", or a word for its refusal."""

    def well(self) -> None:
        """Ask something good over what has taken all the bad. Raises BrokenPromiseError when it is not answered."""

    def close(self) -> None:
        """Free everything."""


class LogWatch:
    """Stands in the place of the log and sees to it that nobody can fill it: one warning a second and source.

    A source is the name of an event; what is told with "info" is about good inputs.
    """

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()
        self._last_s: dict[str, float] = {}
        self._too_soon: list[str] = []

    def __enter__(self) -> Self:
        structlog.configure(
            processors=[self._see],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            cache_logger_on_first_use=False,
        )
        return self

    def __exit__(self, *_: object) -> None:
        structlog.reset_defaults()

    def _see(self, _logger: object, method: str, event: structlog.typing.EventDict) -> Any:  # noqa: ANN401 - structlog's own
        del method
        source, now = str(event["event"]), time.monotonic()
        self.lines[source] += 1
        if now - self._last_s.get(source, -1e9) < 1.0 - _SLACK_S:
            self._too_soon.append(source)
        self._last_s[source] = now
        raise structlog.DropEvent

    def forget(self) -> None:
        """Begin anew: what is built now has told nothing yet."""
        self._last_s.clear()
        self._too_soon.clear()

    def check(self) -> None:
        """Raise BrokenPromiseError when a source has said two things within a second."""
        if self._too_soon:
            source, self._too_soon = self._too_soon[0], []
            raise BrokenPromiseError(f"two log lines within a second: {source}")
