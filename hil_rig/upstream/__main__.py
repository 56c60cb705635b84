"""``python -m hil_rig.upstream``: the reference backend in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

import aiomqtt

from hil_rig.upstream.backend import Backend
from hil_rig.upstream.connection import VERSIONS, Share, best_version
from hil_rig.upstream.database import LostError, RefusedError
from hil_rig.upstream.store import Store
from hil_rig.upstream.workers import Workers


async def _run(options: argparse.Namespace, version: str, share: Share | None) -> None:
    with Store(options.db) as store:
        backend = Backend(options.url, store, version, share, options.die_after_commit)
        running = asyncio.create_task(backend.run())
        announcing = asyncio.create_task(_announce(backend, options.ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running
        announcing.cancel()


async def _announce(backend: Backend, ready: Path | None) -> None:
    await backend.connected.wait()
    if ready is not None:
        ready.touch()  # noqa: ASYNC240 - one empty file, once


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hil_rig.upstream", description=main.__doc__)
    parser.add_argument(
        "--url", required=True, help="broker, mqtt://host:port, or mqtts://host:port?ca=FILE&certificate=FILE&key=FILE"
    )
    parser.add_argument("--db", required=True, help="file of a SQLite database, or URL postgresql://…")
    parser.add_argument("--mqtt", choices=[*sorted(VERSIONS), "auto"], default="auto", help="version of MQTT to speak")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share the work (MQTT 5)")
    parser.add_argument("--group", help="what all workers on the same brokers have in common; left out: pilenode")
    parser.add_argument("--name", default=socket.gethostname(), help="of this machine among those of the group")
    parser.add_argument("--ready", type=Path, help="file to create once the broker is reached")
    parser.add_argument("--die-after-commit", type=int, metavar="K", help="for rigs: end after the K-th commit, untold")
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)  # of one of several workers
    return parser


def main() -> int:
    """Store what every cabinet tells and acknowledge it, until told to stop."""
    options = _parser().parse_args()
    try:
        version = asyncio.run(best_version(options.url)) if options.mqtt == "auto" else options.mqtt
        shared = version == "5" and (options.workers > 1 or options.group is not None or options.number is not None)
        group = options.group or "pilenode"
        if shared and options.number is None and options.workers > 1:
            passed = ["--url", options.url, "--db", options.db, "--mqtt", "5", "--group", group, "--name", options.name]
            if options.die_after_commit is not None:
                passed += ["--die-after-commit", str(options.die_after_commit)]
            Workers(options.workers, passed, options.ready).run()
            return 0
        if options.workers > 1:
            print("the broker speaks 3.1.1, which shares nothing: one worker", file=sys.stderr)
        number = options.number or 0
        share = Share(group, f"{options.name}-{number}", first=number == 0) if shared else None
        asyncio.run(_run(options, version, share))
    except (LostError, RefusedError, OSError, aiomqtt.MqttError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
