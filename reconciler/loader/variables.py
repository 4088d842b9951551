"""``${var:NAME}`` in values: replaced once, never in SQL, never nested. References to keys are for key fields only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from reconciler.loader.tree import KEY, Path, Value

_REFERENCE = re.compile(r"\$\{([A-Za-z]*)(:?)([^{}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
KEY_FIELDS = ("live_api_key", "project_key", "rest_api_key")
_FIXED = ("apiVersion", "kind")

Report = Callable[[Path, str, str, str], None]
"""(path, rule, what, fix) of one mistake."""


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Variables and where to say what is wrong."""

    variables: Mapping[str, str]
    report: Report
    kind: str
    asked: set[str] = field(default_factory=set)
    """Gathers the names that texts refer to."""

    def apply(self, value: Value, path: Path = ()) -> Value:
        """The value with its variables replaced; a mistake is reported and leaves None."""
        if isinstance(value, dict):
            for key in value:
                if "${" in key:
                    self.report((*path, key, KEY), "interpolation", "keys are not interpolated", "write the key out")
            return {key: self.apply(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item, (*path, index)) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: Path) -> Value:
        if self.kind == "Destination" and len(path) == 1 and _is_key_field(str(path[0])):
            return text
        if self.kind == "Project" and in_encryption(path):
            return text
        if is_sql(self.kind, path):
            if re.search(r"\$\{(var|env|file):", text):
                fix = "write the value itself; compare with a column, or with a query"
                self.report(path, "interpolation", "SQL is never interpolated", fix)
            return text
        if path and path[0] in _FIXED:
            self.report(path, "interpolation", f"{path[0]} cannot be a variable", "write it out")
            return None
        found: list[str] = []
        at = 0
        for match in _REFERENCE.finditer(text):
            replaced = self._one(match, path)
            if replaced is None:
                return None
            found += [text[at : match.start()], replaced]
            at = match.end()
        return "".join([*found, text[at:]])

    def _one(self, match: re.Match[str], path: Path) -> str | None:
        kind, colon, name, end = match.groups()
        self.asked.add(name)
        if kind in ("env", "file") and colon:
            what = f"${{{kind}:…}} is only for keys: of a Destination, and of state encryption"
            self.report(
                path, "reference-place", what, "use ${var:NAME}, and give it with --var or in the project's vars"
            )
        elif kind != "var" or not colon or not end or not _NAME.fullmatch(name):
            what = "a reference in ${…} that cannot be read"
            self.report(path, "interpolation", what, "write ${var:NAME}; references are not nested")
        elif name not in self.variables:
            near = get_close_matches(name, list(self.variables), n=1)
            fix = (
                f"did you mean ${{var:{near[0]}}}?"
                if near
                else f"add {name} to vars of the project, or give --var {name}=…"
            )
            self.report(path, "unknown-variable", f"there is no variable {name}", fix)
        else:
            return self.variables[name]
        return None


def _is_key_field(name: str) -> bool:
    """A field of keys, however it is spelled: its model says how."""
    return name.lower().replace("-", "_") in KEY_FIELDS


def in_encryption(path: Path) -> bool:
    """Whether a path of a Project leads into the encryption of its state: references to keys, never keys."""
    inner = path[2:] if path[:1] == ("environments",) else path
    return inner[:2] == ("state", "encryption")


def is_sql(kind: str, path: Path) -> bool:
    """Whether the text at path is SQL: a segment's where and query, the query of a source."""
    if kind == "Segment":
        return path in (("where",), ("query",))
    sources = (("source", "query"), ("suppress", "query"), ("identity_graph", "source", "query"))
    return kind == "Catalogue" and path in sources
