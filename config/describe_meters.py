"""Writes the pages of the meter models from their profiles.

``python -m config.describe_meters en > docs/meters.md``, and ``zh`` for docs/meters.zh-CN.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from config.budget import meter_timing
from config.meter_files import METERS, check_meter
from safety.budget import line_timing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.schema_meter import MeterProfile

#: Default of ``bus.turnaround_ms``, seconds.
_TURNAROUND_S: Final = 0.1
#: Rates of the two columns of times besides the factory one.
_RATES: Final = (9600, 19_200)

_EN = """# Meters

<!-- Made by `python -m config.describe_meters en` from config/meters/*.toml; do not edit. -->

A meter is data: one file for each model. Every shipped file is decoded from frames written down beside it
(`tests/drivers/frames/`), published ones where there are any, computed ones else, and each frame says which. **No model
was tried on real hardware here.** "Experimental" means more: one source only, or sources that disagree. Hold what the
meter shows against a known load before the first session; `pilenode` refuses power that does not fit volts × amperes.

Times are the longest of one good poll, with a turnaround of up to 100 ms (`bus.turnaround_ms`); a slow energy register
rides along with one poll in four at most and is not in them. `pilenode meter show MODEL` prints registers and requests.

{table}

## Several sockets on one meter

Ports that name the same `bus` and `unit` share a meter, each with a `channel` of its own. The meter is asked once for
all of them, counts once in the budget, and is lost for all of them together:

```toml
[[port]]
number = 1
meter = {{ model = "jsy-mk-194t", unit = 1, channel = 1, bus = "main" }}
relay = {{ pin = 5 }}

[[port]]
number = 2
meter = {{ model = "jsy-mk-194t", unit = 1, channel = 2, bus = "main" }}
relay = {{ pin = 6 }}
```

## A model of your own

1. Copy `config/example-meter.toml` to `/etc/pilenode/meters.d/<model>.toml` (`meters.directory` in the configuration
   names another directory) and give `model` the name of the file. docs/config.md lists every key.
2. `pilenode meter check FILE` tells everything that is wrong with it, with line, key, range and remedy, and prints the
   requests. Send one with any tool, and let `--reply HEX` decode what came back.
3. Name the model in the configuration; `pilenode budget` shows what it does to the promise.

A profile of your own never takes the place of a shipped one: the same name is refused. Whoever wants a shipped model to
be read differently copies its file from `config/meters/` under another name, so that a name means the same everywhere.

Blocks that adjoin are read in one transaction, and so are blocks with a gap where the file says `gaps_readable = true`
and the bytes of the gap cost less than another transaction at the speed of the line; at most 125 registers or 250
bytes. The budget computes with the same reads.

Where sources disagree on the scale of the power, `scales` lists what they say. The first reading of 10 W or more (volts
× amperes × power factor) that exactly one of them fits within 25 % decides for good, anew after each start of guard.
Until then a power below 1 W by the largest scale counts as it is, and any other one as missing: it is never guessed.

## What is not here

- No map was found for Acrel ADL100, DDSD1352, AMC16 and AMC72. ADL200 has one public driver and was left out.
- Orno WE-504: its current has steps of 0.1 A, too coarse for a full battery.
- DDS238-1 is another map than DDS238-2.

## What to know of each model

{quirks}"""

_ZH = """# 电表

<!-- 由 `python -m config.describe_meters zh` 根据 config/meters/*.toml 生成，请勿手工修改。 -->

电表就是数据：每个型号一个文件。每个随附文件都用旁边写明的帧（`tests/drivers/frames/`）解码验证过：有公开帧的用公开帧，
没有的用计算帧，每一帧都注明出处。**没有任何型号在此处用真实硬件试过。**“试验性”另指：只有一个来源，或来源互相矛盾。首次
充电前请用已知负载核对读数；功率与电压 × 电流不符时，`pilenode` 拒绝供电。

时间为一次正常读取的最长时间，应答时间按 100 毫秒以内计（`bus.turnaround_ms`）；慢速的电能寄存器最多每四次读取附带一次，
未计入。`pilenode meter show 型号` 显示寄存器和请求帧。

{table}

## 一块电表供多个插座

`bus` 和 `unit` 相同的端口共用一块电表，各用一个 `channel`。电表只问一次，预算中只算一次；它失联时，这些端口一起断电：

```toml
[[port]]
number = 1
meter = {{ model = "jsy-mk-194t", unit = 1, channel = 1, bus = "main" }}
relay = {{ pin = 5 }}

[[port]]
number = 2
meter = {{ model = "jsy-mk-194t", unit = 1, channel = 2, bus = "main" }}
relay = {{ pin = 6 }}
```

## 添加自有型号

1. 把 `config/example-meter.toml` 复制为 `/etc/pilenode/meters.d/<型号>.toml`（配置中的 `meters.directory` 可改目录），
   `model` 写成文件名。全部键见 docs/config.md。
2. `pilenode meter check 文件` 一次列出全部错误（行号、键、范围、办法），并显示请求帧。用任意工具发送后，可用
   `--reply 十六进制` 解码收到的应答。
3. 在配置中使用该型号；`pilenode budget` 显示它对承诺时间的影响。

自有文件不能顶替随附型号：同名会被拒绝。要改变某个随附型号的读法，请把 `config/meters/` 中的文件另取名称复制，这样同一个
名称在每台机柜上含义都相同。

相邻的寄存器块合并为一次读取；文件写明 `gaps_readable = true` 时，若间隔字节的代价小于在该线路速度下多一次读取，
有间隔的块也合并；一次最多 125 个寄存器或 250 字节。预算按同样的读取计算。

来源对功率倍率说法不一时，`scales` 列出各种说法。首个 10 W 以上（电压 × 电流 × 功率因数）且只有一个倍率在 25 % 之内
吻合的读数决定倍率，保护进程每次启动后重新确定。在此之前，按最大倍率仍不足 1 W 的功率照用，其余视为无读数：绝不猜测。

## 未收录的型号

- 未找到 Acrel ADL100、DDSD1352、AMC16、AMC72 的寄存器表；ADL200 只有一个公开驱动，未收录。
- Orno WE-504：电流以 0.1 A 为一步，判断充满过于粗糙。
- DDS238-1 的寄存器表与 DDS238-2 不同。

## 各型号注意事项

{quirks}"""


class _Words(NamedTuple):
    page: str
    head: str
    port: str
    inlet: str
    channels: str
    experimental: str
    source: str
    colon: str


_WORDS: Final = {
    "en": _Words(
        _EN,
        "| Model | Meter | For | Factory serial | One poll | at 9600 | at 19200 |",
        "port",
        "inlet",
        "{} ports",
        "experimental",
        "Source",
        ": ",
    ),
    "zh": _Words(
        _ZH,
        "| 型号 | 电表 | 用途 | 出厂串口 | 一次读取 | 9600 时 | 19200 时 |",
        "端口",
        "进线",
        "{} 个端口",
        "试验性",
        "来源",
        "：",
    ),
}


def _profiles() -> Iterator[MeterProfile]:
    for path in sorted(METERS.glob("*.toml")):
        profile, problems = check_meter(path)
        if profile is None:
            raise ValueError(problems)
        yield profile


def _poll_ms(profile: MeterProfile, baud: int) -> str:
    serial = profile.serial
    line = line_timing(baud, serial.parity, serial.stopbits, _TURNAROUND_S)
    return f"{1000 * meter_timing(line, profile, again=True).fast_s:.0f} ms"


def _row(profile: MeterProfile, words: _Words) -> str:
    serial, channels = profile.serial, 1 + len(profile.channel)
    use = words.inlet if profile.inlet_only else words.channels.format(channels) if channels > 1 else words.port
    cells = (
        f"`{profile.model}`",
        profile.title + (f" ({words.experimental})" if profile.experimental else ""),
        use,
        f"{serial.baud} 8{serial.parity}{serial.stopbits}",
        *(_poll_ms(profile, baud) for baud in (serial.baud, *_RATES)),
    )
    return "| " + " | ".join(cells) + " |"


def _notes(profile: MeterProfile, words: _Words, language: str) -> Iterator[str]:
    yield f"### `{profile.model}`\n"
    yield from (f"- {quirk}" for quirk in (profile.quirks_zh if language == "zh" else profile.quirks))
    yield f"- {words.source}{words.colon}{profile.source}\n"


def page(language: str) -> str:
    """Return the page in ``language``, en or zh, as Markdown."""
    words, profiles = _WORDS[language], [*_profiles()]
    table = "\n".join([words.head, "|---|---|---|---|---|---|---|", *(_row(profile, words) for profile in profiles)])
    quirks = "\n".join(line for profile in profiles for line in _notes(profile, words, language))
    return words.page.format(table=table, quirks=quirks)


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
