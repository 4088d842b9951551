"""What a seal proves, and what is checked where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import StateError
from reconciler.state.document import encode
from reconciler.state.names import STATE
from reconciler.state.place import Folder
from reconciler.state.reader import StateReader
from reconciler.state.seal import HEADER, MAGIC, SEALED, Seal, is_sealed
from reconciler.state.sealed import Sealed
from reconciler.state.state import DataFile
from reconciler.state.store import StateStore
from tests.state.kit import state, target
from tests.stores.conftest import Somewhere
from tests.stores.test_encryption import KEY, OTHER, closed, opened

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


BACK = "to go back: batchctl state pull --serial 1 --out FILE, then batchctl state push --force FILE"


@pytest.mark.parametrize("enforced", [False, True], ids=["", "enforced"])
@pytest.mark.parametrize(
    ("made", "what", "fix"),
    [
        (lambda text: text[: len(text) // 2], "was changed after it was written, or is damaged", BACK),
        (lambda text: text[:-3] + b"xyz", "was changed after it was written, or is damaged", BACK),
        (lambda text: text[: HEADER - 1], "is truncated", BACK),
        (lambda text: text[: len(MAGIC)], "is truncated", BACK),
        (lambda text: text[: len(SEALED)], "is truncated", BACK),
        (lambda text: text[:3], "is truncated", BACK),
        (lambda text: b"", "is empty|is truncated", BACK),
        (lambda text: SEALED + b"\x02" + text[len(MAGIC) :], "was encrypted by a newer batchctl", "upgrade batchctl"),
        (lambda text: closed(opened(text), seal=Seal(OTHER)), "is encrypted with another key", "in fallback"),
    ],
    ids=["cut", "edited", "header cut", "magic only", "name only", "3 bytes", "empty", "newer", "another key"],
)
def test_what_is_wrong_with_a_state_is_told_apart_and_so_is_the_way_out(
    tmp_path: Path, made: Callable[[bytes], bytes], what: str, fix: str, enforced: bool
) -> None:
    place = Sealed(Folder(tmp_path), Seal(KEY, enforced=enforced))
    first = StateStore(place).write(state())
    StateStore(place).write(first)
    for name in (STATE, "previous/state-1.json"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(made(whole))
        reader = StateReader(place)
        with pytest.raises(StateError, match=what) as caught:
            reader.read() if name == STATE else reader.read_previous(name)
        assert fix in caught.value.fix
        (tmp_path / name).write_bytes(whole)
    (tmp_path / STATE).write_bytes(made((tmp_path / STATE).read_bytes()))
    previous = encode(StateReader(place).read_previous("previous/state-1.json"))
    back = StateStore(place).restore(previous, where="it", force=True)
    assert StateReader(place).read() == back


def test_a_plain_state_where_all_must_be_encrypted_is_not_called_damaged(tmp_path: Path) -> None:
    StateStore(tmp_path).write(state())
    with pytest.raises(StateError, match="is not encrypted") as caught:
        StateReader(Sealed(Folder(tmp_path), Seal(KEY, enforced=True))).read()
    assert "set enforced: false, run batchctl state compact" in caught.value.fix


def test_a_damaged_file_with_rows_has_the_same_way_out_as_a_plain_one(anywhere: Somewhere, tmp_path: Path) -> None:
    file = told(with_key(anywhere, "one"), tmp_path)
    found = anywhere.place("operator").read(ROWS)
    assert found is not None
    for text in (found.data[:-1], found.data[:20]):
        anywhere.place("operator").put(ROWS, text)
        with pytest.raises(StateError, match=r"was changed|is truncated") as caught:
            with_key(anywhere, "two").path_of(file)
        assert "batchctl state rm KEY, then batchctl import" in caught.value.fix
