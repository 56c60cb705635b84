"""From readings of a running session to what its bill is made of: marks, pieces, classes of power. Pure.

A mark is taken when a reading is made durable, and where the price changes. The mark of a price change is taken at the
first reading after it and counts for its very moment, so that a piece does not reach over it by a quarter of a second.

The pieces of a session always add up to what it counts for (``settle``): where a register was flagged, the last pieces
are shortened or the last one grows, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.session import earlier
from pilenode.station.usage import begin, end, extend
from pilenode.upstream.facts_money import Usage, UsageMark, UsagePiece

if TYPE_CHECKING:
    from pilenode.station.session import Moment, OpenSession, Reading

#: A mark that is so much later than a change of price still counts for it, ms.
_SNAP_MS: Final = 5000
#: Power that was not looked at for longer than this belongs to no class, ms.
_GAP_MS: Final = 10_000


def seen(session: OpenSession, at: Moment) -> OpenSession:
    """Return the session after its newest reading was seen: its power counted, and a mark where the price changed."""
    reading = session.reading
    if reading is None:
        return session
    power, last_ms = session.power, session.power_at_ms
    if last_ms is not None and reading.power_w is not None and 0 <= at.boottime_ms - last_ms <= _GAP_MS:
        power = power.add(reading.power_w, at.boottime_ms - last_ms)
    session = replace(session, power=power, power_at_ms=at.boottime_ms)
    session = _begun(session, reading, at)
    last = session.usage.last
    if last is None or not last.trusted or at.wall_ms is None:
        return session
    change_ms = session.prices.next_boundary_ms(last.wall_ms)
    if at.wall_ms < change_ms:
        return session
    late_ms = at.wall_ms - change_ms
    if late_ms > _SNAP_MS:
        return session  # it was not watched meanwhile: the piece is divided by time
    moment = replace(at, boottime_ms=at.boottime_ms - late_ms, wall_ms=change_ms)
    return marked(session, moment)


def marked(session: OpenSession, at: Moment) -> OpenSession:
    """Return the session with its newest reading as a mark."""
    reading = session.reading
    if reading is None:
        return session
    session = _begun(session, reading, at)
    return replace(session, usage=extend(session.usage, _mark(at, reading.register_mwh), session.prices))


def ended(session: OpenSession, reading: Reading, at: Moment) -> Usage:
    """Return the usage at the end of a leg, with its last mark; ``reading``: what guard or the last reading tells."""
    session = _begun(session, reading, at)
    return end(extend(session.usage, _mark(at, reading.register_mwh), session.prices, final=True))


def _begun(session: OpenSession, reading: Reading, at: Moment) -> OpenSession:
    """Return the session with the mark at which its leg began, reckoned back from now."""
    if session.usage.last is not None:
        return session
    start = earlier(at, reading.on_ms)
    return replace(session, usage=begin(session.usage, _mark(start, reading.start_register_mwh)))


def _mark(at: Moment, register_mwh: int | None) -> UsageMark:
    known = at.wall_ms is not None
    return UsageMark(
        wall_ms=at.wall_ms or 0, boottime_ms=max(0, at.boottime_ms), trusted=known, register_mwh=register_mwh
    )


def fitted(usage: Usage, energy_mwh: int, on_ms: int) -> list[UsagePiece]:
    """Return the pieces of a whole session so that they add up to what it counts for."""
    pieces = [*usage.pieces]
    if not pieces:
        return [UsagePiece(on_ms=on_ms, energy_mwh=energy_mwh)] if energy_mwh or on_ms else []
    energies = _spread([piece.energy_mwh for piece in pieces], energy_mwh)
    times = _spread([piece.on_ms for piece in pieces], on_ms)
    return [
        msgspec.structs.replace(piece, energy_mwh=energy, on_ms=ms)
        for piece, energy, ms in zip(pieces, energies, times, strict=True)
    ]


def _spread(values: list[int], total: int) -> list[int]:
    """Return the values with their sum made ``total``: the last one grows, or the last ones shrink to 0."""
    missing = total - sum(values)
    fixed = [*values]
    if missing >= 0:
        fixed[-1] += missing
        return fixed
    for index in range(len(fixed) - 1, -1, -1):
        taken = min(fixed[index], -missing)
        fixed[index] -= taken
        missing += taken
    return fixed
