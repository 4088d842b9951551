"""Worlds share the emulator of the command line's tests."""

from __future__ import annotations

from tests.cli.conftest import batch, emulator

__all__ = ["batch", "emulator"]
