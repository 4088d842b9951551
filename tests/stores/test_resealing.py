"""From a plain state to an encrypted one, and from one key to another: one command, and nothing of before is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.cli.runs import keep_rejects, newest_rejects, reseal_rejects
from reconciler.emulator import Options, running
from reconciler.errors import StateError
from reconciler.scratch import Scratch
from reconciler.state.acklogs import AckLogs
from reconciler.state.acks import encoded
from reconciler.state.place import Folder
from reconciler.state.seal import Seal, is_sealed
from reconciler.state.sealed import Sealed
from reconciler.state.store import StateStore
from tests.cli.kit import AUDIENCE, FILES, Command, Done, people
from tests.conftest import MakeProject
from tests.state.kit import NOW, state, target
from tests.state.test_acks import ack
from tests.stores.conftest import Somewhere, somewhere
from tests.stores.test_encryption import KEY, OTHER, closed, contents

LOG, ROWS = "targets/a/acks-1-b.jsonl", "targets/a/delta-1-b.parquet"
KEYED = {"STATE_KEY": KEY}
BOTH, ROLLED = {"STATE_KEY": OTHER, "OLD_KEY": KEY}, {"STATE_KEY": OTHER}
ENDED = """
import sys
from reconciler.cli.main import run
from reconciler.crashpoint import arm
arm(1, name=sys.argv[1])
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture
def batch() -> Iterator[str]:
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        yield url


class Shop(Command):
    """A project whose encryption changes."""

    where: Somewhere

    def says(self, encryption: str) -> None:
        """The Project has this encryption from now on; none for an empty one."""
        url = self.where.url if self.where.kind == "s3" else self.where.root / "state"
        more = f', encryption: {{key: "${{env:STATE_KEY}}", {encryption}}}' if encryption else ""
        (self.root / "specs.yaml").write_text(FILES["specs.yaml"].replace("{url: state}", f"{{url: {url}{more}}}"))

    def state(self, *arguments: str, **environ: str) -> Done:
        """One of the commands below ``state``."""
        return self.raw("state", *arguments, "-C", str(self.root), **environ)

    def killed(self, point: str, *arguments: str, **environ: str) -> None:
        """One of the commands below ``state`` that does not live past a point, and whose lock is free."""
        command = [sys.executable, "-c", ENDED, point, "state", *arguments, "-C", str(self.root)]
        environment = self.environ(os.environ, **environ)
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, (point, done)
        if self.where.kind == "s3":
            assert self.state("unlock", "--auto-approve", **environ).returncode == 0

    def intact(self, serial: int, **environ: str) -> None:
        """Every file, and every version up to `serial`, can be read, and a plan made."""
        verified = self.state("verify", **environ)
        assert (verified.returncode, ", 0 wrong" in verified.stdout) == (0, True), verified
        for number in range(1, serial + 1):
            found = self.state("pull", *(("--serial", str(number)) if number < serial else ()), **environ)
            assert (found.returncode, json.loads(found.stdout)["serial"]) == (0, number)
        self.ok("plan", **environ)
        assert "rows rejected by" in self.ok("rejects", **environ)

    def plain(self) -> list[str]:
        """What can be read without a key, on this machine or in the bucket."""
        kept = contents(self.where.place("operator"))
        files = [path for path in (self.root / ".batchctl").rglob("*") if path.is_file()]
        files += [path for path in (self.where.root / "state").rglob("*") if path.is_file()]
        kept |= {str(path): path.read_bytes() for path in files if path.name != "lock"}
        sealed = {name for name, data in kept.items() if is_sealed(data) or all(map(_is_sealed, data.splitlines()))}
        return sorted(kept.keys() - sealed)


def _is_sealed(line: bytes) -> bool:
    return line.startswith(b"~")


@pytest.fixture(params=["folder", "s3"])
def shop(
    project: MakeProject,
    batch: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    made = Shop(project(FILES, {"data/people.parquet": people(40, loyal=30, malformed=2)}), batch)
    made.where = somewhere(request.param, request, tmp_path, monkeypatch)
    made.says("")
    return made


def test_the_way_from_a_plain_state_to_an_enforced_one(shop: Shop, project: MakeProject, tmp_path: Path) -> None:
    one = ("--target", "segment-link/loyal-ios")
    shop.ok("apply", "--auto-approve")
    project.table("data/people.parquet", people(41, loyal=31, malformed=2))
    shop.ok("apply", "--auto-approve", *one)
    shop.ok("plan", "--out", str(tmp_path / "plan"))
    project.table("data/people.parquet", people(42, loyal=32, malformed=2))
    shop.process("apply", "--auto-approve", *one, BATCHCTL_CRASH_AT="1,ack: end")
    if shop.where.kind == "s3":
        shop.state("unlock", "--auto-approve")
    told = json.loads(shop.state("list", "--format", "json").stdout)["targets"]
    assert sorted(one["unfinished"] for one in told) == [False, True]

    shop.says("enforced: true")
    for refused in (shop("plan", **KEYED), shop("status", **KEYED), shop("rejects", **KEYED)):
        said = " ".join(refused.stderr.split())
        assert (refused.returncode, "set enforced: false, run batchctl state compact" in said) == (1, True), refused
    again = shop("apply", str(tmp_path / "plan"), **KEYED)
    assert f"plan again: batchctl plan -C {shop.root} --out FILE" in again.stderr

    shop.says("enforced: false")
    assert shop.plain()
    serial = json.loads(shop.state("pull", **KEYED).stdout)["serial"]
    done = shop.state("compact", "--lock-timeout", "0", **KEYED)
    assert re.search(r"0 targets folded, 0 files deleted, \d\d files encrypted", done.stdout), done
    assert shop.plain() == []
    assert json.loads(shop.state("pull", **KEYED).stdout)["serial"] == serial, "a saved plan still fits"

    shop.says("enforced: true")
    assert ", 0 files encrypted" in shop.state("compact", **KEYED).stdout
    assert "2 targets, 0 wrong" in shop.state("verify", **KEYED).stdout
    assert "rows rejected by the apply of" in shop.ok("rejects", **KEYED)
    for number in range(1, serial):
        assert shop.state("pull", "--serial", str(number), **KEYED).returncode == 0, number
    shop.ok("apply", "--auto-approve", **KEYED)
    assert "No changes." in shop.ok("plan", **KEYED)
    assert len(shop.members(AUDIENCE)) == 32
    assert shop.plain() == []


def test_after_a_change_of_keys_the_one_before_is_needed_for_nothing(shop: Shop, project: MakeProject) -> None:
    shop.says("enforced: true")
    shop.ok("apply", "--auto-approve", **KEYED)
    project.table("data/people.parquet", people(43, loyal=33, malformed=1))
    shop.ok("apply", "--auto-approve", **KEYED)
    shop.says('enforced: true, fallback: "${env:OLD_KEY}"')
    assert "2 targets folded" in shop.state("compact", STATE_KEY=OTHER, OLD_KEY=KEY).stdout
    shop.says("enforced: true")
    newest = json.loads(shop.state("pull", STATE_KEY=OTHER).stdout)["serial"]
    for number in range(1, newest):
        assert shop.state("pull", "--serial", str(number), STATE_KEY=OTHER).returncode == 0, number
    assert "rows rejected by the apply of" in shop.ok("rejects", STATE_KEY=OTHER)
    assert "0 wrong" in shop.state("verify", STATE_KEY=OTHER).stdout


POINTS = {
    "folder": ("state: written", "acks: synced", "put: renamed", "rejects: opened"),
    "s3": ("state.json: end", "acks: synced", "put: end"),
}


def test_a_change_of_keys_that_is_killed_loses_nothing_and_is_done_by_the_next(
    shop: Shop, project: MakeProject
) -> None:
    one = ("--target", "segment-link/loyal-ios")
    shop.says("enforced: true")
    shop.ok("apply", "--auto-approve", **KEYED)
    project.table("data/people.parquet", people(43, loyal=33, malformed=1))
    shop.process("apply", "--auto-approve", *one, BATCHCTL_CRASH_AT="1,ack: end", **KEYED)
    if shop.where.kind == "s3":
        shop.state("unlock", "--auto-approve", **KEYED)
    serial = json.loads(shop.state("pull", **KEYED).stdout)["serial"]
    shop.says('enforced: true, fallback: "${env:OLD_KEY}"')
    for point in POINTS[shop.where.kind]:
        shop.killed(point, "compact", **BOTH)
        shop.intact(serial, **BOTH)
    assert re.search(
        r"0 targets folded, 0 files deleted, [1-9]\d* files? encrypted", shop.state("compact", **BOTH).stdout
    )
    shop.says("enforced: true")
    shop.intact(serial, **ROLLED)
    shop.ok("apply", "--auto-approve", **ROLLED)
    assert shop.members(AUDIENCE) == {f"p{n}" for n in range(33)}
    assert "No changes." in shop.ok("plan", **ROLLED)


def test_what_cannot_be_opened_and_is_not_needed_does_not_stop_a_change_of_keys(
    shop: Shop, project: MakeProject
) -> None:
    shop.says("enforced: true")
    shop.ok("apply", "--auto-approve", **KEYED)
    place, runs = shop.where.place("operator"), sorted((shop.root / ".batchctl").rglob("rejects-0.parquet"))
    runs = runs or sorted((shop.where.root / "state").rglob("rejects-0.parquet"))
    shop.ok("plan", **KEYED)
    found = place.read("previous/state-2.json")
    assert found is not None
    place.put("previous/state-2.json", found.data[:-5])
    runs[0].write_bytes(runs[0].read_bytes()[:20])
    serial = json.loads(shop.state("pull", **KEYED).stdout)["serial"]

    shop.says('enforced: true, fallback: "${env:OLD_KEY}"')
    done = shop.state("compact", **BOTH)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "error: 2 files could not be encrypted, and stay as before",
    )
    assert "previous/state-2.json was changed after it was written, or is damaged\n" in done.stderr
    assert f"{runs[0]} is truncated\n" in done.stderr
    assert re.search(r", [1-9]\d* files encrypted", done.stdout)
    shop.says("enforced: true")
    for number in {*range(1, serial)} - {2}:
        assert shop.state("pull", "--serial", str(number), **ROLLED).returncode == 0, number
    assert "rows rejected by the plan of" in shop.ok("rejects", **ROLLED)
    assert "No changes." in shop.ok("plan", **ROLLED)

    shop.says('enforced: true, fallback: "${env:OLD_KEY}"')
    place.remove("previous/state-2.json")
    runs[0].unlink()
    assert (shop.state("compact", **BOTH).returncode, shop.state("compact", **BOTH).stderr) == (0, "")


def test_rejects_of_one_run_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    seal = Seal(KEY, enforced=True)
    for number in range(2):
        (tmp_path / f"rows-{number}").write_bytes(b"rows %d" % number)
    files = [tmp_path / "rows-0", tmp_path / "rows-1"]
    first = keep_rejects(tmp_path, files, now=NOW, what="plan", seal=seal)
    second = keep_rejects(tmp_path, files[1:], now=NOW + timedelta(seconds=1), what="plan", seal=seal)
    assert first is not None
    assert second is not None

    def listed(seal: Seal = seal) -> list[bytes]:
        with Scratch() as scratch:
            return [path.read_bytes() for path in newest_rejects(tmp_path, seal=seal, scratch=scratch)[1]]

    (kept,) = second.iterdir()
    ours = kept.read_bytes()
    assert listed() == [b"rows 1"]
    for path in first.iterdir():
        kept.write_bytes(path.read_bytes())
        with pytest.raises(StateError, match="was changed after it was written") as caught:
            listed()
        assert caught.value.fix == "batchctl plan lists the rejects anew"
    kept.write_bytes(closed(b"of a version before", "rejects"))
    assert listed() == [b"of a version before"]
    kept.write_bytes(ours)
    assert reseal_rejects(tmp_path, seal=Seal(OTHER, fallback=KEY)) == (3, ())
    assert listed(Seal(OTHER)) == [b"rows 1"]


@pytest.mark.parametrize("before", [None, Seal(OTHER)], ids=["plain", "fallback"])
def test_history_that_is_damaged_stays_and_what_is_needed_is_an_error_first(
    anywhere: Somewhere, tmp_path: Path, before: Seal | None
) -> None:
    kept(anywhere, tmp_path, before)
    place, history = anywhere.place(), ROWS.replace("-1-", "-0-")
    whole = {name: found.data for name in (ROWS, history) if (found := place.read(name))}
    place.put(ROWS, damaged(whole[ROWS]))
    with pytest.raises(StateError, match=ROWS):
        store_of(anywhere, Seal(KEY, fallback=OTHER)).reseal()
    found = anywhere.place().read(history)
    assert found is not None
    assert found.data == whole[history]
    place.put(ROWS, whole[ROWS])
    place.put(history, damaged(whole[history]))
    changed, wrong = store_of(anywhere, Seal(KEY, fallback=OTHER)).reseal()
    assert changed + len(wrong) == 4, "the state itself was done the first time"
    assert [history in what and "was changed after it was written" in what for what in wrong] == [True] * bool(before)


def damaged(data: bytes) -> bytes:
    """With another last byte."""
    return data[:-1] + bytes([data[-1] ^ 1])


def kept(where: Somewhere, tmp_path: Path, seal: Seal | None = None, machine: str = "one") -> StateStore:
    """A state with a file and a log that it names, and one of each that nothing names any more."""
    (tmp_path / "rows").write_bytes(b"rows of a-person@example.com")
    store = store_of(where, seal, machine)
    file = store.put_file(tmp_path / "rows", ROWS, rows=1)
    store.put_file(tmp_path / "rows", ROWS.replace("-1-", "-0-"), rows=1)
    store.write(state().with_target(target(file)))
    logs = AckLogs(store.place)
    for name in (LOG, LOG.replace("-1-", "-0-")):
        with logs.open(name) as log:
            log.append(ack(0, (3, "a-person@example.com")))
    logs.stop(needed={LOG, LOG.replace("-1-", "-0-")})
    return store


def store_of(where: Somewhere, seal: Seal | None, machine: str = "one") -> StateStore:
    place = where.place(machine)
    return StateStore(place if seal is None else Sealed(place, seal))


@pytest.mark.parametrize("before", [None, Seal(OTHER)], ids=["plain", "fallback"])
def test_everything_is_sealed_under_the_key_whatever_names_it(
    anywhere: Somewhere, tmp_path: Path, before: Seal | None
) -> None:
    kept(anywhere, tmp_path, before)
    store = store_of(anywhere, Seal(KEY, fallback=OTHER))
    assert store.reseal() == (5, ())
    assert store.reseal() == (0, ())
    for name, data in contents(anywhere.place()).items():
        assert b"person" not in data, name
    only = store_of(anywhere, Seal(KEY, enforced=True), "one" if anywhere.kind == "folder" else "two")
    now = only.read()
    assert now is not None
    assert now.serial == 1
    (file,) = now.targets[str(target().key)].baseline.files
    assert only.path_of(file, verify=True).read_bytes() == b"rows of a-person@example.com"
    assert only.read_acks(LOG) == only.read_acks(LOG.replace("-1-", "-0-")) == (ack(0, (3, "a-person@example.com")),)


def test_a_copy_of_before_on_another_machine_is_fetched_again(bucket: Somewhere, tmp_path: Path) -> None:
    kept(bucket, tmp_path)
    other = store_of(bucket, None, "two")
    now = other.read()
    assert now is not None
    (file,) = now.targets[str(target().key)].baseline.files
    assert b"person" in other.path_of(file).read_bytes()
    store_of(bucket, Seal(KEY)).reseal()
    other = store_of(bucket, Seal(KEY, enforced=True), "two")
    assert other.path_of(file).read_bytes() == b"rows of a-person@example.com"
    assert is_sealed((bucket.root / "two" / ROWS).read_bytes())
    copy = bucket.root / "three" / ROWS
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"rows of a-person@example.com")
    assert store_of(bucket, Seal(KEY), "three").reseal() == (0, ())
    assert not copy.exists()


NESTED = ("targets/state.json", "targets/runs/a/rejects-0.parquet", "targets/targets/a/delta-2-b.parquet")
NESTED += ("targets/previous/state-1.json", "previous/targets/a/delta-2-b.parquet", "previous/previous/state-1.json")


def test_what_lies_among_the_files_of_a_state_and_is_not_its_own_is_left_as_it_is(
    anywhere: Somewhere, tmp_path: Path
) -> None:
    kept(anywhere, tmp_path)
    for name in NESTED:
        anywhere.place().put(name, b"of another state")
    store = store_of(anywhere, Seal(KEY))
    now = store.read()
    assert now is not None
    assert store.sweep(now) != ()
    store.reseal()
    left = contents(anywhere.place())
    assert [left.get(name) for name in NESTED] == [b"of another state"] * len(NESTED)
    assert store.previous() == ()


def test_what_is_sealed_anew_is_as_old_as_it_was(tmp_path: Path) -> None:
    """History is kept by age: see `history` of the Project."""
    where = Somewhere("folder", tmp_path, {})
    kept(where, tmp_path)
    for name in (ROWS, LOG):
        os.utime(tmp_path / "state" / name, (1e9, 1e9))
    store_of(where, Seal(KEY)).reseal()
    assert {(tmp_path / "state" / name).stat().st_mtime for name in (ROWS, LOG)} == {1e9}


def test_what_nobody_can_open_is_left_as_it_is(tmp_path: Path) -> None:
    where = Somewhere("folder", tmp_path, {})
    kept(where, tmp_path, Seal(OTHER))
    StateStore(Sealed(where.place(), Seal(KEY))).restore(_document(), where="it", force=True)
    store = store_of(where, Seal(KEY))
    before = contents(where.place())
    assert store.reseal() == (0, ())
    assert contents(where.place()) == before


def _document() -> bytes:
    from reconciler.state.document import encode

    return encode(state())


def test_plain_lines_of_a_log_are_not_called_damage(tmp_path: Path) -> None:
    place = Sealed(Folder(tmp_path), Seal(KEY, enforced=True))
    (tmp_path / LOG).parent.mkdir(parents=True)
    for lines in ((ack(0),), (ack(0), ack(1))):
        (tmp_path / LOG).write_bytes(encoded(lines))
        with pytest.raises(StateError, match="is not encrypted") as caught:
            AckLogs(place).read(LOG)
        assert "batchctl state compact" in caught.value.fix
    torn = encoded((ack(0),)) + encoded((ack(1),))[:-9]
    (tmp_path / LOG).write_bytes(torn)
    logs = AckLogs(Sealed(Folder(tmp_path), Seal(KEY)))
    assert logs.reseal(LOG)
    assert AckLogs(place).read(LOG) == (ack(0),)
