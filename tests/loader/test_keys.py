"""Keys are references: a literal one is refused and never shown, and a reference leads nowhere it should not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.errors import ConfigurationError
from reconciler.loader import load, resolve_key, resolve_keys
from reconciler.render.problems import problems_json, problems_text
from reconciler.spec import Destination, KeyRef
from tests.loader.kit import judged, write
from tests.loader.mistakes import destination

SECRET = "Zk93LmQpXv72TaRw"
_KEYS = "live_api_key: {}\nrest_api_key: ${{env:B}}\n"


@pytest.mark.parametrize(
    "keys",
    [
        _KEYS.format(SECRET),
        _KEYS.format(f"'{SECRET}'"),
        _KEYS.format(f"{SECRET}${{env:A}}"),
        _KEYS.format(f"${{env:{SECRET}-x}}"),
        _KEYS.format(f"[{SECRET}]"),
        _KEYS.format(f"{{{SECRET}: {SECRET}}}"),
        _KEYS.format(f">-\n  {SECRET}\n  {SECRET}"),
        _KEYS.format(f"&{SECRET} x"),
        _KEYS.format(f"!{SECRET} x"),
        _KEYS.format(f"*{SECRET}"),
        _KEYS.format(f"'{SECRET}"),
        _KEYS.format(f"@{SECRET}"),
        _KEYS.format(f"a: {SECRET}"),
        _KEYS.format(f"{SECRET}\n{SECRET}"),
        _KEYS.format("${env:A}") + f"rest_api_key: {SECRET}\n",
        _KEYS.format("${env:A}") + f"{SECRET}: x\n",
        _KEYS.format("${env:A}") + f"rest_key: {SECRET}\n",
        _KEYS.format("${env:A}") + f"labels: {{{SECRET}: 1}}\n",
        _KEYS.format("${env:A}") + f"description: [{SECRET}]\n",
        _KEYS.format("${env:A}") + f"api_version: {SECRET}\n",
        _KEYS.format("${env:A}") + f"platform: {SECRET}\n",
        _KEYS.format("${env:A}") + f"attributes: {{tier: {SECRET}}}\n",
        _KEYS.format("${env:A}") + f"retry: {{deadline: {SECRET}}}\n",
        _KEYS.format("${env:A}") + f"api_url: https://user:{SECRET}@api.batch.com/\n",
        _KEYS.format("${env:A}") + f"api_url: https://api.batch.com/?{SECRET}\n",
        f"live_api_key: ${{env:A}}\n  {SECRET}\nrest_api_key: ${{env:B}}\n",
    ],
)
@pytest.mark.parametrize("kind", ["Destination", "Destinaton", "destination", ""])
def test_a_literal_key_is_refused_and_not_shown(keys: str, kind: str, tmp_path: Path) -> None:
    text = destination("", keys).replace("kind: Destination", f"kind: {kind}")
    _, problems = judged(write(tmp_path, {"destination.yaml": text}))
    assert any(problem.severity == "error" for problem in problems)
    assert SECRET not in problems_text(problems)
    assert SECRET not in json.dumps(json.loads(problems_json(problems)), ensure_ascii=False)


@pytest.mark.parametrize(
    "literal", [SECRET, "12345678", "0x12345678", "012345678", "1_000", "yes", "2026-01-01", "1:30", "!x y"]
)
def test_a_literal_key_is_called_that_whatever_yaml_makes_of_it(literal: str, tmp_path: Path) -> None:
    _, problems = judged(write(tmp_path, {"destination.yaml": destination("", _KEYS.format(literal))}))
    (problem,) = problems
    assert (problem.rule, problem.where and problem.where.line) == ("literal-key", 5)
    assert "write ${env:NAME}" in problem.fix
    assert problem.excerpt == "5 | live_api_key: …\n  |              ^"


def test_a_key_without_a_value(tmp_path: Path) -> None:
    (problem,) = judged(write(tmp_path, {"destination.yaml": destination("", _KEYS.format(""))}))[1]
    assert (problem.rule, problem.fix) == ("no-value", "write ${env:NAME} or ${file:PATH}")


def test_excerpts_of_destinations_show_names_of_fields_only(tmp_path: Path) -> None:
    text = destination("description: something personal\ncolour: blue\nretry: {attempts: many}")
    _, problems = judged(write(tmp_path, {"destination.yaml": text}))
    shown = "".join(problem.excerpt for problem in problems)
    assert "colour: …" in shown
    assert "retry: …" in shown
    assert not [word for word in ("blue", "many", "personal") if word in problems_text(problems)]


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (None, True),
        ("", True),
        ("SHOP_*,BATCH_*,CRM_*", True),
        ("(SHOP|BATCH|CRM)_[A-Z_]+", True),
        ("SHOP_*", False),
        ("[", False),
    ],
)
def test_names_of_the_environment_are_held_to_the_list(pattern: str | None, allowed: bool, tmp_path: Path) -> None:
    problems = load(write(tmp_path, {}), env_allow=pattern).problems
    assert {problem.rule for problem in problems} == (set() if allowed else {"key-reference"})
    if not allowed:
        assert "BATCHCTL_ENV_ALLOW" in problems[0].why
        assert "use a name that it allows" in problems[0].fix


@pytest.mark.parametrize(
    ("url", "listed", "accepted"),
    [
        ("https://api.batch.com", (), True),
        ("https://api.batch.com:443/", (), True),
        ("http://127.0.0.1:8080", (), True),
        ("http://127.8.9.10:1", (), True),
        ("http://localhost:80", (), True),
        ("'http://[::1]:80'", (), True),
        ("https://proxy.example.com", ("proxy.example.com",), True),
        ("https://proxy.example.com:8443", ("proxy.example.com:8443",), True),
        ("https://proxy.example.com:8443", ("proxy.example.com",), False),
        ("http://proxy.example.com", ("proxy.example.com",), False),
        ("https://proxy.example.com.evil.org", ("proxy.example.com",), False),
        ("https://api.batch.com.evil.org", (), False),
        ("https://api.batch.com:444", (), False),
        ("https://api.batch.com@evil.org", (), False),
        ("http://localhost.evil.org", (), False),
        ("http://127.0.0.1.evil.org", (), False),
        ("http://2130706433", (), False),
        ("ftp://localhost", (), False),
        ("'https://api.batch.com\\.evil.org'", (), False),
    ],
)
def test_hosts(url: str, listed: tuple[str, ...], accepted: bool, tmp_path: Path) -> None:
    problems = load(
        write(tmp_path, {"destination.yaml": destination(f"api_url: {url}")}), allowed_hosts=listed
    ).problems
    assert [problem.rule for problem in problems] == ([] if accepted else ["api-url"])


def test_files_with_keys_lie_below_the_project(tmp_path: Path) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside.key"
    outside.write_text("outsidekey")
    write(root, {"keys/live.key": " abc123\n"})
    (root / "keys" / "link.key").symlink_to(outside)
    for path, accepted in (("keys/live.key", True), ("./keys/../keys/live.key", True), ("/run/secrets/x", True)):
        text = destination("", _KEYS.format(f"${{file:{path}}}"))
        assert (not judged(write(root, {"destination.yaml": text}))[1]) is accepted, path
    for path in ("../outside.key", str(outside), "keys/link.key"):
        text = destination("", _KEYS.format(f"${{file:{path}}}"))
        (problem,) = judged(write(root, {"destination.yaml": text}))[1]
        assert problem.rule == "key-reference", path
        with pytest.raises(ConfigurationError):
            resolve_key(KeyRef("file", path), environ={}, root=root, env_allow=None)
    assert (
        resolve_key(KeyRef("file", "keys/live.key"), environ={}, root=root, env_allow=None).get_secret_value()
        == "abc123"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is not set"),
        ("with blank", "does not hold a key"),
        ("line\nbreak", "does not hold a key"),
        ("clé", "does not hold a key"),
    ],
)
def test_what_is_no_key_is_said_without_showing_it(value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_key(KeyRef("env", "KEY"), environ={"KEY": value} if value else {}, root=Path(), env_allow=None)
    assert said in str(caught.value)
    assert "KEY" in str(caught.value)
    assert not value or value not in str(caught.value)


def test_the_list_of_names_holds_when_keys_are_fetched() -> None:
    with pytest.raises(ConfigurationError, match="BATCHCTL_ENV_ALLOW"):
        resolve_key(KeyRef("env", "AWS_SECRET"), environ={"AWS_SECRET": "x"}, root=Path(), env_allow="SHOP_*")


def test_keys_by_role(tmp_path: Path) -> None:
    specs = load(write(tmp_path, {})).specs
    environ = {"SHOP_IOS_KEY": "a", "BATCH_REST_KEY": "b", "CRM_KEY": "c"}
    found = {}
    for name in ("shop-ios", "crm"):
        spec = specs[f"destination/{name}"]
        assert isinstance(spec, Destination)
        keys = resolve_keys(spec, environ=environ, root=tmp_path, env_allow=None)
        found[name] = {role: key.get_secret_value() for role, key in keys.items()}
    assert found == {"shop-ios": {"rest": "b", "live": "a"}, "crm": {"rest": "b", "project": "c"}}
