"""A word that only somebody who hears the cabinet now can know: proof that a command is fresh, without a clock. Pure.

A cabinet that does not know the time cannot tell whether a command has expired. It tells a random challenge in its
state report instead, and a start must repeat it. Times are passed in, seconds of one monotonic clock.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: A new one is made this often, and the one before it still counts: what was sent just before the change arrives
#: in time, and nothing is good for longer than twice this.
ROTATION_S: Final = 300.0
_BYTES: Final = 16


class Challenge:
    """The present challenge and the one before it."""

    def __init__(self, make: Callable[[], str] = lambda: secrets.token_hex(_BYTES)) -> None:
        self._make = make
        self._current: str | None = None
        self._previous: str | None = None
        self._since_s = self._previous_since_s = 0.0

    def current(self, now: float) -> str:
        """Return the challenge to tell at ``now``."""
        age_s = now - self._since_s
        if self._current is None or not 0 <= age_s < ROTATION_S:
            self._previous, self._previous_since_s = self._current, self._since_s
            self._current, self._since_s = self._make(), now
        return self._current

    def accepts(self, nonce: str | None, now: float) -> bool:
        """Return whether ``nonce`` repeats a challenge that was made less than two rotations ago."""
        if nonce is None:
            return False
        told = [self.current(now)]
        if self._previous is not None and 0 <= now - self._previous_since_s < 2 * ROTATION_S:
            told.append(self._previous)
        return any(hmac.compare_digest(word.encode(), nonce.encode()) for word in told)
