"""Promises about who may try again at once: only whose attempt never left this machine."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from typing import TYPE_CHECKING

import pytest

from pilenode.upstream import way_out
from pilenode.upstream.way_out import WayOut, has_carrier, has_no_way_out

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
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), False, True),
        (OSError(errno.ETIMEDOUT, ""), False, True),
        (TimeoutError(), False, True),
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


def test_without_a_link_nothing_is_tried_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt is always made; then none until there is a link, or five minutes have passed."""
    monkeypatch.setattr(way_out, "has_carrier", lambda: False)
    way = WayOut()
    asked = [(at_s, way.is_shut("mqtt://broker.example.org", at_s)) for at_s in (0.0, 1.0, 299.9, 300.0, 301.0, 599.9)]
    assert [at_s for at_s, shut in asked if not shut] == [0.0, 300.0]
    monkeypatch.setattr(way_out, "has_carrier", lambda: True)
    assert not way.is_shut("mqtt://broker.example.org", 600.0)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::1"])
def test_a_broker_on_this_machine_needs_no_link(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to leave the machine then; and what is no address is told by who tries it."""
    monkeypatch.setattr(way_out, "has_carrier", lambda: False)
    way = WayOut()
    assert not any(way.is_shut(f"mqtt://{host}:1883", at_s) for at_s in (0.0, 1.0, 2.0))


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
@pytest.mark.parametrize("has_netlink", [True, False])
def test_a_link_is_an_interface_that_runs(
    flags: dict[str, int],
    carrier: bool,  # noqa: FBT001 - a table
    has_netlink: bool,  # noqa: FBT001 - as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loopback is none; an interface without a cable is none; the same where the unit forbids netlink."""
    _names(monkeypatch, [*flags], has_netlink=has_netlink)
    monkeypatch.setattr(fcntl, "ioctl", _flags(flags))
    assert has_carrier() is carrier


@pytest.mark.parametrize(
    ("names", "carrier"),
    [
        (["lo", "eth0", "gone0"], False),
        (["lo", "gone0"], True),
        (["gone0", "gone1"], True),
        (["lo"], False),
        ([], False),
    ],
)
def test_interfaces_that_nobody_knows_are_no_answer(
    names: list[str],
    carrier: bool,  # noqa: FBT001 - a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is gone while it is asked counts for nothing; where all are, a link is assumed."""
    _names(monkeypatch, names, has_netlink=False)
    monkeypatch.setattr(fcntl, "ioctl", _flags({"lo": 0x49, "eth0": 0x1003}))
    assert has_carrier() is carrier


def test_who_cannot_tell_assumes_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Growing pauses are the careful answer."""
    _names(monkeypatch, None, has_netlink=False)
    assert has_carrier()


def _names(monkeypatch: pytest.MonkeyPatch, names: list[str] | None, *, has_netlink: bool) -> None:
    """Let there be these interfaces; None: they cannot be looked up."""

    def over_netlink() -> list[tuple[int, str]]:
        if not has_netlink:
            raise OSError(errno.EAFNOSUPPORT, "")
        return [*enumerate(names or [], start=1)]

    def looked_up(_: str) -> list[str]:
        if names is None:
            raise OSError(errno.ENOENT, "")
        return names

    monkeypatch.setattr(socket, "if_nameindex", over_netlink)
    monkeypatch.setattr(os, "listdir", looked_up)


def test_this_machine_can_be_asked() -> None:
    """The real question gets an answer."""
    assert has_carrier() in (True, False)
