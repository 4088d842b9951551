"""The state folder: what is written is read, what was touched is refused, and there is always a way out."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.address import Space, TargetKey
from reconciler.errors import StateError, Unreached
from reconciler.state.names import slug_of
from reconciler.state.reader import StateReader
from reconciler.state.state import DataFile, Pending, State
from reconciler.state.store import StateStore, new_state
from tests.kit import too_deep
from tests.state.kit import NOW, python, state, target


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(tmp_path / "state", project="shop", environment="prod")


def document(store: StateReader) -> Path:
    return store.place.folder / "state.json"


def staged(folder: Path, text: str = "rows", name: str = "delta.parquet") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_nothing_written_is_none(store: StateStore) -> None:
    assert store.read() is None


def test_what_is_written_is_read_with_the_next_serial(store: StateStore) -> None:
    before = state().with_target(target())
    written = store.write(before)
    assert written == before.model_copy(update={"serial": 1})
    assert store.read() == written == StateReader(store.place.folder).read()


def test_everything_is_private(store: StateStore, tmp_path: Path) -> None:
    first = store.write(state())
    store.write(first)
    store.put_file(staged(tmp_path), "targets/a/d.parquet", rows=1)
    for path in (store.place.folder, *store.place.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_last_30_versions_are_kept(store: StateStore) -> None:
    now = state()
    for _ in range(35):
        now = store.write(now)
    kept = store.previous()
    assert list(kept) == [f"previous/state-{serial}.json" for serial in range(34, 4, -1)]
    assert store.read_previous(kept[0]).serial == 34


def test_a_reader_cannot_write() -> None:
    assert not {"write", "put_file", "sweep"} & set(dir(StateReader))


def damaged(text: bytes) -> dict[str, tuple[bytes, str]]:
    edited = orjson.loads(text)
    edited["serial"] += 1
    newer = orjson.loads(text) | {"format": 99, "surprise": 1}
    stranger = orjson.dumps([1])
    return {
        "edited": (orjson.dumps(edited), "edited or damaged"),
        "truncated": (text[: len(text) // 2], "truncated"),
        "empty": (b"", "truncated"),
        "another kind": (stranger, "no JSON object"),
        "newer": (orjson.dumps(newer), "written by a newer batchctl"),
    }


@pytest.mark.parametrize("kind", ["edited", "truncated", "empty", "another kind", "newer"])
def test_a_damaged_state_is_refused_and_never_overwritten(store: StateStore, kind: str) -> None:
    last = store.write(store.write(state()))
    text, words = damaged(document(store).read_bytes())[kind]
    document(store).write_bytes(text)
    for attempt in (store.read, lambda: store.write(last), StateReader(store.place.folder).read):
        with pytest.raises(StateError, match=words) as caught:
            attempt()
        assert kind == "newer" or "batchctl state pull --serial 1 --out FILE" in str(caught.value)
    assert document(store).read_bytes() == text


def test_the_way_out_works(store: StateStore) -> None:
    store.write(store.write(state()))
    document(store).write_text("{}")
    pulled = (store.place.folder / store.previous()[0]).read_bytes()
    restored = store.restore(pulled, where="it", force=True)
    assert (restored, restored.serial) == (store.read(), 3), "the one nobody can read had serial 2"


def test_a_previous_version_under_the_name_of_another_one_is_refused(store: StateStore) -> None:
    store.write(store.write(store.write(state())))
    newest, oldest = (store.place.folder / name for name in store.previous())
    oldest.write_bytes(newest.read_bytes())
    assert store.read_previous(store.previous()[0]).serial == 2
    with pytest.raises(StateError, match=r"state-1\.json holds another version\nits serial is 2"):
        store.read_previous(store.previous()[1])


def test_another_layout_of_the_same_content_is_no_edit(store: StateStore) -> None:
    written = store.write(state().with_target(target()))
    document(store).write_bytes(orjson.dumps(orjson.loads(document(store).read_bytes())))
    assert store.read() == written


def test_a_state_of_the_version_before_is_read(store: StateStore) -> None:
    intent = Pending(op="write", plan="p", started=NOW)
    written = store.write(state().with_target(target(pending=intent)))
    before = orjson.loads(document(store).read_bytes()) | {"tool": "batchctl 0.0.9"}
    del before["checksum"]
    for one in before["targets"].values():
        one["labels"], one["pending"]["consent_only"] = {"team": "crm"}, False
    before["checksum"] = hashlib.sha256(orjson.dumps(before, option=orjson.OPT_SORT_KEYS)).hexdigest()
    document(store).write_bytes(orjson.dumps(before))
    assert store.read() == written


def test_a_vanished_state_is_not_a_new_one(store: StateStore) -> None:
    store.write(store.write(state()))
    document(store).unlink()
    with pytest.raises(StateError, match=r"is missing, but previous versions"):
        store.read()


@pytest.mark.parametrize(
    ("what", "project", "environment"), [("project", "other", "prod"), ("environment", "shop", "")]
)
def test_the_state_of_somebody_else_is_refused(store: StateStore, what: str, project: str, environment: str) -> None:
    store.write(state())
    with pytest.raises(StateError, match=f"belongs to {what}"):
        StateStore(store.place.folder, project=project, environment=environment).read()


@pytest.mark.parametrize("change", [{"lineage": "l-2"}, {"serial": 0}, {"serial": 5}, {"project": "x"}])
def test_only_the_successor_of_what_is_there_is_written(store: StateStore, change: dict[str, object]) -> None:
    store.write(store.write(state()))
    before = document(store).read_bytes()
    with pytest.raises(StateError, match="not the one this run started from"):
        StateStore(store.place.folder).write(state(2).model_copy(update=change))
    assert document(store).read_bytes() == before


def test_a_version_written_behind_our_back_is_noticed(store: StateStore) -> None:
    mine = store.write(state())
    StateStore(store.place.folder).write(mine)
    with pytest.raises(StateError, match="its serial is 2, this run's is 1"):
        store.write(mine)


def test_lineages_differ() -> None:
    one, two = (new_state(project="p", environment="") for _ in range(2))
    assert one.lineage != two.lineage


def test_slugs_tell_names_apart_that_differ_by_case() -> None:
    keys = [TargetKey("3fa29c01", Space.CEP, name) for name in ("vip", "VIP", "", "profiles", "v/../p")]
    slugs = [slug_of(key) for key in keys]
    assert len({slug.lower() for slug in slugs}) == len(keys)
    assert all("/" not in slug and ".." not in slug for slug in slugs)


WRITER = """
import sys
from pathlib import Path
from reconciler.state.store import StateStore
from tests.state.kit import state, target
store = StateStore(Path(sys.argv[1]))
now = store.read()
for _ in range(300):
    now = store.write(now)
    (store.place.folder / "targets/a" / f"acks-{now.serial}-a.jsonl").touch()
"""


def test_whoever_reads_while_another_process_writes_is_never_told_of_a_fault(store: StateStore) -> None:
    store.write(state())
    (store.place.folder / "targets/a").mkdir(parents=True)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", WRITER, str(store.place.folder)], cwd=root) as writer:
        seen = {0}
        while writer.poll() is None:
            found = StateReader(store.place.folder).read()
            assert found is not None
            assert found.serial >= max(seen)
            seen.add(found.serial)
    assert writer.returncode == 0
    assert StateReader(store.place.folder).read() == state(301)


# Files


def test_a_file_that_was_put_is_found(store: StateStore, tmp_path: Path) -> None:
    local = staged(tmp_path)
    file = store.put_file(local, "targets/a/delta-1.parquet", rows=7)
    assert (file.rows, file.bytes, len(file.sha256)) == (7, 4, 64)
    assert store.path_of(file, verify=True).read_text() == "rows"
    assert store.put_file(local, file.path, rows=7) == file


def test_a_file_comes_from_another_disk(store: StateStore) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == store.place.folder.parent.stat().st_dev:
        pytest.skip("there is only one disk")
    local = staged(other, name=f"batchctl-{os.getpid()}")
    try:
        assert store.path_of(store.put_file(local, "targets/a/d", rows=1), verify=True).read_text() == "rows"
    finally:
        local.unlink()


def test_a_lost_cut_or_changed_file_is_noticed(store: StateStore, tmp_path: Path) -> None:
    file = store.put_file(staged(tmp_path), "targets/a/d", rows=1)
    path = store.path_of(file)
    path.write_text("ROWS")
    for verify in (False, True):
        with pytest.raises(StateError, match="sha256"):
            store.path_of(file, verify=verify)
    path.write_text("row")
    with pytest.raises(StateError, match="3 bytes, the state says 4"):
        store.path_of(file)
    path.unlink()
    with pytest.raises(StateError, match="is missing"):
        store.path_of(file)


@pytest.mark.parametrize(
    "name", ["", "state.json", "targets", "/etc/passwd", "targets/../state.json", "targets/a\\b", "x/y"]
)
def test_names_stay_below_targets(store: StateStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(StateError, match="not a name"):
        store.put_file(staged(tmp_path), name, rows=1)


def test_a_name_in_use_is_not_given_other_bytes(store: StateStore, tmp_path: Path) -> None:
    file = store.put_file(staged(tmp_path), "targets/a/d", rows=1)
    store.write(state().with_target(target(file)))
    assert store.put_file(staged(tmp_path), "targets/a/d", rows=1) == file
    with pytest.raises(StateError, match="in use"):
        store.put_file(staged(tmp_path, "other", "other"), "targets/a/d", rows=1)
    assert store.path_of(file, verify=True).read_text() == "rows"


def test_sweep_keeps_what_any_version_in_use_names(store: StateStore, tmp_path: Path) -> None:
    names = ("base-1", "delta-pending", "delta-uncertain", "refusals-1", "delta-orphan")
    files = {name: store.put_file(staged(tmp_path, name, name), f"targets/a/{name}", rows=1) for name in names}
    pending = Pending(op="write", plan="p", started=NOW, file=files["delta-pending"], acks="targets/a/acks-1")
    (store.place.folder / "targets/a/.x.parquet.1.tmp").touch()
    (store.place.folder / ".state.json.1.tmp").touch()
    owned = target(files["base-1"], pending=pending).model_copy(update={"uncertain": (files["delta-uncertain"],)})
    owned = owned.model_copy(update={"baseline": owned.baseline.model_copy(update={"refusals": files["refusals-1"]})})
    now = store.write(state().with_target(owned))
    (store.place.folder / "targets/a/acks-1").touch()
    assert store.sweep(now) == ()  # what this process put may be about to be named
    assert StateStore(store.place.folder).sweep(now) == ("targets/a/delta-orphan",)
    assert not list(store.place.folder.glob(".*"))
    for turn in range(6):
        now = store.write(now.model_copy(update={"targets": {}}))
        assert StateStore(store.place.folder).sweep(now) == () or turn == 5
    assert not list((store.place.folder / "targets").rglob("*"))


def test_files_that_another_run_no_longer_needs_are_not_called_damage(store: StateStore, tmp_path: Path) -> None:
    file = store.put_file(staged(tmp_path), "targets/a/d.parquet", rows=1)
    now = store.write(state())
    reader = StateReader(store.place.folder)
    reader.read()
    (store.place.folder / file.path).unlink()
    with pytest.raises(StateError, match="is missing"):
        reader.path_of(file)
    store.write(now)
    with pytest.raises(StateError, match="was written while it was read"):
        reader.path_of(file)


def test_sweep_deletes_nothing_where_a_version_cannot_be_read(store: StateStore, tmp_path: Path) -> None:
    now = store.write(store.write(state()))
    store.put_file(staged(tmp_path), "targets/a/delta-orphan", rows=1)
    (store.place.folder / store.previous()[0]).write_text("{")
    assert StateStore(store.place.folder).sweep(now) == ()
    assert (store.place.folder / "targets/a/delta-orphan").exists()


@pytest.mark.parametrize("prefix", ["previous", "targets"])
def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(store: StateStore, tmp_path: Path, prefix: str) -> None:
    now = store.write(store.write(state()))
    store.put_file(staged(tmp_path), "targets/a/delta-orphan", rows=1)
    folder = store.place.folder / prefix
    folder.rename(tmp_path / "moved")
    folder.symlink_to("gone")
    fresh = StateStore(store.place.folder)
    for doing in (lambda: fresh.sweep(now), fresh.files if prefix == "targets" else fresh.read):
        with pytest.raises(StateError, match=f"could not list .*{prefix}"):
            doing()
    folder.unlink()
    (tmp_path / "moved").rename(folder)
    assert (store.place.folder / "targets/a/delta-orphan").exists()
    assert store.read() == now


@pytest.mark.parametrize("gone", [False, True])
def test_a_version_that_cannot_be_read_is_not_passed_over_for_an_older_one(store: StateStore, gone: bool) -> None:
    now = store.write(store.write(store.write(state())))
    newest, document = store.place.folder / store.previous()[0], store.place.folder / "state.json"
    text = document.read_bytes()
    newest.unlink()
    newest.symlink_to(newest)
    if gone:
        document.unlink()
    fresh = StateStore(store.place.folder)
    for doing in (fresh.read, lambda: fresh.restore(text, where="a file", force=True)):
        with pytest.raises(Unreached, match=f"{newest.name} cannot be read"):
            doing()
    newest.unlink()
    newest.write_text("{")
    if gone:
        assert fresh.restore(text, where="a file", force=True).serial > now.serial
    else:
        assert fresh.read() == now


def test_versions_that_cannot_be_listed_do_not_undo_the_one_that_was_written(store: StateStore, tmp_path: Path) -> None:
    now = store.write(store.write(state()))
    folder = store.place.folder / "previous"
    too_deep(folder / "deep")
    assert store.write(now).serial == now.serial + 1


def test_a_file_that_cannot_be_looked_at_is_not_gone(store: StateStore) -> None:
    store.write(state())
    path = store.place.folder / "targets" / "a" / "base-1"
    path.parent.mkdir(parents=True)
    assert store.place.fetch("targets/a/base-1") is None
    path.symlink_to(path)
    with pytest.raises(StateError, match="could not read"):
        store.place.fetch("targets/a/base-1")


# Disks


NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from reconciler.state.store import StateStore
store = StateStore(Path(sys.argv[1]))
state = store.read()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
store.write(state)
"""

NOT_ALLOWED = """
import os, sys
from pathlib import Path
from reconciler.state.store import StateStore
store, state = StateStore(Path(sys.argv[1])), None
from tests.state.kit import state
if os.geteuid() == 0:
    os.setuid(65534)
store.write(state())
"""


def test_a_full_disk_is_one_clear_error_and_loses_nothing(store: StateStore) -> None:
    written = store.write(state().with_target(target()))
    done = python(NO_ROOM, store.place.folder)
    assert "Unreached: could not write the state" in done.stderr
    assert "free some disk space" in done.stderr
    assert store.read() == written
    assert not list(store.place.folder.glob(".*"))


def test_a_folder_that_may_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    done = python(NOT_ALLOWED, closed / "state")
    assert "Unreached: could not write the state" in done.stderr
    assert "make the folder writable" in done.stderr


@pytest.mark.parametrize("what", ["a file", "a link to nothing"])
def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path, what: str) -> None:
    there = tmp_path / "state"
    there.touch() if what == "a file" else there.symlink_to("gone")
    with pytest.raises(StateError, match=f"is {what}"):
        StateStore(tmp_path / "state").read()
    with pytest.raises(StateError):
        StateStore(tmp_path / "state").write(state())


# Laws

names = st.text(max_size=20)


@given(st.dictionaries(names, st.integers(0, 2**53)), st.lists(st.tuples(names, st.integers(0, 2**31)), max_size=4))
def test_any_state_round_trips(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int], files: list[tuple[str, int]]
) -> None:
    store = StateStore(tmp_path_factory.mktemp("s"))
    owned = target(*(DataFile(path=name, rows=n, bytes=n, sha256=name) for name, n in files))
    written = store.write(state(suppressed=counts).with_target(owned))
    assert store.read() == written


@given(st.data())
def test_no_changed_byte_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = StateStore(tmp_path_factory.mktemp("s"))
    written = store.write(state().with_target(target()))
    text = bytearray(document(store).read_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    document(store).write_bytes(text)
    try:
        found: State | None = store.read()
    except StateError:
        return
    assert found == written
