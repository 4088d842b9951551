"""What a seal proves, and what is checked where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import StateError
from reconciler.state.place import Folder
from reconciler.state.seal import Seal, is_sealed
from reconciler.state.sealed import Sealed
from reconciler.state.state import DataFile
from reconciler.state.store import StateStore
from tests.state.kit import state, target
from tests.stores.conftest import Somewhere
from tests.stores.test_encryption import KEY

ROWS = "targets/a/delta-1-b.parquet"
OURS, SWAPPED = b"who was told: p1", b"who was told: p2"


def told(store: StateStore, tmp_path: Path) -> DataFile:
    """A file with rows that the state names."""
    (tmp_path / "rows").write_bytes(OURS)
    file = store.put_file(tmp_path / "rows", ROWS, rows=1)
    store.write(state().with_target(target(file)))
    return file


def with_key(where: Somewhere, machine: str) -> StateStore:
    return StateStore(Sealed(where.place(machine), Seal(KEY)))


def test_a_plain_file_in_the_place_of_a_sealed_one_is_hashed(anywhere: Somewhere, tmp_path: Path) -> None:
    file = told(with_key(anywhere, "one"), tmp_path)
    anywhere.place("operator").put(ROWS, SWAPPED)
    store = with_key(anywhere, "two")
    for _ in range(2):
        with pytest.raises(StateError, match="sha256 differs"):
            store.path_of(file)
    anywhere.place("operator").put(ROWS, OURS)
    for _ in range(2):
        assert with_key(anywhere, "three").path_of(file).read_bytes() == OURS


def test_a_plain_copy_of_this_machine_that_was_swapped_is_fetched_again(s3: Somewhere, tmp_path: Path) -> None:
    file = told(with_key(s3, "one"), tmp_path)
    (tmp_path / "one" / ROWS).write_bytes(SWAPPED)
    assert with_key(s3, "one").path_of(file).read_bytes() == OURS


def test_a_plain_file_is_sealed_only_if_it_is_what_the_state_says(tmp_path: Path) -> None:
    told(StateStore(tmp_path / "state"), tmp_path)
    (tmp_path / "state" / ROWS).write_bytes(SWAPPED)
    with pytest.raises(StateError, match="sha256 differs"):
        StateStore(Sealed(Folder(tmp_path / "state"), Seal(KEY))).reseal()
    assert not is_sealed((tmp_path / "state" / ROWS).read_bytes())
    (tmp_path / "state" / ROWS).write_bytes(OURS)
    StateStore(Sealed(Folder(tmp_path / "state"), Seal(KEY))).reseal()
    assert is_sealed((tmp_path / "state" / ROWS).read_bytes())
