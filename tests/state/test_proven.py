"""A file of the state is believed where it was hashed, and as long as the system says the same of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler.errors import StateError
from reconciler.state.proven import FILE, Proven
from reconciler.state.reader import StateReader
from reconciler.state.state import DataFile
from reconciler.state.store import StateStore
from tests.state.kit import state, target

NAME = "targets/a/base-1.parquet"


@pytest.fixture
def file(tmp_path: Path) -> DataFile:
    """A file that another process has put into the state."""
    (tmp_path / "staged").write_bytes(b"rows")
    store = StateStore(tmp_path)
    store.write(state())
    file = store.put_file(tmp_path / "staged", NAME, rows=1)
    (tmp_path / "staged").unlink()
    return file


def edited(path: Path, *, same_time: bool) -> None:
    """Other bytes of the same number."""
    before = path.stat()
    path.write_bytes(b"Rows")
    if same_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def proven(root: Path, file: DataFile) -> bool:
    return Proven(root).holds(file, (root / NAME).stat())


@pytest.mark.parametrize("same_time", [False, True])
def test_an_edit_of_the_same_size_is_noticed(tmp_path: Path, file: DataFile, same_time: bool) -> None:
    StateReader(tmp_path).path_of(file)
    edited(tmp_path / NAME, same_time=same_time)
    for _ in range(2):
        with pytest.raises(StateError, match=f"{NAME} is not what was written: its sha256 differs") as caught:
            StateReader(tmp_path).path_of(file)
    assert "batchctl state verify" in caught.value.fix


def test_what_was_written_here_is_not_hashed_nor_what_was_hashed_once(tmp_path: Path, file: DataFile) -> None:
    assert proven(tmp_path, file)
    (tmp_path / FILE).unlink()
    assert not proven(tmp_path, file)
    StateReader(tmp_path).path_of(file)
    assert proven(tmp_path, file)
    (tmp_path / NAME).touch()
    assert not proven(tmp_path, file)
    StateReader(tmp_path).path_of(file)
    assert proven(tmp_path, file)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", [b"", b"\xff\n", b"[1]\n{}\n[[], 1, 2, 3, 4]\n", b'["targets/a/base-1.parquet", "'])
def test_a_list_that_cannot_be_read_proves_nothing(tmp_path: Path, file: DataFile, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    assert not proven(tmp_path, file)
    assert StateReader(tmp_path).path_of(file).read_bytes() == b"rows"


def test_a_list_that_cannot_be_written_is_done_without(tmp_path: Path, file: DataFile) -> None:
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert StateReader(tmp_path).path_of(file).read_bytes() == b"rows"
    assert not proven(tmp_path, file)


def test_the_list_forgets_what_is_deleted(tmp_path: Path, file: DataFile) -> None:
    store = StateStore(tmp_path)
    kept = store.write(state(1).with_target(target(file)))
    store.sweep(kept)
    assert proven(tmp_path, file)
    gone = kept
    for _ in range(6):
        gone = StateStore(tmp_path).write(gone.model_copy(update={"targets": {}}))
    assert StateStore(tmp_path).sweep(gone) == (NAME,)
    assert NAME not in (tmp_path / FILE).read_text()
