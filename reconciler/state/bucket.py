"""A state in an object store: s3://bucket/folder, gs://bucket/folder, az://container/folder. obstore's only home.

Credentials, endpoints and server-side encryption come from the clouds' usual environment variables, which obstore reads
itself, so that every object, the lock included, is written under the same headers. Files are copied to a private folder
of this machine when a plan needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.crashpoint import point
from reconciler.errors import ConfigurationError, StateError, Unreached
from reconciler.state import durable
from reconciler.state.clouds import HINT, LOCK_TIMEOUT, NO_BUCKET, TIMEOUT, opener, reason
from reconciler.state.names import LOCK, TARGETS
from reconciler.state.place import Folder, Found, Moved
from reconciler.state.seal import HEADER, Lines, Plain

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ObjectStore


class Bucket:
    """The objects below a prefix; `cache` is a private folder that is good for this prefix only."""

    remote = True

    def __init__(self, opened: Callable[[timedelta], ObjectStore], *, url: str, cache: Path) -> None:
        """`opened` makes a client whose requests end by themselves after a time."""
        self._store, self._soon, self.url = opened(TIMEOUT), once(lambda: opened(LOCK_TIMEOUT)), url.rstrip("/")
        self._cache = Folder(cache)
        self._scheme = url.partition("://")[0]

    @property
    def folder(self) -> Path:
        """The private folder of this machine."""
        return self._cache.folder

    def show(self, name: str = "") -> str:
        """The URL."""
        return f"{self.url}/{name}" if name else self.url

    def read(self, name: str) -> Found | None:
        """See Place."""
        import obstore

        with self._explained(f"read {self.show(name)}"):
            try:
                answer = obstore.get(self._soon() if name == LOCK else self._store, name)
                data = bytes(answer.bytes())
            except FileNotFoundError as error:
                self._bucket_exists(error)
                return None
            return Found(data, (answer.meta["e_tag"], answer.meta["version"]), answer.meta["last_modified"])

    def raw(self, name: str) -> Found | None:
        """See Place."""
        return self.read(name)

    def head(self, name: str) -> bytes | None:
        """See Place; the rest of a large file is not waited for."""
        import obstore

        with self._explained(f"read {self.show(name)}"):
            try:
                return bytes(next(iter(obstore.get(self._store, name).stream(min_chunk_size=HEADER)), b""))
            except FileNotFoundError as error:
                self._bucket_exists(error)
                return None

    def lines(self, name: str) -> Lines:
        """See Place."""
        return Plain()

    def replace(self, name: str, data: bytes, *, before: Found | None, keep: str | None = None) -> Found:
        """See Place. What `before` says may have been replaced by ourselves: a reply that got lost is looked up."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        if before and keep:
            with suppress(AlreadyExistsError, PreconditionError):
                self._put(keep, before.data, mode="create")
        mode: PutMode = "create" if before is None else _version(before)
        point(f"{name}: begin")
        with self._explained(f"write {self.show(name)}"):
            store = self._soon() if name == LOCK else self._store
            try:
                done = obstore.put(store, name, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
                if isinstance(error, FileNotFoundError):
                    self._bucket_exists(error)
                there = self.read(name)
                if there is None or there.data != data:
                    raise Moved from None
                return there
        point(f"{name}: end")
        return Found(data, (done["e_tag"], done["version"]), datetime.now(UTC))

    def put(self, name: str, data: bytes) -> None:
        """See Place."""
        self._put(name, data, mode="overwrite")

    def _put(self, name: str, data: bytes, *, mode: PutMode) -> None:
        import obstore

        point("put: begin")
        with self._explained(f"write {self.show(name)}"):
            obstore.put(self._store, name, data, mode=mode, use_multipart=False)
        point("put: end")

    def take(self, local: Path, name: str) -> str:
        """See Place; a copy stays on this machine, so that it is not fetched again."""
        import obstore

        digest = self._cache.take(local, name)
        with self._explained(f"write {self.show(name)}"):
            obstore.put(self._store, name, local)
        point("file: uploaded")
        return digest

    def fetch(self, name: str) -> tuple[Path, bool] | None:
        """See Place."""
        import obstore

        there = self._cache.fetch(name)
        if there is not None:
            return there
        path = self._cache.path(name)
        with self._explained(f"read {self.show(name)}"):
            try:
                answer = obstore.get(self._store, name)
            except FileNotFoundError as error:
                self._bucket_exists(error)
                return None
            with durable.explained(f"keep a copy of {self.show(name)}"):
                durable.private_folder(path.parent)
                with durable.replacing(path, name="fetch") as file:
                    for chunk in answer.stream(min_chunk_size=1 << 20):
                        file.write(chunk)
        return path, True

    def discard(self, name: str) -> bool:
        """See Place."""
        self._cache.remove(name)
        return True

    def names(self, prefix: str) -> dict[str, datetime]:
        """See Place."""
        import obstore

        with self._explained(f"list {self.show(prefix)}"):
            pages = obstore.list(self._store, prefix.rstrip("/"))
            return {meta["path"]: meta["last_modified"] for page in pages for meta in page}

    def remove(self, name: str) -> None:
        """See Place."""
        import obstore

        with self._explained(f"remove {self.show(name)}"):
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                return

    def tidy(self, needed: Callable[[str], bool]) -> None:
        """See Place."""
        self._cache.tidy(needed)
        for name in (name for name in self._cache.names(TARGETS) if not needed(name)):
            self._cache.remove(name)

    def _bucket_exists(self, error: Exception) -> None:
        """A bucket that is not there is not an empty one."""
        if any(word in str(error) for word in NO_BUCKET):
            raise StateError(
                f"the bucket of {self.url} does not exist", fix="create it, or correct the Project's state.url"
            ) from None

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """One Unreached for whatever the store says; its text may hold keys and is cut down to its codes."""
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                with durable.explained(doing):
                    raise
            self._bucket_exists(error)
            fix = f"check the network and the credentials ({HINT[self._scheme]}); what was written before is intact"
            raise Unreached(f"could not {doing}", why=reason(error), fix=fix) from None


def open_bucket(url: str, *, cache: Path, environ: Mapping[str, str]) -> Bucket:
    """The place a URL names; for `environ` see `clouds.opener`."""
    from obstore.exceptions import BaseError

    opened = opener(url, environ=environ)
    try:
        return Bucket(opened, url=url, cache=cache)
    except (BaseError, ValueError) as error:
        raise ConfigurationError(
            f"the state {url} cannot be opened", why=reason(error), fix=f"set {HINT[urlsplit(url).scheme]}"
        ) from None


def _version(found: Found) -> PutMode:
    tag, version = found.stamp
    given = {"e_tag": tag, "version": version}
    mode: Any = {name: value for name, value in given.items() if value is not None}
    return mode  # type: ignore[no-any-return]
