"""Which version of MQTT to speak next: 5 where the broker can, else 3.1.1. Pure; times are passed in, seconds.

Brokers refuse a version in three ways: they say so, they hang up, or they never answer. So a 5 that is not known to
work gets only a short time, and 3.1.1 follows at once. What worked is remembered, and 5 is tried again now and then.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

#: How long an answer is waited for where it is not known whether the broker speaks that version at all.
PROBE_S: Final = 2.0
#: How long an answer is waited for otherwise; a slow mobile link needs seconds.
PATIENCE_S: Final = 10.0
#: After this long with 3.1.1 a new connection tries 5 again.
RETRY_5_S: Final = 3600.0


class Version(Enum):
    """A version of the protocol, by the name that people read."""

    V5 = "mqtt5"
    V311 = "mqtt3.1.1"


class Dialect:
    """Remembers what worked."""

    def __init__(self) -> None:
        self._works: Version | None = None
        self._tried_5_s = 0.0

    def plan(self, now: float) -> tuple[tuple[Version, float], ...]:
        """Return the versions to try for one connection, in order, each with its time-out."""
        if self._works is Version.V5:
            return ((Version.V5, PATIENCE_S), (Version.V311, PATIENCE_S))
        if self._works is Version.V311 and now - self._tried_5_s < RETRY_5_S:
            return ((Version.V311, PATIENCE_S),)
        return ((Version.V5, PROBE_S), (Version.V311, PATIENCE_S))

    def worked(self, version: Version, now: float) -> None:
        """Remember that the broker accepted ``version``; with 3.1.1 the hour until the next try of 5 begins."""
        if version is Version.V311 and self._works is not Version.V311:
            self._tried_5_s = now
        self._works = version

    def refused(self, version: Version, now: float) -> None:
        """Remember that the broker was there and would not have ``version``."""
        if version is Version.V5:
            self._tried_5_s = now
        elif self._works is version:
            self._works = None
