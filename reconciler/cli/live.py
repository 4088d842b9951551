"""The live display of a terminal, by rich: one line per target, gone when the work is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from reconciler.cli.progress import Line


class Live:
    """Draws lines until `stop`; printed text stays above them."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, no_color=True, highlight=False)
        narrow = self._console.width < 100
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn(
                "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
            ),
            BarColumn(bar_width=8 if narrow else 20),
            TextColumn("{task.fields[numbers]}", markup=False, table_column=Column(no_wrap=True, justify="right")),
            TimeElapsedColumn(),
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
        now = time.monotonic()
        for address, line in lines.items():
            self._draw(address, line, now)

    def _draw(self, address: str, line: Line, now: float) -> None:
        total = line.total or None
        if address not in self._tasks:
            self._tasks[address] = self._progress.add_task(line.text, total=total, numbers="")
        if line.final:
            self._progress.update(self._tasks[address], visible=False)
            return
        numbers = f"{line.done:,}/{line.total:,}" if line.total else ""
        rate, left = line.rate(now), line.left(now)
        if rate:
            numbers += f"  {rate:,.0f}/s" + (f"  {left:,.0f} s left" if left >= 1 else "")
        self._progress.update(
            self._tasks[address], description=line.text, total=total, completed=line.done, numbers=numbers, visible=True
        )

    def print(self, text: str) -> None:
        """A line that stays."""
        self._console.print(Text(text), soft_wrap=True)

    def stop(self) -> None:
        """Clears the display and gives the cursor back."""
        self._progress.stop()
