"""The command line: the only room that reads the environment, prints or exits."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of ``batchctl``. What tells the version on a stream that takes it imports nothing."""
    if sys.argv[1:] != ["--version"] or not _version_told():
        from reconciler.cli import ended

        ended.at_once()
        from reconciler.cli.main import main as command_line

        command_line()


def _version_told() -> bool:
    from reconciler import __version__

    try:
        sys.stdout.write(f"batchctl, version {__version__}\n")
        sys.stdout.flush()
    except (AttributeError, OSError):
        return False
    return True
