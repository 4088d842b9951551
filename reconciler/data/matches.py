"""Files that a path or pattern names: what cannot be looked at is an error, never a part that is not there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import Path, PurePath
from stat import S_ISDIR

WILD = frozenset("*?[")


def matches(root: Path, pattern: str) -> dict[Path, int]:
    """Everything but folders that a path or pattern relative to `root` names, sorted, with its mode.

    ``*``, ``?`` and ``[…]`` stand for parts of a name, ``**`` for folders of any depth, which links do not lead to.
    Raises OSError with its filename; FileNotFoundError for what was listed and is not there: a link to nothing, say.
    """
    named = PurePath(pattern)
    base, parts = (named.anchor, named.parts[1:]) if named.anchor else (str(root), named.parts)
    found = {Path(path): mode for path, mode in _below(base, os.stat(base).st_mode, parts)}
    return {path: found[path] for path in sorted(found)}


def _below(path: str, mode: int, parts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """What is there at `path`, or below it by the rest of a pattern."""
    if not parts:
        if not S_ISDIR(mode):
            yield path, mode
    elif S_ISDIR(mode):
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from _below(path, mode, rest)
            for folder in _folders(path):
                yield from _below(folder, mode, parts)
        elif WILD.isdisjoint(part):
            child = os.path.join(path, part)
            found = _mode(child)
            if found is not None:
                yield from _below(child, found, rest)
        else:
            match = re.compile(translate(part)).match
            for name in filter(match, os.listdir(path)):
                child = os.path.join(path, name)
                yield from _below(child, os.stat(child).st_mode, rest)


def _folders(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _mode(path: str) -> int | None:
    """None where nothing has that name."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        try:
            os.lstat(path)
        except FileNotFoundError:
            return None
        raise
