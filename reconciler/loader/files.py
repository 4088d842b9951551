"""Files of a project: which ones are read, and what must be true of their bytes before YAML is looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import Location, Problem

MAX_BYTES = 1 << 20
SUFFIXES = (".yaml", ".yml")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """Text of one file; `path` is relative to the project, with forward slashes."""

    path: str
    text: str
    refers: bool
    """Whether a ``${`` stands anywhere in it."""


def find(root: Path) -> list[str]:
    """All ``*.yaml`` and ``*.yml`` below root, sorted; dot-folders, dot-files and symlinks are left out."""
    found: list[str] = []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                path = os.path.join(folder, name)
                if not os.path.islink(path) and os.path.isfile(path):
                    found.append(os.path.relpath(path, root).replace(os.sep, "/"))
    return sorted(found)


def read(root: Path, path: str) -> SourceFile | Problem:
    """The file's text, or what is wrong with its bytes."""
    try:
        data = _bytes(root / path)
    except OSError as error:
        return _wrong(path, "unreadable-file", "the file cannot be read", error.strerror or "", "check its permissions")
    if len(data) > MAX_BYTES:
        return _wrong(path, "file-size", "the file is larger than 1 MiB", "", "split it; every *.yaml below -C is read")
    if data.startswith(_BOMS):
        return _wrong(
            path, "byte-order-mark", "the file starts with a byte order mark", "", "save it as UTF-8 without BOM", 1
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _wrong(path, "not-utf-8", "the file is not UTF-8", "", "save it as UTF-8", line)
    return _characters(path, text)


def _characters(path: str, text: str) -> SourceFile | Problem:
    for char, rule, what, fix in (
        ("\t", "tab", "tab character", 'indent with spaces; write a tab inside a text as "\\t"'),
        ("\x00", "nul", "NUL character", "remove it; specs are text files"),
    ):
        at = text.find(char)
        if at >= 0:
            line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
            return _wrong(path, rule, what, "", fix, line, column)
    return SourceFile(path, text, "${" in text)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _wrong(path: str, rule: str, what: str, why: str, fix: str, line: int = 0, column: int = 0) -> Problem:
    place = Location(path, line, column or (1 if line else 0))
    return Problem(where=place, what=what, why=why, fix=fix, rule=rule)
