"""Whether a connection fails on this machine already, so that trying again soon costs nobody anything.

Where no interface has a link, packets are not refused but vanish: an attempt would go on for seconds, and for seconds
after the link is back. So it is not begun, except now and then, for the case that a link is not known for one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from typing import Final
from urllib.parse import urlsplit

#: An attempt is made although there seems to be no link, seconds.
_ANYWAY_S: Final = 300.0
_NOWHERE: Final = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
#: linux/sockios.h, linux/if.h: flags of an interface, and those that are looked at.
_SIOCGIFFLAGS: Final = 0x8913
_UP, _LOOPBACK, _RUNNING = 0x1, 0x8, 0x40
_INTERFACES: Final = "/sys/class/net"
_REQUEST: Final = struct.Struct("16sH22x")


class WayOut:
    """Remembers when a connection was last tried."""

    def __init__(self) -> None:
        self._tried_s: float | None = None

    def is_shut(self, url: str, now: float) -> bool:
        """Return whether a connection to ``url`` need not be tried at ``now``, monotonic seconds."""
        tried_s = self._tried_s
        if tried_s is not None and now - tried_s < _ANYWAY_S and not _is_here(url) and not has_carrier():
            return True
        self._tried_s = now
        return False


def _is_here(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # no address at all: whoever tries it will say so
        return True
    return host == "localhost" or host.startswith(("127.", "::1"))


def has_no_way_out(error: BaseException) -> bool:
    """Return whether ``error`` means: no link, no route, nobody to ask for the address.

    "No route to host" and a time-out are also what becomes of a broker that is gone, and then a whole fleet meets it:
    they count only where no cable is plugged in and no modem has a network.
    """
    if isinstance(error, socket.gaierror):
        return True
    if not isinstance(error, OSError):
        return False
    return error.errno in _NOWHERE or not has_carrier()


def has_carrier() -> bool:
    """Return whether any interface but loopback has a link; when that cannot be told, True."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Not socket.if_nameindex: it asks over netlink, which the unit does not allow.
            return any(_runs(probe, name) for name in os.listdir(_INTERFACES))  # noqa: PTH208 - names only
    except OSError:
        return True


def _runs(probe: socket.socket, name: str) -> bool:
    try:
        answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0))
    except OSError:  # gone since it was listed
        return False
    flags = _REQUEST.unpack(answer)[1]
    return bool(flags & _UP and flags & _RUNNING and not flags & _LOOPBACK)
