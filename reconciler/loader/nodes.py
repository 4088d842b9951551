"""Text → YAML nodes with their marks, one per document; syntax, tags and depth are judged here, values are not.

The C parser composes recursively, so depth is judged before it runs; it resolves no scalar to a type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, cast

import yaml

from reconciler.errors import Location, Problem
from reconciler.loader.files import SourceFile

MAX_DEPTH = 32
_RISKY = tuple(re.compile(rf"{mark} +(?:[-?:] +){{7}}") for mark in ("-", r"\?", ":"))
"""Eight marks in a row, by the first of them: a pattern that begins with one character is searched for fast."""
_MANY = 200
_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        "did not find expected key",
        "this line does not fit the ones above",
        "align it with the keys above; quote texts with : or #",
    ),
    (
        "mapping values are not allowed",
        "a second `:` on the line",
        "quote the text, or put what follows on its own line",
    ),
    ("could not find expected ':'", "a key without `:`", "write key: value"),
    (
        "did not find expected '-'",
        "this line does not fit the list above",
        "start it with `- `, aligned with the others",
    ),
    (
        "did not find expected ',' or ']'",
        "a list in brackets that is not closed",
        "add the missing , or ]; inside brackets write texts with { or ${…} in quotes",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping in braces that is not closed",
        "add the missing , or }; inside braces write texts with { or ${…} in quotes",
    ),
    ("found unexpected end of stream", "a quoted text that is not closed", "add the missing quote"),
    ("found undefined alias", "an alias without its anchor", "quote a text that starts with *"),
    ("found character that cannot start", "a character that cannot start a value", "quote the text"),
    (
        "found unknown escape",
        "an unknown escape in a text in double quotes",
        "write \\\\ for a backslash, or use single quotes",
    ),
    ("found unexpected document indicator", "a quoted text that is not closed", "add the missing quote"),
    ("control characters", "a control character", "remove it"),
    ("did not find expected <document start>", "something after the end of a document", "separate documents with ---"),
    ("found undefined tag", "an unknown tag", "remove the tag; types follow from the field"),
    ("block sequence entries", "a list item where none can be", "put `- ` on its own line below the key"),
    ("block mapping", "this line does not fit the ones above", "align it with the keys above"),
)


_OPENED = (
    *("found unexpected end of stream", "could not find expected ':'"),
    *("did not find expected ',' or ']'", "did not find expected ',' or '}'", "found unexpected document indicator"),
)
"""What is better shown where it starts than where its end was expected."""


class Mark(Protocol):
    """Where a node starts; counts from 0."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    file: SourceFile
    root: yaml.Node


class _Parser(yaml.CSafeLoader):
    """Composes without resolving types: every tag that is not empty was written by somebody."""

    def resolve(self, *_: object) -> str:
        return ""

    def descend_resolver(self, *_: object) -> None:
        return

    def ascend_resolver(self) -> None:
        return


def compose(file: SourceFile) -> tuple[list[Document], list[Problem]]:
    """All documents up to the first syntax error, and that error."""
    found: list[Document] = []
    try:
        deep = _too_deep(file.text)
        if deep is not None:
            what, fix = f"nested deeper than {MAX_DEPTH} levels", "flatten it; no field of a spec is that deep"
            return [], [_problem(file, deep, "depth", what, fix)]
        parser = _Parser(file.text)
        while parser.check_node():
            found.append(Document(file, cast(yaml.Node, parser.get_node())))
    except yaml.YAMLError as error:
        return found, [_syntax(file, error)]
    return found, []


def _too_deep(text: str) -> Mark | None:
    """Where nesting passes the limit. Only texts that could be deep are looked at, without recursion."""
    marks = sum(text.count(mark) for mark in "[{&!")
    if marks < _MANY and not any(risky.search(text) for risky in _RISKY):
        return None
    parser, depth = _Parser(text), 0
    while parser.check_event():
        event = parser.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return cast(Mark, event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _syntax(file: SourceFile, error: yaml.YAMLError) -> Problem:
    """The parser's words carry text of the file, keys perhaps; only their meaning is kept."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    start = getattr(error, "context_mark", None)
    said = " ".join(str(getattr(error, part, "") or "") for part in ("problem", "context", "reason"))
    for part, what, fix in _WORDS:
        if part in said:
            opened = part in _OPENED and start is not None and mark is not None and start.line < mark.line
            mark = start if opened else mark
            return _problem(file, mark, "syntax", f"YAML syntax: {what}", fix)
    return _problem(
        file, mark, "syntax", "YAML syntax: this cannot be read", "check quotes, brackets and indentation here"
    )


def _problem(file: SourceFile, mark: Mark | None, rule: str, what: str, fix: str) -> Problem:
    lines = file.text.count("\n") + 1
    place = Location(file.path, min(mark.line + 1, lines), mark.column + 1) if mark else Location(file.path, 1, 1)
    return Problem(where=place, what=what, fix=fix, rule=rule)
