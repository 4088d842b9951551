"""AES-256-GCM over everything that is kept: what is read was written by who holds the key, whole, under that name.

    batchctl 1 | key id, 8 bytes | salt, 16 bytes | chunks of 1 MiB, each with its tag; the last one says that it is

Every file has a key of its own, derived from the project's key, its salt and its name, so a file cannot be cut, put
together from two, or take the place of one with another name. Lines of logs are sealed one by one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol, TypeVar

from reconciler.errors import ConfigurationError, Damaged, StateError, Unopened

SEALED, VERSION = b"batchctl", b"\x01"
MAGIC = SEALED + VERSION
CHUNK, TAG, SALT, KEY_ID, NONCE = 1 << 20, 16, 16, 8, 12
HEADER = len(MAGIC) + KEY_ID + SALT
SHORTEST_KEY = 16
_LINE = b"~"
ENCRYPTED_BY = (
    "if it is yours, set enforced: false, run batchctl state compact, which encrypts all that is kept, and set it back"
)
FROM_BACKUP = "restore it from a backup"
KEY_OF_BEFORE = (
    "set state.encryption.key of the Project to the key it was written with; to change keys, put the one before in "
    "fallback"
)
T = TypeVar("T")


class Lines(Protocol):
    """How the lines of a log are kept."""

    def close(self, line: bytes) -> bytes:
        """The line as it is written, its line end included."""
        ...

    def open(self, line: bytes) -> bytes | None:
        """Inverse of `close`; None where the line is not one that was written."""
        ...

    def outdated(self, line: bytes) -> bool:
        """Whether it is plain or sealed with the fallback: not with a key nobody has."""
        ...


class Seal:
    """One key to write and read with, and a fallback to read with. With `enforced` plain files are refused."""

    def __init__(self, key: str, *, fallback: str | None = None, enforced: bool = False) -> None:
        self.enforced = enforced
        self._keys = [_stretched(text) for text in (key, fallback) if text is not None]

    def seal(self, name: str, source: IO[bytes], target: IO[bytes]) -> str:
        """Writes `source` sealed to `target`; sha256 of what was read."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key, salt = self._keys[0], secrets.token_bytes(SALT)
        target.write(MAGIC + _id(key) + salt)
        cipher, seen, number = AESGCM(_derived(key, salt, name)), hashlib.sha256(), 0
        chunk = source.read(CHUNK)
        while True:
            seen.update(chunk)
            following = source.read(CHUNK)
            target.write(cipher.encrypt(_nonce(number, last=not following), chunk, None))
            if not following:
                return seen.hexdigest()
            chunk, number = following, number + 1

    def open(self, name: str, source: IO[bytes], target: IO[bytes], *, where: str, way: str = ENCRYPTED_BY) -> bool:
        """Writes what is sealed in `source`, or plain where that is allowed, to `target`; whether it was sealed.

        Unopened says `where`, and of what is plain the `way` to have it encrypted; Damaged where it was sealed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head = source.read(HEADER)
        key = self._key(head, where)
        if key is None:
            if self.enforced:
                raise refused_plain(where, way=way) if head else Damaged(f"{where} is empty", fix=FROM_BACKUP)
            target.write(head)
            while chunk := source.read(CHUNK):
                target.write(chunk)
            return False
        cipher, number = AESGCM(_derived(key, head[-SALT:], name)), 0
        chunk = source.read(CHUNK + TAG)
        while True:
            following = source.read(CHUNK + TAG)
            try:
                target.write(cipher.decrypt(_nonce(number, last=not following), chunk, None))
            except InvalidTag:
                raise Damaged(f"{where} was changed after it was written, or is damaged", fix=FROM_BACKUP) from None
            if not following:
                return True
            chunk, number = following, number + 1

    def _key(self, head: bytes, where: str) -> bytes | None:
        """The key of a file that begins like this, None of a plain one; Unopened where it has no key of ours."""
        if not is_sealed(head) and not (head and SEALED.startswith(head)):
            return None
        if len(head) < HEADER and head[: len(MAGIC)] in (MAGIC, head):
            raise Damaged(f"{where} is truncated", why="it ends within its first bytes", fix=FROM_BACKUP)
        if not head.startswith(MAGIC):
            why = f"its seal is of version {head[len(SEALED)]}, this version opens {VERSION[0]}; or it is damaged"
            raise Unopened(f"{where} was encrypted by a newer batchctl", why=why, fix="upgrade batchctl")
        key = next((key for key in self._keys if _id(key) == head[len(MAGIC) : -SALT]), None)
        if key is None:
            raise Unopened(f"{where} is encrypted with another key", fix=KEY_OF_BEFORE)
        return key

    def lines(self, name: str) -> Lines:
        """How the lines of the log `name` are kept."""
        return _Sealed([_derived(key, b"", name) for key in self._keys], enforced=self.enforced)

    def outdated(self, head: bytes) -> bool:
        """Whether a file that begins like this is plain, cut off, or sealed with the fallback: not with another key."""
        before = [MAGIC + _id(key) for key in self._keys[1:]]
        return not is_sealed(head) or len(head) < HEADER or head[: len(MAGIC) + KEY_ID] in before


class Plain:
    """Lines as they are."""

    def close(self, line: bytes) -> bytes:
        """See Lines."""
        return line + b"\n"

    def open(self, line: bytes) -> bytes | None:
        """See Lines."""
        return line

    def outdated(self, line: bytes) -> bool:
        """See Lines."""
        return False


class _Sealed:
    def __init__(self, keys: list[bytes], *, enforced: bool) -> None:
        self._keys, self._enforced = keys, enforced

    def close(self, line: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE)
        return _LINE + base64.b64encode(nonce + AESGCM(self._keys[0]).encrypt(nonce, line, None)) + b"\n"

    def open(self, line: bytes) -> bytes | None:
        if not line.startswith(_LINE):
            return None if self._enforced else line
        return self._opened(line, self._keys)

    def outdated(self, line: bytes) -> bool:
        return not line.startswith(_LINE) or self._opened(line, self._keys[1:]) is not None

    @staticmethod
    def _opened(line: bytes, keys: list[bytes]) -> bytes | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not is_sealed_line(line):
            return None
        found = base64.b64decode(line[len(_LINE) :])
        for key in keys:
            with suppress(InvalidTag):
                return AESGCM(key).decrypt(found[:NONCE], found[NONCE:], None)
        return None


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins like this is encrypted."""
    return head.startswith(SEALED)


def is_sealed_line(line: bytes) -> bool:
    """Whether a line of a log is encrypted and whole, with whatever key."""
    try:
        found = base64.b64decode(line[len(_LINE) :], validate=True)
    except ValueError:
        return False
    return line.startswith(_LINE) and len(found) >= NONCE + TAG


def refused_plain(where: str, *, way: str = ENCRYPTED_BY) -> Unopened:
    """What to say of a plain file where all must be encrypted; `way` is how to have it encrypted."""
    return Unopened(f"{where} is not encrypted, and state.encryption.enforced is true", fix=way)


def refused_without_key(where: str) -> StateError:
    """What to say of an encrypted file where no key is configured."""
    return StateError(
        f"{where} is encrypted, and no key is configured",
        fix='set state: {encryption: {key: "${env:NAME}"}} in the Project; nothing is started afresh',
    )


def through(path: Path, to: Path, work: Callable[[IO[bytes], IO[bytes]], T]) -> T:
    """What `work` from one file to a new private one returns; the new one is gone when it fails. Raises OSError."""
    try:
        with (
            path.open("rb") as source,
            os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
        ):
            return work(source, out)
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _stretched(text: str) -> bytes:
    """A key of 256 bits from whatever was given; slow on purpose, because it may be a word somebody thought of."""
    if len(text) < SHORTEST_KEY:
        raise ConfigurationError(
            "the key of state.encryption is too short",
            why=f"it has {len(text)} characters, {SHORTEST_KEY} are the least",
            fix="make one with: openssl rand -hex 32",
        )
    return hashlib.scrypt(text.encode(), salt=b"batchctl/state/1", n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32)


def _derived(key: bytes, salt: bytes, name: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=salt or None, info=b"batchctl/file/" + name.encode()).derive(key)


def _id(key: bytes) -> bytes:
    return hashlib.sha256(b"batchctl/key-id/" + key).digest()[:KEY_ID]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
