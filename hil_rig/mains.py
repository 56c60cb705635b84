"""The mains wander: no supply stands still, so a meter whose values do is broken.

Deterministic: the same seed and time give the same voltage.
"""

from __future__ import annotations

import math
import struct
import zlib

#: Period of the slow part, seconds, and how often the fast part changes.
WANDER_S = 97.0
FLICKER_S = 0.1
#: Size of the fast part, as a share of the slow one: 0.2 V of 1.5 V.
FLICKER_SHARE = 0.2 / 1.5
_HALF = 0x7FFF_FFFF


def wander_v(elapsed_s: float, size_v: float, seed: int = 0) -> float:
    """Return by how much the supply differs from its mean, V: ``size_v`` slowly to either side, and a little flicker.

    ``elapsed_s`` are seconds since any beginning; ``seed`` is a whole number of 64 bits.
    """
    slot = math.floor(elapsed_s / FLICKER_S)
    flicker = zlib.crc32(struct.pack("<qq", seed, slot)) / _HALF - 1.0
    return size_v * (math.sin(2.0 * math.pi * elapsed_s / WANDER_S) + FLICKER_SHARE * flicker)
