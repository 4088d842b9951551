"""The JSON document of a command that asks for one: where it goes, and what stands there when the command fails."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import click

from reconciler import __version__
from reconciler.errors import BatchctlError

COMMANDS = ("plan", "show", "apply")
"""Those whose document `schemas/plan.schema.json` describes."""


@dataclass(slots=True)
class Owed:
    """Whether a JSON document is still to be written; `path` is None for standard output."""

    due: bool = False
    path: Path | None = None

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Self:
        """What a command line asks for, be it right or wrong in all else; the last ``--format json`` counts."""
        owed = cls()
        joined = "--format="
        named = [value for option, value in pairwise(arguments) if option == "--format"]
        named += [one.removeprefix(joined) for one in arguments if one.startswith(joined)]
        for value in named if arguments and arguments[0] in COMMANDS else ():
            name, found, path = value.partition("=")
            if name == "json":
                owed.due, owed.path = True, Path(path) if found else None
        return owed

    def failed(self, error: BatchctlError, code: int) -> None:
        """Writes what is wrong, unless a document stands there already; a place that takes nothing stays empty."""
        if not self.due:
            return
        from reconciler.render.problems import failure_json

        self.due = False
        document = failure_json(error, tool=f"batchctl {__version__}", code=code)
        with suppress(OSError, ValueError):
            if self.path is not None:
                self.path.write_text(document, encoding="utf-8")
            else:
                sys.stdout.write(document)
                sys.stdout.flush()


def owed() -> Owed:
    """What the command that runs owes."""
    context = click.get_current_context(silent=True)
    found = context.find_object(Owed) if context is not None else None
    return found or Owed()
