"""Fixtures of the rig's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil_rig.upstream.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a running PostgreSQL, the same for all tests of a process."""
    with Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.needs("postgres"), pytest.mark.bench])])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Return where a store may be, once in each of both databases."""
    if request.param == "sqlite":
        return tmp_path / "b.db"
    running: Postgres = request.getfixturevalue("postgres")
    return running.database()
