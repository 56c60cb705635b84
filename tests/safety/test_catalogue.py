"""The catalogue as others rely on it: journals, the upstream and the safety case store its codes."""

from __future__ import annotations

import pytest

from safety.catalogue import CATALOGUE, Effect, Entry, Kind, Latch
from safety.catalogue_entry import ending, fault, refusal

#: Every fault with how it is released and what it does. Whoever changes a line here changes the safety case.
FAULTS = {
    "over_current": (Latch.LOCAL_RESET, Effect.CUT),
    "over_power": (Latch.LOCAL_RESET, Effect.CUT),
    "over_temperature": (Latch.LOCAL_RESET, Effect.CUT),
    "temperature_high": (Latch.SELF_CLEARING, Effect.INHIBIT),
    "temperature_warning": (Latch.SELF_CLEARING, Effect.TELL),
    "probe_fault": (Latch.SELF_CLEARING, Effect.INHIBIT),
    "meter_lost": (Latch.SELF_CLEARING, Effect.CUT),
    "over_voltage": (Latch.SELF_CLEARING, Effect.CUT),
    "under_voltage": (Latch.SELF_CLEARING, Effect.CUT),
    "supply_lost": (Latch.SELF_CLEARING, Effect.CUT),
    "fuse_open": (Latch.SELF_CLEARING, Effect.CUT),
    "meter_stuck": (Latch.SELF_CLEARING, Effect.TELL),
    "meter_frozen": (Latch.LOCAL_RESET, Effect.CUT),
    "meter_implausible": (Latch.LOCAL_RESET, Effect.CUT),
    "energy_implausible": (Latch.LOCAL_RESET, Effect.CUT),
    "temperature_rising": (Latch.LOCAL_RESET, Effect.CUT),
    "heat_without_load": (Latch.SELF_CLEARING, Effect.INHIBIT),
    "relay_welded": (Latch.REPAIR, Effect.CUT),
    "relay_not_closed": (Latch.LOCAL_RESET, Effect.CUT),
    "load_before_closing": (Latch.REPAIR, Effect.CUT),
    "never_draws": (Latch.SELF_CLEARING, Effect.TELL),
    "poor_contact": (Latch.LOCAL_RESET, Effect.CUT),
    "rising": (Latch.LOCAL_RESET, Effect.CUT),
    "no_taper": (Latch.NONE, Effect.CUT),
    "added_load": (Latch.NONE, Effect.CUT),
    "smoke": (Latch.LOCAL_RESET, Effect.CUT),
    "estop": (Latch.LOCAL_RESET, Effect.CUT),
    "latch_store_failed": (Latch.SELF_CLEARING, Effect.INHIBIT),
    "latch_store_damaged": (Latch.LOCAL_RESET, Effect.CUT),
    "fire": (Latch.LOCAL_RESET, Effect.CUT),
    "rcd": (Latch.LOCAL_RESET, Effect.CUT),
    "flood": (Latch.LOCAL_RESET, Effect.CUT),
    "door_open": (Latch.SELF_CLEARING, Effect.TELL),
    "cabinet_overload": (Latch.SELF_CLEARING, Effect.CUT),
    "cabinet_temperature_warning": (Latch.SELF_CLEARING, Effect.TELL),
    "cabinet_temperature_high": (Latch.SELF_CLEARING, Effect.INHIBIT),
    "cabinet_over_temperature": (Latch.LOCAL_RESET, Effect.CUT),
    "cabinet_heat": (Latch.LOCAL_RESET, Effect.CUT),
    "cabinet_probe_fault": (Latch.SELF_CLEARING, Effect.INHIBIT),
    "probes_lost": (Latch.SELF_CLEARING, Effect.CUT),
    "contactor_welded": (Latch.REPAIR, Effect.CUT),
    "contactor_not_closed": (Latch.LOCAL_RESET, Effect.CUT),
    "dead_man_failed": (Latch.REPAIR, Effect.CUT),
    "loop_stalled": (Latch.SELF_CLEARING, Effect.CUT),
    "clock_fault": (Latch.LOCAL_RESET, Effect.CUT),
    "limits_damaged": (Latch.LOCAL_RESET, Effect.CUT),
    "relay_worn": (Latch.SELF_CLEARING, Effect.TELL),
    "contactor_worn": (Latch.SELF_CLEARING, Effect.TELL),
}
ENDINGS = (
    "full",
    "planned_energy",
    "planned_amount",
    "planned_deadline",
    "planned_duration",
    "max_duration",
    "unplugged",
    "no_charger",
    "low_power",
    "plateau",
    "swapped",
    "lease_expired",
    "user",
    "remote",
    "technician",
    "user_card",
    "hours_ended",
    "lockout",
    "maintenance",
    "shed",
    "power_lost",
    "guard_restarted",
    "interrupted",
    "never_energised",
)
REFUSALS = (
    "too_deep",
    "duplicate_key",
    "wrong_node",
    "unsigned",
    "unknown_key",
    "bad_signature",
    "keys_unreadable",
    "config_hash",
    "config_older",
    "config_conflict",
    "config_rolled_back",
    "config_damaged",
    "config_not_kept",
    "nothing_desired",
    "challenge_needed",
    "rate_limited",
    "card_unknown",
    "card_denied",
    "card_expired",
    "card_no_clock",
    "card_list_expired",
    "card_list_damaged",
    "card_list_old",
    "card_list_bad",
    "card_list_long",
    "card_list_not_kept",
    "card_key_mismatch",
    "card_no_key",
    "card_in_use",
    "card_day_cap",
    "card_offline",
    "card_not_seen",
    "card_reader_unknown",
    "debt_cap",
    "unknown_port",
    "port_busy",
    "port_faulty",
    "cabinet_faulty",
    "port_locked",
    "session_ended",
    "wrong_session",
    "order_conflict",
    "bad_plan",
    "plan_in_past",
    "clock_unknown",
    "outside_hours",
    "expired",
    "retained_command",
    "malformed",
    "oversized",
    "not_allowed",
    "protocol_mismatch",
    "guard_absent",
    "station_absent",
    "journal_failed",
    "nothing_latched",
    "cause_present",
    "starting_up",
    "over_budget",
    "repair_needed",
    "not_idle",
    "not_fitted",
    "too_little_energy",
    "test_running",
    "unknown_zone",
    "tariff_gap",
    "tariff_overlap",
    "tariff_order",
    "tariff_negative",
    "tariff_too_high",
    "tariff_service",
    "tariff_no_tiers",
    "tariff_tiers",
    "tariff_older",
    "queued",
    "queue_full",
    "queue_expired",
    "budget_too_high",
    "budget_in_past",
    "in_maintenance",
    "lock_conflict",
    "lock_in_past",
    "lock_period",
    "unknown_lock",
    "lock_not_yours",
    "unknown_entry",
    "measure_needed",
    "entry_of_lock",
)


@pytest.mark.parametrize("code", FAULTS)
def test_what_a_fault_does_and_how_it_is_released(code: str) -> None:
    """Beside each other for every fault; none is milder than it was agreed."""
    entry = CATALOGUE[code]
    assert (entry.latch, entry.effect, entry.kind) == (*FAULTS[code], Kind.FAULT)
    assert entry.holds is (entry.latch in (Latch.LOCAL_RESET, Latch.REPAIR))


def test_codes_are_stable() -> None:
    """A code is never lost, renamed or used for something else."""
    kinds = {kind: [code for code, entry in CATALOGUE.items() if entry.kind is kind] for kind in Kind}
    assert sorted(kinds[Kind.FAULT]) == sorted(FAULTS)
    assert sorted(kinds[Kind.ENDING]) == sorted(ENDINGS)
    assert sorted(kinds[Kind.REFUSAL]) == sorted(REFUSALS)
    assert all(code == entry.code for code, entry in CATALOGUE.items())


@pytest.mark.parametrize("code", [*ENDINGS, *REFUSALS])
def test_endings_and_refusals_latch_nothing_and_open_nothing(code: str) -> None:
    """What they mean is said by the engine, not by an effect."""
    assert (CATALOGUE[code].latch, CATALOGUE[code].effect) == (Latch.NONE, Effect.NONE)


def test_words_stand_in_their_places() -> None:
    """Chinese and English, what it is and what to do."""
    assert fault("a", Latch.REPAIR, Effect.CUT, "zh", "en", "rzh", "ren") == Entry(
        "a", Kind.FAULT, Latch.REPAIR, Effect.CUT, "zh", "en", "rzh", "ren"
    )
    assert ending("a", "zh", "en") == Entry(
        "a", Kind.ENDING, Latch.NONE, Effect.NONE, "zh", "en", "无需处理。", "Nothing to do."
    )
    assert refusal("a", "zh", "en", "rzh", "ren") == Entry(
        "a", Kind.REFUSAL, Latch.NONE, Effect.NONE, "zh", "en", "rzh", "ren"
    )
    for entry in CATALOGUE.values():
        words = (entry.zh, entry.remedy_zh, entry.en, entry.remedy_en)
        assert all(words), entry.code
        assert all(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in words[:2]), entry.code
        assert all(text.isascii() for text in words[2:]), entry.code


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([*Latch], ["none", "self_clearing", "local_reset", "repair"]),
        ([*Effect], ["none", "tell", "inhibit", "cut"]),
        ([*Kind], ["fault", "ending", "refusal"]),
    ],
)
def test_the_words_of_the_classes_are_stable(values: list[str], words: list[str]) -> None:
    """They go into events and configurations."""
    assert values == words
