"""Property test of commands: ``python -m hil_rig.bench_commands --sequences 100000 [--seed N]``.

Each sequence is a life of its own (``hil_rig.command_world``): commands that are repeated, reordered, held back,
retained, late, forged and flooded, under a clock that is trusted or not and steps, with restarts and a journal that
fails now and then. In one of ``SIGNED`` sequences operations keys are configured. Checked at every effect: one session
for an id, none after its expiry, none without a fresh challenge while the time is unknown, none by a forged command,
none above the rate; every stop that names its session is honoured. Exit status 0 when nothing was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hil_rig.command_world import World

#: One sequence in so many is played with signatures, which cost some 20 times as much.
SIGNED: Final = 10
_MESSAGES: Final = 12
_PROGRESS: Final = 10_000


def operations_key(keys_file: Path) -> Ed25519PrivateKey:
    """Return a new private key; its public one is in ``keys_file`` under the name "ops"."""
    key = Ed25519PrivateKey.generate()
    keys_file.write_text(f"ops {base64.b64encode(key.public_key().public_bytes_raw()).decode()}\n", encoding="ascii")
    return key


async def play(sequences: int, seed: int, keys_file: Path, key: Ed25519PrivateKey) -> tuple[Counter[str], Counter[str]]:
    """Return what was broken, and how often each answer was given, in ``sequences`` sequences."""
    broken: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for number in range(sequences):
        random = Random(f"{seed}-{number}")
        world = World(random, (keys_file, key) if number % SIGNED == 0 else None)
        await world.live(random.randint(1, 2 * _MESSAGES))
        broken += world.broken
        codes += world.codes
        if number and number % _PROGRESS == 0:
            print(
                f"{number} sequences, {sum(codes.values())} commands, broken promises: {dict(broken) or 0}", flush=True
            )
        if world.broken:
            print(f"sequence {number}: {dict(world.broken)}")
    return broken, codes


def main() -> int:
    """Play and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "keys"
        broken, codes = asyncio.run(play(arguments.sequences, arguments.seed, file, operations_key(file)))
    total = sum(codes.values())
    print(f"{arguments.sequences} sequences, {total} commands, {time.monotonic() - begun:.0f} s")
    for code, count in codes.most_common():
        print(f"  {code:18} {count}")
    print(f"broken promises: {dict(broken) or 0}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
