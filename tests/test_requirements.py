"""The lock: exact, hashed, without any address, and in step with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENTRY = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.]+)(?P<hashes>( \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def locked(name: str) -> dict[str, str]:
    """Return name -> version of a lock file; fails on anything that is neither a hashed pin nor a comment."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    rest = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    assert ENTRY.sub("", rest) == ""
    return {canonicalize_name(entry["name"]): entry["version"] for entry in ENTRY.finditer(rest)}


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_line_is_an_exact_hashed_pin(name: str) -> None:
    """Nothing unpinned, nothing unhashed, no option and no address of an index."""
    assert locked(name)
    for suffix in ("txt", "in"):
        text = (ROOT / "requirements" / f"{name}.{suffix}").read_text(encoding="utf-8")
        assert "://" not in text
        assert "index" not in text


def test_the_lock_fulfils_the_project() -> None:
    """Each dependency of the wheel is locked at a version that pyproject.toml allows."""
    versions = locked("runtime")
    for line in PROJECT["project"]["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), line


def test_the_build_back_end_is_the_locked_one() -> None:
    """The wheel is built without isolation, so the locked back end must be the one that the project asks for."""
    assert PROJECT["build-system"]["requires"] == [f"hatchling=={locked('dev')['hatchling']}"]


def test_tests_run_with_what_is_shipped() -> None:
    """Where both locks name a package they name the same version."""
    runtime, dev = locked("runtime"), locked("dev")
    assert {name: dev[name] for name in dev.keys() & runtime.keys()}.items() <= runtime.items()
