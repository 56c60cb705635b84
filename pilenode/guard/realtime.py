"""What keeps the ticks on time. Every measure that the machine refuses is reported and none is needed to be safe.

The figures behind each measure are in docs/measurements.md; ``hil_rig.bench_ticks`` takes them again.

- *SCHED_FIFO* is the lever. systemd gives it before the process begins, and every thread inherits it; it is asked for
  here only where nobody gave it. All threads keep *one* priority, tick and buses alike: whoever holds the interpreter
  lock must not be preempted by some ordinary program while the tick waits for that lock, so a bus thread of lower
  priority would lower the tick's own.
- *Switch interval*: a thread that wants the interpreter lock waits this long before it makes the holder let go. Five
  milliseconds is the default and, alone, the whole of what is promised for a tick. (Ten ports on a PC do not show it.)
- *Memory is locked*, because a page that must be fetched back from a card under load takes tens of milliseconds, and
  the pages least used are those of the code that handles faults. What is mapped now is fetched now and stays; what is
  mapped later stays from its first use, so that the stacks of threads to come do not fill memory with nothing. It
  costs 14 MB; a machine that is not short of memory does not show the gain.
- *Garbage collector*: what start-up made (modules, classes, configuration) is frozen, so that no collection walks it.
  A full collection took 9 to 15 ms before and 0.2 ms after it. The collector itself stays on: ticks were seen to make
  no cycles (0 objects in 25 s), but an exception may, and guard runs for years.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from dataclasses import dataclass
from typing import Final

#: CPUSchedulingPriority of systemd/pilenode-guard.service.
PRIORITY: Final = 40
SWITCH_INTERVAL_S: Final = 0.0005
# <sys/mman.h>
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the machine granted. ``refused`` has one sentence per measure that it did not."""

    real_time: bool
    memory_locked: bool
    frozen_objects: int
    refused: tuple[str, ...]


def prepare() -> Prepared:
    """Take every measure. Call it in the main thread when everything is imported and built, before a thread starts."""
    refused = []
    real_time = True
    try:
        raise_priority()
    except OSError as error:
        real_time = False
        refused.append(f"no real-time scheduling: {error.strerror}")
    shorten_switch_interval()
    frozen = freeze_garbage()
    locked = True
    try:
        lock_memory()
    except OSError as error:
        locked = False
        refused.append(f"memory not locked: {error.strerror}")
    return Prepared(real_time, locked, frozen, tuple(refused))


def raise_priority(priority: int = PRIORITY) -> None:
    """Ask for SCHED_FIFO for this thread and those it starts, unless a real-time policy is set. Raises OSError."""
    if os.sched_getscheduler(0) not in (os.SCHED_FIFO, os.SCHED_RR):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


def shorten_switch_interval() -> None:
    """Let a waiting thread ask for the interpreter lock sooner."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def freeze_garbage() -> int:
    """Collect once, put what is left out of the collector's reach, and return how many objects that are."""
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()


def lock_memory() -> None:
    """Fetch and lock every page that is mapped now, and those mapped later when first used. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_MCL_CURRENT, _MCL_FUTURE | _MCL_ONFAULT):
        if libc.mlockall(flags) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
