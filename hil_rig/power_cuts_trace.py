"""Watches what a program does to the files of one directory, call by call, with strace.

Needs ``strace`` and the right to trace one's own child.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil_rig.child import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CALLS: Final = "openat,close,pwrite64,write,fdatasync,fsync,ftruncate,fallocate,unlink,rename"
_LINE: Final = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>)?\(?(.*)\) += (-?\d+)(?: .*)?$")
_PATH: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED: Final = " <unfinished ...>"
#: The longest write that is kept whole, bytes.
_LONGEST: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, in the order of its end.

    ``kind``: "create", "write", "size" (truncated or extended to ``at``), "sync", "sync names", "unlink", "rename" (to
    ``data``) or "told" (``data`` came out of the program).
    """

    kind: str
    name: str = ""
    at: int = 0
    data: bytes = b""


def run(command: Sequence[str], directory: Path, trace: Path) -> list[Event]:
    """Run ``command`` to its end and return what it did in ``directory``; ``trace`` is a file to write to."""
    options = ["-f", "-qq", "-xx", "-s", str(_LONGEST), "-e", f"trace={_CALLS}", "-e", "signal=none"]
    subprocess.run(
        ["strace", *options, "-o", str(trace), *command],  # noqa: S607 - strace is where the system has it
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    with trace.open(encoding="ascii") as lines:
        return list(_events(whole(lines), str(directory.resolve())))


def whole(lines: Iterator[str]) -> Iterator[str]:
    """Put together what strace has told in two pieces because another thread came between, at the place of its end."""
    begun: dict[str, str] = {}
    for line in lines:
        text = line.rstrip("\n")
        thread = text.split(" ", 1)[0]
        if text.endswith(_UNFINISHED):
            begun[thread] = text.removesuffix(_UNFINISHED)
        elif "<... " in text:
            yield begun.pop(thread) + text.split(" resumed>", 1)[1]
        else:
            yield text


def _events(lines: Iterator[str], directory: str) -> Iterator[Event]:
    files: dict[int, str] = {}  # what each descriptor stands for; "" is the directory itself
    names: set[str] = set()
    for line in lines:
        match = _LINE.match(line)
        if match is None or int(match[4]) < 0:
            continue
        call, words, result = match[2], match[3], int(match[4])
        paths = [bytes.fromhex(text.replace("\\x", "")).decode(errors="replace") for text in _PATH.findall(words)]
        if call == "openat":
            files.pop(result, None)
            name = _below(paths[0], directory)
            if name is None:
                continue
            files[result] = name
            if name and "O_CREAT" in words and name not in names:
                names.add(name)
                yield Event("create", name)
            if "O_TRUNC" in words:
                yield Event("size", name, 0)
        elif call in {"unlink", "rename"}:
            inside = [_below(path, directory) for path in paths]
            if inside[0] is None:
                continue
            names.discard(inside[0])
            if call == "rename" and inside[1] is not None:
                names.add(inside[1])
                yield Event("rename", inside[0], data=inside[1].encode())
            else:
                yield Event("unlink", inside[0])
        else:
            yield from _on_descriptor(call, words, result, files)


def _below(path: str, directory: str) -> str | None:
    """Return the name of a path within the directory, "" for itself, None for another place."""
    if path == directory:
        return ""
    return path.removeprefix(f"{directory}/") if path.startswith(f"{directory}/") else None


def _on_descriptor(call: str, words: str, result: int, files: dict[int, str]) -> Iterator[Event]:
    first, _, rest = words.partition(", ")
    descriptor = int(first)
    if call == "write" and descriptor == 1:
        yield Event("told", data=_data(rest))
        return
    name = files.get(descriptor)
    if name is None:
        return
    if call == "close":
        del files[descriptor]
    elif call in {"fsync", "fdatasync"}:
        yield Event("sync", name) if name else Event("sync names")
    elif call == "pwrite64":
        yield Event("write", name, int(rest.rsplit(", ", 1)[1]), _data(rest)[:result])
    elif call == "ftruncate":
        yield Event("size", name, int(rest))
    elif call == "fallocate":
        _, begin, length = rest.split(", ")
        yield Event("size", name, int(begin) + int(length))
    elif call == "write":
        raise ValueError(f"{name} is written without a place")  # nothing that is traced here does so


def _data(words: str) -> bytes:
    match = _PATH.search(words)
    return b"" if match is None else bytes.fromhex(match[1].replace("\\x", ""))
