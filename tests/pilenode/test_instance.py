"""One process per directory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pilenode.instance import TakenError, claim

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second claim is refused while the first lasts, and works afterwards."""
    directory = tmp_path / "made" / "when-missing"
    with claim(directory), pytest.raises(TakenError):
        claim(directory)
    claim(directory).close()


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    """The kernel releases the lock of a process that was killed."""
    code = "import sys, time; from pathlib import Path; from pilenode.instance import claim; "
    code += "held = claim(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TakenError):
            claim(tmp_path)
        holder.kill()
    claim(tmp_path).close()


def test_a_place_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """A file in the way is the system's error, not a second process."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        claim(tmp_path / "file" / "below")
