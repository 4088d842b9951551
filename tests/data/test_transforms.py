"""Transforms that people get wrong by one: what counts as no value, and where a text begins."""

from __future__ import annotations

import duckdb
import pytest
from pydantic_core import PydanticCustomError

from reconciler.data.transforms import transformed
from reconciler.spec.transform import parse_transforms


@pytest.mark.parametrize(
    ("text", "steps", "wanted"),
    [
        (None, ["default(none)"], "none"),
        ("", ["default(none)"], "none"),
        (" \u00a0", ["default(none)"], "none"),
        ("  ", ["trim", "default(none)", "upper"], "NONE"),
        (" a ", ["default(none)"], " a "),
        ("abcd", ["substring(1, 3)"], "abc"),
        ("abcd", ["substring(2, 9)"], "bcd"),
        ("Été", ["upper"], "ÉTÉ"),
        ("b", ["map({a: x})"], "b"),
        (None, ["map({a: x})"], None),
        ("+33 (0)6", ["digits"], "3306"),
    ],
)
def test_transform(text: str | None, steps: list[str], wanted: str | None) -> None:
    with duckdb.connect() as engine:
        found = engine.execute(
            f"SELECT {transformed('t', parse_transforms(steps))} FROM (SELECT ?::VARCHAR AS t)", [text]
        )
        assert found.fetchone() == (wanted,)


def test_a_text_begins_at_one() -> None:
    with pytest.raises(PydanticCustomError, match="substring"):
        parse_transforms("substring(0, 3)")
