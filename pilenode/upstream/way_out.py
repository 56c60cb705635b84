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
            others = [name for name in _interfaces() if name != "lo"]
            flags = [found for found in (_flags(probe, name) for name in others) if found is not None]
    except OSError:
        return True
    if others and not flags:
        return True  # names of somebody else's network: /sys of another namespace
    return any(found & _UP and found & _RUNNING and not found & _LOOPBACK for found in flags)


def _interfaces() -> list[str]:
    """Return the names of all interfaces. Asked over netlink, or, where the unit forbids that, looked up."""
    try:
        return [name for _, name in socket.if_nameindex()]
    except OSError:
        return os.listdir(_INTERFACES)  # noqa: PTH208 - names only


def _flags(probe: socket.socket, name: str) -> int | None:
    try:
        answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0))
    except OSError:  # gone since it was listed
        return None
    return int(_REQUEST.unpack(answer)[1])
