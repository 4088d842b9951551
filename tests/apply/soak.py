"""How far a soak goes, and what it has come to: counted in the file BATCHCTL_SOAK names, added up by `python -m`."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

SOAK = os.environ.get("BATCHCTL_SOAK", "")


def count(**numbers: int) -> None:
    """Adds to the sums of this soak; nothing outside of one. Appending a short line is atomic among workers."""
    if SOAK:
        with Path(SOAK).open("a", encoding="utf-8") as file:
            file.write(json.dumps(numbers) + "\n")


def summary(file: Path) -> str:
    """One line per sum, in the order of their names."""
    sums: Counter[str] = Counter()
    for line in file.read_text(encoding="utf-8").splitlines():
        sums.update(json.loads(line))
    return "\n".join(f"{number:>7,}  {name.replace('_', ' ')}" for name, number in sorted(sums.items())) + "\n"


if __name__ == "__main__":
    sys.stdout.write(summary(Path(sys.argv[1])))
