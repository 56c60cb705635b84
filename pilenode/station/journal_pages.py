"""Reads facts out of a journal file that SQLite will not open any more: page by page, whatever leads to the pages.

Layout after the description of the file format on sqlite.org (fileformat2: header, b-tree pages, record format,
write-ahead log). Only leaf pages of tables are looked at, each by itself; a page whose latest committed content is in
the write-ahead log is taken from there. Nothing here believes a number that it read: every offset is checked, and what
does not look exactly like a row of ``fact`` or ``gap`` is passed over. Pure but for reading two files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LEAF: Final = 0x0D
_HEADER_BYTES: Final = 100
_MIN_PAGE, _MAX_PAGE, _USUAL_PAGE = 512, 65536, 4096
_WAL_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_VARINT_BYTES: Final = 9
_MOST_BYTES: Final = 1024 * 1024  # no fact is longer
_HASH_BYTES: Final = 32
_FIXED: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # integers and None by their serial type
_ZERO, _ONE = 8, 9
_FIRST_BLOB: Final = 12

Value = int | str | bytes | None


class _WrongError(Exception):
    """This is no row of ours."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row begins: page (from 1) and offset in it."""

    page: int
    offset: int


class Pages:
    """The pages of a database file as of the last committed transaction that can still be read."""

    def __init__(self, file: BinaryIO, wal: BinaryIO | None) -> None:
        self._file = file
        self._wal = wal
        self.size = _page_size(file.read(_HEADER_BYTES))
        self._in_wal: Mapping[int, int] = {} if wal is None else _committed(wal, self.size)
        file.seek(0, 2)
        self.count = max([-(-file.tell() // self.size), *self._in_wal])

    def read(self, page: int) -> bytes:
        """Return the content of a page, empty where it cannot be read."""
        at = self._in_wal.get(page)
        source, offset = (self._file, (page - 1) * self.size) if at is None or self._wal is None else (self._wal, at)
        try:
            source.seek(offset)
            return source.read(self.size)
        except OSError:
            return b""

    def rows(self) -> Iterator[tuple[int, Place]]:
        """Return the key and the place of every row of every table, in no order."""
        for page in range(1, self.count + 1):
            content = self.read(page)
            start = _HEADER_BYTES if page == 1 else 0
            if len(content) < self.size or content[start] != _LEAF:
                continue
            (cells,) = struct.unpack_from(">H", content, start + 3)
            for number in range(min(cells, (self.size - start - 8) // 2)):
                (offset,) = struct.unpack_from(">H", content, start + 8 + 2 * number)
                try:
                    _, after = _varint(content, offset)
                    key, _ = _varint(content, after)
                except _WrongError:
                    continue
                yield key, Place(page, offset)

    def values(self, place: Place) -> list[Value]:
        """Return the values of a row, nothing where they cannot be read."""
        try:
            return _values(self._payload(place))
        except (_WrongError, UnicodeDecodeError):
            return []

    def _payload(self, place: Place) -> bytes:
        content = self.read(place.page)
        length, after = _varint(content, place.offset)
        _, after = _varint(content, after)
        if not 0 < length <= _MOST_BYTES:
            raise _WrongError
        usable, local = self.size, length
        if length > usable - 35:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (length - least) % (usable - 4)
            local = local if local <= usable - 35 else least
        payload = bytearray(content[after : after + local])
        if local < length:
            (page,) = struct.unpack(">I", content[after + local : after + local + 4].rjust(4, b"\0"))
            for _ in range(length // (usable - 4) + 1):
                if len(payload) >= length or not 0 < page <= self.count:
                    break
                content = self.read(page)
                if len(content) < usable:
                    break
                (page,) = struct.unpack_from(">I", content)
                payload += content[4:usable]
        if len(payload) < length:
            raise _WrongError
        return bytes(payload[:length])


def _page_size(header: bytes) -> int:
    if len(header) < _HEADER_BYTES:
        return _USUAL_PAGE
    (size,) = struct.unpack_from(">H", header, 16)
    size = _MAX_PAGE if size == 1 else size
    return size if _MIN_PAGE <= size <= _MAX_PAGE and size & (size - 1) == 0 else _USUAL_PAGE


def _committed(wal: BinaryIO, size: int) -> dict[int, int]:
    """Return where the write-ahead log holds the newest committed content of each page that it holds."""
    header = wal.read(_WAL_HEADER)
    if len(header) < _WAL_HEADER:
        return {}
    magic, _, page_size = struct.unpack_from(">III", header)
    order = _WAL_MAGIC.get(magic)
    sums = (0, 0) if order is None else _checksum(header[:24], (0, 0), order)
    if order is None or page_size != size or sums != struct.unpack_from(">II", header, 24):
        return {}
    salts = header[16:24]
    committed: dict[int, int] = {}
    waiting: dict[int, int] = {}
    while len(frame := wal.read(_FRAME_HEADER + size)) == _FRAME_HEADER + size:
        page, pages_after_commit = struct.unpack_from(">II", frame)
        sums = _checksum(frame[:8] + frame[_FRAME_HEADER:], sums, order)
        if frame[8:16] != salts or sums != struct.unpack_from(">II", frame, 16) or page == 0:
            break
        waiting[page] = wal.tell() - size
        if pages_after_commit:
            committed |= waiting
            waiting = {}
    return committed


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Return the running checksum of the write-ahead log after ``data`` (a multiple of 8 bytes)."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return the number at ``offset`` and where it ends."""
    number = 0
    for count in range(1, _VARINT_BYTES + 1):
        if offset >= len(data):
            raise _WrongError
        byte = data[offset]
        offset += 1
        if count == _VARINT_BYTES:
            return number << 8 | byte, offset
        number = number << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            break
    return number, offset


def _values(payload: bytes) -> list[Value]:
    """Return the values of a record."""
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        size = _FIXED.get(kind, (kind - _FIRST_BLOB) // 2)
        if size < 0 or at + size > len(payload):
            raise _WrongError
        content, at = payload[at : at + size], at + size
        values.append(_value(kind, content))
    return values


def _value(kind: int, content: bytes) -> Value:
    if kind in {_ZERO, _ONE}:
        return kind - _ZERO
    if kind in _FIXED:
        return int.from_bytes(content, "big", signed=True) if kind else None
    return content.decode() if kind % 2 else content


#: The columns of ``fact`` and ``gap`` as a record holds them; the first is the key, which stands before the record.
_FACT: Final = (None, str, str, int, int, str, str, (str, type(None)), str, bytes)
_GAP: Final = (None, int, bytes)


def is_fact(values: list[Value]) -> bool:
    """Return whether a row looks exactly like one of ``fact``. Its body is JSON, or no index would take it again."""
    if not _looks_like(values, _FACT):
        return False
    try:
        return isinstance(msgspec.json.decode(str(values[8])), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def is_gap(values: list[Value]) -> bool:
    """Return whether a row looks exactly like one of ``gap``."""
    return _looks_like(values, _GAP)


def _looks_like(values: list[Value], columns: tuple[object, ...]) -> bool:
    if len(values) != len(columns) or values[0] is not None:
        return False
    typed = all(isinstance(value, column) for value, column in zip(values[1:], columns[1:], strict=True))  # type: ignore[arg-type]
    return typed and len(values[-1]) == _HASH_BYTES  # type: ignore[arg-type]
