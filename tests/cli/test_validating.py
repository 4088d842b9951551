"""``validate`` says what is wrong with specs, SQL and sources, each at its very line, and what is merely out of reach."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reconciler.cli.main import run
from tests.cli.kit import LOYAL, SPECS, people
from tests.conftest import MakeProject
from tests.loader.kit import marked, plain

_HEAD = "apiVersion: batchctl/v1\nkind: {}\nname: {}\n"
_SEGMENT = _HEAD.format("Segment", "loyal") + "title: Loyal\ncatalogue: people\n"
_USED = SPECS.replace("where: orders >= 3", "where: orders >= 3\n") + "---" + LOYAL


@pytest.fixture
def root(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SHOP_IOS_KEY", "SHOP_REST_KEY", "SHOP_CRM_KEY"):
        monkeypatch.setenv(name, "0123456789abcdef")
    base, _, _ = _USED.partition("---\napiVersion: batchctl/v1\nkind: Segment")
    project({"specs.yaml": base, "loyal.yaml": LOYAL, "segment.yaml": f"{_SEGMENT}where: orders >= 3\n"})
    project.table("data/people.parquet", people(3))
    return project.root


def problems(root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, Any]]:
    """Problems of a project, what nothing uses left out."""
    code = run(["validate", "-C", str(root), "--format", "json", *more])
    said = json.loads(capsys.readouterr().out)
    assert code == (3 if said["errors"] else 0)
    return [one for one in said["problems"] if one["rule"] != "unused"]


def place(one: dict[str, Any]) -> tuple[str, int, int]:
    return (one["where"]["path"], one["where"]["line"], one["where"]["column"])


def test_a_valid_project(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(root, capsys) == []
    assert run(["validate", "-C", str(root)]) == 0
    assert capsys.readouterr().out.endswith("valid\n")


@pytest.mark.parametrize(
    ("sql", "what", "fix"),
    [
        ("where: §ordrs >= 3", "unknown field ordrs", "did you mean orders?"),
        (
            "where: |\n  orders >= 3\n  AND email <> 'é'\n  AND §ordrs > 1",
            "unknown field ordrs",
            "did you mean orders?",
        ),
        ("where: >-\n  orders >= 3\n  AND 'é' <> §emial", "unknown field emial", "did you mean email?"),
        ("where: \"email = 'é' AND §ordrs = 1\"", "unknown field ordrs", "did you mean orders?"),
        ("where: §lowr(email) = 'x'", "SQL that does not compile", "did you mean lower?"),
        ("where: orders = §AND 3", "SQL that cannot be parsed", "correct the SQL"),
        ("where: §orders + 1", "where is not a condition", "compare it with something"),
        ("where: orders > 1; §DROP TABLE people", "not one SQL statement", "write exactly one"),
        ("where: §getenv('HOME') = 'x'", "getenv() is not allowed in this SQL", "the catalogue's fields only"),
        ("query: |\n  SELECT pid\n  FROM §peple", "unknown table peple", "did you mean people?"),
        ("query: |\n  SELECT pid FROM people\n  WHERE §ordrs > 1", "SQL that does not compile", "did you mean orders?"),
        (
            "query: §SELECT orders, email FROM people",
            "the query does not return the catalogue's key",
            "SELECT pid FROM",
        ),
        ("query: §DELETE FROM people", "DELETE is not allowed here", "write one SELECT"),
    ],
)
def test_sql(sql: str, what: str, fix: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{_SEGMENT}{sql}\n"
    (root / "segment.yaml").write_text(plain(text), encoding="utf-8")
    (one,) = problems(root, capsys)
    expected = marked("segment.yaml", text)
    if "not one SQL" in what or "is not allowed here" in what:
        expected = (expected[0], expected[1], len(sql.split(" ", maxsplit=1)[0]) + 2)
    assert (one["rule"], one["what"], place(one)) == ("sql", what, expected)
    assert fix in one["fix"]
    assert one["excerpt"].startswith(f"{expected[1]} | ")


@pytest.mark.parametrize(
    ("body", "what", "fix"),
    [
        (
            "source: {path: §data/peple.parquet}",
            "no file matches data/peple.parquet",
            "did you mean data/people.parquet?",
        ),
        ("source: {path: §data/parts.parquet}", "data/parts.parquet is a folder", "data/parts.parquet/*.parquet"),
        ("source: {path: §pipes/people.csv}", "pipes/people.csv is not a regular file", "write the data to a file"),
        ("source: {path: §data/link.csv}", "data/link.csv leads to a file that is not there", "correct the link"),
        ("source: {path: §'data/*.jsonl'}", "no file matches data/*.jsonl", "relative to -C"),
        ("source: {path: §data/broken.parquet}", "data/broken.parquet is no Parquet file", ""),
        ("source: {path: §../elsewhere.csv}", "../elsewhere.csv leads outside the project", "BATCHCTL_DATA_ROOTS"),
        ("source: {database: §crm.duckdb, table: t}", "no file matches crm.duckdb", "did you mean crn.duckdb?"),
        ("source: {database: crn.duckdb, table: §orders}", "crn.duckdb has no table orders", "write schema.table"),
        (
            "source: {database: crn.duckdb, query: SELECT §pdi FROM members}",
            "SQL that does not compile",
            "did you mean pid?",
        ),
        (
            "source: {database: crn.duckdb, query: \"SELECT * FROM §read_csv('x')\"}",
            "read_csv() cannot be read from",
            "declare the data",
        ),
        ("suppress: {path: §data/gone.csv, key: pid}", "no file matches data/gone.csv", "relative to -C"),
        (
            "suppress: {path: data/stop.csv, key: §pid}",
            "catalogue people: the suppression list has no column pid",
            "did you mean id?",
        ),
        (
            "identity_graph: {source: {path: data/stop.csv}, key: id, fields: {§gaid: string}}".replace(
                "§gaid: ", "gaid: §"
            ),
            "catalogue people: the identity graph has no column gaid",
            "correct identity_graph.fields.gaid",
        ),
    ],
)
def test_sources(body: str, what: str, fix: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "data" / "broken.parquet").write_bytes(b"PAR1 but no Parquet")
    (root / "data" / "stop.csv").write_text("id;why\n1;x\n")
    (root / "data" / "parts.parquet").mkdir()
    (root / "data" / "link.csv").symlink_to("gone.csv")
    (root / "pipes").mkdir()
    os.mkfifo(root / "pipes" / "people.csv")
    (root.parent / "elsewhere.csv").write_text("pid\n1\n")
    with duckdb.connect(str(root / "crn.duckdb")) as database:
        database.execute("CREATE TABLE members AS SELECT 'p1' AS pid, 1 AS orders, 'e' AS email, true AS ok")
    text = (root / "specs.yaml").read_text()
    source = "source: {path: data/people.parquet}"
    changed = text.replace(source, body if body.startswith("source") else f"{source}\n{body}")
    (root / "specs.yaml").write_text(plain(changed))
    (one,) = problems(root, capsys)
    assert (one["rule"], one["severity"], place(one)) == ("source", "error", marked("specs.yaml", changed))
    assert what in one["what"]
    assert fix in one["fix"]


def test_every_column_that_is_missing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (root / "specs.yaml").read_text().replace("ok: boolean}", "ok: boolean, city: string, zip: string}")
    (root / "specs.yaml").write_text(text)
    said = [(one["what"], place(one)[1]) for one in problems(root, capsys)]
    assert said == [(f"catalogue people: the source has no column {name}", 11) for name in ("city", "zip")]


def test_data_that_is_elsewhere_is_a_warning(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "data" / "people.parquet").unlink()
    (one,) = problems(root, capsys)
    assert (one["severity"], one["what"]) == ("warning", "no file matches data/people.parquet")


def test_sql_is_checked_without_data_and_with_a_broken_project(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "data" / "people.parquet").unlink()
    (root / "segment.yaml").write_text(f"{_SEGMENT}where: ordrs > 3\n")
    text = (root / "specs.yaml").read_text().replace("state: {url: state}", "state: {url: state}\nengin: duckdb")
    (root / "specs.yaml").write_text(text)
    assert [one["rule"] for one in problems(root, capsys) if one["severity"] == "error"] == ["sql", "unknown-key"]


def test_keys_need_not_be_set(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP_IOS_KEY", "SHOP_REST_KEY", "SHOP_CRM_KEY"):
        monkeypatch.delenv(name)
    said = problems(root, capsys)
    assert [(one["severity"], one["rule"]) for one in said] == [("warning", "key-not-set")] * 3
    shared = next(one for one in said if "SHOP_REST_KEY" in one["what"])
    assert "1 more use it" in shared["why"]
    assert "set the environment variable SHOP_REST_KEY" in shared["fix"]


def test_a_key_of_the_state_that_is_not_set(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (root / "specs.yaml").read_text()
    sealed = text.replace("state: {url: state}", "state: {url: state, encryption: {key: '${env:SHOP_STATE_KEY}'}}")
    (root / "specs.yaml").write_text(sealed)
    (one,) = problems(root, capsys)
    assert (one["rule"], place(one)) == ("key-not-set", ("specs.yaml", 4, 39))
    assert one["fix"] == "set it: without it the state can neither be read nor written"


@pytest.mark.parametrize("form", ["sarif", "github", "yaml"])
def test_forms_that_are_not_built_are_refused(form: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "-C", str(root), "--format", form]) == 64
    assert "not supported in this version" in capsys.readouterr().err


def test_with_json_lines_problems_are_one_event(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "segment.yaml").write_text(f"{_SEGMENT}where: nothing >= 3\n")
    assert run(["validate", "-C", str(root), "--log-format", "json"]) == 3
    out, err = capsys.readouterr()
    (event,) = map(json.loads, err.splitlines())
    found = [one for one in event["problems"] if one["rule"] == "sql"]
    assert (out, event["event"], [place(one) for one in found]) == ("", "error", [("segment.yaml", 6, 8)])
