"""External contacts: smoke, fire panel, emergency stop, residual-current device, flood, door."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from safety.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safety.catalogue_entry import Effect
    from safety.state import Contact


class Alarms(NamedTuple):
    """Contacts that have stood in alarm for their debounce time.

    ``since_s``: when each contact in alarm went there, by name. ``cabinet``: codes with what they do, of contacts that
    concern the whole cabinet. ``ports``: codes by port, of contacts that concern single ports.
    """

    since_s: Mapping[str, float]
    cabinet: tuple[tuple[str, Effect], ...]
    ports: Mapping[int, tuple[str, ...]]


def judge_contacts(
    since_s: Mapping[str, float], contacts: tuple[Contact, ...], alarms: Mapping[str, bool], now: float
) -> Alarms:
    """Return what stands. A contact that does not report at all counts as in alarm."""
    since = {contact.name: since_s.get(contact.name, now) for contact in contacts if alarms.get(contact.name, True)}
    standing = [
        contact for contact in contacts if contact.name in since and now - since[contact.name] >= contact.debounce_s
    ]
    ports: dict[int, tuple[str, ...]] = {}
    for contact in standing:
        for port in contact.ports:
            ports[port] = (*ports.get(port, ()), contact.code)
    return Alarms(since, tuple((contact.code, contact.effect) for contact in standing if not contact.ports), ports)


def cause_present(since_s: Mapping[str, float], contacts: tuple[Contact, ...], ports: frozenset[int]) -> bool:
    """Return whether a contact that latches is in alarm right now, debounced or not.

    ``ports``: look at contacts of these ports; empty: at those of the whole cabinet.
    """
    return any(
        contact.name in since_s and CATALOGUE[contact.code].holds
        for contact in contacts
        if (ports.intersection(contact.ports) if ports else not contact.ports)
    )
