"""What guard knew when it died of a bug: one file per death, and the *first* deaths are kept, not the last.

The first failure names the cause; the ones after it are often only its echo in a crash loop.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

import msgspec

from pilenode import clock

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.ipc.messages import Events

#: Files kept. Beyond that a death is only logged.
KEPT: Final = 20


def write(directory: Path, error: BaseException, events: Events) -> Path | None:
    """Write a black box and return its path, None when enough are there or the disk refuses."""
    boxes = sorted(directory.glob("blackbox-*.json"))
    if len(boxes) >= KEPT:
        return None
    path = directory / f"blackbox-{clock.wall_ms()}-{len(boxes):02d}.json"
    content = {
        "wall_ms": clock.wall_ms(),
        "boot": clock.boot_id(),
        "boottime_ms": clock.boottime_ms(),
        "error": "".join(traceback.format_exception(error)),
        "events": events.events[-100:],
    }
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))
    except OSError:
        return None
    return path
