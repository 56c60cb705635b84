"""The life of desired configuration as values: checked, staged, on trial, in force, refused. Pure.

One ``Book`` says all of it, and every change is another book that is written whole (``desired_store``): whatever is cut
off in between leaves the old book or the new one. The texts themselves lie beside it and never change.

    staged  --(all ports idle)-->  trial  --(self-test passed)-->  applied
                                     |----(self-test failed, too many starts)--> refused; applied is what it was
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from pilenode.upstream.facts_config import ConfigApplied, ConfigRefused, ConfigReport

if TYPE_CHECKING:
    from pilenode.upstream.desired import Desired

#: A trial that has not passed after this many starts of the process is over: the configuration may be what kills it.
MAX_STARTS: Final = 3
#: Facts that wait for the journal; older ones give way.
_MAX_NEWS: Final = 8

_Version = Annotated[int, Meta(ge=1, le=2**53)]
_Hash = Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]
_Codes = Annotated[list[Annotated[str, Meta(max_length=16)]], Meta(max_length=8)]


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything in the book."""


class Text(_Value, frozen=True, kw_only=True):
    """Names one text: its version and the hash of its bytes."""

    version: _Version
    sha256: _Hash


class Trial(_Value, frozen=True, kw_only=True):
    """A text that is tried. ``needs``: what worked before and must work again; ``starts`` of the process so far."""

    text: Text
    needs: _Codes = []
    starts: Annotated[int, Meta(ge=0, le=MAX_STARTS)] = 0


class News(_Value, frozen=True, kw_only=True):
    """A fact to be told: one of the two."""

    applied: ConfigApplied | None = None
    refused: ConfigRefused | None = None


class Book(_Value, frozen=True, kw_only=True):
    """Where everything stands. ``applied`` None: the cabinet's own file alone.

    ``newest`` is the highest text ever staged; nothing at or below it is staged again. ``forget``: who wants the
    cabinet's own file back, which waits for idle ports. ``news``: facts that the journal does not have yet.
    """

    format: Literal[1] = 1
    newest: Text | None = None
    applied: Text | None = None
    staged: Text | None = None
    trial: Trial | None = None
    forget: Annotated[str, Meta(max_length=200)] | None = None
    refused: ConfigRefused | None = None
    news: Annotated[list[News], Meta(max_length=_MAX_NEWS)] = []

    @property
    def in_force(self) -> Text | None:
        """Return what a station that starts now runs with, None: the cabinet's own file alone."""
        return self.applied if self.trial is None else self.trial.text

    @property
    def texts(self) -> tuple[Text, ...]:
        """Return every text that may still be needed."""
        found = (self.applied, self.staged, None if self.trial is None else self.trial.text)
        return tuple(text for text in found if text is not None)

    @property
    def waits(self) -> bool:
        """Return whether something is to be put in force when the ports are idle."""
        return self.forget is not None or (self.staged is not None and self.trial is None)

    def report(self) -> ConfigReport:
        """Return what the backend is told."""
        staged = self.staged or (None if self.trial is None else self.trial.text)
        return ConfigReport(
            applied=0 if self.applied is None else self.applied.version,
            staged=None if staged is None else staged.version,
            refused=None if self.refused is None else self.refused.version,
            code="" if self.refused is None else self.refused.code,
        )


def verdict(book: Book, desired: Desired) -> str:
    """Return "" when ``desired`` is new, "known" when it is or was here, else the code of its refusal."""
    text = Text(version=desired.version, sha256=desired.sha256)
    if text == book.newest or text in book.texts:
        return "known"
    if book.newest is None or text.version > book.newest.version:
        return ""
    return "config_conflict" if text.version == book.newest.version else "config_older"


def stage(book: Book, text: Text) -> Book:
    """Return the book in which ``text``, which was checked and kept, waits for idle ports."""
    return msgspec.structs.replace(book, newest=text, staged=text)


def begin_trial(book: Book, needs: list[str]) -> Book:
    """Return the book in which what is staged is tried by the next process. Nothing is staged: the same book."""
    if book.staged is None or book.trial is not None:
        return book
    return msgspec.structs.replace(book, staged=None, trial=Trial(text=book.staged, needs=needs))


def started(book: Book) -> Book:
    """Return the book of a process that starts: one more start of a trial, which may be one too many."""
    trial = book.trial
    if trial is None:
        return book
    if trial.starts >= MAX_STARTS:
        return roll_back(book, f"starts {trial.starts}")
    return msgspec.structs.replace(book, trial=msgspec.structs.replace(trial, starts=trial.starts + 1))


def commit(book: Book) -> Book:
    """Return the book in which what is tried is in force for good."""
    if book.trial is None:
        return book
    text = book.trial.text
    news = News(applied=ConfigApplied(version=text.version, sha256=text.sha256))
    return _with(msgspec.structs.replace(book, applied=text, trial=None, refused=None), news)


def roll_back(book: Book, detail: str) -> Book:
    """Return the book in which what is tried does not count, and what was in force before does."""
    if book.trial is None:
        return book
    return _drop(msgspec.structs.replace(book, trial=None), book.trial.text, "config_rolled_back", detail)


def cannot_use(book: Book, refusal: ConfigRefused) -> Book:
    """Return the book without the text in force, which cannot be used: damaged, or no longer allowed by the own file.

    A trial ends; what was in force for good gives way to the cabinet's own file alone.
    """
    if book.trial is not None:
        return refuse(msgspec.structs.replace(book, trial=None), refusal)
    if book.applied is None:
        return book
    return _with(refuse(msgspec.structs.replace(book, applied=None), refusal), _own())


def want_own(book: Book, by: str) -> Book:
    """Return the book in which the cabinet's own file is wanted back, and nothing else waits."""
    wanting = msgspec.structs.replace(book, staged=None, forget=by)
    return wanting if book.in_force is not None else forgotten(wanting)  # it is in force already


def forgotten(book: Book) -> Book:
    """Return the book in which the cabinet's own file is in force alone. What was desired before never counts again."""
    if book.forget is None:
        return book
    bare = msgspec.structs.replace(book, applied=None, trial=None, forget=None, refused=None)
    return _with(bare, _own(book.forget))


def refuse(book: Book, refusal: ConfigRefused) -> Book:
    """Return the book with a refusal; the same one again is no news."""
    if book.refused == refusal:
        return book
    return _with(msgspec.structs.replace(book, refused=refusal), News(refused=refusal))


def told(book: Book, count: int) -> Book:
    """Return the book without its first ``count`` news: the journal has them."""
    return msgspec.structs.replace(book, news=book.news[count:])


def _drop(book: Book, text: Text, code: str, detail: str) -> Book:
    return refuse(book, ConfigRefused(version=text.version, sha256=text.sha256, code=code, detail=detail[:200]))


def _own(by: str = "") -> News:
    return News(applied=ConfigApplied(version=0, by=by))


def _with(book: Book, news: News) -> Book:
    return msgspec.structs.replace(book, news=[*book.news, news][-_MAX_NEWS:])
