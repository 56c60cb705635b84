"""A small reference backend: it stores every fact once, acknowledges after its own commit, and can send commands."""

from __future__ import annotations

from hil_rig.upstream.backend import Backend
from hil_rig.upstream.process import BackendProcess
from hil_rig.upstream.reading import StoredFact
from hil_rig.upstream.sending import send
from hil_rig.upstream.store import Store

__all__ = ["Backend", "BackendProcess", "Store", "StoredFact", "send"]
