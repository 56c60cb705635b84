"""Temperature probes and what they hang on, as types: 1-wire, a module on RS-485, thermistors behind a converter.

A port's probe names one of the three. Whatever hangs on the same wire is read together, so address, timing and
electrical data stand once, at the wire, and never at the port.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config.schema_base import Name, Path, Pin


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: immutable, and an unknown key is an error."""


class Probe(_Table, frozen=True, kw_only=True):
    """A temperature probe: ``id`` of a DS18B20 on the kernel's 1-wire bus, or an input of a module or converter."""

    id: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9a-f]{2}-[0-9a-f]{12}$")] | None,
        Meta(description="1-wire id, e.g. 28-0316a2794bff"),
    ] = None
    module: Annotated[Name | None, Meta(description="Name of a [[probe_module]]; with channel")] = None
    adc: Annotated[Name | None, Meta(description="Name of an [[adc]]; with channel")] = None
    channel: Annotated[
        Annotated[int, Meta(ge=0, le=8)] | None,
        Meta(description="Input: 1 to 8 of a module, 0 to 7 of a converter"),
    ] = None


class OneWire(_Table, frozen=True, kw_only=True):
    """The kernel's 1-wire buses."""

    root: Annotated[Path, Meta(description="Directory of the devices")] = "/sys/bus/w1/devices"
    interval_s: Annotated[
        float, Meta(ge=0.1, le=60, description="Pause between two rounds over all probes, seconds")
    ] = 2.0
    bulk: Annotated[
        bool, Meta(description="Let all probes of a bus convert at once where kernel and rights allow it")
    ] = True
    resolution_bits: Annotated[
        Literal[0, 9, 10, 11, 12],
        Meta(description="Set in every probe at start (9 = 0.5 K, 12 = 0.0625 K); 0 leaves the chips their own"),
    ] = 0


class ProbeModule(_Table, frozen=True, kw_only=True):
    """A module with up to eight DS18B20 as a Modbus slave, on a bus of its own or among meters."""

    name: Annotated[Name, Meta(description="By which probes refer to this module")]
    model: Annotated[Literal["r4dcb08"], Meta(description="Kind of module")] = "r4dcb08"
    bus: Annotated[Name, Meta(description="Name of a [[bus]]")]
    unit: Annotated[int, Meta(ge=1, le=247, description="Modbus address")]
    interval_s: Annotated[float, Meta(ge=0.5, le=60, description="How often it is read, seconds")] = 2.0
    refresh_s: Annotated[
        float,
        Meta(ge=0, le=30, description="How old its registers may be, seconds; eight conversions where unknown"),
    ] = 6.4


class Adc(_Table, frozen=True, kw_only=True):
    """A converter on SPI whose inputs measure NTC thermistors, all of one kind, each with its series resistor."""

    name: Annotated[Name, Meta(description="By which probes refer to this converter")]
    model: Annotated[Literal["mcp3008"], Meta(description="Kind of converter")] = "mcp3008"
    clock_pin: Annotated[Pin, Meta(description="SPI clock, BCM number; other lines than 11, 10, 9 are bit-banged")] = 11
    mosi_pin: Annotated[Pin, Meta(description="SPI data to the converter, BCM number")] = 10
    miso_pin: Annotated[Pin, Meta(description="SPI data from the converter, BCM number")] = 9
    select_pin: Annotated[Pin, Meta(description="SPI select of this converter, BCM number")] = 8
    interval_s: Annotated[float, Meta(ge=0.1, le=60, description="Pause between two rounds, seconds")] = 1.0
    nominal_ohm: Annotated[float, Meta(ge=1000, le=200_000, description="Thermistor at 25 °C, ohm (data sheet)")] = (
        10_000.0
    )
    beta_k: Annotated[float, Meta(ge=2500, le=5000, description="B value of the thermistor, K (data sheet)")] = 3950.0
    series_ohm: Annotated[float, Meta(ge=200, le=800_000, description="The other resistor of the divider, ohm")] = (
        10_000.0
    )
    ntc_to: Annotated[
        Literal["ground", "supply"],
        Meta(description="What the thermistor connects the input to; the resistor, the other"),
    ] = "ground"
