"""sd_notify without a dependency: one datagram to the socket that systemd names in the environment."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Sends READY, WATCHDOG, STATUS and STOPPING. Silent when not started by systemd; never raises."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        address = os.environ.get("NOTIFY_SOCKET", "")
        if not address:
            return
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(text.encode())
        except OSError:
            # A lost notification must not stop the caller; systemd's own time-out is the answer to silence.
            return

    def ready(self, status: str) -> None:
        """Tell systemd that start-up is complete."""
        self._send(f"READY=1\nSTATUS={status}")

    def watchdog(self) -> None:
        """Tell systemd that the work itself was just done."""
        self._send("WATCHDOG=1")

    def status(self, status: str) -> None:
        """Show one line in ``systemctl status``."""
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        """Tell systemd that the stop was asked for."""
        self._send("STOPPING=1")
