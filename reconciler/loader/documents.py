"""Files → documents as plain values, with every flaw of their YAML; what they are about is read off, not judged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from reconciler.errors import Location, Problem
from reconciler.loader import nodes
from reconciler.loader.excerpt import excerpt, may_hold_keys
from reconciler.loader.files import SourceFile
from reconciler.loader.nodes import Mark
from reconciler.loader.tree import KEY, Flaw, Path, Reader, Value, spot
from reconciler.loader.variables import in_encryption
from reconciler.spec import MODELS, kebab

_KIND = re.compile(r"^kind:\s*[\"']?([A-Za-z]+)", re.MULTILINE)
_NAME = re.compile(r"^name:\s*[\"']?([a-z0-9-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Raw:
    """One document: its values, flaws included, and where it is."""

    file: SourceFile
    index: int
    values: dict[str, Value]
    flaws: tuple[Flaw, ...]
    kind: str

    @property
    def silent(self) -> bool:
        """Whether nothing of its values may be shown: a destination, or something that may be one."""
        return self.kind == "Destination" or self.kind not in MODELS

    def place(self, path: Path) -> Location:
        """Line and column of a path; the file is composed again, nodes of a whole project are not kept."""
        found = spot(_composed(self.file)[self.index], path)
        return Location(self.file.path, found.mark.line + 1, found.mark.column + 1)

    def problem(self, path: Path, rule: str, what: str, fix: str = "", why: str = "") -> Problem:
        """A problem at a path of this document, with its excerpt."""
        return self.at(self.place(path), rule, what, fix, why, hidden=in_encryption(path))

    def at(
        self, place: Location, rule: str, what: str, fix: str = "", why: str = "", *, hidden: bool = False
    ) -> Problem:
        """A problem at a place of this document; of what may be a key, `hidden`, the excerpt shows none."""
        shown = excerpt(self.file.text, place, keys_only=self.silent or hidden)
        return Problem(where=place, what=what, why=why, fix=fix, excerpt=shown, rule=rule)

    def flaw_problems(self) -> list[Problem]:
        """The flaws of its YAML in words."""
        return [self._flawed(flaw) for flaw in self.flaws]

    def _flawed(self, flaw: Flaw) -> Problem:
        what, fix = flaw.what, flaw.fix
        if (self.silent or in_encryption(flaw.path)) and flaw.rule.startswith(("yaml-", "date", "reserved")):
            what, fix = "an unquoted word that readers of YAML read differently", "write the value in quotes"
        named = next((step for step in reversed(flaw.path) if isinstance(step, str) and step != KEY), "")
        if named and flaw.rule == "no-value":
            what = f"{named} has no value"
            fix = f"write one of {', '.join(MODELS)}" if flaw.path == ("kind",) else fix
        return self.at(_location(self.file, flaw.mark), flaw.rule, what, fix, hidden=in_encryption(flaw.path))


@dataclass(slots=True)
class Pages:
    """All documents of one file, problems of its syntax, and addresses that it may hold but could not be read.

    The empty address stands for objects nobody can name.
    """

    documents: list[Raw] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)


def read_documents(file: SourceFile) -> Pages:
    """Documents up to the first syntax error, and everything wrong with them as YAML."""
    pages = Pages()
    composed, syntax = nodes.compose(file)
    for problem in syntax:
        place = problem.where or Location(file.path)
        pages.problems.append(_plain(file, place, problem.rule, problem.what, problem.fix))
        pages.unread |= {"", *addresses_in(file.text)}
    if not composed and not syntax and not file.text.strip():
        pages.problems.append(_plain(file, Location(file.path), "empty-document", "the file is empty", "remove it"))
        pages.unread.add("")
    for index, document in enumerate(composed):
        reader = Reader()
        mark = cast(Mark, document.root.start_mark)
        if _is_empty(document):
            if not _has_comment(file.text, mark.line):
                what, fix = "an empty document", "remove one of the --- lines"
                pages.problems.append(_plain(file, _location(file, mark), "empty-document", what, fix))
            continue
        values = reader.read(document.root)
        if isinstance(values, dict):
            pages.documents.append(Raw(file, index, values, tuple(reader.flaws), _kind(values)))
        else:
            what = f"a document must be a mapping of key: value{', this is a list' if isinstance(values, list) else ''}"
            fix = "write apiVersion, kind and name; separate objects with ---"
            pages.problems.append(_plain(file, _location(file, mark), "document-form", what, fix))
            pages.unread.add("")
    return pages


def addresses_in(text: str) -> set[str]:
    """Addresses of the objects a broken file seems to hold, so that references to them are not called dangling."""
    found = set()
    for part in re.split(r"^---", text, flags=re.MULTILINE):
        kind, name = _KIND.search(part), _NAME.search(part)
        if kind and name and kind[1] in MODELS:
            found.add(f"{kebab(kind[1])}/{name[1]}")
    return found


@cache
def _composed(file: SourceFile) -> list[nodes.Document]:
    return nodes.compose(file)[0]


def forget_nodes() -> None:
    """Frees the nodes kept for places."""
    _composed.cache_clear()


def _kind(values: dict[str, Value]) -> str:
    kind = values.get("kind")
    return kind if isinstance(kind, str) else ""


def _is_empty(document: nodes.Document) -> bool:
    return document.root.value == "" and not getattr(document.root, "style", None)


def _has_comment(text: str, line: int) -> bool:
    """Whether the lines from the document's --- to `line` hold a comment."""
    lines = text.split("\n")[: line + 1]
    if lines and lines[-1].startswith("---") and len(lines) > 1:
        lines.pop()
    for before in reversed(lines):
        if "#" in before:
            return True
        if before.startswith("---"):
            return False
    return False


def _location(file: SourceFile, mark: Mark) -> Location:
    return Location(file.path, mark.line + 1, mark.column + 1)


def _plain(file: SourceFile, place: Location, rule: str, what: str, fix: str) -> Problem:
    shown = excerpt(file.text, place, keys_only=may_hold_keys(file.text))
    return Problem(where=place, what=what, fix=fix, excerpt=shown, rule=rule)
