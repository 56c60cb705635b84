"""Rules between probes, and the modules and converters that they hang on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from config.cross import each, one, pick, unique, unknown
from config.walk import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.locate import Path

_SOURCES: Final = ("id", "module", "adc")
#: Inputs of each source of a probe; a 1-wire id has none.
_CHANNELS: Final = {"module": (1, 8), "adc": (0, 7)}
#: Series resistor as a multiple of the thermistor at 25 °C: outside, the converter no longer tells -20 °C from an open
#: or 110 °C from a shorted thermistor, at every B value that is allowed.
_LEAST_SERIES, _MOST_SERIES = 0.2, 4.0


def pins(tree: object) -> Iterator[tuple[Path, object]]:
    """Yield the lines of lights, buzzer and converters. Converters may share clock and data lines, never a select."""
    yield from one(tree, "gpio", "status_led_pin")
    yield from one(tree, "gpio", "buzzer_pin")
    for key in ("pin", "fault_pin"):
        yield from each(tree, "port", "led", key)
    for key in ("clock_pin", "mosi_pin", "miso_pin"):
        seen = set()
        for path, pin in each(tree, "adc", key):
            if pin not in seen:
                seen.add(pin)
                yield path, pin
    yield from each(tree, "adc", "select_pin")


def _probes(tree: object) -> Iterator[tuple[Path, dict[str, object]]]:
    for path, probe in (*each(tree, "port", "probe"), *one(tree, "cabinet", "probe")):
        if isinstance(probe, dict):
            yield path, probe


def _sources(tree: object, given: object) -> Iterator[Finding]:
    """Each probe has exactly one source, and a channel where that source has several."""
    for path, probe in _probes(tree):
        written = pick(given, *path)
        named = [key for key in _SOURCES if isinstance(written, dict) and key in written]
        if len(named) != 1:
            found = "、".join(named) or "-", ", ".join(named) or "none"
            yield Finding(
                path,
                "incomplete" if not named else "without_effect",
                f"应有 id、module、adc 之一（现有：{found[0]}）。",
                f"exactly one of id, module and adc is needed (found: {found[1]}).",
            )
        elif named[0] in _CHANNELS:
            yield from _channel(path, probe, named[0])
        elif probe.get("channel") is not None:
            yield Finding(
                (*path, "channel"), "without_effect", "1-wire 探头没有通道。", "A 1-wire probe has no channel."
            )


def _channel(path: Path, probe: dict[str, object], source: str) -> Iterator[Finding]:
    low, high = _CHANNELS[source]
    channel = probe.get("channel")
    if "channel" in probe and channel is None:
        yield Finding(
            path, "incomplete", f"还需要 channel（{low} 至 {high}）。", f"channel is needed too ({low} to {high})."
        )
    elif isinstance(channel, int) and not low <= channel <= high:
        yield Finding(
            (*path, "channel"),
            "out_of_range",
            f"{channel}：{source} 的通道为 {low} 至 {high}。",
            f"{channel}: channels of {source} are {low} to {high}.",
        )


def _references(tree: object) -> Iterator[Finding]:
    for source, table in (("module", "probe_module"), ("adc", "adc")):
        entries = pick(tree, table)
        names = [name for _, name in each(tree, table, "name") if isinstance(name, str)]
        # With a nameless entry in the file nobody can tell which one a probe means.
        if not isinstance(entries, list) or len(names) == len(entries):
            for path, probe in _probes(tree):
                name = probe.get(source)
                if name is not None and name not in names:
                    yield unknown((*path, source), name, names)
        yield from unique([*each(tree, table, "name")])
        yield from unique(
            [
                ((*path, "channel"), (probe[source], probe["channel"]))
                for path, probe in _probes(tree)
                if probe.get(source) is not None and probe.get("channel") is not None
            ]
        )


def _dividers(tree: object) -> Iterator[Finding]:
    for path, series_ohm in each(tree, "adc", "series_ohm"):
        nominal_ohm = pick(tree, *path[:-1], "nominal_ohm")
        if not (isinstance(series_ohm, int | float) and isinstance(nominal_ohm, int | float)):
            continue
        if not _LEAST_SERIES * nominal_ohm <= series_ohm <= _MOST_SERIES * nominal_ohm:
            low, high = _LEAST_SERIES * nominal_ohm, _MOST_SERIES * nominal_ohm
            yield Finding(
                path,
                "out_of_range",
                f"{series_ohm:g}：对于 nominal_ohm = {nominal_ohm:g}，应为 {low:g} 至 {high:g}。",
                f"{series_ohm:g}: with nominal_ohm = {nominal_ohm:g} it must be {low:g} to {high:g}.",
                (*path[:-1], "nominal_ohm"),
            )


def _ages(tree: object) -> Iterator[Finding]:
    """Refuse what would take a probe that works for one that is silent."""
    limit_s = pick(tree, "limits", "probe_max_age_s")
    for path, interval_s in (*each(tree, "probe_module", "interval_s"), *each(tree, "adc", "interval_s")):
        refresh_s = pick(tree, *path[:-1], "refresh_s") or 0.0
        if not (isinstance(interval_s, int | float) and isinstance(refresh_s, int | float)):
            continue
        oldest_s = interval_s + refresh_s
        if isinstance(limit_s, int | float) and oldest_s >= limit_s:
            yield Finding(
                path,
                "wrong_order",
                f"数据最长 {oldest_s:g} 秒才更新，而 limits.probe_max_age_s = {limit_s:g} 秒。",
                f"readings get {oldest_s:g} s old; limits.probe_max_age_s = {limit_s:g} s.",
                ("limits", "probe_max_age_s"),
            )


def probe_findings(tree: object, given: object) -> Iterator[Finding]:
    """Yield every contradiction about probes. ``given``: the file as written, wrong values and all."""
    yield from _sources(tree, given)
    yield from _references(tree)
    yield from _dividers(tree)
    yield from _ages(tree)
