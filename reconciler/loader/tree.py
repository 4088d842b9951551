"""A composed document: its plain values, and the place of every key and value by path, found when asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import cast

import yaml

from reconciler.errors import Word
from reconciler.loader.nodes import MAX_DEPTH, Document, Mark
from reconciler.loader.scalars import Surprise, plain

Value = str | int | float | bool | date | None | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]
KEY = "[key]"
"""Last element of a path that means the key itself, not its value."""
MAX_REPEATED = 100
"""Nodes that the aliases of one document may repeat."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a node, before any field is known; ends in KEY when it is the key."""

    path: Path
    mark: Mark
    rule: str
    what: str
    fix: str = ""


@dataclass(slots=True)
class Reader:
    """Turns one document into plain values; a flawed value becomes None and is listed, all others are kept."""

    flaws: list[Flaw] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _repeated: int = 0

    def read(self, node: yaml.Node, path: Path = ()) -> Value:
        """The node's value. Raises nothing."""
        if node.tag:
            return self._flaw(
                path, node, "tag", "YAML tags are refused", "remove the tag; the field says which type it is"
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path) if not node.style else str(node.value)
        if len(path) > MAX_DEPTH:
            what, fix = f"nested deeper than {MAX_DEPTH} levels", "flatten it; no field of a spec is that deep"
            return self._flaw(path, node, "depth", what, fix)
        if self._bomb(node):
            what = "anchors and aliases repeat too much"
            return self._flaw(path, node, "alias", what, "write the values out; an alias may repeat a few values only")
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._mapping(cast(yaml.MappingNode, node), path)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Value:
        found = plain(node.value)
        if found is None:
            fix = "write a value, or remove the key" if path and isinstance(path[-1], str) else "write a value"
            return self._flaw(path, node, "no-value", "no value", fix)
        if isinstance(found, Surprise):
            return self._flaw(path, node, found.rule, found.what, found.fix)
        return found

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag:
                self._flaw((*path, KEY), key, "key", "a key must be a word", "write key: value")
            elif key.value == "<<" and not key.style:
                self._flaw((*path, KEY), key, "merge-key", "merge keys are refused", "write the keys out")
            elif key.value in found:
                what = f"the key {_short(key.value)} is written twice"
                self._flaw((*path, KEY), key, "duplicate-key", what, "keep one of them")
            elif type(value) is yaml.ScalarNode and value.style and not value.tag:
                found[key.value] = str(value.value)
            else:
                found[key.value] = self._value(value, path, key.value)
        return found

    def _value(self, node: yaml.Node, path: Path, key: str) -> Value:
        """The value of a key; most are plain words, which need no path."""
        if type(node) is yaml.ScalarNode and not node.tag and not node.style:
            word = plain(node.value)
            if word is not None and not isinstance(word, Surprise):
                return word
        return self.read(node, (*path, key))

    def _bomb(self, node: yaml.Node) -> bool:
        """Whether collections repeated by aliases pass the limit."""
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        return self._repeated > MAX_REPEATED

    def _flaw(self, path: Path, node: yaml.Node, rule: str, what: str, fix: str) -> Value:
        self.flaws.append(Flaw(path, cast(Mark, node.start_mark), rule, what, fix))
        return None


@dataclass(frozen=True, slots=True)
class Spot:
    """Place of a path in a document: its mark, the nearest key at or above it, and the node."""

    mark: Mark
    key: yaml.ScalarNode | None
    node: yaml.Node


def spot(document: Document, path: Path) -> Spot:
    """The place of a path, or of its longest part that exists.

    A scalar is at its own place, a collection at its key; KEY at the end asks for the key.
    """
    node: yaml.Node = document.root
    key: yaml.ScalarNode | None = None
    for step in path:
        if isinstance(step, Word):
            return Spot(_inside(document.file.text, node, step) or cast(Mark, node.start_mark), key, node)
        if step == KEY:
            return Spot(cast(Mark, (key or node).start_mark), key, node)
        below = _below(node, step)
        if below is None:
            break
        key, node = below[0] or key, below[1]
    plain_place = isinstance(node, yaml.ScalarNode) or key is None or isinstance(path[-1] if path else "", int)
    chosen = node if plain_place else key
    return Spot(cast(Mark, (chosen or node).start_mark), key, node)


@dataclass(slots=True)
class _Place:
    line: int
    column: int


def _inside(text: str, node: yaml.Node, word: str) -> Mark | None:
    """Where a word stands in the text of a node as it is written, whatever its quotes and folding."""
    start, end = cast(int, node.start_mark.index), cast(int, node.end_mark.index)
    found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE).search(text, start, end) if word else None
    if found is None:
        return None
    at = found.start()
    return _Place(text.count("\n", 0, at), at - text.rfind("\n", 0, at) - 1)


def _below(node: yaml.Node, step: str | int) -> tuple[yaml.ScalarNode | None, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
