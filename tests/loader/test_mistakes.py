"""Every mistake is found at its place, by its rule, with the fix proposed, and nothing else is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loader.kit import judged, marked, write
from tests.loader.mistakes import MISTAKES, Mistake


@pytest.mark.parametrize("one", MISTAKES, ids=lambda one: one.name)
def test_mistake(one: Mistake, tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {one.file: one.text}))
    errors = [problem for problem in problems if problem.severity == "error"]
    assert [(p.where and (p.where.path, p.where.line, p.where.column), p.rule) for p in errors] == [
        (marked(one.file, one.text), one.rule)
    ], errors
    assert one.fix in errors[0].fix
    assert errors[0].what
