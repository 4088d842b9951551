"""The command line: the only room that reads the environment, prints or exits."""

from __future__ import annotations

from reconciler.cli.main import cli, main

__all__ = ["cli", "main"]
