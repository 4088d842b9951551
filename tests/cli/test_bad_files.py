"""Files that are broken, missing or cannot be written, and disks that are full: said once, nothing sent, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.kit import AUDIENCE, CRM, Command, people
from tests.conftest import MakeProject
from tests.kit import too_deep

YAML = {
    "an open list": (b"a: [1, 2", "loyal.yaml:"),
    "no UTF-8": (b"\xff\xfe\x00", "UTF-8"),
    "a tab": (b"kind: Segment\n\tname: x", "loyal.yaml:2"),
    "a bare text": (b"just text", "loyal.yaml:1"),
    "a list": (b"- 1\n- 2\n", "loyal.yaml:1"),
    "an anchor": (b"a: &x [*x]", "loyal.yaml:1"),
    "another version of YAML": (b"%YAML 3.0\n---\na: 1", "loyal.yaml:"),
}


@pytest.mark.parametrize("name", YAML)
def test_broken_yaml_is_3(batchctl: Command, name: str) -> None:
    content, says = YAML[name]
    batchctl.ok("apply", "--auto-approve")
    (batchctl.root / "loyal.yaml").write_bytes(content)
    done = batchctl("apply", "--auto-approve")
    assert done.returncode == 3
    assert says in done.stderr
    assert "nothing uses" not in done.stderr, "the broken file may use anything"
    assert batchctl.audiences() == {AUDIENCE, CRM}


def parquet(whole: bytes) -> dict[str, bytes]:
    """Ways for a Parquet file to be broken."""
    flipped = bytearray(whole)
    flipped[20:120] = bytes(byte ^ 0x5A for byte in whole[20:120])
    return {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "without its end": whole[:-20],
        "something else": b"PAR1" + bytes(100) + b"PAR1",
        "damaged": bytes(flipped),
    }


@pytest.mark.parametrize("name", parquet(bytes(200)))
def test_broken_parquet_is_1_and_removes_nobody(batchctl: Command, name: str) -> None:
    batchctl.ok("apply", "--auto-approve")
    source = batchctl.root / "data" / "people.parquet"
    source.write_bytes(parquet(source.read_bytes())[name])
    for command in (("plan",), ("apply", "--auto-approve"), ("preview", "loyal-ios")):
        done = batchctl(*command)
        assert done.returncode == 1, done.stdout + done.stderr
        assert source.name in done.stderr
        assert done.stderr.count("error: ") == 1
    assert len(batchctl.members(AUDIENCE)) == 30


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", 1, "people.csv is empty: 0 bytes"),
        (b"pid,orders,email,ok\n", 4, "no rows in "),
        (b"pid,orders\np1,3\n", 3, "has no column email"),
        (b"pid,pid,orders,email,ok\np1,p1,3,e,true\n", 1, "repeated column name"),
        (b"pid,orders,email,ok\np1,3,e@example.com,true\n", 0, "audience Loyal_custom_ids"),
    ],
)
def test_csv(batchctl: Command, content: bytes, code: int, says: str) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("people.parquet", "people.csv"))
    (batchctl.root / "data" / "people.csv").write_bytes(content)
    done = batchctl("apply", "--auto-approve")
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    assert batchctl.audiences() == (set() if code else {AUDIENCE, CRM})


def test_a_folder_in_place_of_a_source(batchctl: Command) -> None:
    source = batchctl.root / "data" / "people.parquet"
    source.unlink()
    source.mkdir()
    done = batchctl("plan")
    assert (done.returncode, "data/people.parquet is a folder" in done.stderr) == (3, True)
    assert "name a file in it, or several: data/people.parquet/*.parquet" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("plan", "--out", "{}/file/x.plan"), 1, "could not be saved"),
        (("plan", "--out", "{}/none/x.plan"), 1, "could not be saved"),
        (("plan", "--out", "/dev/null"), 1, "no file"),
        (("plan", "--format", "json={}/none/x.json"), 64, "is not a folder"),
        (("apply", "--auto-approve", "--format", "json={}/none/x.json"), 64, "is not a folder"),
        (("plan", "--format", "json=/dev/full"), 1, "/dev/full could not be written"),
        (("apply", "{}/none.plan"), 1, "none.plan"),
    ],
)
def test_files_that_cannot_be_written(batchctl: Command, arguments: tuple[str, ...], code: int, says: str) -> None:
    (batchctl.root / "file").write_text("")
    done = batchctl(*(text.format(batchctl.root) for text in arguments))
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert not batchctl.audiences()


def test_the_state_of_another_project(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("name: shop\n", "name: other\n"))
    for command in (("plan",), ("apply", "--auto-approve"), ("status",)):
        done = batchctl(*command)
        assert done.returncode == 1
        assert "belongs to project shop, not other" in done.stderr
    assert batchctl.audiences() == {AUDIENCE, CRM}


def test_a_baseline_that_is_cut_off(batchctl: Command, project: MakeProject) -> None:
    batchctl.ok("apply", "--auto-approve")
    for file in (batchctl.root / "state" / "targets").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:50])
    project.table("data/people.parquet", people(40, loyal=29))
    done = batchctl("apply", "--auto-approve")
    assert done.returncode == 1
    assert "the state says" in done.stderr
    assert len(batchctl.members(AUDIENCE)) == 30


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_disk_without_room_for_temporary_files(batchctl: Command, project: MakeProject, blocks: int) -> None:
    project.table("data/people.parquet", people(1000))
    limited = f'trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@"'
    done = batchctl.process("apply", "--auto-approve", wrapped=("bash", "-c", limited))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "emporary" in done.stderr
    assert not batchctl.audiences()


def test_specs_in_a_folder_that_cannot_be_listed_are_not_gone(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    too_deep(batchctl.root / "links", file=batchctl.root / "loyal.yaml")
    for command in (("plan",), ("apply", "--auto-approve"), ("validate",)):
        done = batchctl(*command)
        assert done.returncode == 3, done.stdout
        assert "the folder cannot be read" in done.stdout + done.stderr
    assert batchctl.audiences() == {AUDIENCE, CRM}


@pytest.mark.parametrize("field", ["source", "suppress"])
def test_whom_a_part_names_that_cannot_be_reached_stay_what_they_are(batchctl: Command, field: str) -> None:
    specs, data = batchctl.root / "specs.yaml", batchctl.root / "data"
    for part, ids in {"de": range(5), "fr": range(5, 10)}.items():
        (data / part).mkdir()
        (data / part / "part.csv").write_text("pid,orders,email,ok\n" + "".join(f"p{n},3,a@b.c,true\n" for n in ids))
    parts = "{path: data/*/part.csv"
    said = {
        "source": f"source: {parts}}}",
        "suppress": f"source: {{path: data/people.parquet}}\nsuppress: {parts}, key: pid}}",
    }
    specs.write_text(specs.read_text().replace("source: {path: data/people.parquet}", said[field]))
    batchctl.ok("apply", "--auto-approve")
    before = batchctl.members(AUDIENCE)
    (data / "fr").rename(data / "moved")
    (data / "moved" / "part.csv").rename(data / "moved" / "away.csv")
    (data / "fr").symlink_to("gone")
    done = batchctl("apply", "--auto-approve")
    assert done.returncode == 3, done.stdout
    assert "data/fr leads to a file that is not there" in done.stderr
    assert batchctl.members(AUDIENCE) == before


AGAIN_AS_NOBODY = """
import os, sys
from reconciler.cli.main import run
file, *arguments = sys.argv[1:]
run(arguments)
os.chmod(file, 0)
os.getuid() or os.setuid(65534)
print("---", flush=True)
print("---", file=sys.stderr, flush=True)
sys.exit(run(arguments))
"""


@pytest.mark.parametrize(("file", "code"), [("specs.yaml", 3), ("data/people.csv", 1), ("data", 3)])
def test_a_file_that_may_not_be_read(batchctl: Command, file: str, code: int) -> None:
    (batchctl.root / "data" / "people.csv").write_text("customer_id\n1\n")
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("people.parquet", "people.csv"))
    for folder in (batchctl.root, *batchctl.root.parents[:-2]):
        folder.chmod(0o755)
    found = subprocess.run(
        [sys.executable, "-c", AGAIN_AS_NOBODY, str(batchctl.root / file), "plan", "-C", str(batchctl.root)],
        cwd=batchctl.root,
        env=batchctl.environ(PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True,
        text=True,
        check=False,
    )
    said = found.stderr.rpartition("---\n")[2]
    assert (found.returncode, found.stdout.rpartition("---\n")[2]) == (code, ""), found
    assert said.count("error: ") == 1, said
    assert "cannot be read" in said
    assert "check its permissions" in said


def test_a_folder_below_one_that_may_not_be_entered(batchctl: Command) -> None:
    inner = batchctl.root / "closed" / "inner"
    inner.mkdir(parents=True)
    for folder in (batchctl.root, *batchctl.root.parents[:-2]):
        folder.chmod(0o755)
    found = subprocess.run(
        [sys.executable, "-c", AGAIN_AS_NOBODY, str(inner.parent), "plan", "-C", str(inner)],
        cwd=batchctl.root,
        env=batchctl.environ(PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, "a fault of batchctl itself" in found.stderr) == (64, False), found
    assert "inner cannot be read: Permission denied; check its permissions" in found.stderr


def test_standard_output_that_is_full(batchctl: Command) -> None:
    done = batchctl.process("plan", wrapped=("bash", "-c", 'exec "$0" "$@" >/dev/full'))
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(batchctl: Command, closed: str) -> None:
    shell = ("bash", "-c", f'exec "$0" "$@" {closed}')
    planned = batchctl.process("plan", "--detailed-exitcode", wrapped=shell)
    assert (planned.returncode, planned.stderr) == (2, "")
    saved = str(batchctl.root / "report.json")
    applied = batchctl.process("apply", "--auto-approve", "--format", f"json={saved}", wrapped=shell)
    assert applied.returncode == 0, applied.stderr
    assert batchctl.raw("state", "verify", "-C", str(batchctl.root)).returncode == 0
    assert batchctl.process("apply", wrapped=shell).returncode == 64


def test_what_nobody_foresaw_is_one_message(batchctl: Command, tmp_path: Path) -> None:
    """A fault of ours: a library that is broken."""
    (tmp_path / "httpx").mkdir()
    (tmp_path / "httpx" / "__init__.py").write_text("raise ZeroDivisionError('livekeyA1B2C3')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = batchctl.process("plan", faulty=True, PYTHONPATH=path)
    assert done.returncode == 1
    assert "error: a fault of batchctl itself: ZeroDivisionError in reconciler." in done.stderr
    assert "BATCHCTL_DEBUG" in done.stderr
