"""What may be desired of a cabinet from afar: this list, and nothing that is not in it. Pure.

Only tables of the station are here, and of these no path, name, socket or address. What guard reads is not here, so
nothing from afar reaches the protective side. The cabinet's own file is the ceiling: a key that bounds something may be
made tighter than it stands there, never looser. A key that somebody adds to the schema is not allowed until it is
listed here; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from config.walk import Finding, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from config.locate import Path

_MINUTES: Final = 24 * 60
_ON_TO_OFF: Final = (True, False)


@dataclass(frozen=True, slots=True)
class Rule:
    """How far a key may go. ``looser(local, desired)`` tells whether ``desired`` goes beyond what ``local`` allows.

    ``zh`` and ``en`` say what is allowed, for people.
    """

    zh: str
    en: str
    looser: Callable[[object, object], bool]


def _above(local: object, desired: object) -> bool:
    return _numbers(local, desired) and desired > local  # type: ignore[operator] # both are numbers


def _below(local: object, desired: object) -> bool:
    return _numbers(local, desired) and desired < local  # type: ignore[operator] # both are numbers


def _numbers(*values: object) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _age(local: object, desired: object) -> bool:
    """Return whether an age limit is raised, where 0 is none at all."""
    return bool(_numbers(local, desired) and local != 0 and (desired == 0 or _above(local, desired)))


def _onward(*loosest_first: object) -> Callable[[object, object], bool]:
    def looser(local: object, desired: object) -> bool:
        known = desired in loosest_first and local in loosest_first
        return known and loosest_first.index(desired) < loosest_first.index(local)

    return looser


def _outside(local: object, desired: object) -> bool:
    allowed, wanted = _open_minutes(local), _open_minutes(desired)
    return allowed is not None and wanted is not None and not wanted <= allowed


def _open_minutes(windows: object) -> set[int] | None:
    """Return the minutes of the day in ``windows``, all of them where there is none; None where they are malformed."""
    if not isinstance(windows, list):
        return None
    found: set[int] = set() if windows else {*range(_MINUTES)}
    for window in windows:
        try:
            begins, ends = (_minute(window[key]) for key in ("from", "to"))
        except (KeyError, TypeError, ValueError):
            return None
        found.update(range(begins, ends) if begins < ends else {*range(begins, _MINUTES), *range(ends)})
    return found


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


FREE: Final = Rule("任意值", "any value", lambda _local, _desired: False)
LOWER: Final = Rule("只能调低", "only lower", _above)
RAISE: Final = Rule("只能调高", "only higher", _below)
AGE: Final = Rule("只能调低，0 为不限", "only lower; 0 is no limit", _age)
OFF: Final = Rule("只能关闭", "only switched off", _onward(*_ON_TO_OFF))
END: Final = Rule("只能改为 end", "only changed to end", _onward("finish", "end"))
WITHIN: Final = Rule("只能在本地时段之内", "only inside the hours of the cabinet's own file", _outside)

#: Every key that may be desired from afar, by table.
ALLOWED: Final[Mapping[str, Mapping[str, Rule]]] = {
    "station": {"checkpoint_s": LOWER},
    "journal": {"telemetry_days": FREE, "record_days": RAISE},
    "ledger": {"serious_days": LOWER, "normal_days": LOWER, "responsible": FREE, "contingency": FREE},
    "tests": {
        "dead_man_days": LOWER,
        "relays_days": LOWER,
        "probes_days": LOWER,
        "meters_days": LOWER,
        "rcd_days": LOWER,
    },
    "session": {
        "allowed": WITHIN,
        "at_end": END,
        "resume": OFF,
        "resume_after_guard_restart": OFF,
        "resume_max_outage_s": LOWER,
        "resume_at_most": LOWER,
        "resume_stagger_s": RAISE,
    },
    "load": {
        "budget_a": LOWER,
        "admit_ratio": LOWER,
        "shed_ratio": LOWER,
        "shed_after_s": LOWER,
        "min_on_s": LOWER,
        "min_off_s": FREE,
        "resume_margin_a": FREE,
        "max_pauses": FREE,
        "close_stagger_s": RAISE,
        "start_demand_a": RAISE,
        "settle_s": RAISE,
        "spare_below_a": FREE,
        "queue_length": FREE,
        "queue_wait_s": LOWER,
    },
    "cards": {
        "enabled": OFF,
        "day_cap_fen": LOWER,
        "session_cap_fen": LOWER,
        "debt_cap_fen": LOWER,
        "per_card_sessions": LOWER,
        "debounce_s": FREE,
        "list_max_age_days": AGE,
        "offline_starts": OFF,
    },
    "upstream": {
        "retry_base_s": FREE,
        "retry_cap_s": FREE,
        "ack_timeout_s": FREE,
        "spread_s": FREE,
        "telemetry_s": FREE,
        "drain_bytes_s": FREE,
    },
}


def permitted(desired: Mapping[str, object]) -> tuple[dict[str, object], list[Finding]]:
    """Return ``desired`` without what may not be desired, and a finding for each part that was left out."""
    kept: dict[str, object] = {}
    findings: list[Finding] = []
    for table, values in desired.items():
        allowed = ALLOWED.get(table)
        if allowed is None:
            findings.append(_forbidden((table,), f"{'、'.join(ALLOWED)}。", f"Tables: {', '.join(ALLOWED)}."))
        elif not isinstance(values, dict):
            kept[table] = values  # of a wrong type, which the walk tells
        else:
            kept[table] = {key: value for key, value in values.items() if key in allowed}
            findings += [
                _forbidden((table, key), f"{'、'.join(allowed)}。", f"Keys: {', '.join(allowed)}.")
                for key in values
                if key not in allowed
            ]
    return kept, findings


def _forbidden(path: Path, zh: str, en: str) -> Finding:
    return Finding(path, "not_from_afar", f"允许：{zh}", en)


def ceilings(desired: Mapping[str, object], local: Mapping[str, object]) -> Iterator[Finding]:
    """Yield every value of ``desired`` that is looser than in ``local``, the cabinet's own values in force.

    A ``load.budget_a`` that the cabinet leaves out is bounded by ``cabinet.current_limit_a`` (``config.cross_load``).
    """
    for table, values in desired.items():
        own = local.get(table)
        if not isinstance(values, dict) or not isinstance(own, dict):
            continue
        for key, value in values.items():
            rule = ALLOWED[table][key]
            if rule.looser(own[key], value):
                yield Finding(
                    (table, key),
                    "above_ceiling",
                    f"{show(value)}，本地为 {show(own[key])}：{rule.zh}。",
                    f"{show(value)}, here {show(own[key])}: {rule.en}.",
                )
