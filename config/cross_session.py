"""Rules between the keys of the table ``[session]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.cross import pick
from config.walk import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator


def session_findings(tree: object) -> Iterator[Finding]:
    """Yield what is wrong between the keys of the allowed hours: a window that ends where it begins has no length."""
    windows = pick(tree, "session", "allowed")
    for index in range(len(windows) if isinstance(windows, list) else 0):
        here = ("session", "allowed", index)
        begins, ends = pick(tree, *here, "from"), pick(tree, *here, "to")
        if begins is not None and begins == ends:
            yield Finding(
                (*here, "to"),
                "without_effect",
                f"从 {begins} 到 {ends} 没有时间；全天写 00:00 到 24:00。",
                f"From {begins} to {ends} is no time; the whole day is 00:00 to 24:00.",
            )
