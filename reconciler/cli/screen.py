"""What a stream can show: colours (https://no-color.org) and how wide it is."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import Self, TextIO

NARROWEST = 60
"""A narrower terminal breaks lines by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Colours are for terminals that have them, where neither NO_COLOR nor --no-color asks for none."""

    colour: bool
    columns: int | None
    """Width to fit lines to; None for a file or a pipe."""

    @classmethod
    def of(cls, stream: TextIO | None = None, *, no_color: bool = False) -> Self:
        """Of a stream of this process, standard output unless told otherwise."""
        stream = stream or sys.stdout
        terminal = stream.isatty()
        plain = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        columns = max(shutil.get_terminal_size().columns, NARROWEST) if terminal else None
        return cls(colour=terminal and not plain, columns=columns)
