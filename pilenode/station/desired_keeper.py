"""Takes desired configuration in, waits for idle ports, and watches over its trial. The decisions are in ``desired``.

Rules of this file:
- a book counts when it is on the disk; one that cannot be written leaves everything as it was, and is tried again;
- it is put in force by a new process, which systemd starts: nothing in memory is ever half the old and half the new.
  Leases run on meanwhile, and the next process adopts what guard holds;
- no session is started, ended or kept waiting for it, except for the moment in which the book is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from pilenode import clock
from pilenode.ipc.messages import ConfigShown, Done, Refused
from pilenode.log import RateLimiter
from pilenode.station import desired
from pilenode.station.buckets import Bucket
from pilenode.station.desired import Text
from pilenode.station.desired_start import judged
from pilenode.station.desired_text import hear_config, refused
from pilenode.station.entries import JournalConflictError, JournalFailedError, NewFact
from pilenode.station.signatures import CONFIG_PURPOSE
from pilenode.upstream.facts import FactKind, canonical
from pilenode.upstream.facts_config import ConfigApplied, ConfigRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilenode.station.desired import Book, News
    from pilenode.station.desired_start import InForce
    from pilenode.station.desired_store import DesiredStore
    from pilenode.station.gate import Gate
    from pilenode.station.journal import Journal
    from pilenode.station.sessions import Sessions
    from pilenode.upstream.desired import Desired
    from pilenode.upstream.facts_config import ConfigReport

#: How long a new configuration is watched before it counts for good, seconds.
TRIAL_S: Final = 60.0
#: How much longer for a connection than the first pause before it may take, seconds.
_CONNECT_S: Final = 20.0
#: How often idle ports are looked for, and the trial is looked at, seconds.
_LOOK_S: Final = 0.5
#: Configurations looked at in an hour; a newer one waits, and none is lost.
PER_HOUR: Final = 6
_HOUR_S: Final = 3600.0
#: The station leaves within this, seconds; nothing begins until then.
_LEAVING_S: Final = 5.0
#: Refusals that say nothing about the message: it is looked at again when it comes again.
_OF_THE_KEYS: Final = frozenset({"unknown_key", "keys_unreadable"})
_KINDS: Final = (FactKind.CONFIG_APPLIED, FactKind.CONFIG_REFUSED)
_PAGE: Final = 500

log = structlog.get_logger()


class DesiredKeeper:
    """The desired configuration of one station. ``refused`` counts refusals by code since start.

    ``connected`` tells whether the backend is; ``restart`` asks for a new process. ``trial_s``: see ``TRIAL_S``.
    """

    def __init__(  # noqa: PLR0913 - everything that a self-test looks at
        self,
        store: DesiredStore,
        in_force: InForce,
        *,
        journal: Journal,
        sessions: Sessions,
        gate: Gate,
        connected: Callable[[], bool],
        restart: Callable[[], None],
        trial_s: float = TRIAL_S,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._store = store
        self._in_force = in_force
        self._local = in_force.local
        self._book = in_force.book
        self._journal = journal
        self._sessions = sessions
        self._gate = gate
        self._connected = connected
        self._restart = restart
        self._trial_s = trial_s
        self._begun_s: float | None = None  # when the station had begun to run
        self._reconnected = False
        self._offered: bytes | None = None
        self._taken: bytes | None = None  # the last one that was looked at to its end
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()  # one change of the book at a time
        self._bucket = Bucket(PER_HOUR, _HOUR_S)
        self._limiter = RateLimiter()
        self._told_checked = False

    @property
    def book(self) -> Book:
        """Return where everything stands on the disk."""
        return self._book

    def offer(self, payload: bytes) -> None:
        """Take in what came from upstream; of several that wait only the newest is looked at."""
        if payload and payload not in (self._offered, self._taken):
            self._offered = payload
            self._news.set()

    def report(self) -> ConfigReport:
        """Return what the backend is told."""
        return self._book.report()

    def shown(self) -> ConfigShown:
        """Return what the command line shows."""
        book, report = self._book, self._book.report()
        return ConfigShown(
            applied=report.applied,
            staged=None if book.staged is None else book.staged.version,
            on_trial=None if book.trial is None else book.trial.text.version,
            in_force=self._in_force.version,
            forget=book.forget is not None,
            refused=report.refused,
            code=report.code,
            detail="" if book.refused is None else book.refused.detail,
        )

    async def forget(self, by: str) -> Done | Refused:
        """Go back to the cabinet's own file when the ports are idle, or say why not."""
        async with self._turn:
            book = self._book
            if not book.texts:
                return Refused(code="nothing_desired")
            try:
                await self._save(desired.want_own(book, by))
            except OSError as error:
                return Refused(code="config_not_kept", detail=str(error)[:200])
        self._news.set()
        log.info("desired configuration is to be forgotten", by=by)
        return Done()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._news.clear()
            await self.step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()

    async def step(self) -> None:
        """Do what is due now. Trouble with the disk or the journal is not an exception."""
        self._begun_s = clock.monotonic_s() if self._begun_s is None else self._begun_s
        self._reconnected = self._reconnected or self._connected()
        async with self._turn:
            try:
                await self._take()
                await self._watch_trial()
                await self._apply()
            except OSError as error:
                self._warn("desired configuration not kept", problem=str(error))
            await self._tell()

    # -- taking in ---------------------------------------------------------------------------------------------

    async def _take(self) -> None:
        payload = self._offered
        if payload is None or not self._bucket.take(clock.monotonic_s()):
            return
        outcome = await self._judge(payload)
        if isinstance(outcome, ConfigRefused):
            self.refused[outcome.code] += 1
            self._warn("desired configuration refused", version=outcome.version, code=outcome.code)
            await self._save(desired.refuse(self._book, outcome))
        elif outcome is not None:
            text = Text(version=outcome.version, sha256=outcome.sha256)
            await asyncio.to_thread(self._store.keep, text, outcome.body)
            await self._save(desired.stage(self._book, text))
            log.info("desired configuration staged", version=text.version)
        if not (isinstance(outcome, ConfigRefused) and outcome.code in _OF_THE_KEYS):
            self._taken = payload
        if self._offered is payload:  # otherwise a newer one came meanwhile
            self._offered = None

    async def _judge(self, payload: bytes) -> Desired | ConfigRefused | None:
        """Return a configuration to be staged, why it is refused, or None for one that is known."""
        heard = await asyncio.to_thread(hear_config, payload)
        if isinstance(heard, ConfigRefused):
            return heard
        wanted = heard.desired
        sealed = await self._gate.sealed(wanted.node, heard.seal, CONFIG_PURPOSE)
        if sealed.code:
            return refused(wanted, sealed.code, sealed.detail)
        code = desired.verdict(self._book, wanted)
        if code:
            newest = self._book.newest
            return None if code == "known" else refused(wanted, code, f"newest {newest.version}" if newest else "")
        text = Text(version=wanted.version, sha256=wanted.sha256)
        found = await asyncio.to_thread(judged, self._local, text, wanted.body)
        return found if isinstance(found, ConfigRefused) else wanted

    # -- putting in force --------------------------------------------------------------------------------------

    async def _apply(self) -> None:
        if self._book.waits:
            await self._sessions.at_rest(self._switch)

    async def _switch(self) -> None:
        """Write down what the next process runs with, and make room for it."""
        book = self._book
        await self._save(desired.forgotten(book) if book.forget else desired.begin_trial(book, self._working()))
        await self._leave("configuration changes, station starts anew")

    async def _leave(self, why: str) -> None:
        text = self._book.in_force
        log.warning(why, version=0 if text is None else text.version)
        self._restart()
        await asyncio.sleep(_LEAVING_S)

    def _working(self) -> list[str]:
        """Return what works now; a new configuration has to leave it so."""
        journal = ["journal"] if self._journal.status().ok else []
        return ["guard", *journal, *(["upstream"] if self._connected() else [])]

    # -- the trial ---------------------------------------------------------------------------------------------

    async def _watch_trial(self) -> None:
        trial = self._book.trial
        if trial is None or not self._in_force.on_trial or self._begun_s is None:
            return
        watched_s = clock.monotonic_s() - self._begun_s
        if watched_s < self._trial_s:
            return
        lacking = [need for need in trial.needs if not self._works(need)]
        settings = self._in_force.merged.config.upstream
        patience_s = _CONNECT_S + (0.0 if settings is None else settings.retry_base_s)
        if lacking == ["upstream"] and watched_s < self._trial_s + min(patience_s, self._trial_s):
            return
        if not lacking:
            await self._save(desired.commit(self._book))
            await asyncio.to_thread(self._store.tidy, self._book)
            log.info("configuration in force for good", version=trial.text.version)
            return
        await self._save(desired.roll_back(self._book, ", ".join(lacking)))
        await self._leave("self-test failed, configuration rolled back")

    def _works(self, need: str) -> bool:
        if need == "guard":
            return self._sessions.snapshot is not None
        return self._journal.status().ok if need == "journal" else self._reconnected

    # -- keeping and telling -----------------------------------------------------------------------------------

    async def _save(self, book: Book) -> None:
        """Make ``book`` durable. Raises OSError; nothing has changed then."""
        if book != self._book:
            await asyncio.to_thread(self._store.save, book)
            self._book = book

    async def _tell(self) -> None:
        """Bring what happened into the journal; what it has already, because a kill came in between, only once."""
        news = self._book.news
        if not news:
            return
        try:
            if not self._told_checked:
                news = news[await self._known(news) :]
                self._told_checked = True
            await self._journal.append([_fact(one) for one in news])
            await self._save(desired.told(self._book, len(self._book.news)))
        except (JournalFailedError, JournalConflictError, OSError) as error:
            self._told_checked = False  # the journal may have them all the same
            self._warn("news of the configuration not kept", problem=str(error))

    async def _known(self, news: list[News]) -> int:
        """Return how many of the first ``news`` are the newest facts of their kinds already."""
        facts: list[bytes] = []
        after = 0
        while page := await self._journal.facts(_KINDS, after, _PAGE):
            facts, after = [*facts, *(bytes(fact.body) for fact in page)][-_PAGE:], page[-1].seq
        bodies = [canonical(_body(one)) for one in news]
        return next((count for count in range(len(bodies), 0, -1) if facts[-count:] == bodies[:count]), 0)

    def _warn(self, event: str, **fields: object) -> None:
        held_back = self._limiter.admit(event, clock.monotonic_s())
        if held_back is not None:
            log.warning(event, **fields, held_back=held_back)


def _body(news: News) -> ConfigApplied | ConfigRefused:
    return news.refused or news.applied or ConfigApplied(version=0)


def _fact(news: News) -> NewFact:
    kind = FactKind.CONFIG_APPLIED if news.refused is None else FactKind.CONFIG_REFUSED
    return NewFact(kind, _body(news))
