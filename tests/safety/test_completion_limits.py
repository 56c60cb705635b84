"""Limits of the completion rules that contradict each other cannot exist, and scaling keeps their sense."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest

from safety.completion_limits import CompletionLimits

NAMES = [field.name for field in fields(CompletionLimits)]


SHIPPED = {
    "block_s": 60.0,
    "gap_s": 15.0,
    "supply_min_v": 80.0,
    "wild_w": 4000.0,
    "no_load_w": 0.6,
    "no_load_a": 0.004,
    "no_charger_s": 600.0,
    "unplugged_s": 840.0,
    "plateau_s": 300.0,
    "plateau_agree_share": 0.2,
    "low_share": 0.12,
    "low_small_w": 12.0,
    "low_small_share": 0.22,
    "tapered_share": 0.3,
    "abrupt_share": 0.62,
    "confirm_tapered_s": 600.0,
    "confirm_middle_s": 1200.0,
    "confirm_abrupt_s": 2280.0,
    "still_w": 1.0,
    "still_share": 0.02,
    "still_s": 600.0,
    "low_max_s": 2700.0,
    "burst_s": 240.0,
    "top_off_s": 1200.0,
    "float_s": 2700.0,
    "idle_plateau_w": 32.0,
    "idle_w": 18.0,
    "idle_s": 2700.0,
    "idle_flat_s": 1800.0,
    "idle_flat_share": 0.1,
    "step_share": 0.02,
    "step_w": 1.2,
    "large_step_share": 0.25,
    "settle_s": 360.0,
    "fall_share": 0.15,
    "mean_s": 600.0,
    "flat_over_s": 1200.0,
    "flat_share": 0.03,
    "flat_below_share": 0.7,
    "flat_hold_s": 480.0,
    "rising_share": 0.08,
    "rising_hold_s": 720.0,
    "rise_share": 0.05,
    "rise_window_s": 10800.0,
    "rise_skip_s": 2700.0,
    "no_rise_s": 5400.0,
    "no_rise_share": 0.003,
    "added_w": 20.0,
    "added_share": 0.18,
    "added_hold_s": 180.0,
    "added_steady_s": 540.0,
    "added_floor_w": 35.0,
    "added_above_share": 0.12,
    "added_ratio": 4.0,
    "swap_min_s": 5.0,
    "swap_max_s": 240.0,
    "swap_from_s": 40.0,
    "swap_to_s": 120.0,
    "swap_more_share": 0.12,
    "swap_less_share": 0.15,
    "swap_factor": 0.06,
}


def test_the_shipped_values() -> None:
    """A default is a decision with a score behind it: who changes one runs ``python -m hil_rig.score`` again."""
    assert asdict(CompletionLimits()) == SHIPPED


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_every_value_is_positive_and_finite(name: str, value: float) -> None:
    """A threshold or time of nothing would switch its rule off, or on for ever."""
    with pytest.raises(ValueError, match=name):
        CompletionLimits(**{name: value})


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_share")])
def test_a_share_is_below_one(name: str) -> None:
    """A share of 1 is no share."""
    with pytest.raises(ValueError, match=name):
        CompletionLimits(**{name: 1.0})


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("low_share", "tapered_share"),
        ("tapered_share", "abrupt_share"),
        ("low_share", "low_small_share"),
        ("low_small_share", "tapered_share"),
        ("confirm_tapered_s", "confirm_middle_s"),
        ("confirm_middle_s", "confirm_abrupt_s"),
        ("confirm_abrupt_s", "low_max_s"),
        ("block_s", "burst_s"),
        ("burst_s", "confirm_tapered_s"),
        ("burst_s", "top_off_s"),
        ("swap_min_s", "swap_max_s"),
        ("swap_max_s", "unplugged_s"),
        ("swap_from_s", "swap_to_s"),
        ("idle_w", "idle_plateau_w"),
        ("idle_flat_s", "idle_s"),
        ("step_share", "fall_share"),
        ("step_share", "large_step_share"),
        ("block_s", "plateau_s"),
        ("block_s", "mean_s"),
        ("mean_s", "flat_over_s"),
    ],
)
def test_what_must_rise_rises(low: str, high: str) -> None:
    """Two values that are equal or the wrong way round are refused, by name."""
    value = getattr(CompletionLimits(), low)
    with pytest.raises(ValueError, match=f"{low} = .*{high} = |{low} = .*, .*{high} = "):
        CompletionLimits(**{high: value})


def test_the_ratio_leaves_room_above_the_share() -> None:
    """Else no step could ever be a second charger."""
    with pytest.raises(ValueError, match="added_ratio"):
        CompletionLimits(added_ratio=1.18)
    assert CompletionLimits(added_ratio=1.19).added_ratio == 1.19


def test_scaling_divides_every_duration_and_nothing_else() -> None:
    """Watts, volts, shares and ratios stay; the gap keeps half a second, for a meter is not read faster."""
    limits, scaled = CompletionLimits(), CompletionLimits().scaled(200)
    for name in NAMES:
        before, after = getattr(limits, name), getattr(scaled, name)
        if name == "gap_s":
            assert after == 0.5
        else:
            assert after == (pytest.approx(before / 200) if name.endswith("_s") else before)
    assert CompletionLimits().scaled(10).gap_s == 1.5
    assert CompletionLimits(gap_s=0.2).scaled(10).gap_s == 0.2
    assert CompletionLimits().scaled(1) == CompletionLimits()


@pytest.mark.parametrize("time_scale", [0.0, -2.0, float("inf"), float("nan")])
def test_a_scale_is_positive_and_finite(time_scale: float) -> None:
    """Time runs forwards."""
    with pytest.raises(ValueError, match="time_scale"):
        CompletionLimits().scaled(time_scale)


def test_counts_of_blocks_survive_scaling() -> None:
    """Every rule that counts blocks counts the same number at any speed."""
    limits = CompletionLimits()
    for scale in (1, 7, 100, 300):
        scaled = limits.scaled(scale)
        for name in (name for name in NAMES if name.endswith("_s")):
            if name not in {"gap_s", "swap_min_s"}:
                assert scaled.blocks(getattr(scaled, name)) == limits.blocks(getattr(limits, name))


@pytest.mark.parametrize(("duration_s", "blocks"), [(1.0, 1), (60.0, 1), (89.0, 1), (91.0, 2), (2280.0, 38)])
def test_a_duration_is_a_number_of_blocks(duration_s: float, blocks: int) -> None:
    """Rounded, at least one."""
    assert CompletionLimits().blocks(duration_s) == blocks
    assert replace(CompletionLimits(), block_s=30.0).blocks(600.0) == 20
