"""Who may move a relay through guard's socket. Resolved once at start: a tick asks no user database."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("3i")  # pid, uid, gid of the peer, as SO_PEERCRED tells them


@dataclass(frozen=True, slots=True)
class Rights:
    """User and group ids that may grant, renew, release and reset. Root and guard's own user always may."""

    users: frozenset[int]
    group: int | None

    def allows(self, uid: int, gid: int) -> bool:
        """Return whether a peer with these credentials may change anything."""
        return uid in self.users or (self.group is not None and gid == self.group)


def resolve(group: str) -> Rights:
    """Return the rights for a group name; "" and a group that does not exist give nobody else any."""
    own = {0, os.geteuid()}
    try:
        entry = grp.getgrnam(group) if group else None
    except KeyError:
        entry = None
    if entry is None:
        return Rights(frozenset(own), None)
    members = set()
    for name in entry.gr_mem:
        try:
            members.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue  # a member without an account has no process either
    return Rights(frozenset(own | members), entry.gr_gid)


def credentials(peer: socket.socket) -> tuple[int, int]:
    """Return uid and gid of the process at the other end, as the kernel knows them."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, gid = _UCRED.unpack(raw)
    return uid, gid
