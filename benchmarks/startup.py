"""Measures how long `batchctl --help` takes to start, against `python -c "import click"`; best of several runs.

    python -m benchmarks.startup

Target: at most 3 times the bare import of click (whole processes, wall clock, taken in turns). `--version`, a wrong
option and the help of the largest command are measured beside it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

TARGET = 3.0
BARE = ("-c", "import click")
COMMANDS = ("--help", "--version", "apply --help", "plan --nonsense")


def seconds(arguments: tuple[str, ...]) -> float:
    """One process, from start to end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return time.perf_counter() - begun


def main() -> int:
    """Prints one line per command; 1 when `--help` misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    measured = {"import click": BARE, **{f"batchctl {one}": ("-m", "reconciler", *one.split()) for one in COMMANDS}}
    best = dict.fromkeys(measured, float("inf"))
    for _ in range(repeats):
        for name, arguments in measured.items():
            best[name] = min(best[name], seconds(arguments))
    for name, took in best.items():
        print(f"{name:26} {took * 1000:7.0f} ms   {took / best['import click']:.2f} ×")
    return int(best["batchctl --help"] > TARGET * best["import click"])


if __name__ == "__main__":
    sys.exit(main())
