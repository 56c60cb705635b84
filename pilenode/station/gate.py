"""Who may command, how fresh a command must be, and how often: everything but the command's effect.

Rules of this file:
- a stop passes, whatever else is wrong with it: it names its session or order and can only end that one. It never
  needs a signature, a challenge or a token;
- where operations keys are configured, all else needs the signature of one of them, over this cabinet's name;
- a start needs the challenge while the clock cannot tell what has expired (quality "none" or "rtc").
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pilenode import clock
from pilenode.station.buckets import Bucket
from pilenode.station.challenge import Challenge
from pilenode.station.signatures import PURPOSE, KeyRing
from pilenode.station.wallclock import ClockQuality

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.schema import Config
    from pilenode.station.command_text import Heard
    from pilenode.station.envelope import Seal
    from pilenode.station.wallclock import Stamp
    from pilenode.upstream.contract import Command

#: Commands of one kind in a minute. A cabinet of 40 ports is started by hand, scan by scan: 10 is plenty, and relays
#: and chargers are spared a flood. A list of 50,000 cards comes in some 500 parts; 30 a minute is 17 minutes.
PER_MINUTE: Final = {"start": 10, "modify": 10, "act": 30}
#: Refusals that are kept as facts in a minute; more are answered, counted and forgotten: no flood fills the disk.
KEPT_REFUSALS: Final = 30
_MINUTE_S: Final = 60.0
_UNSURE: Final = frozenset({ClockQuality.NONE, ClockQuality.RTC})


class Verdict(NamedTuple):
    """Why a command does not pass; an empty ``code``: it does."""

    code: str = ""
    detail: str = ""


PASSED: Final = Verdict()


class Gate:
    """The gate of one cabinet. ``node`` None: whatever name a command gives is right (rigs)."""

    def __init__(
        self,
        node: str | None = None,
        keys: KeyRing | None = None,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._node = node
        self._keys = keys
        self._monotonic_s = monotonic_s
        self._challenge = Challenge()
        self._buckets = {op: Bucket(count, _MINUTE_S) for op, count in PER_MINUTE.items()}
        self._kept = Bucket(KEPT_REFUSALS, _MINUTE_S)

    def challenge(self, now: Stamp) -> str | None:
        """Return the challenge to tell upstream, None while the clock makes it needless."""
        return self._challenge.current(self._monotonic_s()) if now.clock in _UNSURE else None

    async def authentic(self, heard: Heard) -> Verdict:
        """Return whether the command comes from somebody who may command this cabinet."""
        if heard.command.op == "stop":
            return PASSED
        return await self.sealed(heard.command.node, heard.seal)

    async def sealed(self, node: str | None, seal: Seal | None, purpose: bytes = PURPOSE) -> Verdict:
        """Return whether a message to ``node`` (None: to whoever hears it) comes from operations and is for us."""
        if self._node is not None and node not in (None, self._node):
            return Verdict("wrong_node", node or "")
        if self._keys is None:
            return PASSED
        if seal is not None and node is None:
            return Verdict("wrong_node", "what is signed names its node")
        return Verdict(*await asyncio.to_thread(self._keys.refusal, seal, purpose))

    def fresh(self, command: Command, *, retained: bool, now: Stamp) -> Verdict:
        """Return whether the command comes in time."""
        if command.op == "stop":
            return PASSED
        if retained:
            return Verdict("retained_command")
        if now.clock is not ClockQuality.NONE and now.wall_ms > command.exp:
            return Verdict("expired")
        unsure = command.op == "start" and now.clock in _UNSURE
        if unsure and not self._challenge.accepts(command.nonce, self._monotonic_s()):
            return Verdict("challenge_needed")
        return PASSED

    def rate(self, command: Command) -> Verdict:
        """Return whether one more command of this kind may be carried out, and count it if so."""
        bucket = self._buckets.get(command.op)
        return PASSED if bucket is None or bucket.take(self._monotonic_s()) else Verdict("rate_limited")

    def keeps(self) -> bool:
        """Return whether one more refusal is worth a fact."""
        return self._kept.take(self._monotonic_s())


def gate_of(config: Config) -> Gate:
    """Return the gate that ``config`` asks for."""
    file = config.upstream.operations_key_file if config.upstream is not None else ""
    return Gate(config.node.id, KeyRing(Path(file)) if file else None)
