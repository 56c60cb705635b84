"""The file of a list of cards: whole or not there. Named by the SHA-256 of its content, which the journal knows.

A list is written under its own name before the fact that makes it count, and older ones are removed after that: a
power cut in between leaves the old list with the old fact, or both lists with the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode.ipc.acts import CardId, ListedCard
from pilenode.station.cards import Card, CardList

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "cards"
_SUFFIX: Final = ".list"


class ListFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in the file, in canonical order: cards and denied ones sorted, each once."""

    version: int
    valid_until_ms: int | None
    cards: list[ListedCard]
    denied: list[CardId]


class ListDamagedError(Exception):
    """The file of the list is not there, cannot be read, or is not what was written."""


def encode(listed: ListFile) -> tuple[str, bytes]:
    """Return the SHA-256 (hex) of a list and the bytes it covers."""
    content = msgspec.json.encode(listed, order="sorted")
    return hashlib.sha256(content).hexdigest(), content


def write(folder: Path, sha256: str, content: bytes) -> None:
    """Make a list durable. Raises OSError; nothing of it counts then."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{sha256}{_SUFFIX}"
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path, sha256: str, set_ms: int | None) -> CardList:
    """Return the list with that content. Raises ListDamagedError; there is no half of a list."""
    try:
        content = (folder / f"{sha256}{_SUFFIX}").read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ListDamagedError("the content is not what was written")
        listed = msgspec.json.decode(content, type=ListFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ListDamagedError(str(error)) from error
    return CardList(
        version=listed.version,
        sha256=sha256,
        cards={one.card: Card(one.until_ms, one.day_cap_fen, one.kind) for one in listed.cards},
        denied=frozenset(listed.denied),
        valid_until_ms=listed.valid_until_ms,
        set_ms=set_ms,
    )


def remove_others(folder: Path, sha256: str) -> None:
    """Remove every other list and every half-written one. What cannot be removed harms nobody."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != f"{sha256}{_SUFFIX}":
                with contextlib.suppress(OSError):
                    path.unlink()
