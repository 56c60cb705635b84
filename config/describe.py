"""Writes the reference page of the configuration from the schema: ``python -m config.describe > docs/config.md``.

Ranges and meanings stand in ``config.schema`` only, so the page cannot say anything else than the loader does.
"""

from __future__ import annotations

import sys
from inspect import cleandoc

import msgspec
from msgspec import inspect

from config.desired import ALLOWED
from config.schema import Config, Profile
from config.schema_meter import MeterProfile
from config.walk import bounds, plain, show, unit

_HEAD = """# Configuration reference

<!-- Made by `python -m config.describe` from config/schema.py; do not edit. -->

One TOML file describes one cabinet. `pilenode config check FILE` tells everything that is wrong with it,
`pilenode config show FILE` prints the values in force and where each comes from, and `config/example.toml` is a
complete file to start from. A key that is not listed here is an error.

Where the file is silent, the profile that it names stands in (`config/profiles/`: `default`, `strict`, `demo`);
where the profile is silent too, the default below. A profile may set keys of
{tables}.
It completes an `[upstream]`, but never makes one.

In messages, tables of a list are counted from 1 in the order of the file: `port[2].meter.unit` is the unit of the
second `[[port]]`. A whole number may stand wherever a number is asked for.
"""
_METER_HEAD = """# Meter profiles

A meter is data: one file `<model>.toml` for each model, named by `port.meter.model`. The shipped ones are in
`config/meters/` (docs/meters.md lists them), your own in `meters.directory`; `config/example-meter.toml` is one to
copy. `pilenode meter check FILE` tells everything that is wrong with a file. These are its keys.
"""
_DESIRED_HEAD = """# Keys that a backend may desire

A backend may desire other values of these keys, of the station's convenience alone (docs/manual.md, Configuration from
upstream); a text with any other key is refused whole. The values in force without it, of the cabinet's own file and its
profile, are the ceiling. Guard never reads what is desired.

| Key | How far |
|---|---|"""
_RULES = """# Rules between keys

- Port numbers, bus names, bus devices, input names, probe ids, names of modules and converters, their channels and
  socket paths are unique; so is each GPIO pin over all relays, inputs, lights, buzzer, converters, contactor, its
  feedback and heartbeat, and each Modbus address on one bus. Converters may share clock and data lines, never a select
  line.
- A probe has exactly one of `id`, `module` and `adc`; `module` and `adc` name a `[[probe_module]]` or `[[adc]]` and
  need a `channel` (1 to 8 of a module, 0 to 7 of a converter).
- `adc.series_ohm` is 0.2 to 4 times `adc.nominal_ohm`; `interval_s` (and `refresh_s`) of a module or converter stay
  below
  `limits.probe_max_age_s`.
- `port.meter.bus`, `probe_module.bus` and `cabinet.inlet.bus` name a `[[bus]]`, `port.meter.model` and
  `cabinet.inlet.model` a known meter,
  `profile` a known profile, `input.ports` existing ports, each once.
- Only an `rcd` names `input.ports`, only a `door` has an `input.policy`.
- `port.current_limit_a` and `port.power_limit_w` may only lower the values of `[limits]`.
- `temperature_clear_c` < `temperature_warn_c` < `temperature_inhibit_c` < `temperature_trip_c`, in `[limits]` and in
  `[cabinet]`; `over_current_slow_ratio` < `over_current_fast_ratio`, `voltage_low_v` < `voltage_high_v`,
  `meter_stuck_s` < `meter_frozen_s`.
- `gpio.contactor_feedback_pin` needs `gpio.contactor_pin`.
- Reader names are unique, and so is each device and each GPIO pin of a reader among those of the whole cabinet. An
  `mfrc522` takes GPIO 9, 10 and 11, which several share, and 8 (`spi_select` 0) or 7 (1).
- `rdm6300`, `em18`, `pn532` and `keyboard` need `reader.device`; `wiegand26` and `wiegand34` need `reader.data0_pin`
  and `reader.data1_pin`. `reader.baud` is for serial readers, `reader.spi_select` for an `mfrc522`, `reader.digits`
  for a `keyboard`; where a key has no effect it is refused. `reader.ports` names existing ports, each once.
- No window of `session.allowed` ends where it begins; the whole day is 00:00 to 24:00.
- The worst-case time from a hazard to an open relay is at most `promise.cut_s` for every port, and every meter is read
  again within `limits.meter_max_age_s` although `promise.dead_meters` of its bus are dead.
  `pilenode budget --config FILE` shows the computation.
- `upstream.retry_base_s` ≤ `upstream.retry_cap_s`, and `station.lease_s` is at least three times `station.poll_s`.
- `upstream.certificate_file` and `upstream.key_file` go together, and exclude `upstream.identity_dir`;
  `upstream.password_file` needs
  `upstream.username`; TLS files need a `mqtts://` url.
- The path of a Unix socket has at most 107 bytes.
- `load.budget_a` is at most `cabinet.current_limit_a`, `load.admit_ratio` < `load.shed_ratio`. Feeder names are unique,
  `load.feeder.ports` name existing ports, and each port stands in one feeder at most.
- Every moment has exactly one price: the periods of a version cover 24 hours once, versions begin one after the other,
  and `tariff.valid_until`, where it is given, is the `tariff.valid_from` of the next version. A version has one price
  of electricity for all day or a list of periods, and one kind of service fee: by the kWh, by the hour or by tiers.
  Tiers rise by multiples of 100 W. `node.timezone` is a zone that the system (or the package tzdata) knows.
- No text contains control characters.
- In a meter profile, `model` is the file's name and not that of a shipped model. Every value lies inside the block
  that it names and fills at least one register; volts, amperes and watts of every channel are in a `fast` block; every
  block has a value. Blocks do not overlap and fit into one reply of 250 bytes. No two values share bytes, except that
  channels may share a whole quantity. `scales` has two to four numbers, each at least twice the next smaller one, and
  stands beside a `power_factor` in a fast block and no `scale`. `quirks_zh` is empty or as long as `quirks`.
"""


def _type_name(kind: inspect.Type) -> str:
    names = {
        inspect.StrType: "string",
        inspect.IntType: "whole number",
        inspect.FloatType: "number",
        inspect.BoolType: "boolean",
    }
    if isinstance(kind, inspect.LiteralType):
        return "whole number" if isinstance(kind.values[0], int) else "string"
    if isinstance(kind, inspect.ListType):
        return f"list of {_type_name(plain(kind.item_type)[0])}s"
    return names[type(kind)]


def _range(kind: inspect.Type, name: str) -> str:
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{show(value)}`" for value in kind.values)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return f"{bounds(kind)[1]} {unit((name,))[1]}".strip()
    if isinstance(kind, inspect.StrType):
        parts = [f"{kind.min_length or 0} to {kind.max_length} characters"] if kind.max_length is not None else []
        parts += [f"`{kind.pattern}`"] if kind.pattern is not None else []
        return ", ".join(parts)
    return ""


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return "`[]`"
    return "none" if field.default is None else f"`{show(field.default)}`"


def _inner(kind: inspect.Type) -> inspect.StructType | None:
    """Return the table behind ``kind``, be it a table or a list of tables."""
    bare = plain(kind)[0]
    if isinstance(bare, inspect.ListType):
        bare = plain(bare.item_type)[0]
    return bare if isinstance(bare, inspect.StructType) else None


def _title(field: inspect.Field, prefix: str) -> str:
    bare, _, optional = plain(field.type)
    path = f"{prefix}{field.encode_name}"
    if not isinstance(bare, inspect.ListType):
        return f"`[{path}]`" + (", optional" if optional else "")
    low, high = bare.min_length or 0, bare.max_length
    return f"`[[{path}]]`, {low} to {high} times"


class _Page:
    """Collects the lines; a table that several keys share is written once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._described: dict[type, str] = {}

    def table(self, kind: inspect.StructType, title: str, prefix: str) -> None:
        """Add the section of one table and of every table inside it."""
        self.lines.append(f"## {title}\n")
        if kind.cls in self._described:
            self.lines.append(f"As {self._described[kind.cls]}.\n")
            return
        self._described[kind.cls] = title
        self.lines.append(f"{cleandoc(kind.cls.__doc__ or '')}\n")
        keys = [field for field in kind.fields if _inner(field.type) is None]
        if keys:
            self.lines += ["| Key | Type | Default | Allowed | Meaning |", "|---|---|---|---|---|"]
            self.lines += [_row(field, prefix) for field in keys]
            self.lines.append("")
        for field in kind.fields:
            inner = _inner(field.type)
            if inner is not None:
                self.table(inner, _title(field, prefix), f"{prefix}{field.encode_name}.")


def _row(field: inspect.Field, prefix: str) -> str:
    bare, meaning, _ = plain(field.type)
    cells = (
        f"`{prefix}{field.encode_name}`",
        _type_name(bare),
        _default(field),
        _range(bare, field.encode_name),
        meaning.replace("<", "\\<"),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _desired() -> str:
    rows = [f"| `{table}.{key}` | {rule.en} |" for table, keys in ALLOWED.items() for key, rule in keys.items()]
    return "\n".join([_DESIRED_HEAD, *rows, ""])


def _schema(root: type) -> inspect.StructType:
    kind = inspect.type_info(root)
    if not isinstance(kind, inspect.StructType):
        raise TypeError(root)
    return kind


def page() -> str:
    """Return the whole reference page as Markdown."""
    result = _Page()
    tables = ", ".join(f"`[{name}]`" for name in Profile.__struct_fields__)
    result.lines.append(_HEAD.format(tables=tables))
    result.table(_schema(Config), "Keys outside every table", "")
    result.lines.append(_METER_HEAD)
    result.table(_schema(MeterProfile), "Keys outside every table of a meter profile", "")
    result.lines.append(_desired())
    result.lines.append(_RULES)
    return "\n".join(result.lines)


if __name__ == "__main__":
    sys.stdout.write(page())
