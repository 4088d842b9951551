"""Everything a target's rows are computed from, as one digest: while it stays the same, they need not be computed again.

Files count by size, inode and times, documents by their resolved text. What asks the clock, is dated by its own rows, or
comes from a database, whose views may ask anything, has no digest and is always computed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import orjson

from reconciler import __version__
from reconciler.data.checks import RULES
from reconciler.data.source import SourceMissing, find, reading
from reconciler.data.sqlguard import CLOCK
from reconciler.link import Link, Target
from reconciler.spec import Catalogue, Source
from reconciler.spec.common import Document

_CLOCK = re.compile(rf"\b({'|'.join(sorted(CLOCK))})\b", re.IGNORECASE)


@dataclass(slots=True)
class Inputs:
    """Digests of one run; every source is looked at once."""

    root: Path
    roots: Sequence[Path]
    _stats: dict[str, tuple[str, float] | None] = field(default_factory=dict)
    _dumped: dict[int, tuple[Document, dict[str, object]]] = field(default_factory=dict)
    """By identity; the document is kept, so that no other takes its number."""

    def digest(self, target: Target) -> str | None:
        """The digest; None when the rows have to be computed whatever it would be."""
        sources = {link.catalogue.name: self._stamp(link.catalogue) for link in target.links}
        if None in sources.values() or any(_asks_clock(link) for link in target.links):
            return None
        documents = [[self._said(one) for one in _documents(link)] for link in target.links]
        parts = [__version__, _duckdb(), RULES, str(target.key), documents, sorted(sources.items())]
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def _said(self, document: Document) -> dict[str, object]:
        """What a document says; many links share their catalogue, mapping and action."""
        found = self._dumped.get(id(document))
        if found is None:
            dumped = document.model_dump(mode="json", exclude={"description", "labels"})
            found = self._dumped[id(document)] = (document, dumped)
        return found[1]

    def newest(self, spec: Catalogue) -> float | None:
        """Modification time of the newest file of the rows; None when the catalogue declares no freshness."""
        stamp = self._files(spec.source) if spec.freshness else None
        return stamp[1] if stamp else None

    def _stamp(self, spec: Catalogue) -> list[str] | None:
        graph = [spec.identity_graph.source] if spec.identity_graph else []
        found = [self._files(source) for source in (spec.source, *graph, *([spec.suppress] if spec.suppress else []))]
        dated = spec.freshness is not None and spec.freshness.field is not None
        return None if dated or None in found else [stamp[0] for stamp in found if stamp]

    @reading()
    def _files(self, source: Source) -> tuple[str, float] | None:
        """The stamp of a source's files and the time of the newest; None when it cannot be recognised."""
        pattern = source.path
        if pattern is None:
            return None
        if pattern not in self._stats:
            try:
                files = find(pattern, root=self.root, roots=self.roots)
            except SourceMissing:
                return self._stats.setdefault(pattern, None)
            stats = [(path, path.stat()) for path in files]
            text = "|".join(f"{p}:{s.st_size}:{s.st_ino}:{s.st_mtime_ns}:{s.st_ctime_ns}" for p, s in stats)
            self._stats[pattern] = text, max(s.st_mtime for _, s in stats)
        return self._stats[pattern]


@cache
def _duckdb() -> str:
    """Version of the engine, which need not be imported for it."""
    return version("duckdb")


def _asks_clock(link: Link) -> bool:
    """By its words: a text that only looks like asking costs a computation, never a wrong answer."""
    return _CLOCK.search(link.segment.where or link.segment.query or "") is not None


def _documents(link: Link) -> tuple[Document, ...]:
    return link.catalogue, link.segment, link.mapping, link.action
