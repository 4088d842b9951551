"""The schemas say what the models say, are valid, and accept real projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reconciler.schema import generate
from tests.e2e.world import write_specs

FOLDER = Path(__file__).parents[2] / "schemas"
FILES = generate()


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_folder_is_what_the_models_say(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == FILES[name]
    jsonschema.Draft7Validator.check_schema(json.loads(FILES[name]))


def _documents(folder: Path) -> list[dict[str, Any]]:
    write_specs(folder)
    return [doc for doc in yaml.safe_load_all((folder / "specs.yaml").read_text()) if doc]


def test_a_real_project_is_valid_by_kind_and_for_any_kind(tmp_path: Path) -> None:
    either = jsonschema.Draft7Validator(json.loads(FILES["batchctl.schema.json"]))
    for document in _documents(tmp_path):
        kind = {"SegmentLink": "segment-link"}.get(document["kind"], document["kind"].lower())
        own = jsonschema.Draft7Validator(json.loads(FILES[f"{kind}.schema.json"]))
        assert not list(own.iter_errors(document)), document["name"]
        assert not list(either.iter_errors(document)), document["name"]
        wrong = {**document, "colour": "blue"}
        assert list(own.iter_errors(wrong))
        assert list(either.iter_errors(wrong))


def _undescribed(schema: dict[str, Any], path: str) -> list[str]:
    found = []
    for name, part in schema.get("properties", {}).items():
        found += [f"{path}.{name}"] * ("description" not in part) + _undescribed(part, f"{path}.{name}")
    for branch in schema.get("anyOf", ()):
        found += _undescribed(branch, path)
    return found


@pytest.mark.parametrize("name", sorted(set(FILES) - {"batchctl.schema.json"}))
def test_every_field_has_hover_text(name: str) -> None:
    assert _undescribed(json.loads(FILES[name]), name) == []
