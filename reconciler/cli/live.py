"""The live display of a terminal, by rich: one line per target, gone when the work is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from reconciler.cli.watched import lasting

if TYPE_CHECKING:
    from reconciler.cli.watched import Line

NARROW = 100
"""Below this width there is no bar: names and numbers say more."""


class _Numbers(ProgressColumn):
    """Rows, rows per second and time left, true at the moment of drawing."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        line: Line = task.fields["line"]
        now = time.monotonic()
        shown = line.numbers(now, of="/") or lasting(now - line.begun)
        return Text(shown, no_wrap=True)


class Live:
    """Draws lines until `stop`; printed text stays above them."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, no_color=True, highlight=False)
        words = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        bar = [BarColumn(bar_width=20)] if self._console.width >= NARROW else []
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False, table_column=words),
            *bar,
            _Numbers(table_column=Column(no_wrap=True, justify="right")),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, lines: Mapping[str, Line]) -> None:
        """Draws these lines, and no others."""
        for address in set(self._tasks) - set(lines):
            self._progress.remove_task(self._tasks.pop(address))
        for address, line in lines.items():
            total = line.total or None
            if address not in self._tasks:
                self._tasks[address] = self._progress.add_task(line.text, total=total, line=line)
            task = self._tasks[address]
            self._progress.update(task, description=line.text, total=total, completed=line.done, line=line)

    def print(self, text: str) -> None:
        """A line that stays."""
        self._console.print(Text(text), soft_wrap=True)

    def stop(self) -> None:
        """Clears the display and gives the cursor back."""
        self._progress.stop()
