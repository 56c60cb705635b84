"""``python -m hil_rig.upstream``: the reference backend in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from hil_rig.upstream.backend import VERSIONS, Backend
from hil_rig.upstream.store import Store


async def _run(arguments: argparse.Namespace) -> None:
    with Store(arguments.db) as store:
        backend = Backend(arguments.url, store, arguments.mqtt)
        running = asyncio.create_task(backend.run())
        announcing = asyncio.create_task(_announce(backend, arguments.ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running
        announcing.cancel()


async def _announce(backend: Backend, ready: Path | None) -> None:
    await backend.connected.wait()
    if ready is not None:
        ready.touch()  # noqa: ASYNC240 - one empty file, once


def main() -> None:
    """Store what every cabinet tells and acknowledge it, until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.upstream", description=main.__doc__)
    parser.add_argument("--url", required=True, help="broker, mqtt://host:port")
    parser.add_argument("--db", required=True, type=Path, help="SQLite file of the facts")
    parser.add_argument("--mqtt", choices=sorted(VERSIONS), default="3.1.1", help="version of MQTT to speak")
    parser.add_argument("--ready", type=Path, help="file to create once the broker is reached")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
