"""What a state is relied on for, the same in every place."""

from __future__ import annotations

import base64
import os
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import ConfigurationError, SetBack, StateError
from reconciler.state.bucket import open_bucket
from reconciler.state.place import Moved
from reconciler.state.reader import StateReader
from reconciler.state.state import DataFile
from reconciler.state.store import StateStore
from tests.batch.kit import Say, serving
from tests.state.kit import state, target
from tests.stores import servers
from tests.stores.conftest import Somewhere


def staged(folder: Path, text: str = "rows", name: str = "delta.parquet") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_nothing_written_is_none(anywhere: Somewhere) -> None:
    assert StateReader(anywhere.place()).read() is None
    assert StateReader(anywhere.place()).previous() == ()


def test_what_is_written_is_read_from_another_machine(anywhere: Somewhere) -> None:
    written = StateStore(anywhere.place()).write(state().with_target(target()))
    assert written.serial == 1
    assert StateReader(anywhere.place("two"), project="shop", environment="prod").read() == written


def test_previous_versions_are_kept_and_the_oldest_go(anywhere: Somewhere) -> None:
    store, now = StateStore(anywhere.place()), state()
    for _ in range(33):
        now = store.write(now)
    StateStore(anywhere.place()).sweep(now)
    kept = StateReader(anywhere.place("two")).previous()
    assert list(kept) == [f"previous/state-{serial}.json" for serial in range(32, 2, -1)]
    assert StateReader(anywhere.place("two")).read_previous(kept[0]).serial == 32


def test_a_name_is_created_once_and_replaced_only_by_who_saw_it(anywhere: Somewhere) -> None:
    one, two = anywhere.place(), anywhere.place("two")
    first = one.replace("state.json", b"1", before=None)
    with pytest.raises(Moved):
        two.replace("state.json", b"2", before=None)
    second = two.replace("state.json", b"22", before=two.read("state.json"))
    with pytest.raises(Moved):
        one.replace("state.json", b"3", before=first)
    assert one.replace("state.json", b"4", before=second).data == b"4"


def test_two_writers_from_one_version_make_one_version(anywhere: Somewhere) -> None:
    first = StateStore(anywhere.place()).write(state())
    one, two = StateStore(anywhere.place()), StateStore(anywhere.place("two"))
    assert one.read() == two.read() == first
    assert one.write(first).serial == 2
    with pytest.raises(StateError, match="not the one this run started from"):
        two.write(first.with_target(target()))


@pytest.mark.parametrize(("what", "project", "environment"), [("project", "x", "prod"), ("environment", "shop", "")])
def test_the_state_of_somebody_else_is_refused(anywhere: Somewhere, what: str, project: str, environment: str) -> None:
    StateStore(anywhere.place()).write(state())
    with pytest.raises(StateError, match=f"belongs to {what}"):
        StateStore(anywhere.place(), project=project, environment=environment).read()


@pytest.mark.parametrize("text", [b"", b'{"format": 1, "lin', b'{"format": 99}', b"[]"])
def test_a_damaged_state_is_refused_with_the_way_out(anywhere: Somewhere, text: bytes) -> None:
    store = StateStore(anywhere.place())
    last = store.write(store.write(state()))
    anywhere.place().put("state.json", text)
    for attempt in (StateReader(anywhere.place()).read, lambda: store.write(last)):
        with pytest.raises(StateError) as caught:
            attempt()
        assert b"99" in text or "previous/state-1.json" in str(caught.value)
    assert anywhere.place().read("state.json").data == text  # type: ignore[union-attr] - it is there


def test_a_vanished_state_is_not_a_new_one(anywhere: Somewhere) -> None:
    store = StateStore(anywhere.place())
    store.write(store.write(state()))
    anywhere.place().remove("state.json")
    with pytest.raises(SetBack, match="is missing, but previous versions"):
        StateReader(anywhere.place()).read()
    anywhere.place().put("previous/state-1.json", b"{")
    with pytest.raises(StateError, match="is missing, but previous versions") as caught:
        StateReader(anywhere.place("two")).read()
    assert not isinstance(caught.value, SetBack), "there is nothing to go on from"


def test_a_file_is_found_by_another_machine_and_checked(anywhere: Somewhere, tmp_path: Path) -> None:
    store = StateStore(anywhere.place())
    file = store.put_file(staged(tmp_path), "targets/a/delta-1.parquet", rows=7)
    assert (file.rows, file.bytes, len(file.sha256)) == (7, 4, 64)
    elsewhere = StateReader(anywhere.place("two"))
    assert elsewhere.path_of(file).read_text() == "rows"
    with pytest.raises(StateError, match="is missing"):
        elsewhere.path_of(DataFile(path="targets/a/none", rows=1, bytes=1, sha256="0"))


def test_a_file_that_goes_up_in_parts_arrives_whole(bucket: Somewhere, tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(bytes(range(256)) * (11 << 12))
    file = StateStore(bucket.place()).put_file(tmp_path / "base", "targets/a/base", rows=1)
    assert StateReader(bucket.place("two")).path_of(file).read_bytes() == (tmp_path / "base").read_bytes()


def test_a_store_that_takes_one_write_a_second_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's limit for one name, which a lock taken and freed at once is beyond: https://cloud.google.com/storage/quotas#objects"""
    with servers.google() as (google, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        place = open_bucket(f"gs://{servers.BUCKET}/prod", cache=tmp_path, environ=environ)
        held = place.replace("lock", b"held", before=None)
        google.busy = 6
        assert place.replace("lock", b"free", before=held).data == b"free"
        assert google.busy == 0


def test_a_file_changed_in_a_bucket_is_noticed_where_it_is_fetched(bucket: Somewhere, tmp_path: Path) -> None:
    file = StateStore(bucket.place()).put_file(staged(tmp_path), "targets/a/d", rows=1)
    bucket.place().put("targets/a/d", b"ROWS")
    with pytest.raises(StateError, match="sha256"):
        StateReader(bucket.place("two")).path_of(file)
    assert StateReader(bucket.place()).path_of(file).read_text() == "rows"


def test_a_damaged_copy_on_this_machine_is_fetched_again(bucket: Somewhere, tmp_path: Path) -> None:
    reader = StateStore(bucket.place())
    file = reader.put_file(staged(tmp_path), "targets/a/d", rows=1)
    for damage in ("row", "ROWS"):
        copy = reader.path_of(file)
        copy.unlink()
        copy.write_text(damage)
        assert reader.path_of(file, verify=True).read_text() == "rows"


def test_credentials_of_a_profile(s3: Somewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "credentials"
    given.write_text("[nightly]\naws_access_key_id = access-E5F6\naws_secret_access_key = secret-G7H8\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(given))
    monkeypatch.setenv("AWS_PROFILE", "nightly")
    assert StateStore(s3.place()).write(state()).serial == 1
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="profile nobody has no credentials"):
        s3.place()


def test_objects_and_lock_carry_the_encryption_headers(s3: Somewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", "key-1")
    place = s3.place()
    store = StateStore(place)
    store.write(store.write(state()))
    place.replace("lock", b"{}", before=None)
    for name in ("state.json", "previous/state-1.json", "lock"):
        answer = head(s3, name)
        assert answer["x-amz-server-side-encryption"] == "aws:kms", name
        assert answer["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1", name


def test_an_encryption_key_of_azure_goes_with_every_object_and_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    monkeypatch.setenv("AZURE_STORAGE_ENCRYPTION_KEY", key)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", servers.ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", servers.DEVELOPMENT_KEY)
    kept = {"etag": '"1"', "last-modified": "Tue, 03 Nov 2026 12:30:00 GMT"}
    with serving(by=lambda _: Say(201, headers=kept)) as script:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", script.url)
        place = open_bucket("az://crm-state/prod", cache=tmp_path, environ=os.environ)
        found = place.replace("state.json", b"{}", before=None)
        place.replace("state.json", b"{ }", before=found, keep="previous/state-1.json")
        place.replace("lock", b"{}", before=None)
    assert [seen.path.rpartition("/")[2] for seen in script.seen] == [
        "state.json",
        "state-1.json",
        "state.json",
        "lock",
    ]
    assert [seen.headers.get("x-ms-encryption-key") for seen in script.seen] == [key] * 4


def head(where: Somewhere, name: str) -> dict[str, str]:
    """Headers of an object, asked for as any other client would."""
    import obstore
    from obstore.store import S3Store

    bucket, _, prefix = where.url.removeprefix("s3://").partition("/")
    store = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
    url = obstore.sign(store, "HEAD", name, timedelta(minutes=1))
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10) as reply:
        return {key.lower(): value for key, value in reply.headers.items()}


def test_history_is_kept_and_then_goes(anywhere: Somewhere, tmp_path: Path) -> None:
    store = StateStore(anywhere.place())
    for name in ("delta-1", "acks-1", "base-1"):
        store.put_file(staged(tmp_path), f"targets/a/{name}", rows=1)
    now = store.write(state())
    written = max(anywhere.place().names("targets/").values())
    later = StateStore(anywhere.place("two"))
    assert later.sweep(now, since=written - timedelta(days=90)) == ("targets/a/base-1",)
    assert later.sweep(now, since=written + timedelta(seconds=1)) == ("targets/a/acks-1", "targets/a/delta-1")


def test_sweep_deletes_what_no_version_names(anywhere: Somewhere, tmp_path: Path) -> None:
    store = StateStore(anywhere.place())
    kept = store.put_file(staged(tmp_path), "targets/a/base-kept", rows=1)
    store.put_file(staged(tmp_path), "targets/a/delta-orphan", rows=1)
    now = store.write(state().with_target(target(kept)))
    assert store.sweep(now) == ()
    assert StateStore(anywhere.place("two")).sweep(now) == ("targets/a/delta-orphan",)
    assert StateReader(anywhere.place("three")).path_of(kept).read_text() == "rows"
    assert set(anywhere.place().names("targets/")) == {"targets/a/base-kept"}
