"""``batchctl state`` on a state in S3, and in a folder where that differs."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from reconciler.state.document import decode, encode
from reconciler.state.holder import Holder
from reconciler.state.lock import held_at, hold
from reconciler.state.place import Folder, Place
from tests.cli.kit import FILES, Command, Typed, people
from tests.conftest import MakeProject
from tests.state.kit import NOW
from tests.stores.conftest import Somewhere, somewhere


@pytest.fixture(scope="module")
def batch() -> Iterator[str]:
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        yield url


class Applied(Command):
    """A project after two applies: every target has a base and a delta file."""

    where: Somewhere

    @property
    def place(self) -> Place:
        """The state, seen by an operator."""
        return self.where.place("operator")

    def targets(self) -> list[str]:
        """Keys of all targets."""
        return [one["key"] for one in json.loads(self.ok("state", "list", "--format", "json"))["targets"]]

    def state(self, command: str, *arguments: str) -> str:
        """Standard output of a state command that must succeed."""
        return self.ok(*f"state {command}".split(), *arguments)

    def raw(self, *arguments: str, **more: str | None) -> object:  # type: ignore[override] - groups put -C last
        if arguments[0] == "state":
            group, folder, root, command, *rest = arguments
            arguments = (group, command, folder, root, *rest)
        return super().raw(*arguments, **more)


@pytest.fixture
def batchctl(
    project: MakeProject,
    batch: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Applied:
    where = somewhere(getattr(request, "param", "s3"), request, tmp_path, monkeypatch)
    url = where.url if where.kind == "s3" else where.root / "state"
    specs = FILES["specs.yaml"].replace("{url: state}", f"{{url: {url}}}")
    specs = specs.replace("name: loyal\ntitle: Loyal", f"name: loyal\ntitle: Loyal {tmp_path.name}")
    root = project(FILES | {"specs.yaml": specs}, {"data/people.parquet": people(400, loyal=300)})
    applied = Applied(root, batch)
    applied.where = where
    applied.ok("apply", "--auto-approve", "--target", "segment-link/loyal-ios")
    project.table("data/people.parquet", people(401, loyal=301))
    applied.ok("apply", "--auto-approve", "--target", "segment-link/loyal-ios")
    return applied


@pytest.mark.parametrize("batchctl", ["folder", "s3"], indirect=True)
def test_looking(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    line = batchctl.state("list")
    assert key in line
    assert "301" in line
    shown = json.loads(batchctl.state("show", key))
    assert shown == json.loads(batchctl.state("show", shown["audience"]))
    assert shown["baseline"]["count"] == 301
    assert batchctl("state", "show", "nobody").returncode == 1


@pytest.mark.parametrize("batchctl", ["folder", "s3"], indirect=True)
def test_verify_proves_and_finds(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    assert f"{key}  ok  301 members in 2 files" in batchctl.state("verify")
    first = json.loads(batchctl.state("show", key))["baseline"]["files"][0]
    found = batchctl.place.read(first["path"])
    assert found is not None
    damaged = bytearray(found.data)
    damaged[len(damaged) // 2] ^= 1
    batchctl.place.put(first["path"], bytes(damaged))
    done = batchctl("state", "verify", key)
    assert (done.returncode, "wrong" in done.stdout, "sha256" in done.stdout) == (1, True, True), done.stdout
    batchctl.place.remove(first["path"])
    assert "is missing" in batchctl("state", "verify").stdout


def test_compact_folds_into_one_file_that_holds_the_same(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    before = set(batchctl.place.names("targets/"))
    assert "1 target folded" in batchctl.state("compact")
    assert f"{key}  ok  301 members in 1 file" in batchctl.state("verify")
    assert "0 targets folded" in batchctl.state("compact", key)
    assert "No changes." in batchctl.ok("plan", "--target", "segment-link/loyal-ios")
    assert set(batchctl.place.names("targets/")) > before, "the last 5 versions keep their files"


@pytest.mark.parametrize("batchctl", ["folder", "s3"], indirect=True)
def test_compact_folds_all_targets_in_one_write_or_none(batchctl: Applied, project: MakeProject) -> None:
    everybody = batchctl.root / "everybody.yaml"
    everybody.write_text(
        everybody.read_text().replace("title: Everybody", f"title: Everybody {batchctl.root.parent.name}")
    )
    for count in (402, 403):
        project.table("data/people.parquet", people(count, loyal=302))
        batchctl.ok("apply", "--auto-approve")
    before = batchctl.state("pull")
    serial = json.loads(before)["serial"]
    last = list(json.loads(before)["targets"].values())[-1]["baseline"]["files"][-1]["path"]
    kept = batchctl.place.read(last)
    assert kept is not None
    for place in (batchctl.place, Folder(batchctl.root / ".batchctl"), *map(Folder, batchctl.root.glob(".batchctl/*"))):
        if place.read(last) is not None:
            place.put(last, b"damaged")
    assert batchctl("state", "compact").returncode == 1
    assert batchctl.state("pull") == before
    batchctl.place.put(last, kept.data)
    assert "2 targets folded" in batchctl.state("compact")
    assert json.loads(batchctl.state("pull"))["serial"] == serial + 1
    assert batchctl.state("pull", "--serial", str(serial)) == before
    assert batchctl.state("verify").count("in 1 file") == 2
    assert "No changes." in batchctl.ok("plan")


@pytest.mark.parametrize("batchctl", ["folder"], indirect=True)
def test_compact_and_verify_say_which_target_they_are_at(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    for command, doing in (("verify", "verifying"), ("compact", "folding")):
        done = batchctl("state", command, "--log-format", "json")
        said = [json.loads(line) for line in done.stderr.splitlines()]
        assert {"event": "stage", "text": f"{doing} {key} (1 of 1)"} in said, done
        assert {one["event"] for one in said} == {"stage"}


@pytest.mark.parametrize("batchctl", ["folder"], indirect=True)
def test_pull_of_a_version_that_is_not_kept_says_which_are(batchctl: Applied) -> None:
    newest = json.loads(batchctl.state("pull"))["serial"]
    kept = ", ".join(str(serial) for serial in range(newest - 1, 0, -1))
    done = batchctl("state", "pull", "--serial", "60")
    assert done.returncode == 1
    assert f"version 60 of the state is not kept\n  kept are {kept}; without --serial" in done.stderr


def test_rm_forgets_and_batch_keeps(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    assert batchctl("state", "rm", key).returncode == 64
    assert "nothing was changed in Batch" in batchctl.state("rm", key, "--auto-approve")
    assert batchctl.targets() == []
    plan = batchctl.ok("plan", "--target", "segment-link/loyal-ios")
    assert "batchctl import" in plan


def test_mv_follows_an_account_whose_key_was_replaced(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    account, space, audience = key.split("/")
    wrong = batchctl("state", "mv", key, f"{account}/{space}/other")
    assert (wrong.returncode, "cannot be renamed" in wrong.stderr) == (1, True)
    batchctl.state("mv", key, f"00c0ffee/{space}/{audience}")
    assert batchctl.targets() == [f"00c0ffee/{space}/{audience}"]
    batchctl.state("mv", audience, key)
    assert "No changes." in batchctl.ok("plan", "--target", "segment-link/loyal-ios")


def test_pull_and_push(batchctl: Applied, tmp_path: Path) -> None:
    file = tmp_path / "pulled.json"
    batchctl.state("pull", "--out", str(file))
    serial = json.loads(file.read_bytes())["serial"]
    assert batchctl.state("pull") == file.read_text()
    (key,) = batchctl.targets()
    batchctl.state("rm", key, "--auto-approve")
    older = batchctl("state", "push", str(file), "--auto-approve")
    assert (older.returncode, "--force" in older.stderr) == (1, True)
    assert f"serial {serial + 2}" in batchctl.state("push", str(file), "--auto-approve", "--force")
    assert batchctl.targets() == [key]
    file.write_bytes(file.read_bytes().replace(b'"count": 301', b'"count": 302'))
    assert "edited or damaged" in batchctl("state", "push", str(file), "--auto-approve").stderr


def test_push_refuses_a_newer_state_of_another_lineage(batchctl: Applied, tmp_path: Path) -> None:
    file = tmp_path / "pulled.json"
    batchctl.state("pull", "--out", str(file))
    mine = decode(file.read_bytes(), where=str(file), way_out=str)
    other = mine.model_copy(update={"lineage": "00c0ffee-0000-4000-8000-000000000000", "serial": mine.serial + 7})
    file.write_bytes(encode(other))
    refused = batchctl("state", "push", str(file), "--auto-approve")
    assert (refused.returncode, "is not a successor of the state" in refused.stderr) == (1, True), refused
    assert other.lineage in refused.stderr
    assert json.loads(batchctl.state("pull"))["lineage"] == mine.lineage
    batchctl.state("push", str(file), "--auto-approve", "--force")
    assert json.loads(batchctl.state("pull"))["lineage"] == other.lineage
    assert "No changes." in batchctl.ok("plan", "--target", "segment-link/loyal-ios")


@pytest.mark.parametrize("batchctl", ["folder"], indirect=True)
@pytest.mark.parametrize(("keep", "kept"), [(None, set()), ("90d", {"acks", "delta"}), ("30d", set())])
def test_history_says_how_long_what_was_sent_is_kept(batchctl: Applied, keep: str | None, kept: set[str]) -> None:
    """Sent 60 days ago, folded, and named by none of the last versions."""
    (key,) = batchctl.targets()
    account, _, rest = key.partition("/")
    sent = batchctl.place.names("targets/")
    assert {kind_of(name) for name in sent} == {"acks", "delta"}
    for name in sent:
        os.utime(batchctl.where.root / "state" / name, (time.time() - 60 * 86_400,) * 2)
    if keep:
        specs = batchctl.root / "specs.yaml"
        specs.write_text(specs.read_text().replace("name: shop\n", f"name: shop\nhistory: {{keep: {keep}}}\n", 1))
    batchctl.state("compact")
    for number in range(3):
        batchctl.state("mv", f"{account}/{rest}", f"00c0ffee/{rest}")
        batchctl.state("mv", f"00c0ffee/{rest}", f"{account}/{rest}")
        assert number == 2 or set(sent) <= set(batchctl.place.names("targets/")), "the last 5 versions keep their files"
    batchctl.state("compact")
    left = set(batchctl.place.names("targets/"))
    assert {kind_of(name) for name in set(sent) & left} == kept
    assert {kind_of(name) for name in left} == kept | {"base"}
    assert "No changes." in batchctl.ok("plan", "--target", "segment-link/loyal-ios")


def test_history_in_a_bucket_is_kept_and_goes_once_nobody_asks_for_it(batchctl: Applied) -> None:
    (key,) = batchctl.targets()
    account, _, rest = key.partition("/")
    sent = set(batchctl.place.names("targets/"))
    specs = batchctl.root / "specs.yaml"
    bare = specs.read_text()
    specs.write_text(bare.replace("name: shop\n", "name: shop\nhistory: {keep: 90d}\n", 1))
    batchctl.state("compact")
    for _ in range(3):
        batchctl.state("mv", f"{account}/{rest}", f"00c0ffee/{rest}")
        batchctl.state("mv", f"00c0ffee/{rest}", f"{account}/{rest}")
    assert ", 0 files deleted" in batchctl.state("compact")
    assert sent < set(batchctl.place.names("targets/"))
    specs.write_text(bare)
    assert f", {len(sent)} files deleted" in batchctl.state("compact")
    assert {kind_of(name) for name in batchctl.place.names("targets/")} == {"base"}
    assert "1 target, 0 wrong" in batchctl.state("verify")
    assert "No changes." in batchctl.ok("plan", "--target", "segment-link/loyal-ios")


def kind_of(name: str) -> str:
    """What a file of a target is: base, delta, acks."""
    return name.rpartition("/")[2].partition("-")[0]


@pytest.mark.parametrize("batchctl", ["folder", "s3"], indirect=True)
def test_the_way_back_from_a_damaged_state(batchctl: Applied, tmp_path: Path) -> None:
    batchctl.place.put("state.json", b"{}")
    done = batchctl("plan")
    assert done.returncode == 1
    serial = max(int(name.split("-")[1].split(".")[0]) for name in batchctl.place.names("previous/"))
    file = str(tmp_path / "back.json")
    batchctl.state("pull", "--serial", str(serial), "--out", file)
    assert batchctl("state", "push", file, "--auto-approve").returncode == 1
    batchctl.state("push", file, "--auto-approve", "--force")
    assert batchctl.place.read("previous/unreadable.json").data == b"{}"  # type: ignore[union-attr] - it is there
    batchctl.ok("apply", "--auto-approve", "--target", "segment-link/loyal-ios")
    assert "0 wrong" in batchctl.state("verify")


@pytest.mark.parametrize("batchctl", ["folder", "s3"], indirect=True)
def test_unlock_names_the_holder(batchctl: Applied) -> None:
    assert "the lock is free" in batchctl.state("unlock", "--auto-approve")
    holder = Holder(text="apply", started=NOW, run="https://ci.example/7")
    with hold(batchctl.place, timeout_seconds=0, holder=holder) as permit:
        done = batchctl("state", "unlock", "--auto-approve")
        assert "https://ci.example/7" in done.stdout
        if batchctl.where.kind == "folder":
            assert (done.returncode, "free the moment process" in done.stderr) == (1, True)
            permit(1.0)
        else:
            assert (done.returncode, "freed the lock of apply" in done.stdout) == (0, True)
            assert re.search(r"\nstill alive \d s ago: its lease of 60 s has not ended\n", done.stdout), done


class Thinking(Typed):
    """A person who says yes once something else has happened."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def readline(self, *_: object) -> str:
        self._meanwhile()
        return "yes\n"


def test_unlock_frees_nothing_but_what_the_person_was_asked_about(batchctl: Applied) -> None:
    first, second = (Holder(text="apply", started=NOW, run=f"https://ci.example/{n}") for n in (7, 8))
    with ExitStack() as ours, ExitStack() as other:
        ours.enter_context(hold(batchctl.place, timeout_seconds=0, holder=first))

        def meanwhile() -> None:
            ours.close()
            other.enter_context(hold(batchctl.place, timeout_seconds=0, holder=second))

        done = batchctl("state", "unlock", stdin=Thinking(meanwhile))
        assert (done.returncode, "nothing was freed" in done.stderr) == (5, True), done
        assert "https://ci.example/7" in done.stdout
        assert "https://ci.example/8" in done.stderr
        assert held_at(batchctl.place)[0] == second
    assert held_at(batchctl.place) == (None, None)


def test_an_unfinished_target_is_moved_as_it_is_and_not_folded(
    batchctl: Applied, project: MakeProject, tmp_path: Path
) -> None:
    (key,) = batchctl.targets()
    command, log = ("apply", "--auto-approve", "--target", "segment-link/loyal-ios"), tmp_path / "points"
    project.table("data/people.parquet", people(402, loyal=302))
    batchctl.process(*command, BATCHCTL_CRASH_AT="0", BATCHCTL_CRASH_LOG=str(log))
    point = log.read_text().splitlines().index("ack: end") + 1
    project.table("data/people.parquet", people(403, loyal=303))
    assert batchctl.process(*command, BATCHCTL_CRASH_AT=str(point)).returncode == -9
    if batchctl.where.kind == "s3":
        batchctl.state("unlock", "--auto-approve")
    assert "unfinished" in batchctl.state("list")
    elsewhere = f"00c0ffee/{key.partition('/')[2]}"
    batchctl.state("mv", key, elsewhere)
    assert "unfinished" in batchctl.state("list")
    batchctl.state("mv", elsewhere, key)
    assert "0 targets folded" in batchctl.state("compact", key)
    assert "unfinished" in batchctl.state("verify", key)
    batchctl.ok(*command)
    assert "No changes." in batchctl.ok("plan", "--target", "segment-link/loyal-ios")
    assert "0 wrong" in batchctl.state("verify")
