"""One state, wherever it lies: a folder, a bucket of S3 or of Google, a container of Azure."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.state.bucket import open_bucket
from reconciler.state.place import Folder, Place
from tests.stores import servers

KINDS = ("folder", "s3", "az", "gs")


class Somewhere:
    """A fresh place to keep a state in; every machine sees the same bucket, and has a folder of its own."""

    def __init__(self, kind: str, root: Path, environ: dict[str, str]) -> None:
        self.kind, self.root, self.environ = kind, root, environ
        self.url = f"{kind}://{servers.BUCKET}/{uuid.uuid4().hex}/prod"

    def place(self, machine: str = "one") -> Place:
        """The place, seen from one machine."""
        if self.kind == "folder":
            return Folder(self.root / "state")
        return open_bucket(self.url, cache=self.root / machine, environ=os.environ)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    with servers.s3() as environ:
        yield environ


@pytest.fixture(scope="session")
def google_server() -> Iterator[dict[str, str]]:
    with servers.google() as (_, environ):
        yield environ


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if not servers.azurite_is_there():
        pytest.skip("npm has not installed azurite")
    with servers.azure(tmp_path_factory.mktemp("azurite")) as environ:
        yield environ


def somewhere(kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Somewhere:
    environ: dict[str, str] = {}
    if kind != "folder":
        environ = request.getfixturevalue({"s3": "s3_server", "az": "azure_server", "gs": "google_server"}[kind])
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return Somewhere(kind, tmp_path, environ)


@pytest.fixture(params=KINDS)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Somewhere:
    """Every kind of place."""
    return somewhere(request.param, request, tmp_path, monkeypatch)


@pytest.fixture(params=KINDS[1:])
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Somewhere:
    """Every kind of object store."""
    return somewhere(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def s3(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Somewhere:
    """S3 alone, where one store is as good as another."""
    return somewhere("s3", request, tmp_path, monkeypatch)
