"""A shop of one's own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.kit import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty shop in the test's folder."""
    return Shop(tmp_path)
