"""What the parts of a card reader say to each other. Trouble is a value, never an exception."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class FrameFault(StrEnum):
    """Why a frame was dropped. Each of them is counted under this name."""

    BAD_PARITY = "bad_parity"
    BAD_CHECKSUM = "bad_checksum"
    BAD_FRAME = "bad_frame"  # wrong length, wrong characters, cut short, or an id of nothing but zeros
    COLLISION = "collision"  # more cards at once than can be told apart


class ReaderState(StrEnum):
    """How a reader is. All but the first two and the last are trouble, and are tried again once a second."""

    STARTING = "starting"
    READY = "ready"
    ABSENT = "absent"  # the device was never there
    LOST = "lost"  # it was there and has gone
    BUSY = "busy"  # another program has it
    DENIED = "denied"  # no right to open it
    SILENT = "silent"  # the device is there, the reader behind it does not answer
    UNUSABLE = "unusable"  # what is there cannot be such a reader
    FAILED = "failed"  # a bug of ours
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a reader gives nothing: a state that is trouble, and what the system said, for a technician."""

    state: ReaderState
    detail: str


class Link(Protocol):
    """The wire to one reader. Used by one thread; ``close`` may be called in any state."""

    def open(self) -> Trouble | None:
        """Make the reader ready, within 1 s; None means that it is."""

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Wait for about ``wait_s`` seconds at most and return the ids and the bad frames that came meanwhile.

        An id is in the order in which the reader gives it. After Trouble the link must be opened anew.
        """

    def close(self) -> None:
        """Give the device back; never raises."""


class Decoder(Protocol):
    """Turns the bytes of a reader that talks by itself into ids. Keeps what is incomplete."""

    def feed(self, data: bytes, now_s: float) -> list[bytes | FrameFault]:
        """Take ``data`` (empty: nothing came) at ``now_s`` and return ids and bad frames that are complete now."""


_STATES: Final = {
    errno.ENOENT: ReaderState.ABSENT,
    errno.ENXIO: ReaderState.LOST,
    errno.ENODEV: ReaderState.LOST,
    errno.EIO: ReaderState.LOST,
    errno.EACCES: ReaderState.DENIED,
    errno.EPERM: ReaderState.DENIED,
    errno.EBUSY: ReaderState.BUSY,
    errno.EAGAIN: ReaderState.BUSY,  # the lock of another program
}


def trouble_of(error: Exception) -> Trouble:
    """Return what an error of the operating system means; one without a known number means unusable."""
    number = error.errno if isinstance(error, OSError) and error.errno is not None else 0
    return Trouble(_STATES.get(number, ReaderState.UNUSABLE), str(error) or type(error).__name__)
