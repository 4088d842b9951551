"""A saved plan is the plan that was saved, byte for byte, or it is refused with one clear message."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.address import IdType
from reconciler.errors import BatchctlError, Stale
from reconciler.plan import Change, Op, Plan
from reconciler.plan.make import digest_of
from reconciler.planfile import open_plan, save
from reconciler.state.reader import measure

ROWS = {"delta-1.parquet": b"rows of one", "delta-2.parquet": b"rows of another"}


def make(staging: Path) -> Plan:
    """A plan with two delta files in `staging`, which also holds rejects and something that is nobody's."""
    staging.mkdir(exist_ok=True)
    changes = []
    for name, text in ROWS.items():
        (staging / name).write_bytes(text)
        key = f"3fa29c01/cep/{name.partition('.')[0]}"
        file = measure(staging / name, name, rows=3)
        change = Change(
            address=f"segment-link/{name[6]}", key=key, destination="cep", op=Op.DELTA, id_type=IdType.CUSTOM
        )
        changes.append(change.model_copy(update={"file": file}))
    (staging / "rejects-4.parquet").write_bytes(b"rejects")
    (staging / "spill.bin").write_bytes(b"not part of it")
    now = datetime(2026, 11, 3, tzinfo=UTC)
    plan = Plan(
        tool="t", project="shop", lineage="l", serial=4, created=now, changes=tuple(changes), sources={"a": "1:2"}
    )
    return plan.model_copy(update={"digest": digest_of(plan)})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "plan.batchctl"
    save(path, make(tmp_path / "staging"), tmp_path / "staging")
    return path


def test_what_is_saved_is_opened(saved: Path, tmp_path: Path) -> None:
    with open_plan(saved) as opened:
        assert opened.plan == make(tmp_path / "staging")
        for change in opened.plan.changes:
            assert change.file
            assert (opened.staging / change.file.path).read_bytes() == ROWS[change.file.path]
        assert [path.read_bytes() for path in opened.rejects] == [b"rejects"]
        found = [opened.staging, *opened.staging.rglob("*")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o700, 0o600}
        assert len(found) == 4
    assert not opened.staging.exists()


def test_the_file_is_private_and_the_same_every_time(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    save(again, make(tmp_path / "other"), tmp_path / "other")
    assert again.read_bytes() == saved.read_bytes()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_plan_without_rows_is_a_plan(tmp_path: Path) -> None:
    plan = Plan(tool="t", project="p", lineage="", serial=0, created=datetime(2026, 1, 1, tzinfo=UTC))
    plan = plan.model_copy(update={"digest": digest_of(plan)})
    save(tmp_path / "p", plan, tmp_path)
    with open_plan(tmp_path / "p", scratch=tmp_path) as opened:
        assert opened.plan == plan


def test_a_failed_save_leaves_the_file_that_was_there(saved: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    plan = make(tmp_path / "staging")
    (tmp_path / "staging/delta-2.parquet").unlink()
    with pytest.raises(BatchctlError, match="could not be saved"):
        save(saved, plan, tmp_path / "staging")
    assert saved.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("content", [None, b"", b"PK", b"plainly no zip"])
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BatchctlError, match=r"cannot be read|not a saved plan"), open_plan(path):
        pass


# Tampering: `edit` gets name → bytes of every member, and what it leaves is zipped again.

Members = dict[str, bytes]


def seal(members: Members) -> None:
    """Makes digests.json fit the other members again, as a careful forger would."""
    plan = orjson.loads(members["plan.json"])
    digests = {name: hashlib.sha256(members[name]).hexdigest() for name in sorted(members) if name != "digests.json"}
    found = {"format": 1, "members": digests, "plan": plan["digest"]}
    members["digests.json"] = orjson.dumps(found, option=orjson.OPT_SORT_KEYS)


def set_plan(members: Members, **changes: object) -> None:
    members["plan.json"] = orjson.dumps(orjson.loads(members["plan.json"]) | changes, option=orjson.OPT_SORT_KEYS)


def rows_changed(members: Members) -> None:
    members["staging/delta-1.parquet"] = b"rows of 0ne"


def rows_changed_and_sealed(members: Members) -> None:
    rows_changed(members)
    seal(members)


def plan_changed(members: Members) -> None:
    set_plan(members, serial=5)


def plan_changed_and_sealed(members: Members) -> None:
    set_plan(members, serial=5)
    seal(members)


def rows_missing(members: Members) -> None:
    del members["staging/delta-2.parquet"]


def rows_missing_and_sealed(members: Members) -> None:
    rows_missing(members)
    seal(members)


def member_added(members: Members) -> None:
    members["staging/more.parquet"] = b"x"


def stranger_added(members: Members) -> None:
    members["README"] = b"x"
    seal(members)


def traversal(members: Members) -> None:
    members["staging/../../evil"] = b"x"
    seal(members)


def absolute(members: Members) -> None:
    members["staging//etc/cron.d/evil"] = b"x"
    seal(members)


def backslash(members: Members) -> None:
    members["staging/..\\evil"] = b"x"
    seal(members)


def future(members: Members) -> None:
    found = orjson.loads(members["digests.json"]) | {"format": 2, "cipher": "none"}
    members["digests.json"] = orjson.dumps(found, option=orjson.OPT_SORT_KEYS)


def future_plan(members: Members) -> None:
    set_plan(members, format=2, surprise=1)
    seal(members)


def without_digests(members: Members) -> None:
    del members["digests.json"]


def without_plan(members: Members) -> None:
    del members["plan.json"]


def garbage_digests(members: Members) -> None:
    members["digests.json"] = b"[]"


EDITS: list[tuple[Callable[[Members], None], str]] = [
    (rows_changed, "digest of staging/delta-1.parquet differs"),
    (rows_changed_and_sealed, "rows of segment-link/1 are not those that were planned"),
    (plan_changed, "digest of plan.json differs"),
    (plan_changed_and_sealed, "not the one its digest names"),
    (rows_missing, "does not list what is in it"),
    (rows_missing_and_sealed, "rows of segment-link/2 are not those that were planned"),
    (member_added, "does not list what is in it"),
    (stranger_added, "has a member 'README'"),
    (traversal, "has a member"),
    (absolute, "has a member"),
    (backslash, "has a member"),
    (future, "written by a newer batchctl"),
    (future_plan, "not a plan of this version"),
    (without_digests, "not a saved plan"),
    (without_plan, "does not list what is in it"),
    (garbage_digests, "not what was saved"),
]


def unzipped(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(("edit", "words"), EDITS, ids=[edit.__name__ for edit, _ in EDITS])
def test_tampering_is_noticed(saved: Path, tmp_path: Path, edit: Callable[[Members], None], words: str) -> None:
    members = unzipped(saved)
    edit(members)
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(BatchctlError, match=words) as caught, open_plan(saved, scratch=scratch):
        pass
    assert isinstance(caught.value, Stale) or edit is without_digests
    assert not list(scratch.iterdir())
    assert not (tmp_path / "evil").exists()


def test_a_compressed_member_is_refused(saved: Path) -> None:
    members = unzipped(saved)
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(Stale, match="not stored as it is"), open_plan(saved):
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(saved: Path) -> None:
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr(zipfile.ZipInfo("plan.json"), b"{}")
    with pytest.raises(Stale, match="two members"), open_plan(saved):
        pass


def test_a_plan_too_large_to_be_one_is_refused(saved: Path) -> None:
    with pytest.raises(Stale, match="too large"), open_plan(saved, largest=100):
        pass


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Plan, Path]:
    folder = tmp_path_factory.mktemp("sealed")
    plan = make(folder / "staging")
    save(folder / "plan", plan, folder / "staging")
    return (folder / "plan").read_bytes(), plan, folder


def opens_as_saved_or_is_refused(text: bytes, plan: Plan, path: Path) -> None:
    path.write_bytes(text)
    try:
        with open_plan(path, scratch=path.parent) as opened:
            assert opened.plan == plan
            assert {name: (opened.staging / name).read_bytes() for name in ROWS} == ROWS
    except BatchctlError:
        return


@given(st.data())
def test_no_changed_byte_changes_the_plan(sealed: tuple[bytes, Plan, Path], data: st.DataObject) -> None:
    text, plan, folder = sealed
    changed = bytearray(text)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    opens_as_saved_or_is_refused(bytes(changed), plan, folder / "changed")


@given(st.data())
def test_a_cut_file_is_refused(sealed: tuple[bytes, Plan, Path], data: st.DataObject) -> None:
    text, _, folder = sealed
    path = folder / "cut"
    path.write_bytes(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(BatchctlError), open_plan(path, scratch=folder):
        pass


@given(st.binary(max_size=300))
def test_any_bytes_are_one_clear_error(sealed: tuple[bytes, Plan, Path], text: bytes) -> None:
    path = sealed[2] / "noise"
    path.write_bytes(text)
    with pytest.raises(BatchctlError), open_plan(path, scratch=sealed[2]):
        pass
