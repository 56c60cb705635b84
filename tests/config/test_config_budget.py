"""From a configuration to the promise in numbers, and the refusal of one that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import load
from config.budget_words import PATHS, TERMS
from config.errors import WORDS, ConfigError
from hil_rig.harness import Setup
from safety import budget as arithmetic


def cabinet(
    ports: int,
    *,
    baud: int = 9600,
    model: str = "pzem004t-v3",
    turnaround_ms: float = 100,
    dead: int = 2,
    extra: str = "",
    profile: str = "default",
) -> str:
    """Return a configuration with so many ports on one bus."""
    pins = [pin for pin in range(54) if pin not in (17, 23)]
    listed = "".join(
        f'[[port]]\nnumber = {number}\nmeter = {{ model = "{model}", unit = {number}, bus = "main" }}\n'
        f"relay = {{ pin = {pins[number]} }}\n"
        for number in range(1, ports + 1)
    )
    return (
        f'profile = "{profile}"\n[node]\nid = "n"\n[gpio]\ncontactor_pin = 17\n[promise]\ndead_meters = {dead}\n'
        f'[[bus]]\nname = "main"\ndevice = "/dev/x"\nbaud = {baud}\nturnaround_ms = {turnaround_ms}\n{listed}{extra}'
    )


SMOKE = '[[input]]\nname = "smoke"\nkind = "smoke"\npin = 23\n'


def codes(text: str) -> list[str]:
    """Return the codes of all problems."""
    return [one.code for one in load.check_text(text)]


# -- the computation ---------------------------------------------------------------------------------------


def test_the_figures_of_a_small_cabinet() -> None:
    """Two PZEM at 9600 baud and 100 ms, one of them dead: the values that the tests of the arithmetic have by hand."""
    text = cabinet(2, dead=1, extra=SMOKE)
    found = load.budget(load.load_text(text))
    assert (found.promise_s, found.dead_meters, found.kept) == (5.0, 1, True)
    port = found.ports[1]
    assert (port.port, port.bus, port.max_age_s) == (2, "main", 3.0)
    assert {path.name: round(path.total_s, 4) for path in port.paths} == {
        "seen": 2.1983,
        "silence": 4.7617,
        "contact": 0.24,
    }
    assert port.worst.name == "silence"
    assert port.worst.dominating.name == "age"
    assert port.oldest_s == pytest.approx(0.936_666_7)
    assert [path.name for path in port.dwelling] == [
        "over_current_1.1",
        "over_current_1.2",
        "over_current_1.4",
        "voltage",
        "weld",
    ]
    (smoke,) = found.contacts
    assert smoke.contactor is not None
    assert smoke.name == "smoke"
    assert (smoke.relays.total_s, smoke.contactor.total_s) == pytest.approx((0.24, 0.32))


def test_the_figures_of_meters_with_an_energy_block() -> None:
    """Three SDM120 at 19,200 8E1 and 50 ms: the other configuration computed by hand."""
    text = cabinet(3, baud=19_200, model="sdm120", turnaround_ms=50, dead=0).replace(
        "baud = 19200", 'baud = 19200\nparity = "E"'
    )
    port = load.budget(load.load_text(text)).ports[0]
    assert {path.name: round(path.total_s, 5) for path in port.paths} == {"seen": 2.21375, "silence": 4.6975}


def test_each_key_reaches_its_term() -> None:
    """Release times, age limit, debounce and dead meters of the file are those of the computation."""
    text = cabinet(3, dead=1, extra=SMOKE + "debounce_s = 0.4\n[limits]\nmeter_max_age_s = 2.5\nvoltage_s = 9\n")
    text = text.replace("[promise]", "[promise]\nrelay_release_ms = 30\ncontactor_release_ms = 200")
    found = load.budget(load.load_text(text))
    terms = {(path.name, term.name): term.seconds for path in found.ports[0].paths for term in path.terms}
    assert terms["silence", "release"] == terms["seen", "release"] == terms["contact", "release"] == 0.03
    assert (terms["silence", "age"], terms["contact", "debounce"]) == (2.5, 0.4)
    assert found.contacts[0].contactor is not None
    assert found.contacts[0].contactor.terms[-1].seconds == 0.2
    slow = {(path.name, term.name): term.seconds for path in found.ports[0].dwelling for term in path.terms}
    assert (slow["voltage", "dwell"], slow["weld", "release"]) == (9, 0.2)
    more = load.budget(load.load_text(text.replace("dead_meters = 1", "dead_meters = 2")))
    assert more.ports[0].paths[0].total_s > found.ports[0].paths[0].total_s


def test_the_inlet_meter_takes_its_turn() -> None:
    """A meter in front of all ports is one more on its bus, and costs nothing on another one."""
    inlet = '[cabinet.inlet]\nmodel = "pzem004t-v3"\nunit = 200\nbus = "{}"\n'
    second = '[[bus]]\nname = "other"\ndevice = "/dev/y"\n'
    alone, here, elsewhere = (
        load.budget(load.load_text(cabinet(2, dead=0, extra=extra))).ports[0].oldest_s
        for extra in ("", inlet.format("main"), second + inlet.format("other"))
    )
    assert here == pytest.approx(alone + arithmetic.line_timing(9600, "N", 1, 0.1).transaction_s(20))
    assert elsewhere == alone


def test_ports_of_another_bus_cost_nothing() -> None:
    """Each line is polled by itself."""
    text = cabinet(4, dead=0).replace("[[port]]", '[[bus]]\nname = "b"\ndevice = "/dev/y"\n[[port]]', 1)
    text = text.replace('unit = 4, bus = "main"', 'unit = 4, bus = "b"')
    found = load.budget(load.load_text(text)).ports
    three = load.budget(load.load_text(cabinet(3, dead=0))).ports
    one = load.budget(load.load_text(cabinet(1, dead=0))).ports
    assert found[0].oldest_s == three[0].oldest_s
    assert found[3].oldest_s == one[0].oldest_s


@pytest.mark.parametrize(
    ("more", "concerned"),
    [
        ('kind = "smoke"', [1, 2]),
        ('kind = "rcd"\nports = [2]', [2]),
        ('kind = "door"', []),
        ('kind = "door"\npolicy = "inhibit"', []),
        ('kind = "door"\npolicy = "cut"', [1, 2]),
    ],
)
def test_a_contact_counts_for_the_ports_that_it_cuts(more: str, concerned: list[int]) -> None:
    """An RCD of some ports is no path of the others, and a door that only tells is none at all."""
    found = load.budget(load.load_text(cabinet(2, extra=f'[[input]]\nname = "x"\npin = 23\n{more}\n')))
    assert [port.port for port in found.ports if any(path.name == "contact" for path in port.paths)] == concerned
    assert len(found.contacts) == bool(concerned)


def test_every_part_has_its_words() -> None:
    """Names and formulas in both languages, and a mark of its own for each part."""
    found = load.budget(load.load(Path(load.__file__).with_name("example.toml")))
    paths = [path for port in found.ports for path in (*port.paths, *port.dwelling)]
    paths += [one.contactor for one in found.contacts if one.contactor is not None]
    assert {path.name for path in paths} == PATHS.keys()
    assert {term.name for path in paths for term in path.terms} == TERMS.keys()
    assert len({words.mark for words in TERMS.values()}) == len(TERMS)
    assert all(all(words) for words in (*TERMS.values(), *PATHS.values()))


@pytest.mark.parametrize("ports", [1, 4, 10, 20])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("profile", ["demo", "default"])
def test_the_cabinets_of_the_rig_keep_their_promise(tmp_path: Path, ports: int, profile: str, *, full: bool) -> None:
    """What the bench starts is a configuration that passes the check, with every contact and sensor or without."""
    setup = Setup(ports=ports, full=full, profile=profile)
    devices = {name: tmp_path / name for name in setup.bus_names}
    assert load.check_text(setup.toml(tmp_path, tmp_path, devices, tmp_path)) == []


# -- the refusal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "baud", "dead", "expected"),
    [
        (11, 9600, 2, []),
        (12, 9600, 2, ["sweep_too_long"]),
        (12, 9600, 1, []),
        (13, 9600, 1, []),
        (14, 9600, 1, ["sweep_too_long"]),
        (13, 19_200, 2, []),
        (14, 19_200, 2, ["sweep_too_long"]),
    ],
)
def test_a_bus_with_too_many_meters_is_refused(ports: int, baud: int, dead: int, expected: list[str]) -> None:
    """One meter more than can be read within the age limit is a mistake of the configuration."""
    assert codes(cabinet(ports, baud=baud, dead=dead)) == expected


@pytest.mark.parametrize("profile", ["default", "demo", "strict"])
@pytest.mark.parametrize("ports", [4, 10, 20])
@pytest.mark.parametrize("baud", [19_200, 38_400])
def test_twenty_ports_fit_on_one_bus(profile: str, ports: int, baud: int) -> None:
    """At 19,200 baud with meters that answer within 40 ms, two of them dead."""
    assert codes(cabinet(ports, baud=baud, turnaround_ms=40, profile=profile, extra=SMOKE)) == []


def test_a_slow_bus_is_told_with_its_line_its_figures_and_a_remedy() -> None:
    """Baud rate, ports, dead meters, turnaround, age and limit, and what to change, in both languages."""
    text = cabinet(20, turnaround_ms=40)
    (problem,) = load.check_text(text, "cabinet.toml")
    assert (problem.file, problem.key, problem.code) == ("cabinet.toml", "bus[1]", "sweep_too_long")
    assert text.splitlines()[(problem.line or 0) - 1] == "[[bus]]"
    for word in ("main", "9600 baud", "20 ports", "2 dead meters", "40 ms", "3.22 s", "meter_max_age_s = 3 s"):
        assert word in problem.en
    for word in ("9600 波特", "20 个端口", "2 个失效电表", "40 毫秒", "3.22 秒", "meter_max_age_s = 3 秒"):
        assert word in problem.zh
    assert problem.remedy_en == WORDS["sweep_too_long"].remedy_en
    assert all(word in problem.remedy_en for word in ("baud rate", "second bus", "dead_meters", "meter_max_age_s"))


def test_a_broken_promise_is_told_with_its_line_its_figures_and_a_remedy() -> None:
    """Port, worst case, promise and the longest part, in both languages; at the bus, since every bus has its own."""
    text = cabinet(2, extra="[limits]\nmeter_max_age_s = 3.3\n")
    (problem,) = load.check_text(text, "cabinet.toml")
    assert (problem.key, problem.code) == ("bus[1]", "promise_broken")
    assert text.splitlines()[(problem.line or 0) - 1] == "[[bus]]"
    for word in ("Port 1", "5.06 s", "5 s", "age limit of a reading, 3.30 s", "limits.meter_max_age_s"):
        assert word in problem.en
    for word in ("端口 1", "5.06 秒", "5 秒", "读数有效期 3.30 秒"):
        assert word in problem.zh
    assert problem.remedy_zh == WORDS["promise_broken"].remedy_zh


@pytest.mark.parametrize(("cut_s", "expected"), [(4.77, []), (4.76, ["promise_broken"])])
def test_the_promise_is_kept_to_the_limit(cut_s: float, expected: list[str]) -> None:
    """4.762 s fit into 4.77 s and not into 4.76 s."""
    text = cabinet(2).replace("[promise]", f"[promise]\ncut_s = {cut_s}")
    assert codes(text) == expected


def test_each_bus_is_told_by_itself() -> None:
    """A bus that keeps its promise is not blamed for the other one."""
    text = cabinet(3).replace("[[port]]", '[[bus]]\nname = "b"\ndevice = "/dev/y"\nturnaround_ms = 900\n[[port]]', 1)
    text = text.replace('unit = 3, bus = "main"', 'unit = 3, bus = "b"')
    assert [(one.key, one.code) for one in load.check_text(text)] == [("bus[2]", "promise_broken")]


def test_nothing_runs_on_a_broken_promise_but_it_can_be_looked_at(tmp_path: Path) -> None:
    """``load`` refuses; what shows the budget gets the configuration with its problems; other mistakes are raised."""
    path = tmp_path / "cabinet.toml"
    path.write_text(cabinet(2, extra="[limits]\nmeter_max_age_s = 3.3\n"))
    with pytest.raises(ConfigError):
        load.load(path)
    config, problems = load.load_unpromised(path)
    assert [one.code for one in problems] == ["promise_broken"]
    assert not load.budget(config).kept
    path.write_text(cabinet(2))
    assert load.load_unpromised(path)[1] == []
    path.write_text("[node]\n")
    with pytest.raises(ConfigError):
        load.load_unpromised(path)


@settings(max_examples=60, deadline=None)
@given(
    ports=st.integers(1, 40),
    baud=st.sampled_from([1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200]),
    model=st.sampled_from([model for model in load.meters() if not load.load_meter(model).inlet_only]),
    turnaround_ms=st.floats(5, 2000),
    dead=st.integers(0, 8),
)
def test_refusal_and_figures_agree(ports: int, baud: int, model: str, turnaround_ms: float, dead: int) -> None:
    """Whatever the bus: a configuration passes if and only if its budget says that the promise is kept."""
    text = cabinet(ports, baud=baud, model=model, turnaround_ms=turnaround_ms, dead=dead)
    merged, problems = load._judge(text, "f.toml", load.PROFILES)
    assert merged is not None
    found = load.budget(merged.config)
    assert found.kept == (not problems)
    for port in found.ports:
        assert all(port.worst.total_s >= path.total_s for path in port.paths)
        assert all(term.seconds >= 0 for path in (*port.paths, *port.dwelling) for term in path.terms)
