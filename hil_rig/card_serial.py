"""Serial card readers on a pty behind a name that stays: what they send, and how they are unplugged.

``Tty`` is the adapter; ``rdm6300_frame`` and ``em18_frame`` are what a 125 kHz module says about a card;
``Pn532Chip`` answers commands as the chip does, with the cards that are held against it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_STX, _ETX = b"\x02", b"\x03"


def em18_frame(uid: bytes, *, checksum: int | None = None) -> bytes:
    """Return the 12 characters of a card with the five bytes ``uid``, or with a false ``checksum``."""
    return (uid + bytes([reduce(xor, uid) if checksum is None else checksum])).hex().upper().encode("ascii")


def rdm6300_frame(uid: bytes, *, checksum: int | None = None) -> bytes:
    """Return the 14 bytes of the same card."""
    return _STX + em18_frame(uid, checksum=checksum) + _ETX


class Tty:
    """A tty at ``link``, which ``vanish`` takes away and ``appear`` brings back, as unplugging an adapter does."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.device = str(link)
        self.lock = threading.Lock()
        self.master: int | None = None
        self._far_end = -1
        self.appear()

    def appear(self) -> None:
        """Plug it in."""
        master, self._far_end = os.openpty()
        tty.setraw(self._far_end)
        os.set_blocking(master, False)
        self.link.symlink_to(os.ttyname(self._far_end))
        with self.lock:
            self.master = master

    def vanish(self) -> None:
        """Pull it out: whoever has it open sees it hang up."""
        with self.lock:
            master, self.master = self.master, None
            if master is not None:
                self.link.unlink()
                os.close(self._far_end)
                os.close(master)

    def say(self, data: bytes) -> None:
        """Send bytes to whoever listens."""
        with self.lock:
            if self.master is not None:
                os.write(self.master, data)

    def hear(self, wait_s: float) -> bytes:
        """Return what was sent to the reader, at the latest after ``wait_s``."""
        with self.lock:
            master = self.master
            with contextlib.suppress(OSError, ValueError):
                if master is not None and select.select([master], [], [], wait_s)[0]:
                    return os.read(master, 4096)
        return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.vanish()


@dataclass(frozen=True, slots=True)
class Card:
    """A card of ISO 14443 A as the PN532 tells of it; ``ats`` follows when SEL_RES says that the card has one."""

    uid: bytes
    sel_res: int = 0x08
    ats: bytes = b""


def pn532_frame(body: bytes) -> bytes:
    """Return the frame around ``body`` (TFI and data)."""
    return b"\x00\x00\xff" + bytes([len(body), -len(body) & 0xFF]) + body + bytes([-sum(body) & 0xFF]) + b"\x00"


ACK = b"\x00\x00\xff\x00\xff\x00"


class Pn532Chip:
    """A chip on ``wire``. ``cards`` may be changed at any time; ``heard`` lists the commands it carried out.

    It sleeps until it is woken, and looks for ever for a card unless told to give up, as the real one does. ``spoil``
    is handed the next answers, one each, and returns what to send instead. ``mute`` makes it stop answering.
    """

    def __init__(self, wire: Tty) -> None:
        self.wire = wire
        self.cards: list[Card] = []
        self.heard: list[bytes] = []
        self.chip = 0x32
        self.mute = False
        self.spoil: list[bytes] = []
        self._awake = False
        self._set_up = False
        self._few_retries = False
        self._input = b""
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pn532", daemon=True)

    def power_cycle(self) -> None:
        """Lose the supply for a moment: everything that was set up is forgotten."""
        self._awake = self._set_up = self._few_retries = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._halt.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._halt.is_set():
            data = self.wire.hear(0.01)
            if not data:
                self._halt.wait(0.002)
                continue
            self._input += data
            self._awake = self._awake or b"\x55\x55\x00\x00" in self._input
            self._take()

    def _take(self) -> None:
        while (start := self._input.find(b"\x00\x00\xff")) >= 0:
            frame = self._input[start:]
            if len(frame) < len(ACK) or len(frame) < frame[3] + 7:
                return
            body, self._input = frame[5 : 5 + frame[3]], frame[frame[3] + 7 :]
            if self._awake and not self.mute and body[:1] == b"\xd4" and frame[: frame[3] + 7] == pn532_frame(body):
                self._answer(body[1:])

    def _answer(self, command: bytes) -> None:
        self.heard.append(command)
        self.wire.say(ACK)
        data = self._outcome(command)
        if data is not None:
            answer = pn532_frame(bytes([0xD5, command[0] + 1]) + data)
            self.wire.say(self.spoil.pop(0) if self.spoil and command[0] == 0x4A else answer)  # noqa: PLR2004

    def _outcome(self, command: bytes) -> bytes | None:
        outcome: bytes | None = None
        match command[0]:
            case 0x02:
                outcome = bytes([self.chip, 1, 6, 7])
            case 0x14:
                self._set_up = True
                outcome = b""
            case 0x32:
                self._few_retries = command[1:2] == b"\x05" and command[-1] < 0xFF  # noqa: PLR2004 - for ever
                outcome = b""
            case 0x4A if self._set_up and (self.cards or self._few_retries):
                outcome = self._listed(command[1])
            case 0x52:
                outcome = b"\x00"
        return outcome

    def _listed(self, most: int) -> bytes:
        found = self.cards[:most]
        listed = bytes([len(found)])
        for number, card in enumerate(found, 1):
            sens_res = bytes([0, {4: 0x04, 7: 0x44, 10: 0x84}[len(card.uid)]])
            listed += bytes([number]) + sens_res + bytes([card.sel_res, len(card.uid)]) + card.uid + card.ats
        return listed
