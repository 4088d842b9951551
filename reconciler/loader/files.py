"""Files of a project: which ones are read, and what must be true of their bytes before YAML is looked at."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import Location, Problem

MAX_BYTES = 1 << 20
SUFFIXES = (".yaml", ".yml")
_CONTROL = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """Text of one file; `path` is relative to the project, with forward slashes."""

    path: str
    text: str
    refers: bool
    """Whether a ``${`` stands anywhere in it."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file whose bytes are wrong, or a folder: why, and the text as far as it can be guessed."""

    problem: Problem
    guess: str = ""


def find(root: Path) -> tuple[list[str], list[Unread]]:
    """All ``*.yaml`` and ``*.yml`` below root, sorted, and what could not be looked at: specs may lie there.

    Dot-folders, dot-files and symlinks are left out.
    """
    found: list[str] = []
    unread: list[Unread] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif entry.name.lower().endswith(SUFFIXES) and entry.is_file(follow_symlinks=False):
                        found.append(path)
        except OSError as error:
            unread.append(Unread(_unreadable(folder or ".", "the folder cannot be read", error)))
    return sorted(found), unread


def read(root: Path, path: str) -> SourceFile | Unread:
    """The file's text, or what is wrong with its bytes."""
    try:
        data = _bytes(root / path)
    except OSError as error:
        return Unread(_unreadable(path, "the file cannot be read", error))
    found = _of_bytes(path, data)
    if isinstance(found, Problem):
        return Unread(found, data.decode("latin-1").replace("\x00", ""))
    return _characters(path, found) or SourceFile(path, found, "${" in found)


def _of_bytes(path: str, data: bytes) -> str | Problem:
    if len(data) > MAX_BYTES:
        return _wrong(path, "file-size", "the file is larger than 1 MiB", "", "split it; every *.yaml below -C is read")
    if data.startswith(_BOMS):
        what, fix = "the file starts with a byte order mark", "save it as UTF-8 without BOM"
        return _wrong(path, "byte-order-mark", what, "", fix, 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, before = data.count(b"\n", 0, error.start) + 1, data[data.rfind(b"\n", 0, error.start) + 1 : error.start]
        column = len(before.decode("utf-8")) + 1
        why = f"the byte 0x{data[error.start]:02x} here belongs to another encoding"
        return _wrong(path, "not-utf-8", "the file is not UTF-8", why, "save it as UTF-8", line, column)


def _characters(path: str, text: str) -> Unread | None:
    found = _CONTROL.search(text)
    if found is None:
        return None
    at = found.start()
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    if found[0] == "\t":
        why, fix = "YAML's readers disagree about tabs", 'indent with spaces; write a tab inside a text as "\\t"'
        return Unread(_wrong(path, "tab", "tab character", why, fix, line, column), text)
    what, fix = f"control character U+{ord(found[0]):04X}", "remove it; specs are text files"
    return Unread(_wrong(path, "control-character", what, "", fix, line, column), text)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _unreadable(path: str, what: str, error: OSError) -> Problem:
    fix = "check its permissions, and its disk; what it may say is not taken for gone"
    return _wrong(path, "unreadable-file", what, error.strerror or str(error), fix)


def _wrong(path: str, rule: str, what: str, why: str, fix: str, line: int = 0, column: int = 0) -> Problem:
    place = Location(path, line, column or (1 if line else 0))
    return Problem(where=place, what=what, why=why, fix=fix, rule=rule)
