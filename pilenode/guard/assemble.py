"""From configuration to parts: the only place where guard knows both ``config`` and ``drivers``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from config.load import cabinet_limits, completion_limits, load_meter, max_duration_s, port_limits
from drivers.bus import SerialLine
from drivers.gpio import GpioContacts, GpioRelays, InputSpec, OutputSpec, pin_factory
from drivers.meter import MeterDevice
from drivers.thermometer import W1Thermometer
from pilenode.guard.board import CABINET
from pilenode.guard.meter_map import register_map
from pilenode.guard.off import OffLine, ordered
from pilenode.guard.workers import FittedMeter
from safety.catalogue_entry import Effect
from safety.state import Contact, Settings

if TYPE_CHECKING:
    from config.schema import Bus, Config, Inlet, Input, Meter

#: Name of the contactor's auxiliary contact among the inputs; the schema allows no blank in a name of the user's.
FEEDBACK = "contactor feedback"


def settings(config: Config) -> Settings:
    """Return the settings of the safety core."""
    return Settings(
        ports={port.number: port_limits(config, port) for port in config.port},
        cabinet=cabinet_limits(config),
        completion=completion_limits(config),
        max_duration_s=max_duration_s(config),
        contacts=tuple(_contact(entry) for entry in config.input),
        contactor=config.gpio.contactor_pin is not None,
        feedback=config.gpio.contactor_feedback_pin is not None,
        heartbeat=config.gpio.heartbeat_pin is not None,
    )


def _contact(entry: Input) -> Contact:
    code = "door_open" if entry.kind == "door" else entry.kind
    effect = Effect(entry.policy) if entry.kind == "door" else Effect.CUT
    return Contact(entry.name, code, entry.debounce_s, effect, tuple(entry.ports))


def line(bus: Bus) -> SerialLine:
    """Return the serial line of a bus. Nothing is opened yet that could fail."""
    return SerialLine(bus.device, bus.baud, bus.parity, bus.stopbits, turnaround_s=bus.turnaround_ms / 1000)


def meters(config: Config, bus: str, wire: SerialLine) -> list[FittedMeter]:
    """Return every meter on one bus with the ports that its channels serve; the inlet counts as port ``CABINET``."""
    fitted: list[tuple[int, Meter | Inlet]] = [(port.number, port.meter) for port in config.port]
    if config.cabinet.inlet is not None:
        fitted.append((CABINET, config.cabinet.inlet))
    ports: dict[int, dict[int, int]] = {}
    models: dict[int, str] = {}
    for number, one in fitted:
        if one.bus == bus:
            ports.setdefault(one.unit, {})[one.channel] = number
            models[one.unit] = one.model
    own = Path(config.meters.directory)
    return [
        FittedMeter(MeterDevice(wire, unit, register_map(load_meter(models[unit], own))), served)
        for unit, served in ports.items()
    ]


def relays(config: Config) -> tuple[GpioRelays, GpioContacts]:
    """Claim every pin, everything off. Raises drivers.gpio.GpioError."""
    gpio = config.gpio
    factory = pin_factory(gpio.factory)
    contactor = None
    if gpio.contactor_pin is not None:
        contactor = OutputSpec(gpio.contactor_pin, gpio.contactor_active == "high")
    outputs = {port.number: OutputSpec(port.relay.pin, port.relay.active == "high") for port in config.port}
    inputs = [
        InputSpec(entry.name, entry.pin, entry.contact == "normally_closed", entry.pull == "up")
        for entry in config.input
    ]
    if gpio.contactor_feedback_pin is not None:
        # A line that cannot be read counts as in alarm, and for this one the alarm is "closed": the worse of the two.
        inputs.append(
            InputSpec(FEEDBACK, gpio.contactor_feedback_pin, gpio.contactor_feedback == "normally_closed", pull_up=True)
        )
    return GpioRelays(factory, outputs, contactor, gpio.heartbeat_pin), GpioContacts(factory, inputs)


def off_lines(config: Config) -> tuple[OffLine, ...]:
    """Return every output with the level that is off, for the helper that opens everything without guard."""
    gpio = config.gpio
    contactor = None if gpio.contactor_pin is None else (gpio.contactor_pin, gpio.contactor_active == "high")
    ports = [(port.number, port.relay.pin, port.relay.active == "high") for port in config.port]
    return ordered(contactor, ports, gpio.heartbeat_pin)


def thermometers(config: Config) -> dict[int, W1Thermometer]:
    """Return the probes by port number, that of the cabinet under ``CABINET``."""
    probes = {port.number: port.probe for port in config.port if port.probe}
    if config.cabinet.probe is not None:
        probes[CABINET] = config.cabinet.probe
    return {number: W1Thermometer(config.onewire.root, probe.id) for number, probe in probes.items()}
