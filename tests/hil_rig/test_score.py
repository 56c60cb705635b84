"""The scoring command as a person runs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from hil_rig.score import main

if TYPE_CHECKING:
    from pathlib import Path

NEVER = """
class Detector:
    def update(self, t_s, volts, amps, watts, celsius):
        return None
"""


def test_the_summary_says_what_its_figures_mean(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a figure, with its meaning; exit status 0."""
    assert main(["--only", "o014", "--verbose"]) == 0
    out = capsys.readouterr().out
    assert "o014-normal" in out
    assert "full: nothing drawn for 14.0 min" in out
    assert "delay_median_min                14.0  minutes from full to the cut, median" in out


def test_json_goes_to_a_file_or_is_printed_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With "-" nothing but data is printed."""
    assert main(["--only", "o022", "--json", str(tmp_path / "score.json")]) == 0
    capsys.readouterr()
    assert main(["--only", "o022", "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "score.json").read_text())
    assert printed["curves"]["o022-already-full"]["result"] == "ok"


def test_another_detector_may_be_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any module:factory that can be imported from the current directory."""
    (tmp_path / "never_cuts.py").write_text(NEVER)
    monkeypatch.chdir(tmp_path)
    assert main(["--only", "o014", "--detector", "never_cuts", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["never"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "o999"], "no such curve"),
        (["--detector", "no_such_module:x"], "no detector"),
        (["--detector", "hil_rig.curves:nothing"], "no detector"),
        (["/no/such/folder"], "No such file"),
        (["--perturb", "earthquake"], "invalid choice"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And one line that says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_perturbations_make_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One row each, the unchanged curves first; details on request, data on request."""
    assert main(["--only", "o022", "--perturb", "slower20", "--perturb", "power1.4", "--verbose"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["perturbation", "none", "slower20", "power1.4"]
    assert "slower20:" in lines
    assert main(["--only", "o022", "--perturb", "slower20", "--json", "-"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"none", "slower20"}


def test_made_up_sessions_may_be_scored(capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed makes the same sessions."""
    assert main(["--synthetic", "3", "--seed", "5", "--json", "-"]) == 0
    first = capsys.readouterr().out
    assert main(["--synthetic", "3", "--seed", "5", "--json", "-"]) == 0
    assert capsys.readouterr().out == first
    assert json.loads(first)["summary"]["normal_curves"] == 3


def test_pictures_can_be_looked_at(tmp_path: Path) -> None:
    """One well-formed SVG a curve with truth, cut and thresholds, and a page that shows them all."""
    assert main(["--only=-s", "--svg", str(tmp_path / "pictures")]) == 0  # small, two-step, swapped, splitter
    pictures = sorted((tmp_path / "pictures").glob("*.svg"))
    assert len(pictures) == 5
    page = (tmp_path / "pictures" / "index.html").read_text()
    for picture in pictures:
        text = "".join(ET.fromstring(picture.read_text()).itertext())  # noqa: S314 - our own output
        assert picture.stem in text
        assert "plateau" in text
        assert f'src="{picture.name}"' in page
    assert "swapped: 112 W" in (tmp_path / "pictures" / "o039-swapped.svg").read_text()
