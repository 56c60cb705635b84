"""What concerns all ports at once: external contacts, the master contactor, and whose turn it is to close."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from safety.port import PortStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.limits import CabinetLimits
    from safety.state import CabinetState, Inputs, PortState, Settings


def judge_cabinet(cabinet: CabinetState, inputs: Inputs, settings: Settings, now: float) -> CabinetState:
    """Return the cabinet with its contacts judged.

    A contact that does not report at all counts as in alarm. Faults of contacts latch; a latch store that cannot
    be written is a finding that goes away by itself.
    """
    since: dict[str, float] = {}
    latched = list(cabinet.latched)
    for contact in settings.contacts:
        if not inputs.contacts.get(contact.name, True):
            continue
        since[contact.name] = cabinet.alarm_since_s.get(contact.name, now)
        if now - since[contact.name] >= contact.debounce_s and contact.code not in latched:
            latched.append(contact.code)
    findings = () if inputs.latch_store_ok else ("latch_store_failed",)
    return replace(cabinet, alarm_since_s=since, latched=tuple(latched), findings=findings)


def cause_present(cabinet: CabinetState, settings: Settings) -> bool:
    """Return whether any contact is in alarm right now: such a cabinet cannot be reset."""
    return any(contact.name in cabinet.alarm_since_s for contact in settings.contacts)


def drive_contactor(
    cabinet: CabinetState, ports: Mapping[int, PortState], limits: CabinetLimits, now: float
) -> CabinetState:
    """Return the cabinet with its contactor decided.

    Closed from the first granted port until ``contactor_hold_s`` after the last one; open at once when the cabinet
    is latched. In between all sockets are dead on two poles.
    """
    if cabinet.latched:
        return replace(cabinet, contactor_since_s=None)
    live = any(port.live for port in ports.values())
    if live:
        since_s = now if cabinet.contactor_since_s is None else cabinet.contactor_since_s
        return replace(cabinet, contactor_since_s=since_s, needed_s=now)
    if cabinet.contactor_since_s is not None and now - cabinet.needed_s >= limits.contactor_hold_s:
        return replace(cabinet, contactor_since_s=None)
    return cabinet


def next_to_close(
    cabinet: CabinetState, ports: Mapping[int, PortState], limits: CabinetLimits, now: float
) -> int | None:
    """Return the port that may close now, or None. The one that waits longest is first; never two at a time."""
    if cabinet.latched or cabinet.findings or cabinet.contactor_since_s is None:
        return None
    if (
        now - cabinet.contactor_since_s < limits.contactor_settle_s
        or now - cabinet.closed_at_s < limits.close_stagger_s
    ):
        return None
    waiting = [(port.armed_at_s, number) for number, port in ports.items() if port.status is PortStatus.ARMED]
    return min(waiting)[1] if waiting else None
