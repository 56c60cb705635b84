"""The auxiliary contact of the master contactor: an input that follows what the contactor of the world really does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from hil_rig.rig import Rig

_LOOK_S = 0.005


class AuxiliaryContact:
    """A normally-open contact to ground at the input ``pin``: level 0 while the contactor is closed, else 1.

    ``stuck`` (closed, open, or None for a sound contact) may be set at any time: contacts weld and wires break.
    """

    def __init__(self, rig: Rig, pin: int) -> None:
        self.stuck: bool | None = None
        self._rig = rig
        self._pin = pin
        self._shown: bool | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="auxiliary contact", daemon=True)

    def __enter__(self) -> Self:
        self.follow()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def follow(self) -> None:
        """Set the input now."""
        closed = self._rig.world.main_closed() if self.stuck is None else self.stuck
        if closed != self._shown:
            self._shown = closed
            self._rig.set_contact(self._pin, 0 if closed else 1)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self.follow()
