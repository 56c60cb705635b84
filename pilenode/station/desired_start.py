"""Which configuration a station that starts runs with: its own file, or that with a desired text above it.

Never fails for what is in the directory: what cannot be used is dropped with a reason, and the cabinet's own file is
always there. A trial whose start cannot be counted on the disk does not take place: it might never end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from config.desired_load import check_desired
from pilenode.station import desired
from pilenode.station.desired_store import DamagedError
from pilenode.upstream.facts_config import MAX_PROBLEMS, ConfigProblem, ConfigRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.errors import Problem
    from config.load import Merged
    from pilenode.station.desired import Book, Text
    from pilenode.station.desired_store import DesiredStore

_MAX_KEY: Final = 100
_MAX_DETAIL: Final = 200

log = structlog.get_logger()


class InForce(NamedTuple):
    """What a process runs with, and the own file alone (``local``).

    ``version`` 0: nothing above the own file; ``on_trial``: the text has to pass its trial.
    """

    local: Merged
    merged: Merged
    version: int
    book: Book
    on_trial: bool


def choose(store: DesiredStore, local: Merged) -> InForce:
    """Return what to run with, and the book that says so; the book is durable, or no trial takes place."""
    before, stored = _book(store)
    book = desired.started(before)
    # Counted before anything is made of the text: whatever that does to this process, the next one knows of it.
    counted = (book == before and stored) or _kept(store, book)
    if book.trial is not None and not counted:
        # As if it had not begun: what was in force before is, until a start can be counted.
        merged, _ = _usable(store, local, desired.roll_back(book, ""))
        return InForce(local, merged, _version(book.applied, merged), before, on_trial=False)
    merged, usable = _usable(store, local, book)
    if (usable == book or _kept(store, usable)) and counted:
        store.tidy(usable)
    return InForce(local, merged, _version(usable.in_force, merged), usable, on_trial=usable.trial is not None)


def _kept(store: DesiredStore, book: Book) -> bool:
    try:
        store.save(book)
    except OSError as error:
        log.error("desired configuration not kept", problem=str(error))
        return False
    return True


def overlaid(store: DesiredStore, local: Merged, text: Text) -> Merged | ConfigRefused:
    """Return ``local`` with a kept text above it, or why that cannot be."""
    try:
        body = store.read(text)
    except DamagedError as error:
        return _refusal(text, "config_damaged", str(error))
    return judged(local, text, body)


def judged(local: Merged, text: Text, body: str) -> Merged | ConfigRefused:
    """Return ``local`` with ``body`` above it, or everything that is wrong with it."""
    merged, problems = check_desired(local, body, name_of(text.version))
    if merged is None or problems:
        return _refusal(text, "config_error", f"{len(problems)}: {problems[0].key}", problems)
    return merged


def name_of(version: int) -> str:
    """Return what messages call a desired text."""
    return f"desired v{version}"


def _book(store: DesiredStore) -> tuple[Book, bool]:
    """Return the book, and whether it is on the disk as it is."""
    try:
        return store.load(), True
    except (DamagedError, OSError) as error:
        refusal = ConfigRefused(code="config_damaged", detail=str(error)[:_MAX_DETAIL])
        log.error("desired configuration damaged", problem=str(error))
        try:
            store.set_aside()
        except OSError as failed:
            log.error("damaged book not set aside", problem=str(failed))
        return desired.refuse(desired.Book(), refusal), False


def _usable(store: DesiredStore, local: Merged, book: Book) -> tuple[Merged, Book]:
    """Return the configuration in force and the book in which it can be used."""
    while (text := book.in_force) is not None:
        found = overlaid(store, local, text)
        if not isinstance(found, ConfigRefused):
            return found, book
        log.error("desired configuration cannot be used", version=text.version, code=found.code, detail=found.detail)
        book = desired.cannot_use(book, found)
    return local, book


def _version(text: Text | None, merged: Merged) -> int:
    return 0 if text is None or merged.desired is None else text.version


def _refusal(text: Text, code: str, detail: str, problems: Sequence[Problem] = ()) -> ConfigRefused:
    told = [
        ConfigProblem(code=one.code, key=one.key[:_MAX_KEY], line=one.line, detail=one.en[:_MAX_DETAIL])
        for one in problems[:MAX_PROBLEMS]
    ]
    return ConfigRefused(
        version=text.version, sha256=text.sha256, code=code, detail=detail[:_MAX_DETAIL], problems=told
    )
