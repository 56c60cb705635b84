"""Why a process starts, from what the log holds of the run before. Pure.

An end in order leaves a fact of its own (``stopped``); whoever is killed leaves none. A machine that started anew has
another boot id, or, where the kernel tells none, a boot clock behind that of the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from pilenode.station.session import moment, span_ms
from pilenode.upstream.facts_journal import LogSalvaged
from pilenode.upstream.facts_process import GuardStarted

if TYPE_CHECKING:
    from pilenode.ipc.messages import Snapshot
    from pilenode.station.session import Moment
    from pilenode.upstream.facts import Fact


class BootReason(StrEnum):
    """Why a process starts (``facts_process``). Stored and sent, so a word never changes its meaning."""

    FIRST = "first"
    POWER = "power"
    REBOOT = "reboot"
    RESTART = "restart"
    CRASH = "crash"
    LOG_RENEWED = "log_renewed"


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest fact of a log, its newest ``boot`` and ``stopped``, and the ``log_salvaged`` that it began with.

    None: there is none.
    """

    last: Fact | None = None
    boot: Fact | None = None
    stopped: Fact | None = None
    salvaged: Fact | None = None


def boot_reason(run: LastRun, now: Moment) -> tuple[BootReason, int | None]:
    """Return why station starts ``now``, and for how long nothing was written, ms (None: nobody can tell)."""
    if run.last is None:
        return BootReason.FIRST, None
    if _renewed(run):
        told = None if run.last == run.salvaged else span_ms(moment(run.last), now)
        return BootReason.LOG_RENEWED, told
    silent_ms = span_ms(moment(run.last), now)
    orderly = _seq(run.stopped) > _seq(run.boot)
    if _same_boot(run.last, now):
        return (BootReason.RESTART if orderly else BootReason.CRASH), silent_ms
    return (BootReason.REBOOT if orderly else BootReason.POWER), silent_ms


def guard_started(snapshot: Snapshot, known: Fact | None, now: Moment) -> GuardStarted | None:
    """Return what is to be recorded of guard; ``known``: its newest such fact. None when that one is still running."""
    before = None if known is None else msgspec.json.decode(known.body, type=GuardStarted).guard_boot
    if before == snapshot.guard_boot:
        return None
    reason = BootReason.FIRST
    if known is not None:
        reason = BootReason.RESTART if _same_boot(known, now) else BootReason.REBOOT
    age_ms = max(0, round(snapshot.uptime_s * 1000))
    return GuardStarted(guard_boot=snapshot.guard_boot, before=before, reason=reason, age_ms=age_ms)


def _renewed(run: LastRun) -> bool:
    """Return whether the log began anew and no station has started on it: boots up to there are carried over."""
    if run.salvaged is None:
        return False
    carried = msgspec.json.decode(run.salvaged.body, type=LogSalvaged).carried
    return _seq(run.boot) <= run.salvaged.seq + carried


def _same_boot(fact: Fact, now: Moment) -> bool:
    return fact.boot == now.boot and fact.boottime_ms <= now.boottime_ms


def _seq(fact: Fact | None) -> int:
    return 0 if fact is None else fact.seq
