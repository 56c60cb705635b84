"""The life of a session as decisions over values: guard's picture and the journal's go in, what to do comes out.

Rules of this file:
- nothing here reads a clock, talks or writes; times are seconds on station's monotonic clock and are passed in;
- decisions depend on levels, not on edges: what could not be carried out this time is decided again next time;
- the end of a session comes from guard's own event, which carries the register read with the relay open. Guard's
  snapshot stands in when the event is gone, the last known reading when guard itself is gone;
- a register that does not fit is flagged and never corrected silently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.ipc.messages import Refused
from pilenode.station.tariff import price
from pilenode.upstream.facts import MAX_CODE, MAX_WORDS, Checkpoint, EnergyFlag, SessionEnded, SessionStarted
from safety.catalogue import CATALOGUE, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pilenode.ipc.messages import GuardEvent, PortSnapshot, Snapshot
    from pilenode.station.entries import SessionFacts

#: Guard's words for a port that holds a live session (``safety.port.PortStatus``).
LIVE: Final = frozenset({"armed", "on"})
#: Guard tells the end only after the register was read with the relay open, at most its meter age limit (10 s) plus
#: 2 s later. An end that is overdue by more has lost its event.
END_GRACE_S: Final = 15.0
#: Renew when less than this part of a lease is left, so that two renewals may fail before anything opens.
_RENEW_BELOW: Final = 2 / 3


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest that is known of a session that has had power."""

    start_register_mwh: int | None
    register_mwh: int | None
    on_ms: int
    power_w: int | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session without an end. What is not in ``started`` is memory of this process, renewed by every snapshot."""

    session: str
    started: SessionStarted
    reading: Reading | None = None
    slot: int | None = None  # the checkpoint interval whose reading is durable
    over_since_s: float | None = None  # since when guard shows it as over without having told the end
    abandoned: bool = False  # its start was refused after guard was asked; it must not run

    @property
    def port(self) -> int:
        """Return the port it is on."""
        return self.started.port


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended. ``powered`` False: the relay never closed; None: not known."""

    session: str
    reason: str
    detail: str = ""
    age_ms: int = 0
    start_register_mwh: int | None = None
    end_register_mwh: int | None = None
    on_ms: int | None = None
    powered: bool | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What guard said: its snapshot, and every event that was not handled before. The events are all there."""

    snapshot: Snapshot
    events: tuple[GuardEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Decisions:
    """What to do now. ``sessions`` is the new picture of those that stay open."""

    sessions: Mapping[str, OpenSession]
    renew: tuple[tuple[int, str], ...] = ()  # port, session
    release: tuple[tuple[int, str], ...] = ()
    endings: tuple[Ending, ...] = ()
    checkpoints: tuple[tuple[OpenSession, Reading], ...] = ()
    slot: int = 0  # the checkpoint interval that ``checkpoints`` are for


def restore(facts: SessionFacts) -> OpenSession:
    """Return an open session as the journal remembers it."""
    reading = None
    if facts.reading is not None:
        durable = msgspec.json.decode(facts.reading.body, type=Checkpoint)
        reading = Reading(durable.start_register_mwh, durable.register_mwh, durable.on_ms, durable.power_w)
    started = msgspec.json.decode(facts.start.body, type=SessionStarted)
    return OpenSession(facts.start.session or "", started, reading)


def decide(
    sessions: Mapping[str, OpenSession], news: News, *, now: float, lease_s: float, checkpoint_s: float
) -> Decisions:
    """Return what to do about every open session, and about ports that run something nobody knows."""
    ports = {port.port: port for port in news.snapshot.ports}
    told = {event.session: event for event in reversed(news.events) if event.kind == "ended"}
    slot = int(now // checkpoint_s)
    open_sessions: dict[str, OpenSession] = {}
    renew, release, endings, checkpoints = [], [], [], []
    for name, known in sessions.items():
        port = ports.get(known.port)
        event = told.get(name)
        session, ending = _look(known, port, event, news.snapshot.guard_boot, now)
        if ending is not None:
            endings.append(ending)
            continue
        open_sessions[name] = session
        if port is None or port.session != name or port.state not in LIVE:
            continue
        if session.abandoned:
            release.append((port.port, name))
        elif port.lease_left_s is None or port.lease_left_s < lease_s * _RENEW_BELOW:
            renew.append((port.port, name))
        if session.reading is not None and session.slot != slot:
            checkpoints.append((session, session.reading))
    release += strangers(news.snapshot, sessions)
    return Decisions(open_sessions, tuple(renew), tuple(release), tuple(endings), tuple(checkpoints), slot)


def strangers(snapshot: Snapshot, sessions: Mapping[str, OpenSession]) -> list[tuple[int, str]]:
    """Return port and session of everything that runs without being known: power without a record."""
    return [
        (port.port, port.session)
        for port in snapshot.ports
        if port.state in LIVE and port.session is not None and port.session not in sessions
    ]


def why_not(port: int, snapshot: Snapshot, *, taken: bool) -> Refused | None:
    """Return why no session may start on ``port``, or None. ``taken``: the journal has an open session there."""
    shown = next((candidate for candidate in snapshot.ports if candidate.port == port), None)
    if shown is None:
        return Refused(code="unknown_port")
    if taken or shown.state in LIVE:
        return Refused(code="port_busy", detail=shown.session or "")
    whole = _in_the_way(snapshot.cabinet_faults)
    if whole:
        return Refused(code="cabinet_faulty", detail=", ".join(whole)[:MAX_WORDS])
    if snapshot.test_running is not None:
        return Refused(code="test_running", detail=snapshot.test_running[:MAX_WORDS])
    if shown.state == "tripped":
        return Refused(code="port_faulty", detail=(shown.reason or "")[:MAX_WORDS])
    standing = _in_the_way(shown.findings)
    return Refused(code="port_faulty", detail=", ".join(standing)[:MAX_WORDS]) if standing else None


def _in_the_way(codes: Iterable[str]) -> list[str]:
    """Return the codes that keep a session from starting; one that is not known does. Guard has the last word."""
    return [code for code in codes if code not in CATALOGUE or CATALOGUE[code].effect is not Effect.TELL]


def _look(
    session: OpenSession, port: PortSnapshot | None, event: GuardEvent | None, guard_boot: str, now: float
) -> tuple[OpenSession, Ending | None]:
    """Return the session as it looks now, and its end when it has one."""
    if event is not None:
        return session, _from_event(session, event)
    if port is not None and port.session == session.session:
        if port.closed_for_s is not None and port.state == "on":
            session = replace(session, reading=_reading(port, port.closed_for_s))
        if port.state in LIVE:
            return replace(session, over_since_s=None), None
        since_s = now if session.over_since_s is None else session.over_since_s
        session = replace(session, over_since_s=since_s)
        return session, _from_snapshot(session, port, now - since_s) if now - since_s >= END_GRACE_S else None
    return session, _without_guard(session, guard_boot)


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
    )


def _without_guard(session: OpenSession, guard_boot: str) -> Ending:
    """Return the end of a session that guard knows nothing of.

    The same guard that was asked for it and never held it never gave it power. Another guard has restarted since.
    """
    reading = session.reading
    if guard_boot != session.started.guard_boot:
        reason, powered = "guard_restarted", None if reading is None else True
    elif reading is None:
        reason, powered = "never_energised", False
    else:
        reason, powered = "interrupted", True
    if reading is None:
        return Ending(session.session, reason, powered=powered)
    return Ending(
        session.session, reason, start_register_mwh=reading.start_register_mwh, on_ms=reading.on_ms, powered=powered
    )


def measure(ending: Ending, reading: Reading | None) -> tuple[int, EnergyFlag | None]:
    """Return the energy of a session in Wh (half up), and why it is not simply a difference of two registers."""
    if ending.powered is False:
        return 0, None
    start, end = ending.start_register_mwh, ending.end_register_mwh
    last = None if reading is None else reading.register_mwh
    if start is None and reading is not None:
        start = reading.start_register_mwh
    if start is None:
        return 0, EnergyFlag.NO_READING if end is None and last is None else EnergyFlag.NO_BASELINE
    floor = start if last is None else max(start, last)
    if end is None:
        return _wh(floor - start), EnergyFlag.NO_READING if last is None else EnergyFlag.LAST_READING
    if end < floor:
        return _wh(floor - start), EnergyFlag.REGISTER_BACKWARD
    return _wh(end - start), None


def _wh(energy_mwh: int) -> int:
    return (energy_mwh + 500) // 1000


def settle(session: OpenSession, ending: Ending) -> SessionEnded:
    """Return the end of ``session`` as it is written: energy, duration and both fees."""
    started = session.started
    energy_wh, flag = measure(ending, session.reading)
    fees = price(energy_wh, started.tariff)
    return SessionEnded(
        order=started.order,
        port=started.port,
        reason=ending.reason[:MAX_CODE],
        detail=ending.detail[:MAX_WORDS],
        age_ms=ending.age_ms,
        start_register_mwh=ending.start_register_mwh,
        end_register_mwh=ending.end_register_mwh,
        energy_wh=energy_wh,
        energy_flag=flag,
        duration_s=((ending.on_ms or 0) + 500) // 1000,
        electricity_fen=fees.electricity_fen,
        service_fen=fees.service_fen,
        tariff_version=started.tariff.version,
    )


def checkpoint(session: OpenSession, reading: Reading) -> Checkpoint:
    """Return the reading of a running session as it is made durable."""
    return Checkpoint(
        port=session.port,
        start_register_mwh=reading.start_register_mwh,
        register_mwh=reading.register_mwh,
        on_ms=reading.on_ms,
        power_w=reading.power_w,
    )
