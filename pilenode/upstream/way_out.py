"""Whether a connection failed on this machine already, so that trying again soon costs nobody anything."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from typing import Final

_NOWHERE: Final = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
#: linux/sockios.h, linux/if.h: flags of an interface, and those that are looked at.
_SIOCGIFFLAGS: Final = 0x8913
_UP, _LOOPBACK, _RUNNING = 0x1, 0x8, 0x40
_REQUEST: Final = struct.Struct("16sH22x")


def has_no_way_out(error: BaseException) -> bool:
    """Return whether ``error`` means: no link, no route, nobody to ask for the address.

    "No route to host" is also what a router far away says of a broker that is gone, and then a whole fleet hears it: it
    counts only where no cable is plugged in and no modem has a network.
    """
    if isinstance(error, socket.gaierror):
        return True
    if not isinstance(error, OSError):
        return False
    return error.errno in _NOWHERE or (error.errno == errno.EHOSTUNREACH and not has_carrier())


def has_carrier() -> bool:
    """Return whether any interface but loopback has a link; when that cannot be told, True."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return any(_runs(probe, name) for _, name in socket.if_nameindex())
    except OSError:
        return True


def _runs(probe: socket.socket, name: str) -> bool:
    try:
        answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0))
    except OSError:  # gone since it was listed
        return False
    flags = _REQUEST.unpack(answer)[1]
    return bool(flags & _UP and flags & _RUNNING and not flags & _LOOPBACK)
