"""A disk as a power cut leaves it: what was synced is there, of the rest anything may be.

Written data that was not synced is kept, dropped, torn at sectors or reordered. Names (created, renamed, removed) that
were not synced are kept up to some point; syncing a file or the directory makes all names before it durable, as
journaling file systems do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

    from hil_rig.power_cuts_trace import Event

_SECTORS: Final = (512, 4096)


@dataclass(slots=True)
class _Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)


class Disk:
    """Takes the events of a trace in order.

    ``ignored``: the share of syncs that it only pretends to do, of the file ``victim`` or of all.
    """

    def __init__(self, chance: random.Random, ignored: float = 0.0, victim: str | None = None) -> None:
        self._chance = chance
        self._ignored = ignored
        self._victim = victim
        self._inodes: defaultdict[int, _Inode] = defaultdict(_Inode)
        self._live: dict[str, int] = {}
        self._durable: dict[str, int] = {}
        self._names: list[Event] = []  # changes of names that were not synced
        self._count = 0

    def take(self, event: Event) -> None:
        """Let something happen."""
        match event.kind:
            case "create" | "unlink" | "rename":
                self._names.append(self._rename(self._live, event))
            case "write" | "size":
                self._inodes[self._live[event.name]].pending.append(event)
            case "sync" if self._obeys(event.name):
                self._sync(self._inodes[self._live[event.name]])
            case "sync names" if self._obeys(""):
                self._sync_names()

    def _obeys(self, name: str) -> bool:
        return self._victim not in {None, name} or self._chance.random() >= self._ignored

    def _rename(self, names: dict[str, int], event: Event) -> Event:
        """Change ``names``; the event returned names the inode of a creation, so that it can be done again."""
        if event.kind == "create":
            if event.at == 0:
                self._count += 1
                event = type(event)("create", event.name, self._count)
            names[event.name] = event.at
        elif event.name in names:
            inode = names.pop(event.name)
            if event.kind == "rename":
                names[event.data.decode()] = inode
        return event

    def _sync(self, inode: _Inode) -> None:
        for event in inode.pending:
            _apply(inode.durable, event)
        inode.pending.clear()
        self._sync_names()

    def _sync_names(self) -> None:
        for event in self._names:
            self._rename(self._durable, event)
        self._names.clear()

    def cut(self) -> dict[str, bytes]:
        """Return the files as a power cut at this moment may leave them, one way of many."""
        names = dict(self._durable)
        for event in self._names[: self._chance.randint(0, len(self._names))]:
            self._rename(names, event)
        return {name: bytes(self._content(self._inodes[inode])) for name, inode in names.items()}

    def _content(self, inode: _Inode) -> bytearray:
        content, chance = bytearray(inode.durable), self._chance
        style = chance.choice(("none", "all", "prefix", "random", "random"))
        sector, kept = chance.choice(_SECTORS), chance.random()
        pending = inode.pending if style != "none" else []
        if style == "prefix" and pending:
            whole = chance.randrange(len(pending))
            torn = pending[whole]
            pending = [*pending[:whole], type(torn)(torn.kind, torn.name, torn.at, torn.data[: sector * 2])]
        for event in pending:
            if style != "random":
                _apply(content, event)
            elif event.kind == "size":
                if chance.random() < kept:
                    _apply(content, event)
            else:
                self._torn(content, event, sector, kept)
        return content

    def _torn(self, content: bytearray, event: Event, sector: int, kept: float) -> None:
        for begin in range(0, len(event.data), sector):
            if self._chance.random() < kept:
                _put(content, event.at + begin, event.data[begin : begin + sector])


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "write":
        _put(content, event.at, event.data)
    elif event.at < len(content):
        del content[event.at :]
    else:
        content.extend(bytes(event.at - len(content)))


def _put(content: bytearray, at: int, data: bytes) -> None:
    if at > len(content):
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data
