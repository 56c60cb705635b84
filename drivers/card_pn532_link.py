"""The talk with a PN532 on its serial port: wake it, set it up, and ask for cards again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from drivers import card_pn532 as pn532
from drivers.card_contracts import FrameFault, ReaderState, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Pause between two questions for a card, seconds: a card laid down is noticed within this and one answer.
POLL_S: Final = 0.15
#: Longest time from a command to the end of its answer, seconds. Our choice: looking for cards takes the chip some
#: tens of milliseconds with few retries, and it acknowledges within 15 ms (UM0701-02, 6.2.2).
ANSWER_S: Final = 0.25
#: Questions in a row without an answer after which the chip is set up anew: it may have lost its supply.
_SILENT_TIMES: Final = 3


class Port(Protocol):
    """``card_serial.SerialPort``, or what takes its place."""

    def open(self) -> Trouble | None:
        """Make ready."""

    def read(self, wait_s: float) -> bytes | Trouble:
        """Return what has come within ``wait_s``."""

    def write(self, data: bytes) -> Trouble | None:
        """Send."""

    def drain(self) -> Trouble | None:
        """Throw away what has come."""

    def close(self) -> None:
        """Release."""


class Pn532Link:
    """``card_contracts.Link`` of a PN532."""

    def __init__(self, port: Port, clock: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._clock = clock
        self._ask_at_s = 0.0
        self._silent = 0

    def open(self) -> Trouble | None:
        """Open the device, wake the chip and set it up; SILENT when it does not answer as a PN532."""
        trouble = self._port.open() or self._port.write(pn532.WAKE_UP)
        if trouble is not None:
            return trouble
        self._silent = 0
        for command in (pn532.SAM_CONFIGURATION, pn532.GET_FIRMWARE_VERSION, pn532.FEW_RETRIES):
            answer = self._ask(command)
            if isinstance(answer, Trouble):
                return answer
            if not isinstance(answer, bytes):
                return Trouble(ReaderState.SILENT, f"no answer to command {command[0]:02X}")
            if command is pn532.GET_FIRMWARE_VERSION and answer[1:2] != bytes([pn532.CHIP]):
                return Trouble(ReaderState.UNUSABLE, f"chip {answer[1:2].hex() or '-'} is no PN532")
        return None

    def receive(self, wait_s: float) -> Sequence[bytes | FrameFault] | Trouble:
        """Ask once for cards when it is time, and return them."""
        pause_s = self._ask_at_s - self._clock()
        if pause_s > 0:
            # Nobody has asked, so what comes is noise; that the device has gone shows at once.
            heard = self._port.read(min(pause_s, wait_s))
            return heard if isinstance(heard, Trouble) else ()
        self._ask_at_s = self._clock() + POLL_S
        answer = self._ask(pn532.IN_LIST_PASSIVE_TARGET)
        if isinstance(answer, Trouble):
            return answer
        if answer is None:
            self._silent += 1
            if self._silent < _SILENT_TIMES:
                return ()
            return Trouble(ReaderState.SILENT, f"no answer {_SILENT_TIMES} times")
        self._silent = 0
        found = pn532.cards(answer) if isinstance(answer, bytes) else answer
        if isinstance(found, FrameFault):
            return (found,)
        released = self._ask(pn532.IN_RELEASE) if found else None
        return released if isinstance(released, Trouble) else found

    def close(self) -> None:
        """Release the device."""
        self._port.close()

    def _ask(self, command: bytes) -> bytes | FrameFault | Trouble | None:
        """Return the answer to ``command``, the first bad frame instead of it, or None when none came in time."""
        decoder = pn532.Pn532()
        trouble = self._port.drain() or self._port.write(pn532.encode(command))
        if trouble is not None:
            return trouble
        acknowledged = False
        until_s = self._clock() + ANSWER_S
        while (left_s := until_s - self._clock()) > 0:
            data = self._port.read(left_s)
            if isinstance(data, Trouble):
                return data
            for one in decoder.feed(data):
                if isinstance(one, FrameFault):
                    return one
                if one is pn532.Signal.ACK:
                    acknowledged = True
                elif acknowledged and isinstance(one, bytes) and one[0] == command[0] + 1:
                    return one
                # whatever else comes answers an older question
        return None
