"""What a catalogue declares of its sources: which there are, and the columns each must have. Pure."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from reconciler.data.source import SourceMissing
from reconciler.spec import Catalogue, Source

ROWS, GRAPH, SUPPRESSED = ("source",), ("identity_graph", "source"), ("suppress",)


def sources_of(spec: Catalogue) -> dict[tuple[str, ...], Source]:
    """Every source of a catalogue by its path in the document."""
    found: dict[tuple[str, ...], Source] = {ROWS: spec.source}
    if spec.identity_graph is not None:
        found[GRAPH] = spec.identity_graph.source
    if spec.suppress is not None:
        found[SUPPRESSED] = spec.suppress
    return found


def columns_wanted(spec: Catalogue, at: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Columns that a source must have, each with the path that names it."""
    if at == GRAPH and spec.identity_graph is not None:
        named = {name: ("identity_graph", "fields", name) for name in spec.identity_graph.fields}
        return {spec.identity_graph.key: ("identity_graph", "key"), **named}
    if at == SUPPRESSED and spec.suppress is not None:
        return {spec.suppress.key: ("suppress", "key")}
    return {name: ("fields", name) for name in spec.fields}


def lacking(spec: Catalogue, at: tuple[str, ...], columns: Collection[str]) -> list[SourceMissing]:
    """Every column that a source must have and has not, at the place that names it."""
    what = {GRAPH: "the identity graph", SUPPRESSED: "the suppression list"}.get(at, "the source")
    have, found = list(columns)[:20], []
    for name, place in columns_wanted(spec, at).items():
        if name not in columns:
            close = get_close_matches(name, list(columns), n=1, cutoff=0.75)
            fix = f"did you mean {close[0]}?" if close else f"correct {'.'.join(place)}, or the source"
            why = f"it has {', '.join(have)}"
            error = SourceMissing(f"catalogue {spec.name}: {what} has no column {name}", why=why, fix=fix, at=place)
            found.append(error)
    return found
