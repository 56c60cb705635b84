"""Changes that keep enough of a message's shape to get past the first check, and break it somewhere behind.

Three shapes: one JSON text; frames of JSON as on the Unix sockets (a four-byte length, then the text); a TOML file.
Every change is a function of a random generator and of the input, so a seed and a number say exactly what was sent.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Final

from hil_rig.fuzz import odd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_LENGTH: Final = struct.Struct(">I")
#: No input is longer: a little above the largest cap of any door but the configuration's.
MOST_BYTES: Final = 72 * 1024
_DEEP: Final = 40


class Pairs(list[tuple[str, object]]):
    """An object as it was written: keys in order, also those that are said twice."""


class Text(str):
    """A piece of text that stands in a document as it is."""

    __slots__ = ()


# -- bytes -------------------------------------------------------------------------------------------------


def mutate_bytes(random: Random, data: bytes, other: bytes) -> bytes:  # noqa: PLR0911 - one for each change
    """Return ``data`` with one change that knows nothing of its shape."""
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16, 200)))
    match random.randrange(9):
        case 0 if data:
            at = random.randrange(len(data))
            return data[:at] + bytes((data[at] ^ (1 << random.randrange(8)),)) + data[at + 1 :]
        case 1:
            return data[:at]
        case 2:
            return data[at:] if random.random() < 0.3 else data[:at] + data[end:]  # noqa: PLR2004 - a share
        case 3:
            return data[:end] + data[at:end] * random.choice((1, 2, 50)) + data[end:]
        case 4:
            return data[:at] + random.choice(odd.BYTES) * random.choice((1, 1, 3)) + data[at:]
        case 5:
            return data[:at] + random.choice(odd.WORDS) * random.choice((1, 1, 2, 300)) + data[at:]
        case 6:
            return data[:at] + other[random.randint(0, len(other)) :]
        case 7:
            return data[:at] + random.choice((*odd.NUMBERS, *odd.NO_NUMBERS)).encode() + data[end:]
        case _:
            return data[:at] + random.randbytes(end - at) + data[end:]


# -- JSON --------------------------------------------------------------------------------------------------


def read_json(data: bytes) -> object | None:
    """Return the document with repeated keys kept, None when it is none."""
    try:
        return json.loads(data, object_pairs_hook=Pairs, parse_int=Text, parse_float=Text)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def write_json(value: object) -> str:
    """Return ``value`` as text; what is ``Text`` stands as it is, valid or not."""
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{write_json(inner)}" for key, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def odd_value(random: Random) -> Text:
    """Return something that should not stand where it will stand."""
    choice = random.choice((odd.NUMBERS, odd.NUMBERS, odd.STRINGS, odd.STRINGS, odd.NO_NUMBERS, ("[]", "{}", "[{}]")))
    return Text(random.choice(choice))


def _nest(random: Random, value: object) -> Text:
    depth = random.choice((3, 6, 7, 8, 9, 10, _DEEP, 1500))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}"), ('[{"act":', "}]")))
    return Text(opening * depth + write_json(value) + closing * depth)


def _places(value: object) -> list[tuple[list[object], int]]:
    """Return every place of the document where something else could stand: a list and a position in it."""
    found: list[tuple[list[object], int]] = []
    stack = [value]
    while stack:
        node = stack.pop()
        if not isinstance(node, list):
            continue
        for index, item in enumerate(node):
            found.append((node, index))
            stack.append(item[1] if isinstance(node, Pairs) else item)
    return found


def mutate_json(random: Random, data: bytes, other: bytes) -> bytes:
    """Return ``data`` with one change of the document; what is no document is changed byte by byte."""
    if random.random() < 0.002:  # noqa: PLR2004 - a share
        return random.choice(odd.JSON_BOMBS)
    value = read_json(data)
    places = _places(value)
    if not places:
        return mutate_bytes(random, data, other)
    holder, index = random.choice(places)
    if isinstance(holder, Pairs):
        _change_pair(random, holder, index, other)
    else:
        holder[index] = odd_value(random) if random.random() < 0.7 else _nest(random, holder[index])  # noqa: PLR2004
    return write_json(value).encode(errors="surrogatepass")


def _change_pair(random: Random, pairs: Pairs, index: int, other: bytes) -> None:
    key, value = pairs[index]
    match random.randrange(10):
        case 0 | 1 | 2:
            pairs[index] = key, odd_value(random)
        case 3:
            pairs[index] = key, _nest(random, value)
        case 4:
            del pairs[index]
        case 5:  # said twice, with the same or another value
            pairs.insert(random.randint(0, len(pairs)), (key, value if random.random() < 0.3 else odd_value(random)))  # noqa: PLR2004
        case 6:
            pairs.insert(
                0, ("protocol", Text(random.choice(("0", "1", "2", "999", "1000", "-1", '"1"', "1.0", "1.5"))))
            )
        case 7:
            pairs[index] = (
                random.choice((key.upper(), key + "\n", "", "type", "op", "id", key[:-1], "é", "\ud800")),
                value,
            )
        case 8:
            stranger = read_json(other)
            if isinstance(stranger, Pairs) and stranger:
                pairs.insert(index, random.choice(stranger))
        case _:
            swap = random.randrange(len(pairs))
            (first, one), (second, two) = pairs[index], pairs[swap]
            pairs[index], pairs[swap] = (first, two), (second, one)


# -- frames ------------------------------------------------------------------------------------------------


def frame(body: bytes) -> bytes:
    """Return ``body`` behind its length."""
    return _LENGTH.pack(len(body)) + body


def bodies(data: bytes) -> list[bytes]:
    """Return the bodies of the whole frames at the beginning of ``data``."""
    found = []
    while len(data) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(data)
        if len(data) < _LENGTH.size + length:
            break
        found.append(data[_LENGTH.size : _LENGTH.size + length])
        data = data[_LENGTH.size + length :]
    return found


def mutate_frames(random: Random, data: bytes, other: bytes) -> bytes:
    """Return ``data`` with one change of a frame, of their order, or of a length."""
    mine, strange = bodies(data), bodies(other) or [b"{}"]
    if not mine or random.random() < 0.1:  # noqa: PLR2004 - a share
        return mutate_bytes(random, data, other)
    index = random.randrange(len(mine))
    match random.randrange(8):
        case 0:
            mine.insert(index, random.choice(strange))
        case 1 if len(mine) > 1:
            del mine[index]
        case 2 if len(mine) > 1:
            random.shuffle(mine)
        case 3:
            wrong = random.choice((0, 1, len(mine[index]) - 1, len(mine[index]) + 1, 8192, 8193, 2**31, 2**32 - 1))
            before = b"".join(map(frame, mine[:index]))
            return before + _LENGTH.pack(max(0, wrong)) + b"".join((mine[index], *map(frame, mine[index + 1 :])))
        case _:
            mine[index] = mutate_json(random, mine[index], random.choice(strange))
    return b"".join(map(frame, mine[:20]))


# -- TOML --------------------------------------------------------------------------------------------------


def mutate_toml(random: Random, data: bytes, other: bytes) -> bytes:
    """Return ``data`` with one change of a line, a value or a key."""
    if random.random() < 0.001:  # noqa: PLR2004 - a share
        return random.choice(odd.TOML_BOMBS)
    lines = data.split(b"\n")
    index = random.randrange(len(lines))
    line = lines[index]
    strange = random.choice(other.split(b"\n"))
    key, equals, value = line.partition(b"=")
    match random.randrange(11):
        case 0:
            del lines[index]
        case 1:
            lines.insert(random.randint(0, len(lines)), line)
        case 2:
            lines.insert(index, strange)
        case 3:
            at = random.randint(0, len(lines))
            lines[index:index] = lines[at : at + random.choice((1, 3, 12))]
        case 4 | 5 | 6 if equals:
            lines[index] = key + b"= " + _toml_value(random, value)
        case 7 if equals:
            depth = random.choice((2, 7, 8, 9, 16, 17, _DEEP, 900))
            lines[index] = b".".join([key.strip()] * depth) + b" =" + value
        case 8 if line.startswith(b"["):
            lines[index] = random.choice((line.strip(b"[]"), b"[" + line + b"]", line.replace(b"[", b"[x.")))
        case 9 if equals:
            lines[index] = random.choice((key.upper(), key.strip()[:-1], b'"' + key.strip() + b'"', b"")) + b"=" + value
        case _:
            return mutate_bytes(random, data, other)
    return b"\n".join(lines)


def _toml_value(random: Random, value: bytes) -> bytes:
    texts = (
        *odd.NUMBERS,
        *odd.NO_NUMBERS,
        *odd.STRINGS,
        "inf",
        "nan",
        "1979-05-27",
        "07:32:00",
        "0xff",
        "0b1",
        "'x'",
        "{}",
    )
    if random.random() < 0.2:  # noqa: PLR2004 - a share
        depth = random.choice((1, 2, 8, 9, 300))
        return b"[" * depth + value.strip() + b"]" * depth
    return random.choice(texts).encode(errors="surrogatepass")


#: How an input of a shape is changed.
SHAPES: Final[dict[str, Callable[[Random, bytes, bytes], bytes]]] = {
    "json": mutate_json,
    "frames": mutate_frames,
    "toml": mutate_toml,
}


def mutated(random: Random, shape: str, corpus: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Return an input of the corpus with one to four changes, parts of ``others`` among them."""
    data, other = random.choice(corpus), random.choice(others)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        change = SHAPES[shape] if random.random() < 0.85 else mutate_bytes  # noqa: PLR2004 - a share
        data = change(random, data, other)
    return data[:MOST_BYTES]
