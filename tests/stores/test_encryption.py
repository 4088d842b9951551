"""Encryption: nothing readable is kept, nothing foreign is believed, and a lost key is never a new start."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.emulator import Options, running
from reconciler.errors import ConfigurationError, Lost, SetBack, StateError
from reconciler.state.acklogs import AckLogs
from reconciler.state.document import encode
from reconciler.state.place import Place
from reconciler.state.reader import StateReader
from reconciler.state.seal import CHUNK, HEADER, TAG, Seal, is_sealed
from reconciler.state.sealed import Sealed
from reconciler.state.store import StateStore
from tests.cli.kit import AUDIENCE, FILES, Command, people
from tests.conftest import MakeProject
from tests.state.kit import state, target
from tests.state.test_acks import ack
from tests.stores.conftest import Somewhere, somewhere

KEY, OTHER = "a-key-of-the-tests-0001", "a-key-of-the-tests-0002"
SEAL = Seal(KEY, enforced=True)


def closed(data: bytes, name: str = "state.json", seal: Seal = SEAL) -> bytes:
    out = io.BytesIO()
    seal.seal(name, io.BytesIO(data), out)
    return out.getvalue()


def opened(data: bytes, name: str = "state.json", seal: Seal = SEAL) -> bytes:
    out = io.BytesIO()
    seal.open(name, io.BytesIO(data), out, where="it")
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_is_closed_is_opened(size: int) -> None:
    data = bytes(index % 251 for index in range(size % 1000)) + b"x" * (size - size % 1000)
    sealed = closed(data)
    assert opened(sealed) == data
    assert len(sealed) == HEADER + size + TAG * max(-(-size // CHUNK), 1)
    assert closed(data) != sealed, "two seals of the same bytes differ"


@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_change_is_noticed(data: bytes, draw: st.DataObject) -> None:
    sealed = bytearray(closed(data))
    at = draw.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(StateError):
        opened(bytes(sealed))


def test_a_cut_a_swap_and_another_name_are_noticed() -> None:
    sealed = closed(b"x" * (2 * CHUNK + 5))
    pieces = [sealed[:HEADER], *(sealed[at : at + CHUNK + TAG] for at in range(HEADER, len(sealed), CHUNK + TAG))]
    for wrong in (pieces[:-1], pieces[:1], [pieces[0], pieces[2], pieces[1], pieces[3]], [*pieces, pieces[-1]]):
        with pytest.raises(StateError, match="was changed"):
            opened(b"".join(wrong))
    with pytest.raises(StateError, match="was changed"):
        opened(sealed, name="targets/a/delta-1.parquet")


def test_keys() -> None:
    with pytest.raises(StateError, match="another key"):
        opened(closed(b"1"), seal=Seal(OTHER))
    assert opened(closed(b"1"), seal=Seal(OTHER, fallback=KEY)) == b"1"
    assert opened(b"plain", seal=Seal(KEY)) == b"plain"
    with pytest.raises(StateError, match="is not encrypted"):
        opened(b"plain")
    with pytest.raises(ConfigurationError, match="too short"):
        Seal("short")


def sealed_place(where: Somewhere, seal: Seal = SEAL, machine: str = "one") -> Sealed:
    return Sealed(where.place(machine), seal)


def contents(place: Place) -> dict[str, bytes]:
    """Everything that is kept, in a bucket and on this machine, the lock excepted."""
    names = [*place.names("targets/"), *place.names("previous/"), "state.json"]
    found = {name: raw.data for name in names if (raw := place.raw(name)) is not None}
    local = [path for path in place.folder.rglob("*") if path.is_file() and path.name != "lock"]
    return found | {str(path): path.read_bytes() for path in local}


def test_nothing_readable_is_kept(anywhere: Somewhere, tmp_path: Path) -> None:
    place = sealed_place(anywhere)
    local = tmp_path / "delta"
    local.write_bytes(b"a-person@example.com")
    store = StateStore(place)
    file = store.put_file(local, "targets/a/delta", rows=1)
    now = store.write(store.write(state()).with_target(target(file, audience="secret-audience")))
    logs = AckLogs(place)
    log = logs.open("targets/a/acks")
    log.append(ack(0, (3, "a-person@example.com")))
    logs.stop(needed={"targets/a/acks"})
    kept = contents(anywhere.place())
    assert len(kept) >= 4
    for name, data in kept.items():
        assert b"person" not in data, name
        assert b"audience" not in data, name
    elsewhere = sealed_place(anywhere, machine="one" if anywhere.kind == "folder" else "two")
    assert StateStore(elsewhere).read() == now
    copy = StateStore(elsewhere).path_of(file, verify=True)
    assert copy.read_bytes() == b"a-person@example.com"
    assert (stat.S_IMODE(copy.stat().st_mode), stat.S_IMODE(copy.parent.stat().st_mode)) == (0o600, 0o700)
    assert StateStore(elsewhere).read_acks("targets/a/acks") == (ack(0, (3, "a-person@example.com")),)
    elsewhere.close()
    assert not copy.parent.exists()
    place.close()


def test_a_lost_or_wrong_key_is_refused(anywhere: Somewhere) -> None:
    StateStore(sealed_place(anywhere)).write(state())
    with pytest.raises(StateError, match="no key is configured"):
        StateStore(anywhere.place()).read()
    with pytest.raises(StateError, match="another key"):
        StateStore(sealed_place(anywhere, Seal(OTHER))).read()
    for store in (StateStore(anywhere.place()), StateStore(sealed_place(anywhere, Seal(OTHER)))):
        with pytest.raises(StateError):
            store.write(state())


@pytest.mark.parametrize("versions", [True, False])
def test_a_lost_key_is_no_new_start_where_the_document_is_gone_too(
    anywhere: Somewhere, tmp_path: Path, versions: bool
) -> None:
    (tmp_path / "d").write_text("rows")
    store = StateStore(sealed_place(anywhere))
    file = store.put_file(tmp_path / "d", "targets/a/delta-1-f00.parquet", rows=1)
    store.write(store.write(state()).with_target(target(file)))
    place = anywhere.place()
    place.remove("state.json")
    for name in () if versions else place.names("previous/"):
        place.remove(name)
    for seal, words in ((Seal(OTHER), "encrypted with another key"), (None, "no key is configured")):
        machine = "one" if anywhere.kind == "folder" else "two"
        reader = StateReader(sealed_place(anywhere, seal, machine) if seal else anywhere.place(machine))
        with pytest.raises(StateError, match=f"state.json is missing, but .*\n.*{words}") as caught:
            reader.read()
        assert not isinstance(caught.value, (Lost, SetBack))
        assert "state.encryption.key" in caught.value.fix or "state: {encryption: {key:" in caught.value.fix
    with pytest.raises(SetBack if versions else Lost):
        StateReader(sealed_place(anywhere)).read()


def test_a_key_is_changed_with_a_fallback(anywhere: Somewhere, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("rows")
    before = StateStore(sealed_place(anywhere))
    file = before.put_file(tmp_path / "d", "targets/a/d", rows=1)
    first = before.write(state().with_target(target(file)))
    rolled = StateStore(sealed_place(anywhere, Seal(OTHER, fallback=KEY)))
    second = rolled.write(first)
    assert rolled.path_of(file, verify=True).read_text() == "rows"
    assert StateStore(sealed_place(anywhere, Seal(OTHER))).read() == second


def test_a_plain_state_is_encrypted_by_the_next_write(anywhere: Somewhere) -> None:
    first = StateStore(anywhere.place()).write(state())
    with pytest.raises(StateError, match="is not encrypted"):
        StateStore(sealed_place(anywhere)).read()
    StateStore(sealed_place(anywhere, Seal(KEY))).write(first)
    assert StateStore(sealed_place(anywhere)).read() == first.model_copy(update={"serial": 2})


def test_a_state_that_cannot_be_opened_is_kept_as_it_was(anywhere: Somewhere) -> None:
    StateStore(sealed_place(anywhere, Seal(OTHER))).write(state())
    found = anywhere.place().read("state.json")
    assert found is not None
    store = StateStore(sealed_place(anywhere))
    store.restore(encode(state()), where="it", force=True)
    kept = anywhere.place().read("previous/unreadable.json")
    assert kept is not None
    assert kept.data == found.data
    assert store.read() is not None


def test_a_sealed_line_from_another_log_is_not_believed(tmp_path: Path) -> None:
    lines = SEAL.lines("targets/a/acks")
    assert lines.open(lines.close(b"{}").rstrip()) == b"{}"
    assert SEAL.lines("targets/b/acks").open(lines.close(b"{}").rstrip()) is None
    assert lines.open(b"{}") is None
    assert Seal(KEY).lines("targets/a/acks").open(b"{}") == b"{}"


@pytest.fixture
def batch() -> Iterator[str]:
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        yield url


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_the_whole_job(
    project: MakeProject,
    batch: str,
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = somewhere(kind, request, tmp_path, monkeypatch)
    url = where.url if kind == "s3" else where.root / "state"
    encryption = '{key: "${env:STATE_KEY}", enforced: true}'
    specs = FILES["specs.yaml"].replace("{url: state}", f"{{url: {url}, encryption: {encryption}}}")
    root = project(FILES | {"specs.yaml": specs}, {"data/people.parquet": people(40, loyal=30, malformed=2)})
    batchctl, monkey = Command(root, batch), {"STATE_KEY": KEY, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()

    unset = batchctl("validate")
    assert (unset.returncode, "STATE_KEY" in unset.stdout + unset.stderr) == (0, True)
    for command in (("plan",), ("apply", "--auto-approve"), ("status",), ("rejects",)):
        done = batchctl(*command)
        assert (done.returncode, "state encryption: ${env:STATE_KEY} is not set" in done.stderr) == (1, True), command
        assert "\n  set the environment variable STATE_KEY: without it" in done.stderr, command
    assert batchctl.audiences() == set()

    saved = str(tmp_path / "plan.batchctl")
    batchctl.ok("plan", "--out", saved, **monkey)
    assert is_sealed(Path(saved).read_bytes())
    assert "is not set" in batchctl.raw("show", saved, "-C", str(root)).stderr
    assert "create" in batchctl.raw("show", saved, "-C", str(root), **monkey).stdout
    batchctl.ok("apply", saved, **monkey)
    assert batchctl.members(AUDIENCE) == {f"p{n}" for n in range(30)}
    assert "4 rows rejected" in batchctl.ok("rejects", **monkey)
    assert "No changes." in batchctl.ok("plan", "--detailed-exitcode", **monkey)
    assert "0 wrong" in batchctl.raw("state", "verify", "-C", str(root), **monkey).stdout
    kept = contents(where.place())
    for path in (root / ".batchctl").rglob("*"):
        kept |= {} if path.is_dir() else {str(path): path.read_bytes()}
    assert len(kept) > 6
    for name, data in kept.items():
        assert is_sealed(data) or all(line.startswith(b"~") for line in data.splitlines()), name
    batchctl.process("plan", **monkey)
    assert not list((tmp_path / "tmp").glob("batchctl*")), "what was decrypted is gone"
    rolled = specs.replace("enforced: true", 'fallback: "${env:OLD_KEY}"')
    (root / "specs.yaml").write_text(rolled)
    both = {"STATE_KEY": OTHER, "OLD_KEY": KEY}
    resealed = batchctl.raw("state", "compact", "-C", str(root), **both).stdout
    assert re.fullmatch(r"0 targets folded, 0 files deleted, [1-9]\d* files encrypted\n", resealed)
    (root / "specs.yaml").write_text(specs)
    assert "0 wrong" in batchctl.raw("state", "verify", "-C", str(root), STATE_KEY=OTHER).stdout
    wrong = batchctl("plan", **monkey)
    assert (wrong.returncode, "another key" in wrong.stderr) == (1, True)


@pytest.mark.parametrize(
    "written",
    ["{key: sUper5ecretValue77}", "sUper5ecretValue77", "{key: '${env:A}', fallback: [sUper5ecretValue77]}",
     "{key: 00077777775}", "{key: 'x ${env:A} sUper5ecretValue77'}", "{sUper5ecretValue77: 1, key: '${env:A}'}"],
)  # fmt: skip
def test_a_key_that_is_written_out_is_refused_and_not_repeated(project: MakeProject, written: str) -> None:
    specs = FILES["specs.yaml"].replace("{url: state}", f"\n  encryption: {written}")
    done = Command(project(FILES | {"specs.yaml": specs}), "http://127.0.0.1:9")("validate")
    assert done.returncode == 3
    assert "sUper5ecretValue77" not in done.stdout + done.stderr
    assert "77777775" not in done.stdout + done.stderr
