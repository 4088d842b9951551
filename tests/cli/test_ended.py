"""Signals before a command looks after them: the documented exit code, and no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.cli.kit import Command

STRUCK = """
import os, sys
module, number, *arguments = sys.argv[1:]
class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            exec("os.kill(os.getpid(), int(number))")  # as within the definition of a dataclass
sys.meta_path.insert(0, Strike())
sys.argv = ["batchctl", *arguments]
from reconciler.cli import main
main()
"""
"""Runs the command line, and a signal comes when a module is imported."""


@pytest.mark.parametrize("module", ["click", "reconciler.cli.validating", "reconciler.spec.mapping"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_a_command_starts(batchctl: Command, module: str, number: int, code: int) -> None:
    command = [sys.executable, "-c", STRUCK, module, str(int(number)), "validate", "-C", str(batchctl.root)]
    done = subprocess.run(command, env=batchctl.environ(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert done.stderr.strip() in ("", "interrupted"), done


def test_signals_that_whoever_started_it_ignores_stay_ignored(batchctl: Command) -> None:
    ignoring = STRUCK.replace(
        "import os, sys", "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)", 1
    )
    command = [sys.executable, "-c", ignoring, "reconciler.spec.mapping", "2", "validate", "-C", str(batchctl.root)]
    done = subprocess.run(command, env=batchctl.environ(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
