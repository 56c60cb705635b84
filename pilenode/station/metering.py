"""From readings of a running session to what its bill is made of: energy, marks, pieces, classes of power. Pure.

A mark is taken when a reading is made durable, and where the price changes. The mark of a price change is taken at the
first reading after it and counts for its very moment, so that a piece does not reach over it by a quarter of a second.

The register of a mark is what the session counts for so far (``energy``), not the meter's own: pieces never see a meter
run back, and they add up to the energy of the session.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.station.energy import Snapshot, begun, counted
from pilenode.station.session import earlier
from pilenode.station.usage import begin, end, extend
from pilenode.upstream.facts_money import Usage, UsageMark, UsagePiece

if TYPE_CHECKING:
    from pilenode.station.energy import Counter
    from pilenode.station.session import Moment, OpenSession, Reading

#: A mark that is so much later than a change of price still counts for it, ms.
_SNAP_MS: Final = 5000
#: Power that was not looked at for longer than this belongs to no class, ms.
_GAP_MS: Final = 10_000


def seen(session: OpenSession, at: Moment, counter: Counter) -> OpenSession:
    """Return the session after its newest reading was seen: its power counted, and a mark where the price changed."""
    reading = session.reading
    if reading is None:
        return session
    power, last_ms = session.power, session.power_at_ms
    if last_ms is not None and reading.power_w is not None and 0 <= at.boottime_ms - last_ms <= _GAP_MS:
        power = power.add(reading.power_w, at.boottime_ms - last_ms)
    session = started(replace(session, power=power, power_at_ms=at.boottime_ms), reading, at)
    last = session.usage.last
    if last is None or not last.trusted or at.wall_ms is None:
        return session
    change_ms = session.prices.next_boundary_ms(last.wall_ms)
    late_ms = at.wall_ms - change_ms
    if not 0 <= late_ms <= _SNAP_MS:
        return session  # not yet; or it was not watched meanwhile, and the piece is divided by time
    return marked(session, replace(at, boottime_ms=at.boottime_ms - late_ms, wall_ms=change_ms), counter)


def marked(session: OpenSession, at: Moment, counter: Counter) -> OpenSession:
    """Return the session with its newest reading counted, and as a mark."""
    reading = session.reading
    if reading is None:
        return session
    session = started(session, reading, at)
    count = counted(session.count, Snapshot(reading.on_ms, reading.register_mwh), counter)
    mark = _mark(at, session.before.energy_mwh + count.energy_mwh)
    if mark == session.usage.last:
        return replace(session, count=count)
    return replace(session, count=count, usage=extend(session.usage, mark, session.prices))


def started(session: OpenSession, reading: Reading, at: Moment) -> OpenSession:
    """Return the session with the mark at which its leg began, reckoned back from now."""
    if session.usage.last is not None:
        return session
    mark = _mark(earlier(at, reading.on_ms), session.before.energy_mwh)
    return replace(session, count=begun(reading.start_register_mwh), usage=begin(session.usage, mark))


def ended(session: OpenSession, energy_mwh: int, on_ms: int, at: Moment) -> Usage:
    """Return the usage at the end of a leg that counts for ``energy_mwh``; ``at``: when its relay opened."""
    usage = session.usage
    if usage.last is None:
        usage = begin(usage, _mark(earlier(at, on_ms), session.before.energy_mwh))
    whole_mwh = session.before.energy_mwh + energy_mwh
    usage = end(extend(usage, _mark(at, whole_mwh), session.prices, final=True))
    return Usage(pieces=_fitted(usage.pieces, whole_mwh, session.before.on_ms + on_ms))


def _mark(at: Moment, counted_mwh: int) -> UsageMark:
    known = at.wall_ms is not None
    return UsageMark(
        wall_ms=at.wall_ms or 0, boottime_ms=max(0, at.boottime_ms), trusted=known, register_mwh=counted_mwh
    )


def _fitted(pieces: list[UsagePiece], energy_mwh: int, on_ms: int) -> list[UsagePiece]:
    """Return the pieces so that they add up to what the session counts for: its last ones give way."""
    if not pieces:
        return []
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
