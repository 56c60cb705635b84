"""Latched faults on disk: one small file, replaced atomically, read at start.

A file that cannot be understood latches nothing silently: it raises, guard reports it and every port starts
latched, because "no fault" must never be the result of a damaged file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "latches.json"


class Latches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is latched: catalogue codes per port and of the cabinet."""

    ports: dict[int, str] = {}
    cabinet: list[str] = []


class LatchesDamagedError(Exception):
    """The latch file exists but cannot be read or understood."""


def load(directory: Path) -> Latches:
    """Return what was latched, nothing when there is no file. Raises LatchesDamagedError."""
    path = directory / _NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Latches)
    except FileNotFoundError:
        return Latches()
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise LatchesDamagedError(f"{path}: {error}") from error


def save(directory: Path, latches: Latches) -> None:
    """Replace the file durably. Raises OSError; the old file is whole then."""
    path, fresh = directory / _NAME, directory / (_NAME + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(latches))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
