"""Promises about who may try again at once: only whose attempt never left this machine."""

from __future__ import annotations

import errno
import fcntl
import socket
from typing import TYPE_CHECKING

import pytest

from pilenode.upstream import way_out
from pilenode.upstream.way_out import has_carrier, has_no_way_out

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("error", "with_carrier", "without"),
    [
        (OSError(errno.ENETUNREACH, ""), True, True),
        (OSError(errno.ENETDOWN, ""), True, True),
        (OSError(errno.EADDRNOTAVAIL, ""), True, True),
        (socket.gaierror(socket.EAI_AGAIN, ""), True, True),
        (OSError(errno.EHOSTUNREACH, ""), False, True),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), False, False),
        (OSError(errno.ETIMEDOUT, ""), False, False),
        (TimeoutError(), False, False),
        (ValueError(), False, False),
    ],
)
def test_only_what_never_left_is_tried_again_soon(
    error: BaseException,
    with_carrier: bool,  # noqa: FBT001 - a table
    without: bool,  # noqa: FBT001 - a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a router or the broker said, or did not say, is told to a fleet: it keeps its growing pauses."""
    monkeypatch.setattr(way_out, "has_carrier", lambda: True)
    assert has_no_way_out(error) is with_carrier
    monkeypatch.setattr(way_out, "has_carrier", lambda: False)
    assert has_no_way_out(error) is without


def _flags(flags: dict[str, int]) -> Callable[[object, int, bytes], bytes]:
    def ioctl(_probe: object, _request: int, asked: bytes) -> bytes:
        name = asked[:16].rstrip(b"\0").decode()
        if name not in flags:
            raise OSError(errno.ENODEV, "")
        return asked[:16] + flags[name].to_bytes(2, "little") + asked[18:]

    return ioctl


@pytest.mark.parametrize(
    ("flags", "carrier"),
    [
        ({"lo": 0x49}, False),
        ({"lo": 0x49, "eth0": 0x1003}, False),  # up, nothing plugged in
        ({"lo": 0x49, "eth0": 0x1002}, False),  # down
        ({"lo": 0x49, "eth0": 0x1042}, False),  # running as a leftover of being up
        ({"lo": 0x49, "eth0": 0x1043}, True),
        ({"lo": 0x49, "eth0": 0x1003, "wwan0": 0x10D1}, True),
        ({"eth0": 0x1043}, True),
    ],
)
def test_a_link_is_an_interface_that_runs(
    flags: dict[str, int],
    carrier: bool,  # noqa: FBT001 - a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loopback is none; an interface without a cable is none; one that is gone while it is asked is none."""
    names = [*enumerate(flags, start=1), (99, "gone0")]
    monkeypatch.setattr(socket, "if_nameindex", lambda: names)
    monkeypatch.setattr(fcntl, "ioctl", _flags(flags))
    assert has_carrier() is carrier


def test_who_cannot_tell_assumes_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Growing pauses are the careful answer."""

    def fails() -> list[tuple[int, str]]:
        raise OSError

    monkeypatch.setattr(socket, "if_nameindex", fails)
    assert has_carrier()


def test_this_machine_can_be_asked() -> None:
    """The real question gets an answer."""
    assert has_carrier() in (True, False)
