"""Start, run and end of pilenode-station.

A stop ends no session: leases run on, and the station that comes back adopts what guard still holds. Nothing here
waits for a network, and a journal or a guard that is not there is a state, not a reason to give up.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from pilenode import clock, instance, log
from pilenode.notify import Notifier
from pilenode.station import wallclock
from pilenode.station.acts import Acts
from pilenode.station.answers import Answers
from pilenode.station.commands import Commands
from pilenode.station.control import ControlServer
from pilenode.station.entries import JournalPolicy
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import PlainHouse
from pilenode.station.journal import Journal
from pilenode.station.keeper import Terms
from pilenode.station.report import report
from pilenode.station.sessions import Sessions
from pilenode.station.sync import Sync, Timing
from pilenode.station.tests_runner import Prover
from pilenode.upstream.facts import TariffTerms
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from config.schema import Config
    from pilenode.upstream.contract import StateReport

EXIT_OK: Final = 0
EXIT_BUG: Final = 1
EXIT_CANNOT_START: Final = 2

JOURNAL_FILE: Final = "journal.db"
_MB: Final = 1024 * 1024


def run(config: Config) -> int:
    """Run the station until SIGTERM or SIGINT. Return 0: asked to stop, 1: a bug, 2: it cannot start."""
    log.configure("station")
    logger = structlog.get_logger()
    try:
        lock = instance.claim(Path(config.station.data_dir))
    except instance.TakenError:
        logger.error("cannot start", error="another station is running", remedy="stop it first")
        return EXIT_CANNOT_START
    except OSError as error:
        logger.error("cannot start", error=str(error), remedy="check station.data_dir")
        return EXIT_CANNOT_START
    with lock:
        return asyncio.run(Station(config).run())


def _policy(config: Config) -> JournalPolicy:
    table = config.journal
    return JournalPolicy(
        ballast_bytes=table.ballast_mb * _MB,
        reserve_bytes=table.reserve_mb * _MB,
        budget_bytes=table.budget_mb * _MB,
        telemetry_days=table.telemetry_days,
        record_days=table.record_days,
    )


class Station:
    """Everything of one station, wired together."""

    def __init__(self, config: Config) -> None:
        tariff = config.tariff
        self._config = config
        self._log = structlog.get_logger()
        self._notifier = Notifier()
        self._stop = asyncio.Event()
        self._journal = Journal(Path(config.station.data_dir) / JOURNAL_FILE, policy=_policy(config))
        self._guard = GuardLink(config.guard.socket)
        terms = Terms(
            lease_s=config.station.lease_s,
            checkpoint_s=config.station.checkpoint_s,
            tariff=TariffTerms(
                version=tariff.version,
                electricity_milli_yuan_per_kwh=tariff.electricity_milli_yuan_per_kwh,
                service_milli_yuan_per_kwh=tariff.service_milli_yuan_per_kwh,
            ),
        )
        self._sessions = Sessions(self._journal, self._guard, terms, PlainHouse())
        self._acts = Acts(self._journal, ())
        self._commands = Commands(self._journal, self._sessions, self._acts)
        self._prover = Prover(config, self._journal, self._guard, self._sessions)
        self._answers = Answers(config.node.id, self._journal, self._sessions, self._prover, self._acts, self._dropped)
        self._control = ControlServer(config.station.control_socket, config.station.control_group, self._answers.answer)
        self._sync: Sync | None = None
        if config.upstream is not None:
            settings = config.upstream
            upstream = MqttUpstream(settings, config.node.id)
            timing = Timing(settings.retry_base_s, settings.retry_cap_s, settings.ack_timeout_s)
            self._sync = Sync(self._journal, upstream, self._commands, self._state, timing)
            self._answers.upstream = (upstream, self._sync)

    async def run(self) -> int:
        """Run until a signal asks to stop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self._sessions.tick()  # before anybody can ask: what the journal and guard hold is known then
            await self._control.open()
        except OSError as error:
            self._log.error("cannot start", error=str(error), remedy="check station.control_socket")
            return EXIT_CANNOT_START
        else:
            return await self._work()
        finally:
            self._notifier.stopping()
            await self._control.close()
            await self._guard.close()
            await self._journal.close()

    async def _work(self) -> int:
        self._log.info("station runs", node=self._config.node.id, log_id=self._journal.status().log_id)
        self._notifier.ready("running")
        tasks = {
            asyncio.create_task(self._keep_step()),
            asyncio.create_task(self._journal.run()),
            asyncio.create_task(self._prover.run()),
            asyncio.create_task(self._stop.wait()),
        }
        if self._sync is not None:
            tasks.add(asyncio.create_task(self._sync.run()))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        failures = [task.exception() for task in done]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for failure in failures:
            if failure is not None:
                self._log.error("bug, station ends and leases run on", exc_info=failure)
                return EXIT_BUG
        self._log.info("station stops, leases run on")
        return EXIT_OK

    async def _keep_step(self) -> None:
        poll_s = self._config.station.poll_s
        while True:
            begun_s = clock.monotonic_s()
            await self._sessions.tick()
            self._notifier.watchdog()
            await asyncio.sleep(max(0.0, poll_s - (clock.monotonic_s() - begun_s)))

    def _state(self) -> StateReport:
        ok = self._journal.status().ok
        return report(self._sessions.snapshot, wallclock.stamp(), journal_ok=ok, tests=self._prover.reports())

    def _dropped(self) -> dict[str, int]:
        counts = {f"command.{code}": count for code, count in self._commands.refused.items()}
        counts["control"] = self._control.dropped
        if self._answers.upstream is not None:
            upstream, sync = self._answers.upstream
            for dropped in (upstream.dropped, sync.dropped):
                counts |= {f"upstream.{cause}": count for cause, count in dropped.items()}
        return counts

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._log.error("unhandled", what=str(context.get("message")), exc_info=context.get("exception"))
