"""Which of two messages of a retained topic is the newer one, where nothing promises the order of arrival. Pure.

Workers share what cabinets say, so two messages of one topic may be committed the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from pilenode.upstream.contract import Live, StateReport

#: A state that is older by less than this came late; one that is older by more comes from a clock that was set.
_LATE_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Latest:
    """The content of a retained topic."""

    leaf: str
    content: bytes


class _Time(msgspec.Struct, frozen=True):
    wall_ms: int = 0


def checked(leaf: str, content: bytes) -> Latest:
    """Return what is kept of a message. Raises msgspec.DecodeError and UnicodeDecodeError."""
    msgspec.json.decode(content, type=Live if leaf == "live" else StateReport)
    return Latest(leaf, content)


def newer(leaf: str, heard: bytes, known: bytes) -> bool:
    """Return whether what was heard takes the place of what is known. Both were checked.

    A will names the connection that died. It is not believed of another one, and a connection that is known to be dead
    does not come back. (Of two that both call themselves alive nobody can tell which is the newer; the next state or
    hello does.)
    """
    if leaf == "live":
        now, before = (msgspec.json.decode(one, type=Live) for one in (heard, known))
        if now.session == before.session:
            return before.online
        return now.online or not before.online
    now_ms, before_ms = (msgspec.json.decode(one, type=_Time).wall_ms for one in (heard, known))
    return not before_ms - _LATE_MS < now_ms < before_ms
