"""A plan as one file: `plan --out` writes it, `show` and `apply FILE` read it, and every byte of it is accounted for.

    plan.json          the Plan, with its digest
    staging/<path>     the delta files the plan names, and the rejects
    digests.json       sha256 of every member above, and the plan's digest

A zip, stored, mode 0600: it holds identifiers. The same plan and files make the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from reconciler.errors import BatchctlError, Damaged, Stale
from reconciler.plan.make import digest_of
from reconciler.plan.values import FORMAT, Plan
from reconciler.scratch import Scratch, sweep
from reconciler.state import durable
from reconciler.state.seal import HEADER, Seal, is_sealed, refused_without_key, through

PLAN, DIGESTS, STAGING = "plan.json", "digests.json", "staging/"
SEALED_AS = "plan"
REJECTS = "rejects*.parquet"
"""Files of the staging folder which belong to the plan without being named in it."""

_AGAIN = "plan again: batchctl plan --out FILE"
LARGEST_JSON = 256 << 20
"""Bytes of a plan without its rows."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20


class _Contents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    format: int = FORMAT
    members: dict[str, str]
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A saved plan, checked; `staging` holds its delta files and rejects until the block ends."""

    plan: Plan
    staging: Path

    @property
    def rejects(self) -> tuple[Path, ...]:
        """Parquet files of the people who were not sent, and why."""
        return tuple(sorted(self.staging.glob(REJECTS)))


def save(path: Path, plan: Plan, staging: Path, *, seal: Seal | None = None) -> None:
    """Writes the plan with the files of `staging` it needs, all or nothing, encrypted where there is a `seal`.

    BatchctlError when it cannot be written.
    """
    if plan.digest != digest_of(plan):
        raise AssertionError("a plan is saved with the digest make_plan gave it")
    if path.exists() and not path.is_file():
        raise BatchctlError(f"the plan could not be saved as {path}", why="there is something that is no file")
    members: dict[str, Path | bytes] = {PLAN: plan.model_dump_json().encode()}
    members |= {STAGING + name: staging / name for name in _named(plan)}
    members |= {STAGING + found.name: found for found in staging.glob(REJECTS) if found.is_file()}
    try:
        sweep(path.parent)  # a plan that was killed while it was being saved has left identifiers
        with Scratch(path.parent) as made:
            with durable.replacing(made / path.name, name="plan file") as file, ExitStack() as stack:
                plain = stack.enter_context(tempfile.TemporaryFile(dir=staging)) if seal else file
                with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
                    digests = {name: _add(archive, name, members[name]) for name in sorted(members)}
                    _add(archive, DIGESTS, _encoded(_Contents(members=digests, plan=plan.digest)))
                if seal:
                    plain.seek(0)
                    seal.seal(SEALED_AS, plain, file)
            os.replace(made / path.name, path)
            durable.sync_folder(path.parent)
    except OSError as error:
        fix = "name a folder that exists, has room and may be written"
        raise BatchctlError(
            f"the plan could not be saved as {path}", why=error.strerror or str(error), fix=fix
        ) from error


@contextmanager
def open_plan(
    path: Path, *, scratch: Path | None = None, seal: Seal | None = None, largest: int = LARGEST_JSON
) -> Iterator[Opened]:
    """The saved plan and a private folder with its files, which is removed when the block ends.

    Stale when anything in it is not what was saved or was saved by another version; BatchctlError when it is no saved
    plan or cannot be read. Whether it still fits specs, state and sources is for the caller to say.
    """
    try:
        private = Scratch(scratch)
    except OSError as error:
        raise BatchctlError("no folder for temporary files", why=error.strerror or str(error)) from error
    with private as folder:
        yield Opened(plan=_unpack(_plain(path, folder, seal), folder, largest, named=path), staging=folder)


def is_encrypted(path: Path) -> bool:
    """Whether a file is a saved plan that only its key opens; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_sealed(file.read(HEADER))
    except OSError:
        return False


def _plain(path: Path, folder: Path, seal: Seal | None) -> Path:
    """The zip file; one that was encrypted lies in the private folder."""
    if seal is None:
        if is_encrypted(path):
            raise refused_without_key(f"the saved plan {path}")
        return path
    to, where = folder / "plan.zip", f"the saved plan {path}"
    try:
        through(path, to, lambda source, out: seal.open(SEALED_AS, source, out, where=where, way=_AGAIN))
    except Damaged as error:
        raise Stale(error.what, why=error.why, fix=_AGAIN) from None
    except OSError as error:
        raise BatchctlError(f"the saved plan {path} cannot be read", why=error.strerror or str(error)) from error
    return to


def _unpack(path: Path, folder: Path, largest: int, *, named: Path) -> Plan:
    """The plan, its files put into the folder; errors are about the file that was `named`."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.stat().st_size, largest)
            contents = _contents(archive, members)
            plan = _plan(archive, members, contents)
            for name in sorted(contents.members.keys() - {PLAN}):
                _extract(archive, members[name], contents.members[name], folder)
            return plan
    except zipfile.BadZipFile as error:
        if zipfile.is_zipfile(path):
            raise _changed(str(error)) from None
        raise BatchctlError(
            f"{named} is not a saved plan, or a part of it is missing", why=str(error), fix=_AGAIN
        ) from None
    except (EOFError, NotImplementedError, UnicodeDecodeError, RuntimeError, struct.error) as error:
        raise _changed(str(error)) from None
    except OSError as error:
        raise BatchctlError(f"the saved plan {named} cannot be read", why=error.strerror or str(error)) from error


def _members(archive: zipfile.ZipFile, size: int, largest: int) -> dict[str, zipfile.ZipInfo]:
    """Members by name, each of a kind and size that `save` could have written; checked before anything is read."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in found:
            raise _changed(f"two members are called {info.filename!r}")
        if info.filename not in (PLAN, DIGESTS) and not _is_staged(info.filename):
            raise _changed(f"it has a member {info.filename!r}")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise _changed(f"{info.filename} is not stored as it is")
        if info.filename in (PLAN, DIGESTS) and info.file_size > largest:
            raise _changed(f"{info.filename} is too large")
        found[info.filename] = info
    if sum(info.file_size for info in found.values()) > size:
        raise _changed("its members are larger than the file")
    return found


def _contents(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> _Contents:
    text = _json(archive, members, DIGESTS)
    try:
        contents = _Contents.model_validate_json(text)
    except ValidationError:
        raise _changed(f"{DIGESTS} is not what was saved") from None
    if contents.format > FORMAT:
        why = f"it has format {contents.format}, this version reads up to {FORMAT}"
        raise Stale("the saved plan was written by a newer batchctl", why=why, fix="upgrade batchctl, or plan again")
    if _encoded(contents) != text or {*contents.members, DIGESTS} != set(members):
        raise _changed(f"{DIGESTS} does not list what is in it")
    return contents


def _plan(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], contents: _Contents) -> Plan:
    text = _json(archive, members, PLAN)
    if hashlib.sha256(text).hexdigest() != contents.members[PLAN]:
        raise _changed(f"the digest of {PLAN} differs")
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError:
        raise _changed(f"{PLAN} is not a plan of this version") from None
    if not plan.digest == contents.plan == digest_of(plan):
        raise _changed("the plan is not the one its digest names")
    for change in plan.changes:
        file = change.file
        if file is None:
            continue
        info = members.get(STAGING + file.path)
        if info is None or info.file_size != file.bytes or contents.members[info.filename] != file.sha256:
            raise _changed(f"the rows of {change.address} are not those that were planned")
    return plan


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, digest: str, folder: Path) -> None:
    path = folder.joinpath(*PurePosixPath(info.filename).parts[1:])
    durable.private_folder(path.parent)
    seen = hashlib.sha256()
    with (
        archive.open(info) as member,
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
    ):
        while chunk := member.read(_CHUNK):
            seen.update(chunk)
            file.write(chunk)
    if seen.hexdigest() != digest:
        raise _changed(f"the digest of {info.filename} differs")


def _json(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in members:
        raise BatchctlError("this is a zip file, but not a saved plan", why=f"it has no {name}", fix=_AGAIN)
    return archive.read(members[name])


def _add(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> str:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o600) << 16
    if isinstance(content, bytes):
        archive.writestr(info, content)
        return hashlib.sha256(content).hexdigest()
    seen = hashlib.sha256()
    info.file_size = content.stat().st_size
    with content.open("rb") as file, archive.open(info, "w") as member:
        while chunk := file.read(_CHUNK):
            seen.update(chunk)
            member.write(chunk)
    return seen.hexdigest()


def _named(plan: Plan) -> set[str]:
    return {change.file.path for change in plan.changes if change.file}


def _encoded(contents: _Contents) -> bytes:
    return orjson.dumps(contents.model_dump(), option=orjson.OPT_SORT_KEYS)


def _is_staged(name: str) -> bool:
    parts = name.removeprefix(STAGING).split("/")
    return name.startswith(STAGING) and not any(
        part in ("", ".", "..") or "\\" in part or ":" in part for part in parts
    )


def _changed(why: str) -> Stale:
    return Stale("the saved plan was changed after it was saved", why=why, fix=_AGAIN)
