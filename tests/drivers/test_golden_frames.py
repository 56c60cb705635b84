"""Golden frames: every shipped meter profile against requests and replies written down beside it.

The frames of a profile are in ``frames/<model>.toml``: bytes as they go over the wire, and the values they mean
before the sign of the power is dropped and its scale is found. A frame may cover a block of the profile or another
published range.
"""

from __future__ import annotations

import struct
import tomllib
from pathlib import Path
from typing import NotRequired, TypedDict

import pytest

from config.load import load_meter, meters
from drivers.frames import Question
from drivers.registers import Block, RegisterMap, decode
from pilenode.guard.meter_map import register_map

FRAMES = Path(__file__).parent / "frames"


class Frame(TypedDict):
    """One exchange, in hex, and what it means: in the first channel, and in further ones."""

    origin: str
    request: str
    reply: str
    values: dict[str, float]
    channel: NotRequired[list[dict[str, float]]]


def frames_of(model: str) -> list[Frame]:
    """Return the frames of a model; one without a file has none."""
    path = FRAMES / f"{model}.toml"
    frames: list[Frame] = tomllib.loads(path.read_text(encoding="utf-8"))["frame"] if path.exists() else []
    return frames


def range_of(frame: Frame) -> tuple[int, int]:
    """Return first register and count that the request asks for."""
    start, count = struct.unpack_from(">HH", bytes.fromhex(frame["request"]), 2)
    return start, count


def block_of(table: RegisterMap, start: int, count: int) -> Block:
    """Return the fields of the table that lie wholly inside a range, as one block."""
    fields = [field for block in table.blocks for field in block.fields]
    width = table.bytes_per_register
    end = start + count
    inside = [
        field
        for field in fields
        if all(start <= address and address + field.size // width <= end for address in field.addresses)
    ]
    return Block("frame", start, count, fast=True, fields=tuple(inside))


@pytest.mark.parametrize("model", meters())
def test_every_block_of_a_shipped_profile_has_a_frame(model: str) -> None:
    """No profile ships whose every block was not decoded once from bytes written down."""
    asked = {range_of(frame) for frame in frames_of(model)}
    assert {(block.start, block.count) for block in register_map(load_meter(model)).blocks} <= asked


@pytest.mark.parametrize(
    ("model", "frame"),
    [pytest.param(model, frame, id=f"{model}-{n}") for model in meters() for n, frame in enumerate(frames_of(model))],
)
def test_a_frame_means_its_values(model: str, frame: Frame) -> None:
    """The request is built byte for byte, the reply passes every check and decodes to exactly the values listed."""
    table = register_map(load_meter(model))
    request, reply = bytes.fromhex(frame["request"]), bytes.fromhex(frame["reply"])
    start, count = range_of(frame)
    width, lies = table.bytes_per_register, table.byte_count_lies
    question = Question(request[0], table.function, start, count, width, byte_count_lies=lies)
    assert question.frame == request
    data = question.check(reply)
    assert isinstance(data, bytes)
    block = block_of(table, start, count)
    expected = [frame["values"], *frame.get("channel", [])]
    assert len(expected) == max(field.channel for field in block.fields)
    for channel, values in enumerate(expected, 1):
        assert decode(block, data, width, channel) == pytest.approx(values)


def test_no_frame_file_is_left_over() -> None:
    """A frame file belongs to a shipped profile; one with a wrong name would test nothing."""
    assert {path.stem for path in FRAMES.glob("*.toml")} == set(meters())
