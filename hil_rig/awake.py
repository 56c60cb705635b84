"""Keeps processors awake while times are measured.

A virtual processor that has gone to sleep is woken by its host up to some milliseconds late, which says nothing of any
program. One loop for each processor, at SCHED_IDLE, never stands in anybody's way and ends with the bench.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hil_rig.child import environment, python

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOP: Final = (
    "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile os.getppid() == {parent}: pass"
)


@contextmanager
def awake() -> Iterator[None]:
    """Keep every processor awake meanwhile."""
    loops = [
        subprocess.Popen(python("-c", _LOOP.format(parent=os.getpid())), env=environment(), stdin=subprocess.DEVNULL)
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
