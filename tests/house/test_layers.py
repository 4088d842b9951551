"""Imports only point down, pure rooms stay pure, and every third-party package has one home."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house.kit import ROOT, dotted, imports, modules, packages, tree

ROOMS = modules("reconciler")
PURE = (
    *("reconciler.errors", "reconciler.address", "reconciler.spec", "reconciler.link", "reconciler.observed"),
    *("reconciler.plan", "reconciler.course", "reconciler.policy", "reconciler.cost", "reconciler.render"),
    *("reconciler.state.state", "reconciler.data.staged"),
)
IMPURE = {
    *("httpx", "click", "yaml", "os", "pathlib", "time", "random", "uuid", "subprocess", "logging", "duckdb"),
    *("socket", "tempfile", "shutil", "secrets", "threading", "obstore", "io", "glob"),
}
TOLERATED = {("reconciler.data.staged", "pathlib")}
FORBIDDEN_CALLS = {"open", "print", "input", "datetime.now", "datetime.today", "datetime.utcnow", "date.today"}

HOMES = {
    "httpx": ("reconciler.batch",),
    "yaml": ("reconciler.loader",),
    "click": ("reconciler.cli",),
    "rich": ("reconciler.cli",),
    "obstore": ("reconciler.state",),
    "botocore": ("reconciler.state.clouds",),
    "cryptography": ("reconciler.state.seal",),
    "duckdb": ("reconciler.data", "reconciler.demo"),
    "nanoarrow": ("reconciler.data",),
    "numpy": ("reconciler.data",),
    "sqlglot": ("reconciler.data", "reconciler.loader"),
    "jsonschema": ("reconciler.schema", "reconciler.loader", "reconciler.render"),
    "deepdiff": ("reconciler.plan", "reconciler.render"),
    "starlette": ("reconciler.emulator",),
    "uvicorn": ("reconciler.emulator",),
    "pydantic": ("reconciler",),
    "pydantic_core": ("reconciler.spec", "reconciler.loader"),
    "orjson": ("reconciler",),
}
"""Where a third-party package may be imported; one that is not listed may be imported nowhere."""


def inside(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def layers() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["id"] == "layers")
    return [name.strip(" ()") for layer in contract["layers"] for name in layer.split(":")]


def test_imports_only_point_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_has_a_layer() -> None:
    named = [*layers(), "reconciler.emulator"]
    found = {dotted(path) for path in ROOMS} - {"reconciler", "reconciler.state"}
    assert not [module for module in sorted(found) if not any(inside(module, layer) for layer in named)]


def test_pure_rooms_touch_nothing() -> None:
    found = {(dotted(path), name) for path in pure() for name in packages(path) & IMPURE} - TOLERATED
    assert not found, "a pure room imports nothing that touches the world"


def test_pure_rooms_never_ask_the_clock_nor_open_nor_print() -> None:
    calls = [(path, node) for path in pure() for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert not [f"{dotted(path)}:{node.lineno}" for path, node in calls if called(node) in FORBIDDEN_CALLS]


def pure() -> list[Path]:
    return [path for path in ROOMS if any(inside(dotted(path), room) for room in PURE)]


def called(call: ast.Call) -> str:
    """``open``, or ``datetime.now``."""
    match call.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
    return ""


def test_third_party_packages_have_one_home() -> None:
    theirs = {(dotted(path), name) for path in ROOMS for name in packages(path)}
    theirs = {(module, name) for module, name in theirs if name not in {*sys.stdlib_module_names, "reconciler", ""}}
    assert not [
        f"{module} imports {name}, whose home is {HOMES.get(name, 'nowhere')}"
        for module, name in sorted(theirs)
        if not any(inside(module, home) for home in HOMES.get(name, ()))
    ]


def test_the_emulator_shares_nothing_with_the_client_but_the_errors() -> None:
    for path in modules("reconciler/emulator"):
        ours = {name for name in imports(path) if name.startswith("reconciler.")}
        foreign = {n for n in ours if not inside(n, "reconciler.emulator") and not inside(n, "reconciler.errors")}
        assert not foreign, f"{path.name} imports {sorted(foreign)}"


def test_nothing_but_the_command_line_uses_the_emulator_or_the_command_line() -> None:
    for path in ROOMS:
        module = dotted(path)
        for name in imports(path):
            if inside(name, "reconciler.emulator"):
                assert (
                    inside(module, "reconciler.emulator")
                    or inside(module, "reconciler.cli")
                    or inside(module, "reconciler.demo")
                )
            if inside(name, "reconciler.cli"):
                assert inside(module, "reconciler.cli") or module == "reconciler.__main__"


READS = {("os", "environ"), ("os", "getenv"), ("sys", "argv"), ("sys", "exit")}


def test_only_the_command_line_reads_the_environment_or_exits() -> None:
    rooms = [path for path in ROOMS if not inside(dotted(path), "reconciler.cli") and path.name != "__main__.py"]
    nodes = [(path, node) for path in rooms for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)]
    assert not [
        f"{dotted(path)}:{node.lineno} {node.value.id}.{node.attr}"
        for path, node in nodes
        if isinstance(node.value, ast.Name) and (node.value.id, node.attr) in READS
    ]
    assert not [dotted(path) for path in rooms if {".".join(pair) for pair in READS} & set(imports(path))]
