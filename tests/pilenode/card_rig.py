"""A cabinet of values for the tests of cards: a journal that is a list, an engine that obeys, a clock to turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from pilenode.ipc.messages import Done, Refused, StartReply
from pilenode.station.card_book import CardBook
from pilenode.station.card_desk import CardDesk, CardStart, Running
from pilenode.station.card_exposure import Exposure
from pilenode.station.cards import Rules
from pilenode.station.desk import Who
from pilenode.station.entries import JournalFailedError, NewFact
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.facts import Fact, FactKind, SessionEnded, SessionStarted, StartRefused, canonical
from pilenode.upstream.facts_money import Payment
from tests.pilenode.bills import NO_BILL, TARIFF

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pilenode.ipc.acts import Act
    from pilenode.upstream.facts import Body

AnyBody = TypeVar("AnyBody")

A, B = "a" * 32, "b" * 32
SHANGHAI = ZoneInfo("Asia/Shanghai")
#: 2027-01-15 16:00 in Shanghai.
NOON_MS = 1_800_000_000_000
LI = Who("cli", "Li")


class Rig:
    """Everything around one desk. Reader "front" serves ports 2 and 1, "back" port 3."""

    def __init__(self, folder: Path, rules: Rules | None = None) -> None:
        self.folder = folder
        self.rules = rules or Rules()
        self.facts: list[Fact] = []
        self.acked = 0
        self.broken = False
        self.connected = False
        self.boot, self.boottime_ms, self.wall_ms, self.clock = "boot-1", 1_000, NOON_MS, ClockQuality.NTP
        self.sessions: list[Running] = []
        self.obstacles: dict[int, Refused] = {}
        self.refuse: Refused | None = None
        self.wishes: list[CardStart] = []
        self.stops: list[tuple[int, str, str]] = []
        self.names = 0
        self.restart()

    def restart(self) -> None:
        """Forget everything but the journal, the files and what the engine runs."""
        self.kept = 0
        self.exposure = Exposure(SHANGHAI, lambda: self.acked)
        self.book = CardBook(self.folder / "cards", ("front", "back"), self.exposure, lambda: "0badcafe")
        self.desk = CardDesk(
            book=self.book,
            rules=self.rules,
            ports={"front": [2, 1], "back": [3]},
            engine=self,
            records=self,
            caught_up=self.caught_up,
            connected=lambda: self.connected,
            now=self.now,
        )
        if not self.broken:
            self._catch_up()

    def now(self) -> Stamp:
        """Return the moment on every clock."""
        return Stamp(self.boot, self.boottime_ms, self.wall_ms, self.clock)

    def pass_ms(self, ms: int) -> None:
        """Let time go on."""
        self.boottime_ms += ms
        self.wall_ms += ms

    def reboot(self, clock: ClockQuality = ClockQuality.NONE) -> None:
        """Lose the power for a moment, and with it the time."""
        self.boot, self.boottime_ms, self.clock = f"boot-{len(self.facts)}-{self.boot[:20]}", 1_000, clock
        self.restart()

    # -- journal -----------------------------------------------------------------------------------------------

    def write(self, kind: FactKind, body: Body, session: str | None = None) -> Fact:
        """Write one fact now."""
        at = self.now()
        wall_ms = at.wall_ms if at.clock is not ClockQuality.NONE else 12_345
        fact = Fact(
            seq=len(self.facts) + 1,
            boot=at.boot,
            boottime_ms=at.boottime_ms,
            wall_ms=wall_ms,
            clock=at.clock,
            kind=kind,
            session=session,
            body=msgspec.Raw(canonical(body)),
            hash="0" * 64,
        )
        self.facts.append(fact)
        return fact

    async def append(self, facts: Sequence[NewFact]) -> list[int]:
        """Write, or fail."""
        if self.broken:
            raise JournalFailedError("disk full")
        return [self.write(fact.kind, fact.body, fact.session).seq for fact in facts]

    def _catch_up(self) -> None:
        for fact in self.facts[self.kept :]:
            if fact.kind in self.book.kinds:
                self.book.keep(fact)
        self.kept = len(self.facts)
        self.book.lists.refresh()

    async def caught_up(self) -> bool:
        """Bring the book up to date."""
        if not self.broken:
            self._catch_up()
        return not self.broken

    def act(self, act: Act) -> Refused | int:
        """Carry out an act as the dispatcher does; return how many facts it made."""
        self._catch_up()
        outcome = self.book.judge(act, LI, self.now())
        if isinstance(outcome, Refused):
            return outcome
        for fact in outcome:
            self.write(fact.kind, fact.body)
        self._catch_up()
        return len(outcome)

    def refusals(self) -> list[StartRefused]:
        """Return the refusals on record."""
        return self.bodies(StartRefused, FactKind.START_REFUSED)

    def bodies(self, body: type[AnyBody], kind: FactKind) -> list[AnyBody]:
        """Return the bodies of all facts of a kind."""
        return [msgspec.json.decode(fact.body, type=body) for fact in self.facts if fact.kind == kind]

    # -- engine ------------------------------------------------------------------------------------------------

    async def start(self, wish: CardStart) -> StartReply | Refused:
        """Run it, and put it on record."""
        self.wishes.append(wish)
        if self.refuse is not None:
            return self.refuse
        return StartReply(session=self.begin(wish), port=wish.port)

    def begin(self, wish: CardStart) -> str:
        """Put the start of a session on record."""
        self.names += 1
        name = f"S{self.names}"
        body = SessionStarted(
            order=wish.order,
            port=wish.port,
            source="card",
            by=wish.reader,
            tariff=TARIFF,
            tariff_version="t1",
            payment=Payment(mode="postpaid", limit_fen=wish.amount_fen),
            guard_boot="g",
            card=wish.card,
            offline=wish.offline,
        )
        self.write(FactKind.SESSION_STARTED, body, name)
        self.sessions.append(Running(wish.port, name, wish.card))
        return name

    def end(self, session: str, fen: int) -> None:
        """Put its end on record, at a price."""
        (one,) = [running for running in self.sessions if running.session == session]
        self.sessions.remove(one)
        body = SessionEnded(
            order="o",
            port=one.port,
            reason="full",
            age_ms=0,
            start_register_mwh=None,
            end_register_mwh=None,
            energy_wh=0,
            duration_s=0,
            electricity_fen=fen - fen // 3,
            service_fen=fen // 3,
            tariff_version="t",
            money=msgspec.structs.replace(
                NO_BILL, bill=msgspec.structs.replace(NO_BILL.bill, total_fen=fen, charged_fen=fen)
            ),
        )
        self.write(FactKind.SESSION_ENDED, body, session)

    async def stop(self, port: int, reason: str, *, session: str) -> Done | Refused:
        """Remember that it was asked for."""
        self.stops.append((port, reason, session))
        return Done()

    def running(self) -> Sequence[Running]:
        """Return what runs."""
        return self.sessions

    def why_not(self, port: int) -> Refused | None:
        """Return what stands in the way."""
        if any(one.port == port for one in self.sessions):
            return Refused(code="port_busy")
        return self.obstacles.get(port)
