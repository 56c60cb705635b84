"""Every code that a person may meet: what it means in Chinese and English, and what to do about it.

Codes are stable: they are stored in journals and sent upstream. A code is never reused for something else.
The latch class of a fault and what it does are written beside its words (``catalogue_faults_*``) and nowhere else.
"""

from __future__ import annotations

from safety.catalogue_endings import ENDINGS
from safety.catalogue_entry import Effect, Entry, Kind, Latch
from safety.catalogue_faults_cabinet import CABINET_FAULTS
from safety.catalogue_faults_port import PORT_FAULTS
from safety.catalogue_refusals import REFUSALS

__all__ = ["CATALOGUE", "Effect", "Entry", "Kind", "Latch"]

_ENTRIES = (*PORT_FAULTS, *CABINET_FAULTS, *ENDINGS, *REFUSALS)

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in _ENTRIES}

if len(CATALOGUE) != len(_ENTRIES):
    raise ValueError("a code stands twice in the catalogue")
