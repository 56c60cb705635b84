"""Promises of the directory of desired configuration: old or new, never half; a file that is not ours is none."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pilenode.station import desired, desired_start, desired_store
from pilenode.station.desired import Book, Text
from pilenode.station.desired_start import choose
from pilenode.station.desired_store import BOOK, FOLDER, DesiredStore
from pilenode.upstream.desired import MAX_BODY_BYTES, digest
from tests.pilenode.disk_model import Disk, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.load import Merged
    from pilenode.station.desired_start import InForce


def body(version: int) -> str:
    """Return the text of a version."""
    return f"[cards]\nday_cap_fen = {version}\n" + "# \n" * 50


def text(version: int) -> Text:
    """Return the name of that text."""
    return Text(version=version, sha256=digest(body(version)))


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Merged:
    """Return an own file, over which every text is good: what texts say is not the promise here."""
    monkeypatch.setattr(
        desired_start, "check_desired", lambda _local, said, _name: (SimpleNamespace(desired=said, says=said), [])
    )
    own: Any = SimpleNamespace(desired=None, says="")
    return cast("Merged", own)


def says(found: InForce) -> int:
    """Return the version whose very text is in force, 0 for the own file."""
    said = found.merged.says  # type: ignore[attr-defined] # see local
    version = 0 if not said else int(said.split("=")[1].split("\n")[0])
    assert said in ("", body(version))
    assert version == found.version
    return version


class Life:
    """Carries a store through changes of its book and notes, at every call, what may be in force after a cut there."""

    def __init__(self, folder: Path, local: Merged, recorder: Recorder) -> None:
        self.store = DesiredStore(folder)
        self.book = Book()
        self.allowed: list[set[int]] = []
        self._local = local
        self._calls = recorder.calls

    def do(self, work: Callable[[], object], book: Book | None = None) -> None:
        """Do ``work``, after which ``book`` counts; in between the old one or the new one does."""
        old, new = self._version(self.book), self._version(self.book if book is None else book)
        work()
        self.book = self.book if book is None else book
        self.allowed += [{old, new}] * (len(self._calls) - len(self.allowed))
        if self.allowed:
            self.allowed[-1] = {new}  # after the last call nothing but the new one does

    def change(self, book: Book) -> None:
        """Write another book."""
        self.do(lambda: self.store.save(book), book)

    def new(self, version: int) -> None:
        """Keep and stage a text."""
        self.do(lambda: self.store.keep(text(version), body(version)))
        self.change(desired.stage(self.book, text(version)))

    def start(self) -> None:
        """Start a process."""
        after = desired.started(self.book)
        self.do(lambda: choose(self.store, self._local), after)

    def tidy(self) -> None:
        """Remove what is not needed."""
        self.do(lambda: self.store.tidy(self.book))

    @staticmethod
    def _version(book: Book) -> int:
        return 0 if book.in_force is None else book.in_force.version


class Unflushed:
    """Stands in the place of ``os`` where nothing is cut any more: flushing takes most of the time of this file."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever os has
        return getattr(os, name)

    def fsync(self, descriptor: int) -> None:
        """Flush nothing."""


def _life(folder: Path, local: Merged, recorder: Recorder) -> Life:
    """Live through everything: a first one that passes, a second that fails, a third, and back to the own file."""
    life = Life(folder, local, recorder)
    life.new(1)
    life.change(desired.begin_trial(life.book, ["guard"]))
    life.start()
    life.change(desired.commit(life.book))
    life.tidy()
    life.new(2)
    life.change(desired.begin_trial(life.book, ["guard", "upstream"]))
    life.start()
    life.start()
    life.change(desired.roll_back(life.book, "upstream"))
    life.start()
    life.new(3)
    life.change(desired.begin_trial(life.book, []))
    life.start()
    life.change(desired.commit(life.book))
    life.tidy()
    life.change(desired.want_own(life.book, "Li"))
    life.change(desired.forgotten(life.book))
    life.start()
    return life


def test_a_cut_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, in_memory: Path, local: Merged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed or without power before and after every call to the file system, whatever of it had reached the disk."""
    recorder = Recorder()
    monkeypatch.setattr(desired_store, "os", recorder)
    life = _life(tmp_path / FOLDER, local, recorder)
    monkeypatch.setattr(desired_store, "os", Unflushed())
    disk, tried = Disk(), set[object]()
    seen: set[int] = set()
    for call, allowed in zip([(), *recorder.calls], [{0}, *life.allowed], strict=True):
        if call:
            disk.do(call)
        for left in {tuple(sorted(state.items())) for state in disk.after_cut()}:
            if (left, *allowed) in tried:
                continue
            tried.add((left, *allowed))
            folder = in_memory / str(len(tried))
            folder.mkdir()
            for name, content in left:
                (folder / name).write_bytes(content)
            found = choose(DesiredStore(folder), local)
            assert says(found) in allowed, call
            assert not any(news.refused and news.refused.code == "config_damaged" for news in found.book.news)
            seen.add(says(found))
            _goes_on(DesiredStore(folder), local, found.book)
    assert disk.live == {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    assert seen == {0, 1, 2, 3}
    assert len(tried) > 300


def _goes_on(store: DesiredStore, local: Merged, book: Book) -> None:
    """Stage and try the next one on whatever was left."""
    store.keep(text(9), body(9))
    settled = desired.roll_back(book, "x")
    store.save(desired.begin_trial(desired.stage(settled, text(9)), []))
    assert says(choose(store, local)) == 9


def test_a_trial_ends_after_three_starts(tmp_path: Path, local: Merged) -> None:
    """What kills the process every time is given up by the fourth start, which runs with what was before."""
    store = DesiredStore(tmp_path / FOLDER)
    store.keep(text(1), body(1))
    store.save(desired.begin_trial(desired.stage(Book(), text(1)), []))
    assert [says(choose(store, local)) for _ in range(5)] == [1, 1, 1, 0, 0]
    book = store.load()
    assert book.refused is not None
    assert (book.refused.version, book.refused.code, book.refused.detail) == (1, "config_rolled_back", "starts 3")
    assert not [*(tmp_path / FOLDER).glob("*.toml")]


def test_a_start_is_counted_before_anything_is_made_of_the_text(
    tmp_path: Path, local: Merged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that brings the process down before it runs is given up as well."""
    store = DesiredStore(tmp_path / FOLDER)
    store.keep(text(1), body(1))
    store.save(desired.begin_trial(desired.stage(Book(), text(1)), []))

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(desired_start, "check_desired", bug)
        for _ in range(desired.MAX_STARTS):
            with pytest.raises(ZeroDivisionError):
                choose(store, local)
        assert says(choose(store, local)) == 0


def test_a_start_that_cannot_be_counted_is_no_trial(
    tmp_path: Path, local: Merged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that takes nothing, what was in force before is, and the trial waits."""
    store = DesiredStore(tmp_path / FOLDER)
    store.keep(text(1), body(1))
    book = desired.begin_trial(desired.stage(Book(), text(1)), [])
    store.save(book)

    def full(_: Book) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "save", full)
        found = choose(store, local)
    assert (says(found), found.on_trial, found.book) == (0, False, book)
    assert says(choose(store, local)) == 1


def _symlink(path: Path, target: Path) -> None:
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def _directory(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


SPOILED: dict[str, Callable[[Path, Path], object]] = {
    "another content": lambda path, _: path.write_text(body(2), encoding="utf-8"),
    "cut short": lambda path, _: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path, _: path.write_bytes(b""),
    "a symbolic link to the same content": _symlink,
    "gone": lambda path, _: path.unlink(),
    "a directory": _directory,
    "a pipe": _pipe,
    "longer than may be": lambda path, _: path.write_bytes(b" " * (MAX_BODY_BYTES + 1)),
    "no UTF-8": lambda path, _: path.write_bytes(b"\xff"),
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("trial", [True, False], ids=["trial", "applied"])
def test_a_spoiled_text_is_none(tmp_path: Path, local: Merged, how: str, *, trial: bool) -> None:
    """Whatever was put in its place, it does not count, it is told, and the station starts."""
    store = DesiredStore(tmp_path / FOLDER)
    store.keep(text(1), body(1))
    book = desired.begin_trial(desired.stage(Book(), text(1)), [])
    store.save(book if trial else desired.commit(book))
    SPOILED[how](store.folder / f"1-{text(1).sha256}.toml", tmp_path / "elsewhere")
    found = choose(store, local)
    assert (says(found), found.on_trial) == (0, False)
    assert found.book.refused is not None
    assert (found.book.refused.version, found.book.refused.code) == (1, "config_damaged")
    assert store.load() == found.book
    assert desired.verdict(found.book, SimpleNamespace(version=1, sha256=text(1).sha256)) == "known"  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [*SPOILED, "JSON of something else", "deep", "a version that climbs out"])
def test_a_spoiled_book_is_none(tmp_path: Path, local: Merged, how: str) -> None:
    """The own file counts alone, the damaged book is kept for a person, and it is told."""
    store = DesiredStore(tmp_path / FOLDER)
    store.keep(text(1), body(1))
    store.save(desired.commit(desired.begin_trial(desired.stage(Book(), text(1)), [])))
    path = store.folder / BOOK
    if how == "gone":
        return
    if how == "deep":
        path.write_text("[" * 100_000, encoding="utf-8")
    elif how == "JSON of something else":
        path.write_text('{"format":2}', encoding="utf-8")
    elif how == "a version that climbs out":
        path.write_text('{"applied":{"version":"../../x","sha256":"' + "0" * 64 + '"}}', encoding="utf-8")
    elif how == "longer than may be":
        path.write_bytes(b" " * (256 * 1024 + 1))
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        SPOILED[how](path, tmp_path / "elsewhere")
    found = choose(store, local)
    assert says(found) == 0
    assert found.book.refused is not None
    assert found.book.refused.code == "config_damaged"
    assert store.load() == found.book
    assert os.path.lexists(store.folder / "book.damaged")


def test_a_directory_that_is_a_link_is_not_followed(tmp_path: Path, local: Merged) -> None:
    """Neither read nor written through."""
    real = DesiredStore(tmp_path / "real")
    real.keep(text(1), body(1))
    real.save(desired.commit(desired.begin_trial(desired.stage(Book(), text(1)), [])))
    (tmp_path / FOLDER).symlink_to(tmp_path / "real")
    linked = DesiredStore(tmp_path / FOLDER)
    before = {path.name: path.read_bytes() for path in (tmp_path / "real").iterdir()}
    assert says(choose(linked, local)) == 0
    with pytest.raises(OSError, match="symbolic"):
        linked.save(Book())
    with pytest.raises(OSError, match="symbolic"):
        linked.load()
    left = {path.name: path.read_bytes() for path in (tmp_path / "real").iterdir()}
    assert {name.replace("book.damaged", BOOK): content for name, content in left.items()} == before
