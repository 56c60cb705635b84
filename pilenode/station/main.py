"""Start, run and end of pilenode-station.

A stop ends no session: leases run on, and the station that comes back adopts what guard still holds. Nothing here
waits for a network, and a journal or a guard that is not there is a state, not a reason to give up.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import structlog

from config.errors import ConfigError
from config.load import load_meter
from config.schema_tariff import compact
from pilenode import clock, instance, log
from pilenode.notify import Notifier
from pilenode.station import desired_keeper
from pilenode.station.acts import Acts
from pilenode.station.answers import Answers
from pilenode.station.card_engine import CardEngine
from pilenode.station.card_service import CardService
from pilenode.station.commands import Commands
from pilenode.station.control import ControlServer
from pilenode.station.desired_keeper import DesiredKeeper
from pilenode.station.desired_start import choose
from pilenode.station.desired_store import FOLDER, DesiredStore
from pilenode.station.energy import Counter, counter_of
from pilenode.station.entries import JournalPolicy
from pilenode.station.gate import gate_of
from pilenode.station.guard_link import GuardLink
from pilenode.station.house import CabinetHouse
from pilenode.station.journal import Journal
from pilenode.station.load_control import LoadControl
from pilenode.station.load_desk import LoadDesk
from pilenode.station.load_values import LoadRules
from pilenode.station.oversight import Oversight, place
from pilenode.station.report import report
from pilenode.station.sessions import Load, Sessions
from pilenode.station.sync import Sync, Timing
from pilenode.station.tariff_desk import TariffDesk
from pilenode.station.terms import Terms
from pilenode.station.tests_runner import Prover
from pilenode.station.timekeeper import Timekeeper, WallClock
from pilenode.station.windows import hours_of
from pilenode.upstream.mqtt import MqttUpstream

if TYPE_CHECKING:
    from config.load import Merged
    from config.schema import Config
    from pilenode.station.desired_start import InForce
    from pilenode.upstream.contract import StateReport

EXIT_OK: Final = 0
EXIT_BUG: Final = 1
EXIT_CANNOT_START: Final = 2

JOURNAL_FILE: Final = "journal.db"
_MB: Final = 1024 * 1024


def run(config: Config, local: Merged | None = None) -> int:
    """Run the station until SIGTERM or SIGINT. Return 0: asked to stop, or to be started anew, 1: a bug, 2: no start.

    ``local``: where ``config`` comes from. With it, configuration that is desired from afar may stand above it.
    """
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
        if local is None:
            return asyncio.run(Station(config).run())
        store = DesiredStore(Path(config.station.data_dir) / FOLDER)
        in_force = choose(store, local)
        station = Station(in_force.merged.config)
        station.follow_desired(store, in_force)
        return asyncio.run(station.run())


def _policy(config: Config) -> JournalPolicy:
    table = config.journal
    return JournalPolicy(
        ballast_bytes=table.ballast_mb * _MB,
        reserve_bytes=table.reserve_mb * _MB,
        budget_bytes=table.budget_mb * _MB,
        telemetry_days=table.telemetry_days,
        record_days=table.record_days,
    )


def counters(config: Config) -> dict[int, Counter]:
    """Return what is known of the register of every port; a profile that cannot be read is guard's trouble."""
    found = {}
    for port in config.port:
        # A rig that replays charges faster than life fills its registers as much faster.
        limit_w = round((port.power_limit_w or config.limits.power_limit_w) * config.completion.time_scale)
        try:
            profile = load_meter(port.meter.model, Path(config.meters.directory))
        except (ConfigError, OSError):
            found[port.number] = Counter(limit_w)
        else:
            found[port.number] = counter_of(profile, port.meter.channel, limit_w)
    return found


class Station:
    """Everything of one station, wired together."""

    def __init__(self, config: Config) -> None:
        tariff = compact(config.tariff, config.node.timezone)
        self._config = config
        self._log = structlog.get_logger()
        self._notifier = Notifier()
        self._stop = asyncio.Event()
        self._log_id = ""
        self._wall = WallClock()
        self._journal = Journal(
            Path(config.station.data_dir) / JOURNAL_FILE, now=self._wall.stamp, policy=_policy(config)
        )
        self._timekeeper = Timekeeper(self._journal, self._wall)
        self._guard = GuardLink(config.guard.socket)
        terms = Terms(
            lease_s=config.station.lease_s,
            checkpoint_s=config.station.checkpoint_s,
            tariff=lambda: self._tariff.schedule,
            counters=counters(config),
        )
        self._tariff = TariffDesk(tariff)
        self._oversight = Oversight(config, self._journal, self._wall.stamp)
        rules = LoadRules.of(config)
        budget = LoadDesk(rules.budget_a)
        self._load = LoadControl(rules, budget, self._wall.stamp)
        house = CabinetHouse(
            config.session,
            hours_of(config.session, config.node.timezone),
            config.completion.max_duration_s,
            self._oversight.locked,
        )
        self._sessions = Sessions(
            self._journal, self._guard, terms, house, self._wall.stamp, Load(self._load, self._catch_up)
        )
        self._cards = CardService(
            config,
            journal=self._journal,
            engine=CardEngine(self._sessions),
            zone=ZoneInfo(config.node.timezone),
            caught_up=self._catch_up,
            connected=self._connected,
        )
        desks = (self._tariff, self._cards.book, budget, self._load.queue, *self._oversight.desks)
        self._acts = Acts(self._journal, desks, self._wall.stamp)
        self._commands = Commands(self._journal, self._sessions, self._acts, self._wall.stamp, gate_of(config))
        self._prover = Prover(config, self._journal, self._guard, self._sessions, now=self._wall.stamp)
        self._answers = Answers(config.node.id, self._journal, self._sessions, self._prover, self._acts, self._dropped)
        self._answers.tariff = self._tariff
        self._answers.cards = self._cards
        self._answers.load = self._load
        self._answers.timekeeper = self._timekeeper
        self._answers.oversight, self._answers.place = self._oversight, place(config)
        self._control = ControlServer(config.station.control_socket, config.station.control_group, self._answers.answer)
        self._sync: Sync | None = None
        self._desired: DesiredKeeper | None = None
        if config.upstream is not None:
            settings = config.upstream
            upstream = MqttUpstream(settings, config.node.id)
            self._sync = Sync(self._journal, upstream, self._commands, self._state, Timing.of(settings), self._wall)
            self._answers.upstream = (upstream, self._sync)

    def follow_desired(self, store: DesiredStore, in_force: InForce) -> None:
        """Let the backend desire another configuration. Before ``run``."""
        self._desired = DesiredKeeper(
            store,
            in_force,
            journal=self._journal,
            sessions=self._sessions,
            gate=gate_of(self._config),
            connected=self._connected,
            restart=self._stop.set,
            trial_s=desired_keeper.TRIAL_S,
        )
        self._answers.desired = self._desired
        if self._sync is not None:
            self._sync.take_config = self._desired.offer

    async def run(self) -> int:
        """Run until a signal asks to stop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self._timekeeper.prepare()  # before the first fact is stamped
            await self._sessions.tick()
            await self._acts.catch_up()
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
            asyncio.create_task(self._oversight.follow(self._acts)),
            asyncio.create_task(self._timekeeper.run()),
            asyncio.create_task(self._cards.run()),
            asyncio.create_task(self._stop.wait()),
        }
        if self._sync is not None:
            tasks.add(asyncio.create_task(self._sync.run()))
        if self._desired is not None:
            tasks.add(asyncio.create_task(self._desired.run()))
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
            self._follow_log()
            await asyncio.sleep(max(0.0, poll_s - (clock.monotonic_s() - begun_s)))

    def _follow_log(self) -> None:
        """End when a damaged log was replaced by a new one: every picture in memory is made of the old one."""
        log_id = self._journal.status().log_id
        if log_id and self._log_id and log_id != self._log_id:
            self._log.error("the log is a new one, station starts anew", old=self._log_id, new=log_id)
            self._stop.set()
        self._log_id = self._log_id or log_id

    async def _catch_up(self) -> bool:
        return await self._acts.catch_up()

    def _connected(self) -> bool:
        return self._sync is not None and self._sync.protocol is not None

    def _state(self) -> StateReport:
        state = report(
            self._sessions.snapshot,
            self._wall.stamp(),
            journal_ok=self._journal.status().ok,
            tests=self._prover.reports(),
            locks=self._oversight.locks(),
            ledger=self._oversight.ledger(),
            challenge=self._commands.challenge(),
        )
        return state if self._desired is None else msgspec.structs.replace(state, config=self._desired.report())

    def _dropped(self) -> dict[str, int]:
        counts = {f"command.{code}": count for code, count in self._commands.refused.items()}
        counts["control"] = self._control.dropped
        if self._desired is not None:
            counts |= {f"config.{code}": count for code, count in self._desired.refused.items()}
        counts |= {f"time.{cause}": count for cause, count in self._wall.refused.items()}
        if self._answers.upstream is not None:
            upstream, sync = self._answers.upstream
            for dropped in (upstream.dropped, sync.dropped):
                counts |= {f"upstream.{cause}": count for cause, count in dropped.items()}
        return counts

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._log.error("unhandled", what=str(context.get("message")), exc_info=context.get("exception"))
