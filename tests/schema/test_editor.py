"""The schemas in yaml-language-server: completion of keys and values, hover on every field, mistakes on their own line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from reconciler.spec import MODELS, kebab
from tests.loader.mistakes import action, catalogue, cep, destination, link, mapping, profile, project, segment
from tests.schema.lsp import SCHEMAS, Editor, Text, flat, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
EITHER = "batchctl.schema.json"


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    with Editor() as one:
        yield one


def schemas(kind: str) -> tuple[str, str]:
    """The schema of a kind, and the one for any."""
    return f"{kebab(kind)}.schema.json", EITHER


class Field(NamedTuple):
    """A key in a document that has every field: where it stands and what its hover must say."""

    path: str
    line: int
    column: int
    description: str


def everything(kind: str) -> tuple[str, list[Field]]:
    """A document with every field that the kind's schema has, as YAML, and the place of each."""
    schema = json.loads((SCHEMAS / f"{kebab(kind)}.schema.json").read_text())
    lines: list[str] = []
    fields: list[Field] = []
    _write(schema, "", lines, fields, kind)
    return "\n".join(lines) + "\n", fields


def _write(schema: dict[str, Any], path: str, lines: list[str], fields: list[Field], kind: str) -> None:
    indent = "  " * (path.count(".") + 1 if path else 0)
    for name, one in schema["properties"].items():
        if one.get("not") == {}:
            continue
        below = _object(one)
        fields.append(Field(f"{path}.{name}".lstrip("."), len(lines) + 1, len(indent) + 1, one["description"]))
        if below is None:
            lines.append(f"{indent}{name}: {json.dumps(_value(one, kind))}")
        else:
            lines.append(f"{indent}{name}:")
            _write(below, f"{path}.{name}".lstrip("."), lines, fields, kind)


def _object(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The object with properties that a field may be, directly or as one of several forms."""
    return next((one for one in (schema, *schema.get("anyOf", ())) if "properties" in one), None)


def _value(schema: dict[str, Any], kind: str) -> object:
    for one in (schema, *schema.get("anyOf", ())):
        if "const" in one or "enum" in one or one.get("examples"):
            return one.get("const", (one.get("enum") or one.get("examples") or [kind])[0])
    return "x"


@pytest.mark.parametrize("kind", list(MODELS))
def test_hover_on_every_field(kind: str, editor: Editor) -> None:
    text, fields = everything(kind)
    assert {name for name in MODELS[kind].model_fields if name != "version"} <= {field.path for field in fields} | {
        "history"
    }
    for schema in schemas(kind):
        opened = editor.open(text, schema)
        if schema == EITHER:
            fields = [
                one._replace(description="What this document declares.") if one.path == "kind" else one
                for one in fields
            ]
        silent = [one.path for one in fields if flat(one.description) not in opened.hover(one.line, one.column + 1)]
        assert silent == [], schema


@pytest.mark.parametrize("kind", list(MODELS))
def test_keys_are_completed_at_the_top(kind: str, editor: Editor) -> None:
    _, fields = everything(kind)
    written = {"apiVersion", "kind", "name"}
    expected = {field.path for field in fields if "." not in field.path} - written
    text = f"apiVersion: batchctl/v1\nkind: {kind}\nname: x\n\n"
    for schema in schemas(kind):
        assert expected <= editor.open(text, schema).completion(4, 1), schema


def _inner(kind: str) -> list[tuple[str, str, set[str]]]:
    """Every block of a document with every field: text up to it, and the keys inside it."""
    text, fields = everything(kind)
    lines = text.split("\n")
    blocks = sorted({field.path.rpartition(".")[0] for field in fields} - {""})
    found = []
    for block in blocks:
        head = next(field for field in fields if field.path == block)
        above = [field for field in fields if field.line < head.line and "." not in field.path]
        kept = [lines[field.line - 1] for field in above if field.path in ("apiVersion", "kind", "name")]
        parents = [f"{'  ' * depth}{part}:" for depth, part in enumerate(block.split("."))]
        keys = {field.path.rpartition(".")[2] for field in fields if field.path.rpartition(".")[0] == block}
        found.append((block, "\n".join([*kept, *parents, "  " * len(parents)]), keys))
    return found


@pytest.mark.parametrize("kind", [kind for kind in MODELS if _inner(kind)])
def test_keys_are_completed_inside_every_block(kind: str, editor: Editor) -> None:
    for block, text, keys in _inner(kind):
        last = text.split("\n")
        for schema in schemas(kind):
            offered = editor.open(text, schema).completion(len(last), len(last[-1]) + 1)
            assert keys <= offered, (schema, block)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("apiVersion: batchctl/v1\nkind: §\n", set(MODELS)),
        (
            action("destination: x\ntype: §"),
            {"send_advertising_ids", "send_install_ids", "send_custom_ids", "send_emails", "send_attributes"},
        ),
        (action("type: send_attributes\non_exit: §"), {"keep", "unset"}),
        (action("delete: §"), {"true", "false"}),
        (destination("").replace("mep", "§"), {"mep", "cep"}),
        (
            destination("attributes:\n  tier: §"),
            {"string", "integer", "float", "boolean", "date", "timestamp", "url", "list<string>"},
        ),
        (
            catalogue("").replace(
                "{pid: string, customer_id: string, tier: string, orders: integer, ok: boolean}", "\n  pid: §"
            ),
            {"string", "list<string>"},
        ),
        (catalogue("engine: §"), {"duckdb"}),
        (segment("activation: §"), {"single", "serial"}),
        (link("refresh:\n  every: §"), {"once", "1h", "1d", "1w", "1mo"}),
        (link("refresh:\n  every: 1w\n  on: [§]"), {"mon", "tue", "sun"}),
        (link("lifecycle:\n  on_destroy: §"), {"delete", "empty", "keep"}),
        (profile("\n  tier:\n    field: tier\n    type: §"), {"string", "date", "list<string>"}),
        (catalogue(source="\n  path: a.csv\n  encoding: §"), {"utf-8", "latin-1"}),
    ],
)
def test_values_are_completed(text: str, values: set[str], editor: Editor) -> None:
    before = text[: text.index("§")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    kind = text.split("kind: ")[1].split("\n", maxsplit=1)[0].strip("§")
    for schema in schemas(kind) if kind in MODELS else (EITHER,):
        assert values <= editor.open(text.replace("§", ""), schema).completion(line, column), schema


WRONG = [
    segment("§titel: x"),
    segment("activation: §parallel"),
    segment("id: §many"),
    segment("labels: {a: §1}"),
    segment("title: x").replace("name: ", "name: §Wrong "),
    link("guards:\n  max_remove_percent: 10\n  §max_removal: 20"),
    link("guards:\n  max_remove_percent: §200"),
    link("refresh:\n  every: §3h"),
    link("refresh:\n  every: 1w\n  on: [§monday]"),
    link("lifecycle:\n  prevent_destroy: true\n  on_destroy: §remove"),
    link("audience:\n  adopt: true\n  name: §lapsed buyers"),
    link("full_refresh_every: §90 days"),
    link("moved_from: §old"),
    link("allow:\n  remove_percent: 50\n  reason: x\n  until: §soon"),
    action("destination: x\ntype: §send_nothing\nmapping: ids"),
    action("destination: x\ntype: send_emails\nmapping: ids\ndelete: §maybe"),
    destination("platform_: x").replace("platform_: x", "§platform_: x"),
    destination("").replace("mep", "§ios"),
    destination("", "live_api_key: §abcdef0123456789\nrest_api_key: ${env:B}\n"),
    destination("attributes:\n  tier: string\n  last: §text"),
    destination("retry:\n  attempts: §0"),
    cep("api_version: §2.11"),
    catalogue("freshness: §36 hours"),
    catalogue("max_reject_percent: §101"),
    catalogue(source="\n  path: a.csv\n  §sheet: x"),
    catalogue(fields="\n  pid: string\n  orders: §int"),
    mapping("identifier:\n  §customer_id: pid"),
    profile("\n  tier: tier\n  §Last: tier"),
    profile("\n  tier:\n    field: tier\n    type: §text"),
    project("guards:\n  min_existing: 1\n  max_add_percent: §-1"),
    project("max_delete_audiences: §many"),
    project("environments:\n  prod:\n    audience_prefix: §a b"),
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[text.index("§") + 1 :].split("\n")[0][:30])
def test_a_mistake_is_marked_on_its_own_line(text: str, editor: Editor) -> None:
    line = text[: text.index("§")].count("\n") + 1
    kind = text.split("kind: ")[1].split("\n", maxsplit=1)[0]
    for schema in schemas(kind):
        assert editor.open(text.replace("§", ""), schema).wrong_lines() == [line], schema


def test_an_unknown_kind_is_marked(editor: Editor) -> None:
    text = segment("title: x").replace("kind: Segment", "kind: Segmnt")
    assert editor.open(text, EITHER).wrong_lines() == [2]
    assert editor.open(text, "segment.schema.json").wrong_lines() == [2]


def _every_project() -> Iterator[tuple[str, str]]:
    for path in sorted((SCHEMAS.parent / "specs").glob("*.yaml")):
        yield path.name, path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text"), list(_every_project()), ids=[name for name, _ in _every_project()])
def test_the_example_project_has_no_mark(name: str, text: str, editor: Editor) -> None:
    opened: Text = editor.open(text, EITHER)
    assert opened.wrong_lines() == [], name
