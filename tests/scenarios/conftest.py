"""A cabinet of real processes for every scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig.harness import GuardClient, Harness, Setup, wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cabinet(tmp_path: Path) -> Iterator[Harness]:
    """Return a four-port cabinet with product limits whose guard runs and has read every meter."""
    with Harness(tmp_path / "cabinet", Setup(profile="default")) as harness:
        harness.start("guard")
        client = harness.guard()
        wait("every meter read", lambda: all(port.reading_age_s is not None for port in client.snapshot().ports))
        yield harness


@pytest.fixture
def guard(cabinet: Harness) -> GuardClient:
    """Return a connection to the guard of ``cabinet``."""
    return cabinet.guard()
