"""Card readers in the station: from their threads to the desk, and what of them is shown.

A reader that fails, a card that finds a bug and a key that cannot be read are states with words. None of them ends
the station, and none of them keeps a session from starting by another way.

Numbers of cards live here between a reader's queue and the hash of them, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from drivers.card_contracts import ReaderState
from pilenode import clock
from pilenode.ipc.messages import CardsReport, ReaderReport
from pilenode.station import card_store, wallclock
from pilenode.station.card_book import CardBook
from pilenode.station.card_desk import REPEATED, CardDesk, Outcome
from pilenode.station.card_exposure import Exposure
from pilenode.station.card_id import KEY_FILE, CardKeyError, card_id, key_id, make_key, read_key
from pilenode.station.cards import DAY_MS, Rules
from pilenode.station.readers import build

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import tzinfo

    from config.schema import Config
    from config.schema_cards import Cards
    from drivers.card_reader import CardSeen, ReaderStatus, ReaderThread
    from pilenode.station.card_desk import Engine
    from pilenode.station.journal import Journal
    from pilenode.station.wallclock import Stamp

#: A card that waited for longer is nobody's order any more, seconds: who held it has gone away.
STALE_S: Final = 10.0
#: The picture of cards is brought up to date at least this often, seconds; so is the search for a key.
_ROUND_S: Final = 1.0
#: Words for a swipe that came too late, was no number of a card, or met a bug.
STALE: Final = "stale"
BAD_NUMBER: Final = "bad_number"
FAILED: Final = "internal"

log = structlog.get_logger()


def rules_of(cards: Cards) -> Rules:
    """Return the table ``[cards]`` as the rules of the desk."""
    return Rules(
        day_cap_fen=cards.day_cap_fen,
        session_cap_fen=cards.session_cap_fen,
        debt_cap_fen=cards.debt_cap_fen,
        per_card_sessions=cards.per_card_sessions,
        debounce_ms=round(cards.debounce_s * 1000),
        list_max_age_ms=cards.list_max_age_days * DAY_MS,
        offline_starts=cards.offline_starts,
    )


def _nothing(_: Outcome) -> None:
    pass


class CardService:
    """Everything about cards in one station.

    ``book`` is the desk of the acts. ``caught_up`` brings it up to date with the journal, ``connected`` tells whether
    the backend is there, and ``told`` hears every outcome (a voice, a buzzer); it must neither block nor raise.
    """

    def __init__(  # noqa: PLR0913 - everything that cards depend on, each given by the one who wires
        self,
        config: Config,
        *,
        journal: Journal,
        engine: Engine,
        zone: tzinfo,
        caught_up: Callable[[], Awaitable[bool]],
        connected: Callable[[], bool],
        told: Callable[[Outcome], None] = _nothing,
        now: Callable[[], Stamp] = wallclock.stamp,
    ) -> None:
        data_dir = Path(config.station.data_dir)
        self._config = config
        self._journal = journal
        self._caught_up = caught_up
        self._told = told
        self._key_path = Path(config.cards.key_file) if config.cards.key_file else data_dir / KEY_FILE
        self._key: bytes | None = None
        self._key_trouble = "not read yet"
        self._threads: list[ReaderThread] = []
        self._shown: dict[str, ReaderStatus] = {}
        self._last: dict[str, tuple[Outcome, float]] = {}
        self._counts: dict[str, Counter[str]] = {one.name: Counter() for one in config.reader}
        exposure = Exposure(zone, lambda: journal.status().acked_seq)
        self.book = CardBook(data_dir / card_store.FOLDER, tuple(self._counts), exposure, self._key_name)
        every = [port.number for port in config.port]
        self._desk = CardDesk(
            book=self.book,
            rules=rules_of(config.cards),
            ports={one.name: one.ports or every for one in config.reader},
            engine=engine,
            records=journal,
            caught_up=self._whole,
            connected=connected,
            now=now,
        )

    # -- running -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen to the readers until cancelled."""
        if self._config.cards.enabled:
            await self._listen()
        else:
            await asyncio.Event().wait()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        self._threads = build(self._config.reader, self._config.gpio.factory, wake)
        self._find_key()
        try:
            for thread in self._threads:
                thread.start()
            while True:
                await self._round()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ROUND_S):
                        await news.wait()
                news.clear()
        finally:
            for thread in self._threads:
                thread.stop()
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for thread in self._threads:
            if not thread.close():
                log.warning("card reader does not end", reader=thread.reader)

    async def _round(self) -> None:
        if self._key is None:
            self._find_key()
        await self._whole()
        for thread in self._threads:
            self._say(thread.reader, thread.status)
            while (seen := thread.get()) is not None:
                await self._card(seen)

    async def _whole(self) -> bool:
        """Bring the book up to date, its list included, and return whether it is."""
        # A journal that fails is told by whoever writes to it, not once a second by this one too.
        whole = self._journal.status().problem is None and await self._caught_up()
        if whole:
            self.book.lists.refresh()
        return whole

    async def _card(self, seen: CardSeen) -> None:
        """Take one presentation to the desk. Nothing that follows from a card ends the station."""
        reader = seen.reader
        outcome = Outcome(reader, "", STALE)
        try:
            if clock.monotonic_s() - seen.seen_s <= STALE_S:
                outcome = await self._swipe(reader, seen.uid, round(seen.seen_s * 1000))
        except Exception:
            log.exception("bug, a card was not taken", reader=reader)
            outcome = Outcome(reader, "", FAILED)
        self._counts[reader][outcome.code] += 1
        if outcome.code == REPEATED:
            return
        self._last[reader] = (outcome, clock.monotonic_s())
        log.info("card", reader=reader, card=outcome.card, outcome=outcome.code, port=outcome.port)
        self._told(outcome)

    async def _swipe(self, reader: str, uid: str, at_ms: int) -> Outcome:
        if self._key is None:
            return Outcome(reader, "", "card_no_key")
        try:
            card = card_id(uid, self._key)
        except ValueError:
            return Outcome(reader, "", BAD_NUMBER)
        return await self._desk.swipe(reader, card, at_ms)

    def _say(self, reader: str, status: ReaderStatus) -> None:
        if self._shown.get(reader) == status or status.state is ReaderState.STARTING:
            return
        self._shown[reader] = status
        if status.state is ReaderState.READY:
            log.info("card reader ready", reader=reader)
        else:
            log.warning("card reader", reader=reader, state=str(status.state), detail=status.detail)

    # -- the key -----------------------------------------------------------------------------------------------

    def _find_key(self) -> None:
        own = not self._config.cards.key_file
        try:
            self._key = make_key(self._key_path) if own else read_key(self._key_path)
        except CardKeyError as error:
            if str(error) != self._key_trouble:
                log.error("no key for cards, none is taken", problem=str(error))
            self._key_trouble = str(error)
            return
        self._key_trouble = ""
        log.info("key of cards", key_id=key_id(self._key))

    def _key_name(self) -> str | None:
        return None if self._key is None else key_id(self._key)

    # -- what is shown -----------------------------------------------------------------------------------------

    def readers(self) -> list[ReaderReport]:
        """Return how every reader is, and what its last card led to."""
        return [self._reader(thread) for thread in self._threads]

    def _reader(self, thread: ReaderThread) -> ReaderReport:
        status = thread.status
        ready = status.state is ReaderState.READY
        outcome, at_s = self._last.get(thread.reader, (None, 0.0))
        return ReaderReport(
            reader=thread.reader,
            state=str(status.state),
            code=None if ready else f"reader_{status.state}",
            detail=status.detail[:200],
            counters=dict(thread.counters),
            outcomes=dict(self._counts[thread.reader]),
            last_outcome=None if outcome is None else outcome.code,
            last_card=None if outcome is None else outcome.card,
            last_port=None if outcome is None else outcome.port,
            last_age_s=None if outcome is None else round(clock.monotonic_s() - at_s, 1),
        )

    def report(self) -> CardsReport:
        """Return what is known of cards, and what is wrong with that."""
        book = self.book.book
        listed = book.listed
        return CardsReport(
            enabled=self._config.cards.enabled,
            key_id=self._key_name(),
            trouble="card_no_key" if self._key is None else "card_list_damaged" if book.damaged else None,
            detail=self._key_trouble or self.book.lists.trouble,
            list_version=None if listed is None else listed.version,
            list_valid_until_ms=None if listed is None else listed.valid_until_ms,
            list_cards=0 if listed is None else len(listed.cards),
            list_denied=0 if listed is None else len(listed.denied),
            denied=len(book.denied),
            learned=len(book.learned),
            staged=self.book.lists.staged,
            debt_fen=self.book.exposure.debt_fen(),
        )
