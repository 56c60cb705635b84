"""A line as the commissioning tool uses it: every request goes out once, and what comes back is looked at closely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from drivers.heard import Heard, Sound, judge
from safety.budget import LATENESS_S
from safety.reading import MissingReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.frames import Exchange

#: How long a meter may take to begin its answer when its presence is all that matters, and when it has been changed,
#: seconds. The meters in use begin within 0.1 s; a late answer is told apart by its address.
PROBE_TURNAROUND_S: Final = 0.1
ASK_TURNAROUND_S: Final = 0.5


class LineLostError(Exception):
    """The serial device could not be used: ``errno`` (0: unknown) and what the operating system said."""

    def __init__(self, errno: int, trouble: str) -> None:
        super().__init__(trouble)
        self.errno = errno
        self.trouble = trouble


class OpenLine(Protocol):
    """What ``drivers.bus.SerialLine`` offers to commissioning."""

    trouble: str
    trouble_errno: int

    def hear(self, frame: bytes, patience_s: float) -> bytes | MissingReason:
        """Send once and return everything that comes; BUS_LOST without a device, BAD_FRAME when it never is silent."""

    def close(self) -> None:
        """Release the device."""


@dataclass(frozen=True, slots=True, order=True)
class Format:
    """How a line is set: bits per second, parity N, E or O, stop bits."""

    baud: int
    parity: str = "N"
    stopbits: int = 1

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity}{self.stopbits}"

    @property
    def character_s(self) -> float:
        """Return the time of one character."""
        return (9 + (self.parity != "N") + self.stopbits) / self.baud


class Wire:
    """One line with one format. A device that cannot be used raises LineLostError: without it nothing can go on."""

    def __init__(self, line: OpenLine, turnaround_s: float = ASK_TURNAROUND_S) -> None:
        self._line = line
        self._patience_s = turnaround_s + LATENESS_S
        #: Whether the adapter was found to hear itself; known after the first read.
        self.echoes = False

    def hear(self, request: bytes, *, answers_with_copy: bool = False) -> Heard | None:
        """Send ``request`` once and return what came; None when the line talks by itself and nothing was sent."""
        raw = self.raw(request)
        if raw is None:
            return None
        heard = judge(request, raw, answers_with_copy=answers_with_copy, echoes=self.echoes)
        self.echoes = self.echoes or heard.echo
        return heard

    def raw(self, request: bytes) -> bytes | None:
        """Send ``request`` once and return the bytes that came; None when the line talks by itself."""
        raw = self._line.hear(request, self._patience_s)
        if raw is MissingReason.BUS_LOST:
            raise LineLostError(self._line.trouble_errno, self._line.trouble)
        return raw if isinstance(raw, bytes) else None

    def ask(self, exchange: Exchange) -> bytes | MissingReason:
        """Send ``exchange`` once and return the content of its answer, or what is wrong with it."""
        copies = isinstance(exchange.check(exchange.frame), bytes)
        heard = self.hear(exchange.frame, answers_with_copy=copies)
        if heard is None:
            return MissingReason.BAD_FRAME
        return exchange.check(heard.raw if heard.sound is Sound.SEVERAL else heard.frame or heard.raw)

    def close(self) -> None:
        """Release the device."""
        self._line.close()


if TYPE_CHECKING:
    #: Makes a line of a format; the device is opened by the first request.
    Lines = Callable[[int, str, int], OpenLine]
