"""What is left on a real terminal's screen."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time

from tests.batch.between import between
from tests.batch.kit import Say, Seen
from tests.cli.kit import Command
from tests.stores.test_lease import wait_for

_TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def screen(output: str) -> list[str]:
    """The lines of a tall terminal after all of it: line ends, cursor up, and erasing a line."""
    lines, row, column = [""], 0, 0
    for found in _TOKEN.finditer(output):
        number, letter, end, text = found.groups()
        if end == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif end == "\r":
            column = 0
        elif text:
            before = lines[row].ljust(column)
            lines[row] = before[:column] + text + before[column + len(text) :]
            column += len(text)
        elif letter == "A":
            row = max(row - int(number or 1), 0)
        elif letter == "K" and number == "2":
            lines[row] = ""
    return [line.rstrip() for line in lines]


def test_ctrl_c_leaves_no_row_that_looks_alive(batchctl: Command) -> None:
    """Pressed while two targets are drawn."""
    main, side = pty.openpty()
    pressed = threading.Event()

    def fate(seen: Seen) -> Say | None:
        if seen.method == "POST":
            pressed.set()
            time.sleep(2)
        return None

    with between(batchctl.url, fate) as network:
        command = [sys.executable, "-m", "reconciler", "apply", "-C", str(batchctl.root), "--auto-approve"]
        environ = batchctl.environ(BATCHCTL_API_URL=network.url, TERM="xterm", COLUMNS="120", LINES="50")
        with subprocess.Popen(command, env=environ, stdin=side, stdout=side, stderr=side) as running:
            os.close(side)
            output = list[bytes]()
            reader = threading.Thread(target=read, args=(main, output))
            reader.start()
            assert pressed.wait(30)
            wait_for(lambda: b"all 2 targets" in b"".join(output), seconds=30)
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == 130
            reader.join(10)
    os.close(main)
    shown = screen(b"".join(output).decode())
    assert any("stopping after the request in flight" in line for line in shown), shown
    assert any("Apply: 0 done" in line for line in shown), shown
    assert not [line for line in shown if re.search(r"_custom_ids  creating|all 2 targets", line)], shown


def test_status_keeps_its_columns_on_a_narrow_terminal(batchctl: Command) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("title: Loyal", f"title: {'long_' * 12}"))
    batchctl.ok("apply", "--auto-approve")
    command = [sys.executable, "-m", "reconciler", "status", "-C", str(batchctl.root)]
    main, side = pty.openpty()
    environ = batchctl.environ(TERM="xterm", COLUMNS="80", LINES="50", NO_COLOR="1")
    with subprocess.Popen(command, env=environ, stdin=side, stdout=side, stderr=side) as running:
        os.close(side)
        output = list[bytes]()
        read(main, output)
        assert running.wait(30) == 0
    os.close(main)
    lines = screen(b"".join(output).decode())
    assert f"  {'long_' * 12}_custom_ids" in lines
    assert max(map(len, lines)) <= 80
    assert len({line.index(" accepted 20") for line in lines if " accepted 20" in line}) == 1, lines


def read(main: int, output: list[bytes]) -> None:
    """Everything until the other side is closed."""
    try:
        while chunk := os.read(main, 65536):
            output.append(chunk)
    except OSError:
        return
