"""What lights and buzzer show: every state told apart, and every light alive."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import safety
from pilenode.guard import indicators
from pilenode.guard.indicators import ALARM, CABINET_SIGNS, CALL_S, PORT, Heard, Light, Pattern, Sign, listen, lit
from safety.limits import PortLimits
from safety.port import PortStatus
from safety.state import CabinetState, PortState, Settings, State

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE = PortState()
STEP_S = 0.05


def shown(pattern: Pattern, seconds: float = 12.0) -> str:
    """Return what somebody sees who looks twenty times a second, as a row of # and dots."""
    return "".join(
        "#" if pattern.lit(100.0 + index * STEP_S + 0.001) else "." for index in range(round(seconds / STEP_S))
    )


@pytest.mark.parametrize(
    ("port", "cabinet", "sign"),
    [
        (IDLE, CabinetState(), Sign.READY),
        (PortState(PortStatus.ARMED), CabinetState(), Sign.STARTING),
        (PortState(PortStatus.ON), CabinetState(), Sign.CHARGING),
        (PortState(PortStatus.ENDED, reason="full"), CabinetState(), Sign.FULL),
        (PortState(PortStatus.ENDED, reason="unplugged"), CabinetState(), Sign.ENDED),
        (PortState(PortStatus.TRIPPED, latched="over_current"), CabinetState(), Sign.FAULT),
        (PortState(findings=("temperature_high",)), CabinetState(), Sign.BLOCKED),
        (PortState(findings=("meter_lost",)), CabinetState(), Sign.BLOCKED),
        (PortState(findings=("temperature_warning", "relay_worn")), CabinetState(), Sign.READY),
        (PortState(PortStatus.ENDED, reason="full", findings=("probe_fault",)), CabinetState(), Sign.BLOCKED),
        (PortState(PortStatus.ON, findings=("temperature_high",)), CabinetState(), Sign.CHARGING),
        (IDLE, CabinetState(inhibiting=("door_open",)), Sign.BLOCKED),
        (PortState(PortStatus.ON), CabinetState(inhibiting=("door_open",)), Sign.CHARGING),
        (IDLE, CabinetState(cutting=("smoke",)), Sign.FAULT),
    ],
)
def test_what_a_port_shows(port: PortState, cabinet: CabinetState, sign: Sign) -> None:
    """The state in force, worst first; what only tells does not show, and a running session shows as running."""
    assert indicators.port_sign(port, cabinet) is sign


def state(*ports: PortState, cabinet: CabinetState = CabinetState()) -> State:  # noqa: B008 - frozen
    """Return a cabinet with these ports, numbers from 1."""
    numbers = range(1, len(ports) + 1)
    return replace(
        safety.initial(Settings({number: PortLimits() for number in numbers})),
        ports=dict(zip(numbers, ports, strict=True)),
        cabinet=cabinet,
    )


LATCHED = PortState(PortStatus.TRIPPED, latched="over_current")


@pytest.mark.parametrize(
    ("seen", "sign"),
    [
        (state(IDLE, PortState(PortStatus.ON)), Sign.READY),
        (state(IDLE, LATCHED), Sign.BLOCKED),
        (state(IDLE, cabinet=CabinetState(findings=("door_open",))), Sign.BLOCKED),
        (state(IDLE, cabinet=CabinetState(latched=("smoke",), cutting=("smoke",))), Sign.FAULT),
    ],
)
def test_what_the_cabinets_light_shows(seen: State, sign: Sign) -> None:
    """All well, somebody should look, or everything is cut."""
    assert indicators.cabinet_sign(seen) is sign


def ports_and_cabinet() -> Iterator[tuple[str, list[str]]]:
    """Yield what a person sees of each sign: with two lights, with one, and at the cabinet's light."""
    yield "two lights", [shown(PORT[sign][0]) + shown(PORT[sign][1]) for sign in Sign]
    yield "one light", [shown(PORT[sign][0] if PORT[sign][0].steps else PORT[sign][1]) for sign in Sign]
    yield "cabinet", [shown(pattern) for pattern in CABINET_SIGNS.values()]


@pytest.mark.parametrize(("where", "patterns"), [*ports_and_cabinet()])
def test_no_two_signs_look_the_same(where: str, patterns: list[str]) -> None:
    """Also not with one light alone."""
    assert where
    assert all(one != other for one, other in combinations(patterns, 2))


@pytest.mark.parametrize("sign", list(Sign))
def test_every_sign_moves_at_least_every_three_seconds(sign: Sign) -> None:
    """A light that stands still belongs to a process that is dead: no state of a living one looks like it."""
    status, fault = (shown(pattern) for pattern in PORT[sign])
    seen = [f"{one}{other}" for one, other in zip(status, fault, strict=True)]
    changes = [index * STEP_S for index, (before, after) in enumerate(pairwise(seen)) if before != after]
    assert max(after - before for before, after in pairwise([0.0, *changes, 12.0])) <= 3.0 + STEP_S


@pytest.mark.parametrize("sign", list(CABINET_SIGNS))
def test_the_cabinets_light_moves_as_often(sign: Sign) -> None:
    """The same for the cabinet."""
    seen = shown(CABINET_SIGNS[sign])
    assert all("#" in seen[at : at + 62] and "." in seen[at : at + 62] for at in range(len(seen) - 62))


@pytest.mark.parametrize(("name", "dark"), [("manual.md", "dark"), ("manual.zh-CN.md", "灭")])
def test_the_manuals_table_is_the_programs(name: str, dark: str) -> None:
    """One row for each sign, in order, with the seconds of both lights."""
    text = (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")

    def cell(pattern: Pattern) -> str:
        return "/".join(f"{step:g}" for step in pattern.steps) or dark

    rows = [f"| {cell(status)} | {cell(fault)} |" for status, fault in PORT.values()]
    assert [line[line.index(" | ") + 1 :] for line in text.splitlines() if line.endswith(tuple(rows))] == rows


def test_a_pattern_is_on_and_off_in_turn() -> None:
    """Beginning with on; a step ends where the next begins; dark is dark."""
    pattern = Pattern((0.5, 1.0, 0.25, 0.25))
    assert [pattern.lit(now) for now in (0.0, 0.49, 0.5, 1.49, 1.5, 1.74, 1.75, 1.99, 2.0)] == [
        *(True, True, False, False, True, True, False, False, True)
    ]
    assert not Pattern().lit(0.0)


@pytest.mark.parametrize(("alone", "expected"), [(True, True), (False, False)])
def test_a_light_alone_shows_faults_too(*, alone: bool, expected: bool) -> None:
    """With a second light the first one stays dark at a fault."""
    assert lit(Light("status", 1), state(LATCHED), Heard(), 100.0, alone=alone) is expected
    assert lit(Light("fault", 1), state(LATCHED), Heard(), 100.0, alone=False)


# -- the buzzer ---------------------------------------------------------------------------------------------------


def beeps(memory: Heard, seen: State, now: float) -> bool:
    """Return whether the buzzer sounds at any time within six seconds."""
    return any(indicators.sounds(memory, seen, now + index * STEP_S) for index in range(120))


def test_a_new_fault_calls_for_a_minute() -> None:
    """From the moment it is latched; another one calls anew."""
    memory = listen(Heard(), state(IDLE, IDLE), 100.0)
    assert not beeps(memory, state(IDLE, IDLE), 100.0)
    memory = listen(memory, state(LATCHED, IDLE), 200.0)
    memory = listen(memory, state(LATCHED, IDLE), 201.0)
    assert beeps(memory, state(LATCHED, IDLE), 200.0)
    assert beeps(memory, state(LATCHED, IDLE), 200.0 + CALL_S - 6.0)
    assert not beeps(memory, state(LATCHED, IDLE), 200.0 + CALL_S)
    memory = listen(memory, state(LATCHED, LATCHED), 300.0)
    assert beeps(memory, state(LATCHED, LATCHED), 300.0)


def test_a_reset_ends_the_call() -> None:
    """Nothing is latched any more."""
    memory = listen(listen(Heard(), state(IDLE), 0.0), state(LATCHED), 1.0)
    memory = listen(memory, state(IDLE), 2.0)
    assert not beeps(memory, state(IDLE), 2.0)


def test_what_was_latched_before_guard_began_calls_nobody() -> None:
    """A restart at night wakes no neighbour."""
    memory = listen(Heard(), state(LATCHED), 0.0)
    assert not beeps(listen(memory, state(LATCHED), 0.05), state(LATCHED), 0.05)


def test_a_cause_that_endangers_people_sounds_as_long_as_it_stands() -> None:
    """Smoke sounds for hours; latched but gone it only called for its minute."""
    smoke = CabinetState(latched=("smoke",), standing=("smoke",), cutting=("smoke",))
    memory = listen(listen(Heard(), state(IDLE), 0.0), state(IDLE, cabinet=smoke), 1.0)
    assert [indicators.sounds(memory, state(IDLE, cabinet=smoke), 9000.0 + at) for at in (0.0, 0.4, 0.6, 1.0)] == [
        ALARM.lit(at) for at in (0.0, 0.4, 0.6, 1.0)
    ]
    gone = state(IDLE, cabinet=replace(smoke, standing=()))
    assert beeps(memory, gone, 2.0)
    assert not beeps(memory, gone, 9000.0)
    assert lit(Light("buzzer", 0), state(IDLE, cabinet=smoke), memory, 9000.0, alone=False)


def test_a_door_that_is_open_makes_no_sound() -> None:
    """What only tells or inhibits shows on the lights."""
    door = state(
        IDLE, cabinet=CabinetState(findings=("door_open",), standing=("door_open",), inhibiting=("door_open",))
    )
    assert not beeps(listen(listen(Heard(), state(IDLE), 0.0), door, 1.0), door, 1.0)
    assert lit(Light("cabinet", 0), door, Heard(), 100.0, alone=False)
