"""A small reference backend: it stores every fact once, acknowledges after its own commit, and can send commands."""

from __future__ import annotations

from hil_rig.upstream.backend import Backend, send
from hil_rig.upstream.process import BackendProcess
from hil_rig.upstream.store import Store, StoredFact

__all__ = ["Backend", "BackendProcess", "Store", "StoredFact", "send"]
