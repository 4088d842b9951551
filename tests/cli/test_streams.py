"""Standard streams that take nothing, or not all: what was done is done, and the exit code says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from reconciler.cli.streams import whole
from tests.cli.kit import AUDIENCE, Command

Stream = Callable[[], AbstractContextManager[int]]


@contextmanager
def nobody_reads() -> Iterator[int]:
    """A pipe whose other end is closed."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@contextmanager
def full() -> Iterator[int]:
    """A file on a disk without room."""
    handle = os.open("/dev/full", os.O_WRONLY)
    yield handle
    os.close(handle)


def started(
    batchctl: Command, *arguments: str, out: int = subprocess.PIPE, err: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """A command with these standard streams."""
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler", arguments[0], "-C", str(batchctl.root), *arguments[1:]],
        env=batchctl.environ(),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        text=True,
    )


@pytest.mark.parametrize("stream", [nobody_reads, full])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_standard_error_that_takes_nothing_stops_nothing(
    batchctl: Command, tmp_path: Path, stream: Stream, form: str
) -> None:
    file = tmp_path / "report.json"
    command = ("apply", "--auto-approve", "--wait", "--log-format", form, "--format", f"json={file}")
    with stream() as handle, started(batchctl, *command, err=handle) as running:
        running.communicate(timeout=60)
    assert running.returncode == 0
    report = json.loads(file.read_text())
    assert (report["exit_code"], report["totals"]["done"]) == (0, report["totals"]["planned"])
    assert len(batchctl.members(AUDIENCE)) == 30


@pytest.mark.parametrize(("stream", "why"), [(nobody_reads, ""), (full, "No space left on device")])
def test_a_standard_output_that_takes_nothing_is_1(batchctl: Command, stream: Stream, why: str) -> None:
    with stream() as handle:
        running = started(batchctl, "plan", "--format", "json", out=handle)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    assert why in said
    assert said.count("error: ") == bool(why)
    assert "Exception ignored" not in said


def test_a_document_that_is_cut_off_is_an_error(batchctl: Command) -> None:
    (batchctl.root / "wrong.yaml").write_text("---\n".join("kind: Segment\nname: X\n" for _ in range(20)))
    out = batchctl.root / "problems.json"
    done = batchctl.process(
        "validate",
        "--format",
        "json",
        wrapped=("bash", "-c", f'trap "" XFSZ; ulimit -f 1; exec "$0" "$@" >{out}'),
        PYTHONUNBUFFERED="1",
    )
    assert (done.returncode, out.stat().st_size) == (1, 1024)
    assert "error: standard output: File too large" in done.stderr


def test_a_pipe_that_takes_little_at_a_time_gets_all_of_it() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    text, taken = "x" * 1_000_000, list[bytes]()
    reader = threading.Thread(target=lambda: taken.extend(iter(lambda: os.read(read, 1000), b"")))
    with open(write, "w", encoding="utf-8") as pipe:
        out = whole(pipe)
        reader.start()
        out.write(text)
        out.flush()
    reader.join(60)
    os.close(read)
    assert b"".join(taken).decode() == text
