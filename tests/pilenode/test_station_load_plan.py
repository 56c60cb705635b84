"""Promises of orderly charging: who starts, who waits, who pauses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilenode.station.load_forecast import Forecast
from pilenode.station.load_plan import decide, expected_a
from pilenode.station.load_values import (
    Admit,
    Charging,
    End,
    Feeder,
    Known,
    Leave,
    LoadRules,
    LoadState,
    Pause,
    Resume,
    View,
    Waiting,
)
from tests.pilenode.load_model import Cabinet

if TYPE_CHECKING:
    from pilenode.station.load_values import Decision

RULES = LoadRules(10.0, start_demand_a=3.0)
NOW = 10_000.0


def on(session: str, port: int, amps: float | None, **more: float) -> Charging:
    """Return a session that has had power for long."""
    values = {"since_s": NOW - 3600, "on_s": 3600.0} | more
    since_s, on_s, pauses = values["since_s"], values["on_s"], int(more.get("pauses", 0))
    return Charging(session, port, live=True, since_s=since_s, on_s=on_s, pauses=pauses, current_a=amps)


def paused(session: str, port: int, for_s: float, pauses: int = 1) -> Charging:
    """Return a session that is paused."""
    return Charging(session, port, live=False, since_s=NOW - for_s, on_s=3600.0, pauses=pauses)


def known(**demands: float) -> LoadState:
    """Return a memory in which these sessions drew so much last."""
    return LoadState(known={name: Known(demand, demand, None) for name, demand in demands.items()})


def said(view: View, state: LoadState | None = None, rules: LoadRules = RULES, now_s: float = NOW) -> list[Decision]:
    """Return the decisions."""
    return [*decide(rules, state or LoadState(), view, now_s).decisions]


def too_long(amps: float, *, far: bool = False, rules: LoadRules = RULES) -> LoadState:
    """Return a memory in which the sum has been too high for as long as it may."""
    since_s = NOW - rules.shed_after_s
    return LoadState(over_s={"the cabinet": since_s}, far_s={"the cabinet": NOW - 1.0} if far else {}, budget_a=amps)


# -- starts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amps", "starts"), [(5.9, True), (6.0, True), (6.01, False)])
def test_a_start_is_admitted_while_the_expected_sum_stays_within_the_threshold(amps: float, *, starts: bool) -> None:
    """9 A of 10 may be expected: 6 that are measured and 3 of a charger that nobody knows."""
    view = View(10.0, (on("a", 1, amps),), (Waiting("o", 2, NOW - 1),))
    assert said(view) == ([Admit("o")] if starts else [])


@pytest.mark.parametrize(("for_s", "starts"), [(179.0, False), (180.0, True)])
def test_a_new_charger_counts_with_what_is_expected_of_it_at_first(for_s: float, *, starts: bool) -> None:
    """A charger that begins gently may rise; after ``settle_s`` it is believed."""
    state = known(a=8.0)
    view = View(10.0, (on("a", 1, 1.0, since_s=NOW - for_s),), (Waiting("o", 2, NOW - 1),))
    assert said(view, state) == ([Admit("o")] if starts else [])


def test_a_reading_that_is_missing_does_not_make_room() -> None:
    """What was drawn last counts on."""
    view = View(10.0, (on("a", 1, None),), (Waiting("o", 2, NOW - 1),))
    assert said(view, known(a=8.0)) == []
    assert said(view, known(a=2.0)) == [Admit("o")]


def test_starts_are_staggered() -> None:
    """One at a time, 5 s apart, so that the next one is judged by what the last one draws."""
    queue = (Waiting("o", 2, NOW - 9), Waiting("p", 3, NOW - 8))
    outcome = decide(RULES, LoadState(), View(10.0, (), queue), NOW)
    assert outcome.decisions == (Admit("o"),)
    assert outcome.positions == {"p": 1}
    started = View(10.0, (on("o", 2, 1.0, since_s=NOW),), queue[1:])
    assert said(started, outcome.state, now_s=NOW + 4.9) == []
    assert said(started, outcome.state, now_s=NOW + 5.0) == [Admit("p")]


def test_a_start_that_did_not_come_about_keeps_its_place_and_is_tried_again() -> None:
    """Guard may refuse; after ten seconds it is asked again, and nobody went ahead meanwhile."""
    queue = (Waiting("o", 2, NOW - 9), Waiting("p", 3, NOW - 8))
    first = decide(RULES, LoadState(), View(4.0, (), queue), NOW)
    again = decide(RULES, first.state, View(4.0, (), queue), NOW + 6.0)
    assert (again.decisions, again.positions) == ((), {"o": 1, "p": 2})
    assert said(View(4.0, (), queue), again.state, now_s=NOW + 10.0) == [Admit("o")]


def test_nobody_overtakes() -> None:
    """A small charger behind a big one waits, although there would be room for it."""
    state = LoadState(Forecast({"big": (5.0,), "small": (0.5,)}))
    queue = (Waiting("o", 2, NOW - 9, "big"), Waiting("p", 3, NOW - 8, "small"))
    assert said(View(10.0, (on("a", 1, 6.0),), queue), state) == []
    assert said(View(10.0, (on("a", 1, 4.0),), queue), state) == [Admit("o")]


def test_behind_another_feeder_one_goes_first_if_it_takes_nothing_from_an_earlier_one() -> None:
    """The cabinet must have room for both; then the full feeder is no reason to wait for the others."""
    rules = replace(RULES, feeders=(Feeder("left", frozenset({1, 2}), 4.0),))
    queue = (Waiting("o", 2, NOW - 9), Waiting("p", 3, NOW - 8))
    assert said(View(10.0, (on("a", 1, 3.0),), queue), rules=rules) == [Admit("p")]
    assert said(View(10.0, (on("a", 1, 3.01),), queue), rules=rules) == []
    assert said(View(10.0, (on("b", 4, 3.0),), queue), rules=rules) == [Admit("o")]


def test_who_waits_too_long_is_told_and_leaves() -> None:
    """And the others move up."""
    full = (on("a", 1, 9.0),)
    queue = (Waiting("o", 2, NOW - RULES.queue_wait_s), Waiting("p", 3, NOW - RULES.queue_wait_s + 0.1))
    outcome = decide(RULES, LoadState(), View(10.0, full, queue), NOW)
    assert outcome.decisions == (Leave("o", "queue_expired"),)
    assert outcome.positions == {"p": 1}


def test_a_guess_that_is_larger_than_the_budget_is_tried_alone() -> None:
    """Otherwise a small cabinet would never start a charger that it does not know."""
    queue = (Waiting("o", 2, NOW - 9),)
    assert said(View(2.0, (), queue)) == [Admit("o")]
    assert said(View(2.0, (on("a", 1, 0.1),), queue)) == []


def test_what_is_known_to_draw_more_than_the_budget_waits_and_keeps_nobody_waiting() -> None:
    """It could not go in any case; it goes when the budget is back."""
    state = LoadState(Forecast({"big": (6.0,)}))
    queue = (Waiting("o", 2, NOW - 9, "big"), Waiting("p", 3, NOW - 8))
    assert said(View(5.0, (), queue), state) == [Admit("p")]
    assert said(View(6.0, (), queue), state) == [Admit("o")]


def test_a_budget_of_nothing_starts_nobody() -> None:
    """Not even what has never drawn anything."""
    view = View(0.0, (paused("a", 1, 9999.0),), (Waiting("o", 2, NOW - 9),))
    assert said(view, known(a=0.0), replace(RULES, resume_margin_a=0.0)) == []


def test_the_inlet_meter_counts_where_it_shows_more() -> None:
    """But not for a while after a pause, when it may show the past."""
    view = View(10.0, (on("a", 1, 2.0),), (Waiting("o", 2, NOW - 1),), inlet_a=7.0)
    assert said(view) == []
    assert said(replace(view, inlet_a=1.0)) == [Admit("o")]
    assert said(view, LoadState(shed_s=NOW - 9.9)) == [Admit("o")]
    assert said(view, LoadState(shed_s=NOW - 10.0)) == []
    over = replace(view, queue=(), inlet_a=10.1)
    assert said(over, too_long(10.0)) == [Pause("a")]


# -- pauses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amps", "for_s", "pauses"), [(10.1, 10.0, True), (10.1, 9.9, False), (10.0, 99.0, False)])
def test_an_excess_that_lasts_pauses(amps: float, for_s: float, *, pauses: bool) -> None:
    """Above 10 A for ten seconds."""
    state = LoadState(over_s={"the cabinet": NOW - for_s})
    view = View(10.0, (on("a", 1, amps / 2), on("b", 2, amps / 2)))
    assert bool(said(view, state)) is pauses
    calm = decide(RULES, state, View(10.0, (on("a", 1, 5.0),)), NOW)
    assert calm.state.over_s == {}


@pytest.mark.parametrize(("amps", "for_s", "pauses"), [(10.51, 1.0, True), (10.51, 0.9, False), (10.5, 9.0, False)])
def test_far_above_nobody_waits_for_it(amps: float, for_s: float, *, pauses: bool) -> None:
    """Guard would act after two seconds at 1.1 times its limit; here it is one second at 1.05 times the budget."""
    state = LoadState(over_s={"the cabinet": NOW - for_s}, far_s={"the cabinet": NOW - for_s})
    assert bool(said(View(10.0, (on("a", 1, amps / 2), on("b", 2, amps / 2))), state)) is pauses


def test_who_was_paused_least_goes_then_who_has_had_power_longest() -> None:
    """As few as it takes."""
    sessions = (
        on("often", 1, 4.0, pauses=1, on_s=9000.0),
        on("late", 2, 4.0, on_s=400.0),
        on("early", 3, 4.0, on_s=800.0),
    )
    assert said(View(10.0, sessions), too_long(10.0)) == [Pause("early")]
    assert said(View(7.0, sessions), too_long(7.0)) == [Pause("early"), Pause("late")]
    assert said(View(3.0, sessions), too_long(3.0)) == [Pause("early"), Pause("late"), Pause("often")]


def test_who_is_nearly_full_is_spared_where_others_can_go() -> None:
    """Its charger would start again for little, or not at all."""
    sessions = (on("full", 1, 0.49, on_s=9000.0), on("b", 2, 5.0), on("c", 3, 5.0, pauses=2))
    assert said(View(10.0, sessions), too_long(10.0)) == [Pause("b")]
    assert said(View(4.9, sessions), too_long(4.9)) == [Pause("b"), Pause("c")]
    assert said(View(0.3, sessions), too_long(0.3)) == [Pause("b"), Pause("c"), Pause("full")]


def test_who_draws_nothing_stays() -> None:
    """Pausing it helps nobody."""
    sessions = (on("a", 1, 0.05, on_s=9000.0), on("b", 2, None), on("c", 3, 10.2, on_s=400.0))
    assert said(View(10.0, sessions), too_long(10.0)) == [Pause("c")]


def test_a_young_session_stays_unless_the_matter_would_go_to_guard_or_an_order_stands_against_it() -> None:
    """A slight excess waits for ``min_on_s``; far above, and under a budget that was lowered, it does not."""
    sessions = (on("a", 1, 5.1, since_s=NOW - 299.0), on("b", 2, 5.2, since_s=NOW - 299.0))
    assert said(View(10.0, sessions), too_long(10.0)) == []
    assert said(View(10.0, sessions), too_long(10.0), now_s=NOW + 1.0) == [Pause("a")]
    assert said(View(9.0, sessions), too_long(9.0, far=True)) == [Pause("a")]
    assert said(View(10.0, sessions), LoadState(budget_a=10.1)) == [Pause("a")]
    mixed = (sessions[0], on("old", 3, 5.5, pauses=2))
    assert said(View(10.0, mixed), too_long(10.0, far=True)) == [Pause("old")]


def test_a_budget_that_is_lowered_takes_effect_at_once() -> None:
    """With the first look, until the sum is below; a budget that rises pauses nobody."""
    sessions = (on("a", 1, 3.0, on_s=5.0), on("b", 2, 3.0))
    outcome = decide(RULES, LoadState(budget_a=10.0), View(4.0, sessions), NOW)
    assert outcome.decisions == (Pause("b"),)
    after = decide(RULES, outcome.state, View(4.0, (sessions[0], paused("b", 2, 0.0))), NOW + 0.25)
    assert (after.decisions, after.state.lowered) == ((), False)
    assert said(View(5.0, sessions), LoadState(budget_a=4.0)) == []


def test_after_the_last_pause_only_an_end_is_left_and_only_when_nothing_else_helps() -> None:
    """Charger and relay are not worn out for a session that cannot be had."""
    sessions = (on("a", 1, 6.0, pauses=3), on("b", 2, 6.0, since_s=NOW - 10.0))
    assert said(View(10.0, sessions), too_long(10.0, far=True)) == [Pause("b")]
    assert said(View(5.0, sessions), too_long(5.0, far=True)) == [Pause("b"), End("a")]
    assert said(View(11.9, sessions), too_long(11.9)) == [End("a")]


def test_a_feeder_has_its_own_budget() -> None:
    """Only its ports can help."""
    rules = replace(RULES, feeders=(Feeder("left", frozenset({1, 2}), 4.0),))
    state = LoadState(over_s={"left": NOW - 10.0})
    sessions = (on("a", 1, 2.1), on("b", 2, 2.1), on("c", 3, 5.0, on_s=9000.0))
    assert said(View(10.0, sessions), state, rules) == [Pause("a")]
    both = LoadState(over_s={"left": NOW - 10.0, "the cabinet": NOW - 10.0})
    assert said(View(9.0, sessions), both, rules) == [Pause("c"), Pause("a")]
    one_is_enough = (on("a", 1, 2.1, on_s=9999.0), *sessions[1:])
    assert said(View(9.0, one_is_enough), both, rules) == [Pause("a")]


# -- resumption ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amps", "for_s", "resumes"), [(5.5, 300.0, True), (5.51, 300.0, False), (5.5, 299.9, False), (1.0, 299.9, False)]
)
def test_a_paused_session_goes_on_when_there_is_room_and_it_has_rested(
    amps: float, for_s: float, *, resumes: bool
) -> None:
    """Its last draw (3 A) and half an ampere more, and five minutes."""
    view = View(10.0, (on("a", 1, amps), paused("b", 2, for_s)))
    assert said(view, known(b=3.0)) == ([Resume("b")] if resumes else [])


def test_paused_sessions_come_before_the_queue_in_the_order_of_their_pauses() -> None:
    """Whoever has started has a promise; a newcomer waits even while the pause must last."""
    queue = (Waiting("o", 4, NOW - 9999.0),)
    view = View(10.0, (paused("b", 2, 400.0), paused("a", 1, 500.0)), queue)
    assert said(view, known(a=3.0, b=3.0)) == [Resume("a")]
    resting = View(6.0, (paused("a", 1, 10.0), on("c", 3, 0.5)), queue)
    assert said(resting, known(a=3.0)) == []


def test_alone_it_needs_no_room_to_spare() -> None:
    """A draw between the two thresholds fits; one above the budget does not, until the budget is back."""
    view = View(10.0, (paused("a", 1, 400.0),))
    assert said(view, known(a=10.0)) == [Resume("a")]
    assert said(view, known(a=10.1)) == []
    assert said(replace(view, queue=(Waiting("o", 2, NOW - 1),)), known(a=10.1)) == [Admit("o")]


def test_after_a_restart_the_plan_goes_on_from_what_it_sees() -> None:
    """A new memory expects of a paused session what it expects of a start, and pauses nobody at once."""
    view = View(10.0, (on("a", 1, 11.0), paused("b", 2, 400.0)))
    outcome = decide(RULES, LoadState(), view, NOW)
    assert outcome.decisions == ()
    assert outcome.state.known["b"].demand_a == RULES.start_demand_a


# -- forecast -----------------------------------------------------------------------------------------------


def test_an_owner_is_expected_to_draw_the_most_of_the_last_three_sessions() -> None:
    """The plan learns when a session is gone; one without a draw teaches nothing."""
    forecast = Forecast()
    for peak_a in (5.0, 1.0, 2.0):
        forecast = forecast.learn("o", peak_a)
    assert forecast.expected_a("o", 3.0) == 5.0
    assert forecast.learn("o", 1.5).expected_a("o", 3.0) == 2.0
    assert forecast.learn("o", 0.0) == forecast
    state = LoadState()
    for amps in (1.0, 4.0, 2.0):
        state = decide(RULES, state, View(10.0, (replace(on("a", 1, amps), owner="p"),)), NOW).state
    state = decide(RULES, state, View(10.0), NOW).state
    assert (expected_a(RULES, state, "p"), state.known) == (4.0, {})


def test_of_a_stranger_is_expected_what_three_of_four_stayed_below() -> None:
    """The configured guess until five sessions were seen; sessions without an owner teach this too."""
    forecast = Forecast()
    for peak_a in (5.0, 1.0, 2.0, 4.0):
        forecast = forecast.learn(None, peak_a)
    assert (forecast.expected_a("p", 3.0), forecast.expected_a(None, 3.0)) == (3.0, 3.0)
    forecast = forecast.learn("o", 3.5)
    assert (forecast.expected_a("p", 3.0), forecast.expected_a(None, 3.0)) == (4.0, 4.0)
    for _ in range(30):
        forecast = forecast.learn(None, 1.0)
    assert (forecast.expected_a("p", 3.0), forecast.peaks) == (1.0, {"o": (3.5,)})


def test_only_so_many_owners_are_remembered() -> None:
    """The one not seen for longest goes."""
    forecast = Forecast({str(number): (1.0,) for number in range(1000)}).learn("0", 1.0).learn("new", 1.0)
    assert len(forecast.peaks) == 1000
    assert "0" in forecast.peaks
    assert "1" not in forecast.peaks


# -- whatever happens ---------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "finish", "budget", "nothing", "nothing"]), st.integers(0, 7), st.floats(0.0, 6.0)
    ),
    min_size=20,
    max_size=80,
)
_TIGHT = LoadRules(
    10.0,
    min_on_s=60.0,
    min_off_s=40.0,
    settle_s=20.0,
    queue_wait_s=200.0,
    max_pauses=2,
    feeders=(Feeder("left", frozenset({0, 1, 2}), 5.0),),
)


@settings(max_examples=40, deadline=None)
@given(_STEPS)
def test_whatever_is_drawn_the_rules_are_kept(steps: list[tuple[str, int, float]]) -> None:
    """Admission on prediction, dwell times, stagger, pause counts and places in the queue, in every history."""
    amps: dict[int, float] = {}
    ports: dict[str, int] = {}
    cabinet = Cabinet(_TIGHT, lambda session, _: amps.get(ports[session], 0.0))
    budgets = [cabinet.budget_a]
    for number, (what, port, value) in enumerate(steps):
        taken = {ports[name] for name in (*cabinet.open, *(one.order for one in cabinet.queue))}
        if what == "join" and port not in taken:
            ports[f"s{number}"] = port
            cabinet.join(f"s{number}", port)
        elif what == "finish":
            cabinet.finish(next((name for name in cabinet.open if ports[name] == port), ""))
        elif what == "budget":
            cabinet.budget_a = min(10.0, 4.0 + value)
        amps[port] = value
        before = {name: one.since_s for name, one in cabinet.open.items()}
        cabinet.pass_time()
        budgets.append(cabinet.budget_a)
        _check_step(cabinet, before, fell=budgets[-1] < budgets[-2])
    begun = [at_s for at_s, decision in cabinet.done if isinstance(decision, Admit | Resume)]
    assert all(later - earlier >= _TIGHT.close_stagger_s for earlier, later in pairwise(begun))


def _check_step(cabinet: Cabinet, before: dict[str, float], *, fell: bool) -> None:
    now_s, view, outcome = cabinet.outcomes[-1]
    state = outcome.state
    for decision in outcome.decisions:
        if isinstance(decision, Admit):
            first = next(one for one in view.queue if now_s - one.since_s < _TIGHT.queue_wait_s)
            assert decision.order == first.order or first.port in _TIGHT.feeders[0].ports
            port = next(one.port for one in view.queue if one.order == decision.order)
            _check_room(view, state, port, expected_a(_TIGHT, state, decision.order))
        elif isinstance(decision, Resume):
            assert now_s - before[decision.session] >= _TIGHT.min_off_s
            one = next(one for one in view.sessions if one.session == decision.session)
            _check_room(view, state, one.port, state.known[decision.session].demand_a)
        elif isinstance(decision, Pause):
            one = next(one for one in view.sessions if one.session == decision.session)
            assert one.pauses < _TIGHT.max_pauses
            urgent = fell or state.lowered or bool(state.far_s)
            assert urgent or now_s - one.since_s >= _TIGHT.min_on_s
        elif isinstance(decision, End):
            one = next(one for one in view.sessions if one.session == decision.session)
            assert one.pauses == _TIGHT.max_pauses
        else:
            assert decision.why == "queue_expired"
    assert sorted(outcome.positions.values()) == [*range(1, len(cabinet.queue) + 1)]
    assert [*outcome.positions] == [one.order for one in cabinet.queue]


def _check_room(view: View, state: LoadState, port: int, need_a: float) -> None:
    """Hold what was admitted against the budgets of the cabinet and of its feeder: it fits beside all others."""
    groups = [(view.budget_a, frozenset(range(8)))]
    groups += [(one.limit_a, one.ports) for one in _TIGHT.feeders if port in one.ports]
    for limit_a, ports in groups:
        others_a = sum(state.known[one.session].demand_a for one in view.sessions if one.live and one.port in ports)
        fits = others_a + need_a <= limit_a * _TIGHT.admit_ratio + 1e-6
        alone = others_a <= 1e-6  # a guess, or a draw between the thresholds, may have the whole of it
        assert fits or alone


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.3, 6.0), st.integers(0, 60)), min_size=1, max_size=12),
    st.floats(6.7, 20.0),
)
def test_nobody_starves(people: list[tuple[float, int]], budget_a: float) -> None:
    """Where every charge needs an hour and every charger fits alone, the n-th starts within n hours and the pauses."""
    rules = LoadRules(budget_a, queue_wait_s=86_400.0, start_demand_a=6.0)
    cabinet = Cabinet(rules, lambda session, _: people[int(session)][0], step_s=30.0)
    joined: dict[str, float] = {}
    for number, (_, minute) in enumerate(sorted(people, key=lambda one: one[1])):
        joined[str(number)] = 60.0 * minute
    people.sort(key=lambda one: one[1])
    limit_s = 3600.0 + len(people) * (3600.0 + 2 * rules.min_off_s)
    while cabinet.now_s < limit_s and len(cabinet.done) < len(people) * 20:
        for order, at_s in joined.items():
            if cabinet.now_s <= at_s < cabinet.now_s + 30.0:
                cabinet.join(order, int(order))
        cabinet.pass_time()
        for name in [name for name, one in cabinet.open.items() if one.on_s >= 3600.0]:
            cabinet.finish(name)
    started = {decision.order: at_s for at_s, decision in cabinet.done if isinstance(decision, Admit)}
    assert started.keys() == joined.keys()
    in_order = sorted(joined, key=lambda order: (joined[order], int(order)))
    assert [*started] == in_order
    for place, order in enumerate(in_order, 1):
        assert started[order] - joined[order] <= place * (3600.0 + 2 * rules.min_off_s)
