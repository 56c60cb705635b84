"""From the bytes of a ``cfg`` message to a desired configuration: pure, and bounded before anything is decoded.

As with commands everything that fails is a refusal with a stable code. The hash is looked at here, because a text whose
hash is wrong is not what anybody wrote; what the text says is for ``config.desired_load``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pilenode.ipc.bounded import UnfitError, outer_keys
from pilenode.station.envelope import UNREADABLE, opened
from pilenode.upstream.contract import PROTOCOL, other_major
from pilenode.upstream.desired import MAX_BODY_BYTES, MAX_DESIRED_BYTES, Desired, digest
from pilenode.upstream.facts_config import ConfigRefused

if TYPE_CHECKING:
    from pilenode.station.envelope import Seal


@dataclass(frozen=True, slots=True)
class HeardConfig:
    """A desired configuration and its seal, where it has one."""

    desired: Desired
    seal: Seal | None = None


def hear_config(payload: bytes) -> HeardConfig | ConfigRefused:
    """Return the configuration in ``payload`` and its seal, or the refusal that it deserves. Never raises."""
    content, seal = payload, None
    try:
        if "signed" in outer_keys(payload, MAX_DESIRED_BYTES):
            seal = opened(payload)
            content = seal.content
            outer_keys(content, MAX_DESIRED_BYTES)
        desired = _decode(content)
    except UnfitError as unfit:
        return ConfigRefused(code=unfit.code, detail=unfit.detail)
    if len(desired.body.encode()) > MAX_BODY_BYTES:
        return refused(desired, "oversized", f"body: at most {MAX_BODY_BYTES} bytes")
    if digest(desired.body) != desired.sha256:
        return refused(desired, "config_hash", digest(desired.body))
    return HeardConfig(desired, seal)


def refused(desired: Desired, code: str, detail: str = "") -> ConfigRefused:
    """Return the refusal of a configuration that could be read."""
    return ConfigRefused(version=desired.version, sha256=desired.sha256, code=code, detail=detail[:200])


def _decode(content: bytes) -> Desired:
    try:
        if (major := other_major(content)) is not None:
            raise UnfitError("protocol_mismatch", f"{major}, not {PROTOCOL}")
        desired = msgspec.json.decode(content, type=Desired)
        desired.body.encode()  # half a surrogate pair is JSON, and no text
    except (*UNREADABLE, UnicodeEncodeError) as error:
        raise UnfitError("malformed", str(error)) from None
    return desired
