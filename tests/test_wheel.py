"""What is shipped: exactly four packages with their data, nothing of the rig, and that is what the tests import."""

from __future__ import annotations

import email
import importlib
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"pilenode", "drivers", "safety", "config"}
UNDER_MAKE = os.environ.get("PILENODE_TEST_WHEEL") == "1"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from an sdist built from the checkout, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stdout + result.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_four_packages_and_nothing_else(wheel: Path) -> None:
    """Top-level names are the four packages and the metadata; rig, tests and units stay at home."""
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert len(top) == len(PACKAGES) + 1


def test_no_module_and_no_data_is_forgotten(wheel: Path) -> None:
    """Every file of the four packages is in the wheel: modules, meter tables, profiles, example, py.typed."""
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"config/example.toml", "config/profiles/demo.toml", "config/meters/pzem004t-v3.toml"} <= wanted
    assert {f"{package}/py.typed" for package in PACKAGES} <= wanted
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == wanted


def test_the_metadata_forbids_an_upload(wheel: Path) -> None:
    """The generic names must never reach an index; there is the command, and the helper that needs nothing of it."""
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = email.message_from_bytes(archive.read(names["METADATA"]))
        entry_points = archive.read(names["entry_points.txt"]).decode()
    assert "Private :: Do Not Upload" in metadata.get_all("Classifier", [])
    assert sorted(entry_points.split("\n\n")[0].splitlines()[1:]) == [
        "pilenode = pilenode.cli.main:main",
        "pilenode-guard-off = pilenode.guard.off:main",
    ]


def test_each_name_has_one_owner(wheel: Path, tmp_path: Path) -> None:
    """Beside everything that is locked, nobody else installs a package called safety, config, drivers or pilenode."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*install, str(wheel)], check=True, stdin=subprocess.DEVNULL)
    program = "import importlib.metadata, json; print(json.dumps(importlib.metadata.packages_distributions()))"
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    owners = json.loads(found.stdout)
    assert {name: set(owners[name]) for name in PACKAGES} == {name: {"pilenode"} for name in PACKAGES}


def test_one_tree_is_under_test() -> None:
    """All four packages come from one place; under `make test` that place is the installed wheel."""
    homes = {Path(str(importlib.import_module(name).__file__)).parents[1] for name in PACKAGES}
    assert len(homes) == 1
    if UNDER_MAKE:
        assert homes == {Path(sysconfig.get_path("purelib"))}


def test_the_rig_is_found_by_the_shipped_program(tmp_path: Path) -> None:
    """A program of this environment, started anywhere, imports the rig's pin factory from the checkout."""
    env = {**os.environ, "PYTHONPATH": "" if UNDER_MAKE else str(ROOT)}
    program = "import hil_rig.pins; print(hil_rig.pins.__file__); hil_rig.pins.RigFactory"
    command = [sys.executable, "-P", "-c", program]
    result = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    assert result.stdout.strip() == str(ROOT / "hil_rig/pins.py")
