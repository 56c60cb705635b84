"""What to do about the sessions that have, or had, a lease: guard's picture goes in, decisions come out. Pure.

Rules of this file:
- nothing here reads a clock, talks or writes; times are seconds on station's monotonic clock and are passed in;
- decisions depend on levels, not on edges: what could not be carried out this time is decided again next time;
- the end of a leg comes from guard's own event, which carries the register read with the relay open. Guard's snapshot
  stands in when the event is gone, the last known reading when guard itself is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pilenode.station.metering import marked, seen
from pilenode.station.session import LIVE, Ending, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilenode.ipc.messages import GuardEvent, PortSnapshot, Snapshot
    from pilenode.station.energy import Counter
    from pilenode.station.session import Moment, News, OpenSession
    from pilenode.station.terms import Terms

#: Guard tells the end only after the register was read with the relay open, at most its meter age limit (10 s) plus
#: 2 s later. An end that is overdue by more has lost its event.
END_GRACE_S: Final = 15.0
#: Guard's words for the end of a leg after which the session may go on, and the causes that they stand for: the load
#: plan has paused it; the supply failed while the controller ran on.
_CAUSES: Final = {"shed": "load", "supply_lost": "power"}
#: Renew when less than this part of a lease is left, so that two renewals may fail before anything opens.
_RENEW_BELOW: Final = 2 / 3


@dataclass(frozen=True, slots=True)
class Decisions:
    """What to do now. ``sessions`` is the new picture of those that stay open, ``slot`` the checkpoint interval.

    ``renew`` and ``release``: port and lease. ``ask``: sessions whose further leg guard must still be asked for.
    ``endings``: of legs; those with a ``cause`` leave their session open.
    """

    sessions: Mapping[str, OpenSession]
    renew: tuple[tuple[int, str], ...] = ()
    release: tuple[tuple[int, str], ...] = ()
    ask: tuple[str, ...] = ()
    endings: tuple[Ending, ...] = ()
    checkpoints: tuple[tuple[OpenSession, Reading], ...] = ()
    slot: int = 0


def decide(
    sessions: Mapping[str, OpenSession],
    news: News,
    *,
    now: float,
    at: Moment,
    terms: Terms,
) -> Decisions:
    """Return what to do about every session with a leg, and about ports that run something nobody knows."""
    ports = {port.port: port for port in news.snapshot.ports}
    told = {event.session: event for event in reversed(news.events) if event.kind == "ended"}
    slot = int(now // terms.checkpoint_s)
    open_sessions: dict[str, OpenSession] = {}
    renew, release, ask, endings, checkpoints = [], [], [], [], []
    for name, known in sessions.items():
        if known.pause is not None:
            open_sessions[name] = known
            continue
        port = ports.get(known.port)
        counter = terms.counter(known.port)
        session, ending = _look(known, port, told.get(known.lease), news.snapshot.guard_boot, now, at, counter)
        open_sessions[name] = session
        if ending is not None:
            endings.append(ending)
            if not ending.cause:
                del open_sessions[name]
            continue
        if port is None or port.session != session.lease:
            ask.append(name)
            continue
        if port.state not in LIVE:
            continue
        if session.abandoned:
            release.append((port.port, session.lease))
        elif port.lease_left_s is None or port.lease_left_s < terms.lease_s * _RENEW_BELOW:
            renew.append((port.port, session.lease))
        if session.reading is not None and session.slot != slot:
            open_sessions[name] = marked(session, at, counter)
            checkpoints.append((open_sessions[name], session.reading))
    release += strangers(news.snapshot, sessions)
    return Decisions(open_sessions, tuple(renew), tuple(release), tuple(ask), tuple(endings), tuple(checkpoints), slot)


def strangers(snapshot: Snapshot, sessions: Mapping[str, OpenSession]) -> list[tuple[int, str]]:
    """Return port and lease of everything that runs without being known: power without a record."""
    known = {session.lease for session in sessions.values() if session.pause is None}
    return [
        (port.port, port.session)
        for port in snapshot.ports
        if port.state in LIVE and port.session is not None and port.session not in known
    ]


def _look(
    session: OpenSession,
    port: PortSnapshot | None,
    event: GuardEvent | None,
    guard_boot: str,
    now: float,
    at: Moment,
    counter: Counter,
) -> tuple[OpenSession, Ending | None]:
    """Return the session as it looks now, and the end of its leg when it has one."""
    if event is not None:
        return session, _from_event(session, event)
    if port is not None and port.session == session.lease:
        if port.closed_for_s is not None and port.state == "on":
            session = seen(replace(session, reading=_reading(port, port.closed_for_s), last=at), at, counter)
        if port.state in LIVE:
            return replace(session, over_since_s=None), None
        since_s = now if session.over_since_s is None else session.over_since_s
        session = replace(session, over_since_s=since_s)
        return session, _from_snapshot(session, port, now - since_s) if now - since_s >= END_GRACE_S else None
    return session, _without_guard(session, guard_boot, at)


def _reading(port: PortSnapshot, closed_for_s: float) -> Reading:
    power_w = None if port.power_w is None else round(port.power_w)
    return Reading(port.start_register_mwh, port.register_mwh, round(closed_for_s * 1000), power_w)


def _from_event(session: OpenSession, event: GuardEvent) -> Ending:
    on_ms = None if event.closed_for_s is None else round(event.closed_for_s * 1000)
    return Ending(
        session=session.session,
        reason=event.code or "interrupted",
        detail=event.detail,
        age_ms=max(0, round(event.age_s * 1000)),
        start_register_mwh=event.start_register_mwh,
        end_register_mwh=event.register_mwh,
        on_ms=on_ms,
        powered=on_ms is not None,
        cause=_CAUSES.get(event.code or "", ""),
    )


def _from_snapshot(session: OpenSession, port: PortSnapshot, over_for_s: float) -> Ending:
    on_ms = None if port.closed_for_s is None else round(port.closed_for_s * 1000)
    return Ending(
        session=session.session,
        reason=port.reason or "interrupted",
        age_ms=round(over_for_s * 1000),
        start_register_mwh=port.start_register_mwh,
        end_register_mwh=port.register_mwh,
        on_ms=on_ms,
        powered=on_ms is not None,
        cause=_CAUSES.get(port.reason or "", ""),
    )


def _without_guard(session: OpenSession, guard_boot: str, at: Moment) -> Ending | None:
    """Return the end of a leg that guard knows nothing of; None when guard is still to be asked for it.

    The same guard that was asked for it and never held it never gave it power. Another guard has restarted since, alone
    or with the whole machine; a session that had power may go on then.
    """
    reading, leg = session.reading, session.leg
    if guard_boot == leg.guard_boot:
        if reading is not None:
            ending = Ending(session.session, "interrupted", powered=True)
        elif leg.number > 1 and not session.abandoned:
            return None
        else:
            return Ending(session.session, "never_energised", powered=False)
    elif leg.begun.boot == at.boot:
        ending = Ending(session.session, "guard_restarted", powered=None if reading is None else True, cause="guard")
    else:
        ending = Ending(session.session, "power_lost", powered=None if reading is None else True, cause="power")
    if reading is None:
        # A first leg that was never seen with power is not gone on with: nobody may be there any more.
        return replace(ending, cause=ending.cause if leg.number > 1 else "")
    return replace(ending, start_register_mwh=reading.start_register_mwh, on_ms=reading.on_ms)
