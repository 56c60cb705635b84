"""What guard knew when it died of a bug, or stopped feeding its watchdog. ``boxes`` keeps the first of them."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import msgspec

from pilenode.guard import boxes

if TYPE_CHECKING:
    from pathlib import Path

    from pilenode.ipc.messages import Events

#: Newest events that go into a box.
EVENTS = 100


def write(directory: Path, error: BaseException | str, events: Events) -> Path | None:
    """Write a black box and return its path, None when enough are there or the disk refuses.

    ``error`` is a bug, or one sentence about a tick that was not sound. The disk may stall: never call it in the tick.
    """
    what = error if isinstance(error, str) else "".join(traceback.format_exception(error))
    return boxes.keep(directory, {"error": what, "events": msgspec.to_builtins(events.events[-EVENTS:])})
