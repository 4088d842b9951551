"""House rules a machine can hold: sizes, escape hatches, mocks, what no file may name, and what tests may talk to."""

from __future__ import annotations

import ast
import re
import socket
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import SocketBlocked
from tests.house.kit import ROOT, comments, dotted, files, imports, modules, tree

ROOMS = modules("reconciler")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 60

CEILINGS = {
    ("reconciler", "type: ignore"): 8,
    ("reconciler", "noqa"): 8,
    ("reconciler", "pragma: no cover"): 0,
    ("tests", "type: ignore"): 30,
    ("tests", "noqa"): 5,
    ("tests", "pragma: no cover"): 0,
}
"""Lower one whenever you can; raising one needs a reason in the commit."""


def test_a_room_past_300_lines_is_split_by_noun() -> None:
    sizes = {dotted(path): len(path.read_text().splitlines()) for path in ROOMS}
    assert not {module: lines for module, lines in sizes.items() if lines > LONGEST_MODULE}


def test_functions_are_short() -> None:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    functions = [(path, node) for path in ROOMS for node in ast.walk(tree(path)) if isinstance(node, kinds)]
    lengths = {f"{dotted(path)}.{node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions}
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION}


def test_every_module_says_its_contract() -> None:
    assert not [dotted(path) for path in ROOMS if path.read_text().strip() and not ast.get_docstring(tree(path))]


@pytest.mark.parametrize(("folder", "hatch"), CEILINGS)
def test_escape_hatches_are_counted(folder: str, hatch: str) -> None:
    found = Counter(
        {dotted(path): n for path in modules(folder) if (n := sum(hatch in comment for comment in comments(path)))}
    )
    ceiling = CEILINGS[folder, hatch]
    assert found.total() <= ceiling, f"{found.total()} × {hatch}, ceiling {ceiling}: {dict(found)}"


def test_fakes_speak_the_protocol() -> None:
    mocks = {"unittest.mock", "mock", "pytest_mock"}
    assert not [dotted(path) for path in (*ROOMS, *modules("tests")) if mocks & set(imports(path))]


def test_not_calling_apply_is_the_dry_run() -> None:
    arguments = [(path, node.arg) for path in ROOMS for node in ast.walk(tree(path)) if isinstance(node, ast.arg)]
    assert not [dotted(path) for path, name in arguments if name == "dry_run"]


def test_no_cycle_is_hidden_from_the_interpreter() -> None:
    """Types of heavy libraries may be imported for the type checker only; ours are subject to the layers either way."""
    blocks = [(path, node) for path in ROOMS for node in ast.walk(tree(path)) if isinstance(node, ast.If)]
    hidden = [(path, node) for path, node in blocks if "TYPE_CHECKING" in ast.unparse(node.test)]
    lower = {dotted(path) for path, node in hidden if "reconciler" in ast.unparse(node)}
    assert not {module for module in lower if not module.startswith("reconciler.cli")}


# No file names where packages come from or a folder of one machine. The words are put together here so that this file
# does not name them either.
HOSTS = [
    *(f"pypi{end}" for end in (".org", ".python.org")),
    *(f"{name}.org" for name in ("pythonhosted", "npmjs", "deb.debian", "proxy.golang", "conda.anaconda")),
    *(f"{name}.{end}" for name, end in (("registry.yarnpkg", "com"), ("crates", "io"), ("rubygems", "org"))),
]
PEOPLE = f"{'ho' + 'me'}|{'Use' + 'rs'}"
FOLDERS = re.compile(
    rf"(?<![\w.:~*$}}>/-])/(?:{'wor' + 'k'}|{'ro' + 'ot'}|(?:{PEOPLE})/\w[\w.-]*)/[\w.]|[A-Z]:\\{'Use' + 'rs'}"
)


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_package_registry() -> None:
    found = [f"{path.relative_to(ROOT)}: {host}" for path in files() for host in HOSTS if host in text_of(path)]
    assert not found


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if FOLDERS.search(line)
    ]
    assert not found


def test_dependencies_are_pinned_by_version_only() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
    pinned = {normal(pin.partition("==")[0]) for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    assert {normal(re.split(r"[\[<>=~! ]", one)[0]) for one in wanted} <= pinned


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_large_or_locked_is_in_git() -> None:
    assert not [path.name for path in files() if path.stat().st_size > 1 << 20]
    assert not [path.name for path in files() if path.name in ("package-lock.json", "poetry.lock", "uv.lock")]


def test_ci_runs_what_the_readme_says() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text()
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
    assert "make test" in (ROOT / "README.md").read_text()


def test_tests_talk_to_loopback_only() -> None:
    with pytest.raises(SocketBlocked):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(SocketBlocked):
        socket.getaddrinfo("batch.example", 443)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
