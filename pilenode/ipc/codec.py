"""Frames on a Unix stream socket: 4-byte big-endian length, then one JSON message.

The cap is part of the promise that no input can hurt a process: a peer that announces more is cut off before
a byte of the body is read.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from pilenode.ipc.bounded import UnfitError, outer_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FRAME: Final = 256 * 1024
#: A request is small; only replies carry lists.
MAX_REQUEST: Final = 8 * 1024
_LENGTH: Final = struct.Struct(">I")

Message = TypeVar("Message")


class FrameError(ValueError):
    """The peer does not speak this protocol; the connection must be closed."""


def encode(message: object) -> bytes:
    """Return the frame of ``message`` (a struct of ``pilenode.ipc.messages``)."""
    body = msgspec.json.encode(message)
    if len(body) > MAX_FRAME:
        raise FrameError(f"message of {len(body)} bytes is over {MAX_FRAME}")
    return _LENGTH.pack(len(body)) + body


class Decoder(Generic[Message]):
    """Collects bytes and yields whole messages of one union type.

    ``feed`` raises FrameError when a frame is longer than ``limit`` or its body is not valid for the type;
    what was decoded before is lost with the connection, on purpose: a peer that garbles once is not trusted.
    ``wary``: from whoever may ask; what is nested too deeply or says a key twice is not even decoded.
    """

    def __init__(self, message_type: type[Message] | object, limit: int = MAX_FRAME, *, wary: bool = False) -> None:
        self._decoder = msgspec.json.Decoder(message_type, strict=True)
        self._limit = limit
        self._wary = wary
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Add ``data`` and yield every complete message in it."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._limit:
                raise FrameError(f"frame of {length} bytes is over {self._limit}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                if self._wary:
                    outer_keys(body, self._limit)
                yield self._decoder.decode(body)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, UnfitError) as error:
                raise FrameError(str(error)) from error
