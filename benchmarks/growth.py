"""How time and memory grow with members, links and specs, measured and drawn as a picture.

    python -m benchmarks.growth --seconds 600 --to benchmarks/growth.svg
    python -m benchmarks.growth --members 100k,300k,1m,3m,10m --links 10,100,1000 --specs 100,1k,10k --times 3 --seconds 3600

Every point is a whole process: `plan` of one audience of so many members (1 % joined, 1 % left, a base and five delta
files), `plan` of so many links over twenty catalogues of 5,000 (a base and one delta file each, nothing changed),
`validate` of so many specs, and `plan` of specs whose links are as they were at their last commit. Time is processor
time, which others on the machine disturb less. After `--seconds` no further point is begun; smaller sizes come first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from benchmarks import delta, links, people, specs
from benchmarks.chart import Line, Panel, drawn, short
from benchmarks.kit import Run, batchctl, machine, measured, number

CATALOGUES = 20
Measure = Callable[[Path, int, int], dict[str, Run]]


def of_members(folder: Path, size: int, times: int) -> dict[str, Run]:
    return {"plan": delta.plan(people.project(folder, rows=size), times)}


def of_links(folder: Path, size: int, times: int) -> dict[str, Run]:
    project = links.project(folder, links=size, catalogues=min(CATALOGUES, size), rows=5_000, layers=1)
    return {"plan": links.plan(project, size, times)}


def of_specs(folder: Path, size: int, times: int) -> dict[str, Run]:
    written = specs.write(folder / "validate", size)
    found = {"validate": measured(batchctl("validate", "-C", written), times=times)}
    many = max(CATALOGUES, (size - 2 - 3 * CATALOGUES) // 2)
    project = links.project(folder / "plan", links=many, catalogues=CATALOGUES, rows=200, layers=0, recognised=True)
    return found | {"plan, nothing changed": links.plan(project, many, times)}


SERIES: dict[str, Measure] = {"members": of_members, "links": of_links, "specs": of_specs}


def points(sizes: dict[str, list[int]], times: int, until: float) -> Iterator[tuple[str, int, str, Run]]:
    """Smaller sizes of all three first."""
    ranked = [(rank, name, size) for name, every in sizes.items() for rank, size in enumerate(sorted(every))]
    for _, name, size in sorted(ranked, key=lambda one: one[0]):
        if monotonic() > until:
            print(f"no time left for {size:,} {name}")
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for what, run in SERIES[name](Path(folder) / "project", size, times).items():
                print(f"{size:>12,} {name:8} {what:24} {run.cpu:8.2f} s {run.rss:8.0f} MiB", flush=True)
                yield name, size, what, run


def picture(found: list[tuple[str, int, str, Run]]) -> str:
    """Two rows of panels: time above, memory below."""
    rows: list[list[Panel]] = []
    for title, unit, value in (
        ("Time", "s", lambda run: run.cpu),
        ("Memory", "MiB", lambda run: run.rss),
    ):
        row = []
        for name in SERIES:
            whats = dict.fromkeys(what for series, _, what, _ in found if series == name)
            lines = [
                Line(
                    name=what,
                    points=[(size, value(run)) for series, size, one, run in found if (series, one) == (name, what)],
                )
                for what in whats
            ]
            if lines:
                row.append(Panel(title=f"{title} against {name}", across=name, unit=unit, lines=lines))
        rows.append(row)
    return drawn(rows, title="batchctl: processor time and peak memory of a whole process", note=machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", default="10k,100k,300k,1m")
    parser.add_argument("--links", default="10,30,100,300")
    parser.add_argument("--specs", default="100,300,1k,3k")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--to", type=Path, default=Path("benchmarks/growth.svg"))
    asked = parser.parse_args()
    sizes = {name: [number(one) for one in getattr(asked, name).split(",")] for name in SERIES}
    found = list(points(sizes, asked.times, monotonic() + asked.seconds))
    if not found:
        raise SystemExit("no time for a single point")
    asked.to.write_text(picture(found), encoding="utf-8")
    largest = ", ".join(f"{short(max(size for series, size, *_ in found if series == name))} {name}" for name in SERIES)
    print(f"{asked.to}: up to {largest}")


if __name__ == "__main__":
    main()
