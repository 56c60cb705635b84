"""Every topic of the contract: who speaks on it, what, how large, and whether the broker keeps it.

``docs/asyncapi.yaml``, ``docs/upstream.md`` and ``docs/mosquitto-acl.conf`` are made from this (``hil_rig.contract``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pilenode.upstream.contract import (
    MAX_ACK_BYTES,
    MAX_COMMAND_BYTES,
    MAX_TIME_BYTES,
    ROOT,
    Ack,
    Command,
    FactBatch,
    Hello,
    Live,
    StateReport,
    Time,
)
from pilenode.upstream.desired import MAX_DESIRED_BYTES, Desired
from pilenode.upstream.facts import CommandResult

if TYPE_CHECKING:
    import msgspec

#: The largest message of a cabinet. A batch ends at 128 KiB; a single fact may be larger, a bill of a thousand pieces.
MAX_UP_BYTES: Final = 256 * 1024
#: The way of what cabinets say, and of what they are told.
UP: Final = "up"
DOWN: Final = "dn"


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic below a cabinet's name. ``way`` is "up" (the cabinet speaks) or "dn"."""

    way: str
    leaf: str
    type: type[msgspec.Struct]
    max_bytes: int
    zh: str
    en: str
    retained: bool = False

    def topic(self, node: str) -> str:
        """Return the topic of a cabinet; ``{node}`` and ``+`` are names, too."""
        return f"{ROOT}/{node}/{self.way}/{self.leaf}"


CHANNELS: Final = (
    Channel(
        UP, "hello", Hello, 1024, "连接后的第一条消息：日志及待确认的范围", "first words: the log, what is unconfirmed"
    ),
    Channel(
        UP,
        "live",
        Live,
        256,
        "是否在线；遗嘱消息也在此主题",
        "whether it is connected; its last will, too",
        retained=True,
    ),
    Channel(UP, "st", StateReport, MAX_UP_BYTES, "机柜当前状态", "the present state of the cabinet", retained=True),
    Channel(UP, "ev", FactBatch, MAX_UP_BYTES, "一批事实", "a batch of facts"),
    Channel(UP, "res", CommandResult, 4096, "命令的结果", "what became of a command"),
    Channel(DOWN, "ack", Ack, MAX_ACK_BYTES, "后台已提交到某一序号", "what the backend has committed"),
    Channel(DOWN, "cmd", Command, MAX_COMMAND_BYTES, "命令", "a command"),
    Channel(DOWN, "cfg", Desired, MAX_DESIRED_BYTES, "期望配置", "the desired configuration", retained=True),
    Channel(DOWN, "time", Time, MAX_TIME_BYTES, "后台的时间", "the time at the backend"),
)


def channel(topic: str) -> Channel | None:
    """Return the channel of a topic of any cabinet, None when the contract knows none."""
    return next((one for one in CHANNELS if topic == one.topic(_node(topic))), None)


def _node(topic: str) -> str:
    parts = topic.split("/")
    return parts[2] if len(parts) > len(ROOT.split("/")) else ""
