"""Latched faults on disk: one small file, replaced atomically, read at start.

A file that cannot be understood latches nothing silently: it raises, guard reports it and every port starts
latched, because "no fault" must never be the result of a damaged file. A code that this version does not know (the
file was written by a newer one) stays a latch under the code that says so, and never reaches the core as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilenode.guard import durable
from safety.catalogue import CATALOGUE, Kind

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "latches.json"
#: What an unknown code is taken for: it holds, it cuts, and its words send a technician to look at the port.
UNKNOWN_AS = "latch_store_damaged"


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


def understood(held: Latches) -> tuple[Latches, tuple[str, ...]]:
    """Return ``held`` with every unknown code replaced by UNKNOWN_AS, and the codes that were replaced.

    A known code that is no latching fault cannot have been latched by us: it counts as unknown too.
    """
    strange = tuple(sorted({code for code in (*held.ports.values(), *held.cabinet) if not _holds(code)}))
    if not strange:
        return held, ()
    ports = {port: code if _holds(code) else UNKNOWN_AS for port, code in held.ports.items()}
    cabinet = dict.fromkeys(code if _holds(code) else UNKNOWN_AS for code in held.cabinet)
    return Latches(ports=ports, cabinet=list(cabinet)), strange


def _holds(code: str) -> bool:
    entry = CATALOGUE.get(code)
    return entry is not None and entry.kind is Kind.FAULT and entry.holds


def save(directory: Path, latches: Latches) -> None:
    """Replace the file durably. Raises OSError; the old file is whole then."""
    durable.replace(directory / _NAME, msgspec.json.encode(latches))
