"""Where black boxes are kept: one file per death, and the *first* deaths are kept, not the last.

The first failure names the cause; the ones after it are often only its echo in a crash loop. This module needs the
standard library only, because the switch-off helper uses it too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pilenode import clock
from pilenode.guard import durable

if TYPE_CHECKING:
    from pathlib import Path

#: Files kept. Beyond that a death is only logged; a technician who has read them deletes them.
KEPT: Final = 20


def keep(directory: Path, content: dict[str, object]) -> Path | None:
    """Write one black box, stamped with wall time and boot, and return its path.

    Returns None when enough are there or the disk refuses. Raises TypeError for content that is no JSON.
    """
    try:
        present = len(list(directory.glob("blackbox-*.json")))
    except OSError:
        return None
    if present >= KEPT:
        return None
    stamp = {"wall_ms": clock.wall_ms(), "boot": clock.boot_id(), "boottime_ms": clock.boottime_ms()}
    # A clock that stands still must not overwrite what a technician has left.
    names = (f"blackbox-{stamp['wall_ms']}-{number:02d}.json" for number in range(KEPT + 1))
    path = next(path for name in names if not (path := directory / name).exists())
    text = json.dumps(stamp | content, ensure_ascii=False, indent=1, allow_nan=False)
    try:
        durable.replace(path, text.encode("utf-8", "surrogateescape"))
    except OSError:
        return None
    return path
