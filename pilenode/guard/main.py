"""Start, run and end of pilenode-guard. Whatever happens, the last thing it does is open everything."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

import safety
from drivers.gpio import GpioError, pin_factory
from pilenode import clock, instance, log
from pilenode.guard import assemble, blackbox, counters, latches, line_view, off, realtime, rights
from pilenode.guard.board import Board
from pilenode.guard.housekeeper import Housekeeper
from pilenode.guard.lights import Lights
from pilenode.guard.loop import Loop
from pilenode.guard.module_turns import ModuleBusWorker
from pilenode.guard.selftest import ClockWorker
from pilenode.guard.server import Server
from pilenode.guard.workers import ProbeWorker, Worker
from pilenode.ipc.messages import Events, GetEvents
from pilenode.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from config.schema import Config
    from drivers.bus import SerialLine
    from drivers.gpio import GpioContacts, GpioIndicators, GpioRelays, PinFactory
    from safety.state import Settings, State

EXIT_OK = 0
EXIT_BUG = 1
EXIT_CONFIG = 2
EXIT_HARDWARE = 6


def run(config: Config) -> int:
    """Run guard until SIGTERM or SIGINT and return the exit status: 0 stopped, 1 bug, 2 cannot start, 6 no GPIO."""
    log.configure("guard")
    logger = structlog.get_logger()
    directory = Path(config.guard.state_dir)
    try:
        lock = instance.claim(directory)
    except instance.TakenError:
        logger.error("cannot start", error="another guard is running", remedy="stop it first")
        return EXIT_CONFIG
    except OSError as error:
        logger.error("cannot start", error=str(error), remedy="check guard.state_dir")
        return EXIT_CONFIG
    group = config.guard.client_group
    allowed = rights.resolve(group)
    if group and allowed.group is None:
        logger.warning("group does not exist, only guard's own user and root may grant", group=group)
    with lock:
        _write_off_plan(config, directory)
        try:
            factory = pin_factory(config.gpio.factory)
            relays, contacts = assemble.relays(config, factory)
        except GpioError as error:
            logger.error("cannot start", error=str(error), remedy="check [gpio] and the rights on /dev/gpiochip*")
            return EXIT_HARDWARE  # unlike a wrong configuration this may pass: systemd tries again
        lights = assemble.lights(config, factory)
        try:
            return _guard(config, directory, allowed, Lines(factory, relays, contacts, lights))
        finally:
            lights.close()
            contacts.close()
            relays.close()


def _write_off_plan(config: Config, directory: Path) -> None:
    """Leave behind, before any line is claimed, what ``pilenode-guard-off`` needs to open everything without us."""
    try:
        off.write_plan(directory, config.gpio.factory, None, assemble.off_lines(config))
    except OSError as error:
        structlog.get_logger().warning(
            "off plan not written", error=str(error), remedy="check guard.state_dir; the helper reads the configuration"
        )


def _initial(settings: Settings, directory: Path) -> tuple[State, latches.Latches, str]:
    """Return the first state, what the disk holds, and a complaint about it ("" = none)."""
    try:
        kept = latches.load(directory)
    except latches.LatchesDamagedError as error:
        # No fault may get lost in a damaged file: everything starts latched and a technician looks at it.
        every = dict.fromkeys(settings.ports, "latch_store_damaged")
        return safety.initial(settings, every), latches.Latches(), str(error)
    held, strange = latches.understood(kept)
    if strange:
        structlog.get_logger().warning("latched codes of another version, taken as damage", codes=strange)
    known = {port: code for port, code in held.ports.items() if port in settings.ports}
    return safety.initial(settings, known, tuple(held.cabinet)), kept, ""


class Lines(NamedTuple):
    """The claimed GPIO lines."""

    factory: PinFactory
    relays: GpioRelays
    contacts: GpioContacts
    lights: GpioIndicators


def _guard(config: Config, directory: Path, allowed: rights.Rights, gpio: Lines) -> int:
    logger = structlog.get_logger()
    settings = assemble.settings(config)
    state, held, complaint = _initial(settings, directory)
    if complaint:
        logger.error("latch file damaged, every port starts latched", error=complaint)
    counts, complaint = counters.load(directory)
    if complaint:
        logger.warning("counters begin anew", error=complaint)
    tally = counters.Tally(counts, clock.monotonic_s())
    housekeeper = Housekeeper(directory, logger.info, held, tally)
    board = Board(settings.ports, assemble.probed(config), clock.monotonic_s(), inlet=config.cabinet.inlet is not None)
    lines = {bus.name: assemble.line(bus) for bus in config.bus}
    clock_worker = ClockWorker(board)
    workers = [clock_worker, *_readers(config, board, lines, gpio.factory, housekeeper)]
    loop = Loop(
        state=state,
        board=board,
        relays=gpio.relays,
        contacts=gpio.contacts,
        housekeeper=housekeeper,
        notifier=Notifier(),
        guard_boot=secrets.token_hex(8),
        tally=tally,
        clock_fault=lambda: clock_worker.fault,
        lives=(config.gpio.relay_life, config.gpio.contactor_life),
        light_failures=lambda: gpio.lights.failures,
        lines=lambda: line_view.lines(lines),
    )
    lights = Lights(gpio.lights, lambda: loop.state, housekeeper.note, silent=config.gpio.buzzer_silent)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    server = Server(Path(config.guard.socket), allowed, loop.read)
    for refusal in realtime.prepare().refused:
        logger.warning("a measure for punctual ticks was refused", error=refusal)
    housekeeper.start()
    for worker in workers:
        worker.start()
    lights.start()
    try:
        return _tick(config, directory, loop, server, gpio.relays)
    finally:
        server.close()
        lights.stop()
        lights.join(2.0)
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join(2.0)
        for line in lines.values():
            line.close()
        housekeeper.close()


def _readers(
    config: Config, board: Board, lines: Mapping[str, SerialLine], factory: PinFactory, housekeeper: Housekeeper
) -> Iterator[Worker]:
    """Yield the threads that wait for wires."""
    limits = assemble.settings(config).ports
    for bus, line in lines.items():
        turns = assemble.module_turns(config, bus, line)
        yield ModuleBusWorker(bus, board, assemble.meters(config, bus, line), limits, turns)
    for name, probes, interval_s in assemble.probe_sources(config, factory):
        yield ProbeWorker(name, board, probes, interval_s, housekeeper.note)


def _tick(config: Config, directory: Path, loop: Loop, server: Server, relays: GpioRelays) -> int:
    """Tick until the end; open everything, whatever the end is."""
    logger = structlog.get_logger()
    loop.notifier.ready(f"{len(config.port)} ports")
    logger.info("guard runs", ports=sorted(port.number for port in config.port), socket=config.guard.socket)
    try:
        loop.run(server)
    except Exception as error:
        relays.all_off()
        box = blackbox.write(directory, error, _last_events(loop))
        logger.exception("guard dies of a bug, everything is open", blackbox=str(box), exc_info=error)
        return EXIT_BUG
    finally:
        relays.all_off()
        loop.notifier.stopping()
    logger.info("guard stopped, everything is open")
    return EXIT_OK


def _last_events(loop: Loop) -> Events:
    reply = loop.read(GetEvents(since=0, limit=500))
    if not isinstance(reply, Events):
        raise TypeError("guard answered its own question wrongly")
    return reply
