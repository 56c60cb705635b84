"""The simulated cabinet obeys its wires: no current without a closed path, and every time is exact."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_rig.loads import Step, Steps, constant
from hil_rig.world import Event, Happening, World


@pytest.fixture
def world() -> World:
    """Return two ports without contactor or dead-man, a 500 W load on port 1 and its relay closed at 1 s."""
    made = World((1, 2))
    made.plug(1, constant(500, 0.98), at_s=0.0)
    made.relay(1, closed=True, at_s=1.0)
    return made


def test_nothing_flows_until_the_relay_closes() -> None:
    """A plugged load behind an open relay draws nothing, gains no energy, but the meter shows the mains."""
    world = World((1,), supply_v=231.0)
    world.plug(1, constant(500), at_s=0.0)
    world.advance(100.0)
    seen = world.meter(1)
    assert (seen.voltage_v, seen.current_a, seen.power_w, seen.energy_wh, seen.frequency_hz) == (231.0, 0, 0, 0, 50.0)


def test_a_closed_relay_lets_current_flow_and_energy_add_up(world: World) -> None:
    """Power times time is in the counter, on that port alone."""
    world.advance(1.0 + 36.0)
    assert world.meter(1).power_w == 500
    assert world.meter(1).current_a == pytest.approx(500 / (220 * 0.98))
    assert world.meter(1).energy_wh == pytest.approx(5.0)
    assert world.meter(2).current_a == world.meter(2).energy_wh == 0


def test_opening_the_relay_makes_the_current_fall_at_once(world: World) -> None:
    """After the opening there is no current and no more energy, and the history has both times."""
    world.relay(1, closed=False, at_s=37.0)
    world.advance(100.0)
    assert world.meter(1).current_a == world.meter(1).power_w == 0
    assert world.meter(1).energy_wh == pytest.approx(5.0)
    assert world.history(1) == (
        Event(1.0, Happening.RELAY_CLOSED),
        Event(1.0, Happening.CURRENT_BEGAN),
        Event(37.0, Happening.RELAY_OPENED),
        Event(37.0, Happening.CURRENT_STOPPED),
    )


def test_a_change_reported_late_keeps_its_own_time(world: World) -> None:
    """A relay line read after the world went on is dated by the line."""
    world.advance(40.0)
    world.relay(1, closed=False, at_s=39.997)
    assert world.last_s(Happening.RELAY_OPENED, 1) == 39.997
    assert world.last_s(Happening.CURRENT_STOPPED, 1) == 39.997


def test_a_welded_relay_keeps_its_current(world: World) -> None:
    """Opening a welded relay stops nothing; the repair does."""
    world.weld(1, welded=True, at_s=10.0)
    world.relay(1, closed=False, at_s=11.0)
    world.advance(20.0)
    assert not world.relay_closed(1)
    assert world.meter(1).power_w == 500
    assert world.last_s(Happening.CURRENT_STOPPED, 1) is None
    world.weld(1, welded=False, at_s=21.0)
    assert world.meter(1).power_w == 0


def test_the_contactor_cuts_a_welded_relay() -> None:
    """The master contactor is above all relays."""
    world = World((1,), contactor=True)
    world.plug(1, constant(500), at_s=0.0)
    world.weld(1, welded=True, at_s=0.0)
    assert world.meter(1).power_w == 0
    world.contactor(closed=True, at_s=1.0)
    assert world.meter(1).power_w == 500
    world.contactor(closed=False, at_s=2.0)
    assert world.meter(1).power_w == 0
    assert world.history() == (Event(1.0, Happening.CONTACTOR_CLOSED), Event(2.0, Happening.CONTACTOR_OPENED))


@pytest.fixture
def guarded() -> World:
    """Return a charging port behind contactor and dead-man, last heartbeat edge at 1.0 s, hold time 0.3 s."""
    world = World((1,), contactor=True, dead_man=True, hold_s=0.3)
    world.plug(1, constant(500), at_s=0.0)
    world.relay(1, closed=True, at_s=0.5)
    world.contactor(closed=True, at_s=0.5)
    world.heartbeat(at_s=1.0)
    return world


@pytest.mark.parametrize(("now_s", "watts"), [(1.299, 500), (1.301, 0)])
def test_the_dead_man_drops_the_contactor_within_its_hold_time(guarded: World, now_s: float, watts: float) -> None:
    """Current flows until 0.3 s after the last edge and not longer."""
    guarded.advance(now_s)
    assert guarded.meter(1).power_w == watts
    assert guarded.main_closed() == (watts > 0)


def test_the_dead_man_is_dated_exactly_however_late_the_world_is_advanced(guarded: World) -> None:
    """One long step finds the moment, and only the energy before it is counted."""
    guarded.advance(3601.0)
    assert guarded.last_s(Happening.CONTACTOR_OPENED) == pytest.approx(1.3)
    assert guarded.last_s(Happening.CURRENT_STOPPED, 1) == pytest.approx(1.3)
    assert guarded.meter(1).energy_wh == pytest.approx(500 * 0.3 / 3600)


def test_heartbeats_hold_the_contactor_and_bring_it_back(guarded: World) -> None:
    """Edges 0.1 s apart keep it closed; after a drop the next edge closes it again while its coil is driven."""
    for tenth in range(11, 31):
        guarded.heartbeat(at_s=tenth / 10)
    assert guarded.last_s(Happening.CONTACTOR_OPENED) is None
    guarded.advance(4.0)
    assert not guarded.main_closed()
    guarded.heartbeat(at_s=4.1)
    assert guarded.main_closed()


def test_a_dead_man_without_contactor_holds_the_whole_cabinet() -> None:
    """Without a contactor the heartbeat itself is the cabinet's supply."""
    world = World((1,), dead_man=True)
    assert not world.main_closed()
    world.heartbeat(at_s=1.0)
    assert world.main_closed()
    world.advance(1.31)
    assert not world.main_closed()


def test_a_script_runs_only_while_there_is_power(world: World) -> None:
    """The time of a load stands still while its relay is open, and goes on where it was."""
    world.plug(2, Steps((Step(0, 100), Step(5, 2000))), at_s=10.0)
    world.relay(2, closed=True, at_s=20.0)
    world.relay(2, closed=False, at_s=23.0)
    world.relay(2, closed=True, at_s=50.0)
    world.advance(51.9)
    assert world.meter(2).power_w == 100
    world.advance(52.1)
    assert world.meter(2).power_w == 2000


@pytest.mark.parametrize("step_s", [0.005, 0.7, 100.0])
def test_passing_the_limit_is_dated_exactly(world: World, step_s: float) -> None:
    """However coarsely time advances, the history has the very second of the overload."""
    world.watch(2, 6.0)
    world.plug(2, Steps((Step(0, 100), Step(3.3337, 2000), Step(7, 50))), at_s=10.0)
    world.relay(2, closed=True, at_s=10.0)
    now_s = 10.0
    while now_s < 20.0:
        now_s += step_s
        world.advance(now_s)
    assert world.last_s(Happening.LIMIT_PASSED, 2) == pytest.approx(13.3337, abs=1e-5)
    assert world.last_s(Happening.LIMIT_KEPT, 2) == pytest.approx(17.0, abs=1e-5)


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=20))
def test_energy_does_not_depend_on_how_time_is_cut(steps_s: list[float]) -> None:
    """Many small steps and one big one give the same counter."""
    fine, coarse = World((1,)), World((1,))
    script = Steps((Step(0, 100), Step(2, 900), Step(3, 0), Step(4, 300)))
    for world in (fine, coarse):
        world.plug(1, script, at_s=0.0)
        world.relay(1, closed=True, at_s=0.0)
    now_s = 0.0
    for step_s in steps_s:
        now_s += step_s
        fine.advance(now_s)
    coarse.advance(now_s)
    assert fine.meter(1).energy_wh == pytest.approx(coarse.meter(1).energy_wh, rel=1e-4, abs=1e-6)


def test_time_never_goes_back(world: World) -> None:
    """An earlier moment changes nothing."""
    world.advance(50.0)
    before = world.meter(1)
    world.advance(10.0)
    assert world.meter(1) == before


def test_a_power_cut_ends_everything_and_comes_back(world: World) -> None:
    """Without mains the meter sees nothing; with it the load goes on."""
    world.supply(0.0, at_s=10.0)
    seen = world.meter(1)
    assert (seen.voltage_v, seen.current_a, seen.power_w, seen.frequency_hz) == (0, 0, 0, 0)
    world.supply(235.0, at_s=20.0)
    assert world.meter(1).voltage_v == 235.0
    assert world.meter(1).power_w == 500


def test_pulling_the_plug_stops_the_current(world: World) -> None:
    """An empty socket draws nothing though its relay is closed."""
    world.plug(1, None, at_s=10.0)
    assert world.meter(1).current_a == 0
    assert world.last_s(Happening.CURRENT_STOPPED, 1) == 10.0


def test_a_load_begins_at_its_beginning_when_plugged_in_again(world: World) -> None:
    """Plugging in starts the script anew."""
    script = Steps((Step(0, 100), Step(5, 2000)))
    world.relay(2, closed=True, at_s=2.0)
    for at_s in (10.0, 20.0):
        world.plug(2, script, at_s=at_s)
        world.advance(at_s + 4.9)
        assert world.meter(2).power_w == 100


def test_the_counter_goes_on_from_its_lifetime_value(world: World) -> None:
    """A meter does not begin at zero."""
    world.counter(1, 123_456.0)
    world.advance(37.0)
    assert world.meter(1).energy_wh == pytest.approx(123_461.0, abs=0.5)


def test_current_warms_the_socket_and_air_cools_it(world: World) -> None:
    """The node settles at ambient plus heating times current squared, and returns."""
    world.advance(10_000.0)
    settled = 25 + 0.4 * world.meter(1).current_a ** 2
    assert world.temperature_c(1) == pytest.approx(settled, abs=0.01)
    assert world.temperature_c(2) == 25.0
    world.relay(1, closed=False, at_s=10_000.0)
    world.advance(10_000.0 + 300.0)
    assert world.temperature_c(1) == pytest.approx(25 + (settled - 25) / 2.71828, abs=0.01)


def test_a_poor_contact_heats_more(world: World) -> None:
    """Ten times the contact resistance gives ten times the rise."""
    world.poor_contact(1, 4.0)
    world.advance(10_000.0)
    assert world.temperature_c(1) == pytest.approx(25 + 4.0 * world.meter(1).current_a ** 2, abs=0.1)


def test_a_hot_probe_is_forced_and_released(world: World) -> None:
    """The fault rules while it lasts and leaves physics as it was."""
    world.hot_probe(1, 91.5)
    world.advance(20.0)
    assert world.temperature_c(1) == 91.5
    world.hot_probe(1, None)
    assert 25.0 < world.temperature_c(1) < 30.0


def test_a_glowing_contact_may_heat_faster(world: World) -> None:
    """A smaller node: most of its heat is there after one time constant."""
    world.poor_contact(1, 4.0, time_s=20.0)
    world.advance(21.0)
    assert world.temperature_c(1) == pytest.approx(25 + 4.0 * world.meter(1).current_a ** 2 * 0.632, abs=0.1)


def test_the_air_is_felt_at_once_inside_and_slowly_at_the_sockets(world: World) -> None:
    """The cabinet's own probe shows the air; a socket follows with its time constant."""
    assert world.temperature_c() == 25.0
    world.ambient(45.0, at_s=100.0)
    assert (world.temperature_c(), world.temperature_c(2)) == (45.0, 25.0)
    world.advance(400.0)
    assert world.temperature_c(2) == pytest.approx(45 - 20 / 2.71828, abs=0.01)


@pytest.mark.parametrize("place", [None, 2])
def test_heat_from_outside_needs_no_load_and_goes_again(world: World, place: int | None) -> None:
    """A fire warms evenly what it is told to, up to what a probe can show; then it cools."""
    world.heat_source(place, 30.0, at_s=100.0)
    world.advance(160.0)
    assert world.temperature_c(place) == pytest.approx(55.0)
    world.heat_source(place, 0.0, at_s=160.0)
    world.advance(460.0)
    assert world.temperature_c(place) == pytest.approx(25 + 30 / 2.71828, abs=0.01)
    world.heat_source(place, 600.0, at_s=460.0)
    world.advance(500.0)
    assert world.temperature_c(place) == 125.0


def test_the_probe_of_the_cabinet_can_be_forced(world: World) -> None:
    """As those of the ports."""
    world.hot_probe(None, 72.0)
    assert world.temperature_c() == 72.0
    world.hot_probe(None, None)
    assert world.temperature_c() == 25.0


def test_unknown_ports_are_errors(world: World) -> None:
    """A rig that names a port wrongly learns of it."""
    with pytest.raises(KeyError):
        world.relay(9, closed=True, at_s=0.0)


def test_many_threads_may_use_it(world: World) -> None:
    """Meters, pins and people at the same time lose no energy and break nothing."""

    def disturb() -> None:
        for index in range(300):
            world.advance(1.0 + index * 0.1)
            world.heartbeat(at_s=1.0 + index * 0.1)
            world.meter(1)
            world.hot_probe(2, float(index))

    threads = [threading.Thread(target=disturb) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.advance(37.0)
    assert world.meter(1).energy_wh == pytest.approx(5.0)


def test_the_mains_wander_at_the_meters_and_nowhere_else() -> None:
    """All meters see the same voltage, never far from the supply and never the same; loads and energy do not mind."""
    still, wandering = World((1, 2)), World((1, 2), supply_noise_v=1.5, seed=3)
    again, other = World((1,), supply_noise_v=1.5, seed=3), World((1,), supply_noise_v=1.5, seed=4)
    for world in (still, wandering):
        world.plug(1, constant(500), at_s=0.0)
        world.relay(1, closed=True, at_s=0.0)
    volts = []
    for tenth in range(1, 3000):
        for world in (still, wandering, again, other):
            world.advance(tenth / 10)
        seen, calm = wandering.meter(1), still.meter(1)
        assert replace(seen, voltage_v=220.0) == calm
        assert wandering.meter(2).voltage_v == again.meter(1).voltage_v == seen.voltage_v
        volts.append(seen.voltage_v)
    assert max(volts) - 220.0 == pytest.approx(1.6, abs=0.11)
    assert min(volts) - 220.0 == pytest.approx(-1.6, abs=0.11)
    assert other.meter(1).voltage_v != again.meter(1).voltage_v
    longest = max(len(list(group)) for _, group in groupby(round(v, 1) for v in volts))
    assert longest <= 10  # within a second even a meter of 0.1 V steps shows another value


def test_a_dead_or_weak_supply_does_not_wander_below_nothing() -> None:
    """No mains are no mains, and a voltage is never negative."""
    world = World((1,), supply_noise_v=1.5)
    for begin_s, volts in ((0, 0.0), (200, 0.5)):
        world.supply(volts, at_s=float(begin_s))
        for second in range(begin_s, begin_s + 200):
            world.advance(float(second))
            assert 0.0 <= world.meter(1).voltage_v <= volts * 6
