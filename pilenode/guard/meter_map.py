"""From a meter profile to the register map of the driver: the one translation between ``config`` and ``drivers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from drivers.registers import Block, Field, RegisterMap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.schema_meter import MeterProfile, MeterValues


def register_map(profile: MeterProfile) -> RegisterMap:
    """Return the driver's register map of a meter profile; whatever the loader accepts has one."""
    fields = [
        found
        for channel, values in enumerate((profile.values, *profile.channel), 1)
        for found in _fields(channel, values)
    ]
    return RegisterMap(
        model=profile.model,
        function=profile.function,
        bytes_per_register=profile.bytes_per_register,
        blocks=tuple(
            Block(
                name=block.name,
                start=block.start,
                count=block.count,
                fast=block.rate == "fast",
                fields=tuple(field for name, field in fields if name == block.name),
            )
            for block in profile.block
        ),
        signed_power=profile.signed_power,
        byte_count_lies=profile.byte_count_lies,
        gaps_readable=profile.gaps_readable,
    )


def _fields(channel: int, values: MeterValues) -> Iterator[tuple[str, Field]]:
    """Yield every quantity of a channel with the name of its block."""
    for quantity in msgspec.structs.fields(values):
        value = getattr(values, quantity.name)
        if value is not None:
            yield (
                value.block,
                Field(
                    quantity.name,
                    value.address,
                    value.type,
                    value.scale,
                    value.word_order,
                    channel,
                    tuple(value.plus),
                    tuple(value.scales),
                ),
            )
