"""What was thrown away unread, by cause: counted always, told now and then."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import structlog

from pilenode.log import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()


class Drops(Counter[str]):
    """Messages dropped since start, by cause. One line at most in ten seconds tells of them, whatever the causes."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._limiter = RateLimiter()

    def note(self, cause: str) -> None:
        """Count a message that was dropped for ``cause``."""
        self[cause] += 1
        held_back = self._limiter.admit("dropped", self._monotonic_s())
        if held_back is not None:
            log.warning("message dropped", cause=cause, held_back=held_back)
