"""A meter profile (``config/meters/*.toml``, ``/etc/pilenode/meters.d/*.toml``) as types.

Rules between its keys are in ``config.cross_meter``.

A meter is data. What a reader of such a file needs to know stands here once: the loader checks the ranges, and the
reference page and the error messages are made from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config.schema import Baud, Name

Register = Annotated[int, Meta(ge=0, le=0xFFFF, description="Zero-based PDU address")]
ValueType = Literal["u16", "s16", "u32", "s32", "f32"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: immutable, and an unknown key is an error."""


class MeterSerial(_Table, frozen=True, kw_only=True):
    """How the meter leaves the factory."""

    baud: Annotated[Baud, Meta(description="Bits per second")]
    parity: Annotated[Literal["N", "E", "O"], Meta(description="Parity: none, even or odd")] = "N"
    stopbits: Annotated[Literal[1, 2], Meta(description="Stop bits")] = 1
    unit: Annotated[int, Meta(ge=1, le=247, description="Modbus address")] = 1


class MeterBlock(_Table, frozen=True, kw_only=True):
    """Neighbouring registers read in one transaction."""

    name: Annotated[Name, Meta(description="By which values refer to this block")]
    start: Annotated[int, Meta(ge=0, le=0xFFFF, description="First zero-based PDU address")]
    count: Annotated[int, Meta(ge=1, le=125, description="Number of registers")]
    rate: Annotated[Literal["fast", "slow"], Meta(description="fast: every sweep; slow: rides along now and then")] = (
        "fast"
    )


class MeterValue(_Table, frozen=True, kw_only=True):
    """One quantity inside a block."""

    block: Annotated[Name, Meta(description="Name of a [[block]]")]
    address: Register
    type: Annotated[ValueType, Meta(description="Unsigned, signed or IEEE 754, with its bits")]
    scale: Annotated[float, Meta(gt=0, description="Multiplies the raw value into the unit of the key")] = 1.0
    word_order: Annotated[Literal["high_first", "low_first"], Meta(description="Order of 16-bit words")] = "high_first"
    plus: Annotated[
        list[Register],
        Meta(max_length=2, description="Further addresses in the same block whose values are added: other phases"),
    ] = []
    scales: Annotated[
        list[Annotated[float, Meta(gt=0)]],
        Meta(
            max_length=4,
            description="Only power_w: the scales that sources name where they disagree; the first load of 10 W that "
            "fits V·I·PF with one of them decides, and before that a power is 0 or unknown",
        ),
    ] = []


class MeterValues(_Table, frozen=True, kw_only=True):
    """The quantities pilenode uses; the unit is in the key."""

    voltage_v: MeterValue
    current_a: MeterValue
    power_w: MeterValue
    energy_wh: MeterValue
    power_factor: MeterValue | None = None
    frequency_hz: MeterValue | None = None


class MeterIdentity(_Table, frozen=True, kw_only=True):
    """A register that says which model this is."""

    function: Annotated[Literal[3, 4], Meta(description="Modbus function that reads it")]
    address: Register
    type: Annotated[Literal["u16", "u32"], Meta(description="Unsigned, with its bits")] = "u16"
    equals: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF, description="What this model shows there")]


class MeterCode(_Table, frozen=True, kw_only=True):
    """The number that stands for a baud rate."""

    baud: Annotated[Baud, Meta(description="Bits per second")]
    code: Annotated[int, Meta(ge=0, le=0xFF, description="What is written for it")]


class MeterWrite(_Table, frozen=True, kw_only=True):
    """A setting that the commissioning tool may write; nothing else ever writes."""

    function: Annotated[Literal[6, 16], Meta(description="Modbus function that writes it")] = 6
    address: Register
    type: Annotated[Literal["u16", "f32"], Meta(description="How the number is written")] = "u16"
    place: Annotated[
        Literal["whole", "high_byte", "low_byte", "low_nibble"],
        Meta(description="Part of the register; the rest of it is read first and written back as it was"),
    ] = "whole"
    codes: Annotated[list[MeterCode], Meta(max_length=12, description="Empty: the value itself is written")] = []
    takes_effect: Annotated[
        Literal["at_once", "after_reply", "after_power_cycle"], Meta(description="From when the new setting holds")
    ] = "after_reply"


class MeterCommand(_Table, frozen=True, kw_only=True):
    """A request that does something, as hex without address and CRC."""

    request: Annotated[str, Meta(pattern=r"^([0-9A-Fa-f]{2} ?)+$", max_length=100, description="Function and data")]
    reply: Annotated[str, Meta(pattern=r"^([0-9A-Fa-f]{2} ?)+$", max_length=100, description="Expected reply")]


class MeterCommission(_Table, frozen=True, kw_only=True):
    """What can be set on this model; what is left out cannot be set over the line, or no source says how."""

    unit: Annotated[MeterWrite | None, Meta(description="Modbus address")] = None
    baud: Annotated[MeterWrite | None, Meta(description="Baud rate")] = None
    clear_energy: Annotated[MeterCommand | None, Meta(description="Sets the energy register to zero")] = None
    dlt645: Annotated[
        bool, Meta(description="Leaves the factory speaking DL/T 645-2007 and can be changed over to Modbus")
    ] = False


class MeterProfile(_Table, frozen=True, kw_only=True):
    """A meter as data."""

    model: Annotated[Name, Meta(description="Name of this profile and of its file")]
    title: Annotated[str, Meta(max_length=120, description="Maker and type, for people")]
    source: Annotated[str, Meta(max_length=400, description="Where the table comes from")]
    experimental: Annotated[bool, Meta(description="One source only, or not yet seen working on real hardware")] = False
    refresh_ms: Annotated[
        float,
        Meta(ge=0, le=5000, description="How often the meter renews its registers, milliseconds; 1000 where unknown"),
    ] = 1000.0
    function: Annotated[Literal[3, 4], Meta(description="Modbus function that reads the values")]
    bytes_per_register: Annotated[Literal[2, 4], Meta(description="What one register of the reply takes")] = 2
    byte_count_lies: Annotated[
        bool, Meta(description="The byte count of a reply is wrong under a good CRC: the length alone is checked")
    ] = False
    gaps_readable: Annotated[
        bool,
        Meta(description="Registers between the blocks may be read: blocks are joined where that saves time"),
    ] = False
    signed_power: Annotated[
        bool, Meta(description="Power may be negative when the clamp is reversed; its size counts")
    ] = False
    inlet_only: Annotated[
        bool, Meta(description="A three-phase meter: for the inlet of the cabinet, not for a socket")
    ] = False
    serial: MeterSerial
    block: Annotated[list[MeterBlock], Meta(min_length=1, max_length=8)]
    values: MeterValues
    channel: Annotated[
        list[MeterValues], Meta(max_length=7, description="Values of the second and further channels, in their order")
    ] = []
    identity: MeterIdentity | None = None
    commission: MeterCommission = MeterCommission()
    quirks: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=300)]],
        Meta(max_length=20, description="What somebody who fits this meter should know, in English"),
    ] = []
    quirks_zh: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=300)]],
        Meta(max_length=20, description="The same in Chinese, one for each; empty: there is no translation"),
    ] = []
