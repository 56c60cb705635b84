"""An MQTT broker of a rig's own, on loopback: mosquitto where it is installed, else the embedded amqtt.

amqtt speaks 3.1.1 only and never answers a 5; that makes it a good test of the fall-back. Both run as a child process,
so that they can be killed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self

from hil_rig.child import environment, python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Kind = Literal["mosquitto", "amqtt"]

_START_S = 15.0
_STOP_S = 5.0


class BrokerError(RuntimeError):
    """The broker does not run, or did not begin to listen in time."""


def find_mosquitto() -> str | None:
    """Return the path of an installed mosquitto, also where PATH has no sbin."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=path)


#: Below the ports that Linux gives to connections (32768 and up): while a broker is down, nobody gets its port.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on now.

    Programs that ask at the same time get different ones: each begins at a random place and goes on from there.
    """
    for _ in _PORTS:
        port = next(_next_port)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BrokerError("no port is free")


def _from_anywhere() -> Iterator[int]:
    begin = secrets.randbelow(len(_PORTS))
    return itertools.cycle((*_PORTS[begin:], *_PORTS[:begin]))


_next_port = _from_anywhere()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what on a mosquitto: passwords by user, and the text of an access list."""

    users: Mapping[str, str]
    rights: str


class Observer(Protocol):
    """Is told what becomes of a broker."""

    def started(self, broker: Broker) -> None:
        """Learn that it accepts connections now."""

    def stopping(self, broker: Broker) -> None:
        """Learn that it will be asked to stop."""

    def killed(self, broker: Broker) -> None:
        """Learn that it was killed."""


class Broker:
    """A broker on ``127.0.0.1:port`` (0: any free one). A context manager; ``kind`` None takes the best there is.

    ``more``: further lines of mosquitto's configuration.
    """

    #: Is told of every broker of this process; the tests listen to all of them (hil_rig.contract.watch).
    observer: ClassVar[Observer | None] = None

    def __init__(
        self, port: int = 0, kind: Kind | None = None, access: Access | None = None, more: Sequence[str] = ()
    ) -> None:
        self.port = port or free_port()
        self.kind: Kind = kind or ("mosquitto" if find_mosquitto() else "amqtt")
        self.access = access
        self._more = tuple(more)
        self._directory = Path(tempfile.mkdtemp(prefix="pilenode-broker-"))
        weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address as a configuration writes it."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return its process. Raises BrokerError when it does not run."""
        if self._process is None:
            raise BrokerError("does not run")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it accepts connections. Raises BrokerError."""
        log = self._directory / "broker.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(), env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        end = time.monotonic() + _START_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise BrokerError(f"{self.kind} on port {self.port}:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        if self.observer is not None:
            self.observer.started(self)

    def stop(self) -> None:
        """Ask it to stop, and see that it does."""
        if self._process is None:
            return
        if self.observer is not None:
            self.observer.stopping(self)
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once (SIGKILL): nothing that it holds in memory survives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            if self.observer is not None:
                self.observer.killed(self)

    def _command(self) -> Sequence[str]:
        if self.kind == "amqtt":
            return python("-m", "hil_rig.broker", "--port", str(self.port))
        program = find_mosquitto()
        if program is None:
            raise BrokerError("mosquitto is not installed")
        config = self._directory / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            *self._who_may(),
            "persistence false",
            *self._more,
            f"user {getpass.getuser()}",  # as root it would become another user that cannot read this file
        ]
        config.write_text("\n".join(lines) + "\n", encoding="ascii")
        return [program, "-c", str(config)]

    def _who_may(self) -> Sequence[str]:
        if self.access is None:
            return ["allow_anonymous true"]
        passwords, rights = self._directory / "passwords", self._directory / "acl.conf"
        passwords.touch(mode=0o600)
        for user, password in self.access.users.items():
            command = [shutil.which("mosquitto_passwd") or "mosquitto_passwd", "-b", str(passwords), user, password]
            subprocess.run(command, check=True)
        rights.write_text(self.access.rights, encoding="utf-8")
        rights.chmod(0o600)
        return [
            "allow_anonymous false",
            "use_username_as_clientid true",
            f"password_file {passwords}",
            f"acl_file {rights}",
        ]

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
            return True
        return False


class OpenBroker(Broker):
    """A mosquitto that lets everybody in and whose access list can be changed while it runs: ``rights`` for all."""

    def __init__(self, rights: str) -> None:
        super().__init__(kind="mosquitto", access=Access({}, rights))
        self._rights = self._directory / "acl.conf"
        self._write(rights)

    def _write(self, rights: str) -> None:
        self._rights.write_text(rights, encoding="ascii")
        self._rights.chmod(0o600)

    def _who_may(self) -> Sequence[str]:
        return ["allow_anonymous true", f"acl_file {self._rights}"]

    def allow(self, rights: str) -> None:
        """Put another access list in force, at once and for who is connected, too."""
        self._write(rights)
        os.kill(self.pid, signal.SIGHUP)


async def _embedded(port: int) -> None:
    from amqtt.broker import Broker as EmbeddedBroker  # noqa: PLC0415 - a heavy import that only the child needs

    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = EmbeddedBroker(settings)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await broker.start()
    await stop.wait()
    await broker.shutdown()


def main() -> None:
    """Run the embedded broker in the foreground until SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_embedded(parser.parse_args().port))


if __name__ == "__main__":
    main()
