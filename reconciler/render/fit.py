"""Lines fitted to a terminal's width; without a width (a file, a pipe) every line stays whole."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_WORD = re.compile(r"\s*\S+")


def visible(text: str) -> int:
    """Characters that take room on a screen."""
    return len(_ANSI.sub("", text))


def fitted(line: str, columns: int | None, *, hang: int) -> list[str]:
    """The line, broken between words where it is wider than `columns`; rows after the first hang by `hang` spaces.

    A word wider than the screen stays whole. Where two spaces set something apart, that is broken off first.
    """
    if columns is None or visible(line) <= columns:
        return [line]
    head, gap, tail = line.rstrip().rpartition("  ")
    if gap and head.strip() and visible(head) <= columns and hang + visible(tail.strip()) <= columns:
        return [head.rstrip(), " " * hang + tail.strip()]
    rows = [""]
    for word in _WORD.findall(line):
        if rows[-1].strip() and visible(rows[-1] + word) > columns:
            rows.append(" " * hang + word.strip())
        else:
            rows[-1] += word
    return rows
