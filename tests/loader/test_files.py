"""Which files are specs, what must be true of their bytes, and that everything wrong is said at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Location, Problem
from reconciler.loader import load
from tests.kit import too_deep
from tests.loader.kit import VALID, judged, marked, plain, write
from tests.loader.mistakes import MISTAKES, project, segment

_EXTRA = segment("title: Extra").replace("name: lapsed-buyers", "name: extra")


def _errors(problems: tuple[Problem, ...]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]


def _places(problems: tuple[Problem, ...]) -> list[tuple[str, str, int, int]]:
    return [
        (p.rule, *((p.where.path, p.where.line, p.where.column) if p.where else ("", 0, 0))) for p in _errors(problems)
    ]


def test_the_valid_project_is_valid(tmp_path: Path) -> None:
    loaded, problems = judged(write(tmp_path, {}))
    assert problems == ()
    assert len(loaded.specs) == len(VALID)


@pytest.mark.parametrize(
    ("content", "rule", "line", "column", "fix"),
    [
        (segment("title: café").encode("latin-1"), "not-utf-8", 5, 11, "save it as UTF-8"),
        (b"\xef\xbb\xbf" + segment("title: x").encode(), "byte-order-mark", 1, 1, "without BOM"),
        (segment("title: x").encode("utf-16"), "byte-order-mark", 1, 1, "save it as UTF-8"),
        (segment("title: x").encode() + b"#" * (1 << 20), "file-size", 0, 0, "split it"),
        (segment("title: a\0b").encode(), "control-character", 5, 9, "remove it"),
        (b"", "empty-document", 0, 0, "remove it"),
    ],
)
def test_bytes(content: bytes, rule: str, line: int, column: int, fix: str, tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"extra.yaml": content}))
    assert _places(problems) == [(rule, "extra.yaml", line, column)]
    assert fix in _errors(problems)[0].fix


@pytest.mark.parametrize("content", [segment("title: café").encode("latin-1"), segment("title: [x").encode()])
def test_references_to_what_could_not_be_read_are_not_called_dangling(content: bytes, tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"segment.yaml": content}))
    assert [problem.where and problem.where.path for problem in problems] == ["segment.yaml"]


def test_nothing_is_called_unused_while_something_could_not_be_read(tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"link.yaml": VALID["link.yaml"].replace("segment: ", "segmnt: ")}))
    assert {problem.rule for problem in problems} == {"missing-key", "unknown-key"}


def test_what_nothing_uses_is_a_warning(tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"link.yaml": None}))
    assert [(p.severity, p.rule, p.where) for p in problems] == [
        ("warning", "unused", Location("action.yaml", 3, 7)),
        ("warning", "unused", Location("segment.yaml", 3, 7)),
    ]


def test_every_yaml_below_the_folder_and_every_document_of_it(tmp_path: Path) -> None:
    both = "---\n".join([_EXTRA, _EXTRA.replace("name: extra", "name: more")])
    loaded, _ = judged(write(tmp_path, {"deep/er/a.yml": both, "B.YAML": _EXTRA.replace("name: extra", "name: loud")}))
    assert {"segment/extra", "segment/more", "segment/loud"} <= set(loaded.specs)
    assert loaded.where("segment/more", "title") == Location("deep/er/a.yml", 12, 8)


def test_dot_folders_symlinks_and_the_state_folder_are_left_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "specs", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text("not: {a spec")
    files = {".git/x.yaml": "a: [", ".hidden.yaml": "a: [", "memory/x.yaml": "a: [", "notes.txt": "a: ["}
    write(root, {**files, "project.yaml": project("state: {url: ./memory}")})
    os.symlink(outside, root / "linked")
    os.symlink(outside / "secret.yaml", root / "linked.yaml")
    os.symlink(root, root / "loop")
    _, problems = judged(root)
    assert problems == ()


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path) -> None:
    root = write(tmp_path / "specs", {})
    too_deep(root / "links")
    loaded, problems = judged(root)
    (problem,) = _errors(problems)
    assert (problem.rule, problem.what) == ("unreadable-file", "the folder cannot be read")
    assert problem.why == os.strerror(errno.ENAMETOOLONG)
    assert problem.where
    assert problem.where.path.startswith("links/")
    assert "*" in loaded.unread


def test_a_state_folder_that_cannot_be_listed_hides_nothing(tmp_path: Path) -> None:
    files = {
        "project.yaml": project("state: {url: memory}"),
        "link.yaml": VALID["link.yaml"].replace("lapsed-buyers", "§lapsed-buyer"),
    }
    root = write(tmp_path / "specs", files)
    too_deep(root / "memory")
    _, problems = judged(root)
    assert _places(problems) == [("dangling", *marked("link.yaml", files["link.yaml"]))]


def test_a_state_folder_of_an_environment_is_left_out(tmp_path: Path) -> None:
    text = project("environments: {prod: {state: {url: prod-state}}}")
    _, problems = judged(write(tmp_path, {"project.yaml": text, "prod-state/x.yaml": "a: ["}))
    assert problems == ()


def test_no_project(tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"project.yaml": None, "link.yaml": "§" + VALID["link.yaml"]}))
    assert _places(problems) == [("one-project", ".", 0, 0)]
    assert "kind: Project" in _errors(problems)[0].fix


def test_no_specs_at_all(tmp_path: Path) -> None:
    (problem,) = judged(tmp_path)[1]
    assert problem.what == "no specs below this folder"
    assert "check -C" in problem.fix


def test_two_projects(tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"z.yaml": project("")}))
    assert _places(problems) == [("one-project", "z.yaml", 2, 7)]
    assert "project.yaml:2:7" in _errors(problems)[0].why


def test_one_name_twice(tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"z.yaml": segment("title: Again")}))
    assert _places(problems) == [("duplicate-name", "z.yaml", 3, 7)]
    assert "segment.yaml:3:7" in _errors(problems)[0].why
    assert "give it another name" in _errors(problems)[0].fix


@pytest.mark.parametrize(
    ("files", "environment", "line", "fix"),
    [
        ({}, "prd", 5, "did you mean --env prod?"),
        ({}, "staging", 5, "use one of prod"),
        ({"project.yaml": project("")}, "prod", 1, "add environments: {prod:"),
    ],
)
def test_an_unknown_environment(files: dict[str, str], environment: str, line: int, fix: str, tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, files), environment=environment)
    assert _places(problems)[0] == ("unknown-environment", "project.yaml", line, 1)
    assert fix in _errors(problems)[0].fix


def test_a_broken_project_hides_nothing_of_the_rest(tmp_path: Path) -> None:
    files = {
        "project.yaml": project("max_delete_audiences: §-1"),
        "action.yaml": VALID["action.yaml"].replace(": ids", ": §idz"),
    }
    _, problems = judged(write(tmp_path, files))
    expected = [("dangling", *marked("action.yaml", files["action.yaml"]))]
    expected.append(("wrong-size", *marked("project.yaml", files["project.yaml"])))
    assert _places(problems) == sorted(expected, key=lambda one: one[1], reverse=True)


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    found_by_links = {
        "dangling",
        "matrix",
        "unknown-field",
        "field-type",
        "field-name",
        "undeclared",
        "type-conflict",
        "one-project",
    }
    found_by_links |= {
        "empty-document",
        "identifier-type",
        "graph-only",
        "no-attributes",
        "audience-block",
        "moved-from",
    }
    alone = [one for one in MISTAKES if one.rule not in found_by_links and one.file != "project.yaml"]
    alone = [one for one in alone if not (one.rule == "identifier-kind" and one.file == "action.yaml")]
    assert len(alone) > 100
    files = {f"wrong-{n:03}.yaml": one.text for n, one in enumerate(alone)}
    problems = load(write(tmp_path, files)).problems
    expected = {(one.rule, *marked(f"wrong-{n:03}.yaml", one.text)) for n, one in enumerate(alone)}
    assert set(_places(problems)) == expected
    assert [problem.where for problem in problems] == sorted(problem.where for problem in problems if problem.where)


def test_all_problems_of_one_document_at_once(tmp_path: Path) -> None:
    text = """
        apiVersion: batchctl/v1
        kind: Action
        name: §Ios Ids
        destination: shop-ios
        typ: send_custom_ids
        mapping: ids
        delete: yes
        id_extension: "true"
        labels: {a: 1, b: on}
    """
    _, problems = judged(write(tmp_path, {"extra.yaml": text}))
    assert _places(problems) == [
        ("missing-key", "extra.yaml", 1, 1),
        ("wrong-form", "extra.yaml", 3, 7),
        ("unknown-key", "extra.yaml", 5, 1),
        ("yaml-boolean", "extra.yaml", 7, 9),
        ("wrong-type", "extra.yaml", 8, 15),
        ("wrong-type", "extra.yaml", 9, 13),
        ("yaml-boolean", "extra.yaml", 9, 19),
    ]


def test_a_bomb_of_aliases_is_refused_without_being_expanded(tmp_path: Path) -> None:
    layers = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'x'}]" for n in range(30)]
    _, problems = judged(write(tmp_path, {"extra.yaml": segment("\n".join(layers))}))
    assert any(problem.rule == "alias" and "write the values out" in problem.fix for problem in problems)


def test_a_few_aliases_are_fine(tmp_path: Path) -> None:
    text = segment("labels: {a: &team crm, b: *team}")
    loaded, problems = judged(write(tmp_path, {"segment.yaml": text}))
    assert problems == ()
    assert loaded.specs["segment/lapsed-buyers"].labels == {"a": "crm", "b": "crm"}


def test_the_excerpt_points_at_the_place(tmp_path: Path) -> None:
    (problem,) = judged(write(tmp_path, {"segment.yaml": segment("titel: x")}))[1]
    assert problem.excerpt == "5 | titel: x\n  | ^"
    long = segment("labels: {a: " + "x" * 300 + ", b: §1}")
    (problem,) = judged(write(tmp_path, {"segment.yaml": long}))[1]
    line, caret = problem.excerpt.split("\n")
    assert len(line) < 180
    assert line[caret.index("^")] == "1"


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_loader(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("text")
    (root / "x.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert load(root).errors


_LINES = [line for text in VALID.values() for line in plain(text).splitlines()]
_PIECES = st.sampled_from(
    [
        "",
        "- ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "&a ",
        "*a",
        "!!str ",
        "<<: ",
        "---",
        "|",
        "\t",
        "${var:region}",
    ]
)


@given(data=st.data())
def test_no_edit_of_a_project_breaks_the_loader(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = data.draw(st.sampled_from(sorted(VALID)))
    lines = plain(VALID[name]).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        column = data.draw(st.integers(0, len(lines[at])))
        lines[at] = lines[at][:column] + data.draw(_PIECES | st.sampled_from(_LINES)) + lines[at][column:]
    root = write(tmp_path_factory.mktemp("edit"), {name: "\n".join(lines)})
    for problem in judged(root)[1]:
        assert problem.what
        assert problem.rule
        assert problem.where is not None
