"""From configuration to parts: the only place where guard knows both ``config`` and ``drivers``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from config.load import cabinet_limits, completion_limits, load_meter, max_duration_s, port_limits
from drivers.adc import SpiPins, Thermistors
from drivers.bus import SerialLine
from drivers.gpio import GpioContacts, GpioIndicators, GpioRelays, InputSpec, OutputSpec
from drivers.meter import MeterDevice
from drivers.onewire import OneWire
from drivers.temperature_module import TemperatureModule
from drivers.thermistor import Divider
from pilenode.guard.board import CABINET
from pilenode.guard.indicators import Light
from pilenode.guard.meter_map import register_map
from pilenode.guard.module_turns import ModuleTurn
from pilenode.guard.off import OffLine, ordered
from pilenode.guard.workers import FittedMeter
from safety.catalogue_entry import Effect
from safety.state import Contact, Settings

if TYPE_CHECKING:
    from config.schema import Bus, Config, Inlet, Input, Meter
    from config.schema_probe import Probe
    from drivers.contracts import ProbeRound
    from drivers.gpio import PinFactory

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


def relays(config: Config, factory: PinFactory) -> tuple[GpioRelays, GpioContacts]:
    """Claim every line that protects, everything off. Raises drivers.gpio.GpioError."""
    gpio = config.gpio
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


def probed(config: Config) -> dict[int, Probe]:
    """Return the probes by port number, that of the cabinet under ``CABINET``."""
    probes = {port.number: port.probe for port in config.port if port.probe}
    if config.cabinet.probe is not None:
        probes[CABINET] = config.cabinet.probe
    return probes


class ProbeSource(NamedTuple):
    """Probes that one thread reads, ``interval_s`` apart."""

    name: str
    probes: ProbeRound
    interval_s: float


def probe_sources(config: Config, factory: PinFactory) -> list[ProbeSource]:
    """Return the probes that do not hang on an RS-485 bus, by the wire that they hang on."""
    fitted, sources = probed(config), []
    onewire = {number: probe.id for number, probe in fitted.items() if probe.id is not None}
    if onewire:
        table = config.onewire
        rounds = OneWire(table.root, onewire, resolution_bits=table.resolution_bits or None, bulk=table.bulk)
        sources.append(ProbeSource("1-wire", rounds, table.interval_s))
    for adc in config.adc:
        channels = {
            number: probe.channel
            for number, probe in fitted.items()
            if probe.adc == adc.name and probe.channel is not None
        }
        if channels:
            divider = Divider(adc.nominal_ohm, adc.beta_k, adc.series_ohm, to_ground=adc.ntc_to == "ground")
            pins = SpiPins(adc.clock_pin, adc.mosi_pin, adc.miso_pin, adc.select_pin)
            sources.append(ProbeSource(adc.name, Thermistors(factory, pins, divider, channels), adc.interval_s))
    return sources


def module_turns(config: Config, bus: str, wire: SerialLine) -> list[ModuleTurn]:
    """Return the temperature modules on one bus that have a probe."""
    turns = []
    for module in config.probe_module:
        ports = {
            probe.channel: number
            for number, probe in probed(config).items()
            if probe.module == module.name and probe.channel is not None
        }
        if module.bus == bus and ports:
            driver = TemperatureModule(wire, module.unit, ports, module.refresh_s)
            turns.append(ModuleTurn(driver, ports, module.interval_s))
    return turns


def lights(config: Config, factory: PinFactory) -> GpioIndicators:
    """Return the lights and the buzzer. Lines that cannot be claimed are left out and told."""
    gpio = config.gpio
    specs: dict[tuple[str, int], OutputSpec] = {}
    for port in config.port:
        if port.led is not None:
            specs[Light("status", port.number)] = OutputSpec(port.led.pin, port.led.active == "high")
            if port.led.fault_pin is not None:
                specs[Light("fault", port.number)] = OutputSpec(port.led.fault_pin, port.led.active == "high")
    if gpio.status_led_pin is not None:
        specs[Light("cabinet", CABINET)] = OutputSpec(gpio.status_led_pin, gpio.status_led_active == "high")
    if gpio.buzzer_pin is not None:
        specs[Light("buzzer", CABINET)] = OutputSpec(gpio.buzzer_pin, gpio.buzzer_active == "high")
    return GpioIndicators(factory, specs)
