"""The vocabulary: one model per kind of document. Pure values; reading YAML is the loader's work."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from pydantic import Field

from reconciler.spec.action import Action
from reconciler.spec.catalogue import Catalogue, Freshness, IdentityGraph, Source, Suppress
from reconciler.spec.common import Document
from reconciler.spec.destination import Destination, KeyRef
from reconciler.spec.mapping import Mapping
from reconciler.spec.project import Project
from reconciler.spec.segment import Segment
from reconciler.spec.segment_link import SegmentLink

Spec = Annotated[
    Project | Catalogue | Segment | Destination | Mapping | Action | SegmentLink, Field(discriminator="kind")
]
Address = str
"""``kind/name`` in lower-kebab, e.g. ``segment-link/lapsed-ios``."""
MODELS: dict[str, type[Document]] = {
    "Project": Project,
    "Catalogue": Catalogue,
    "Segment": Segment,
    "Destination": Destination,
    "Mapping": Mapping,
    "Action": Action,
    "SegmentLink": SegmentLink,
}
"""Kinds as documents write them, in the order in which they build on each other."""


@cache
@cache
def kebab(kind: str) -> str:
    """``SegmentLink`` → ``segment-link``."""
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in kind).lstrip("-")


def address_of(spec: Project | Catalogue | Segment | Destination | Mapping | Action | SegmentLink) -> Address:
    """``segment-link/lapsed-ios``."""
    return f"{kebab(spec.kind)}/{spec.name}"


__all__ = [
    "MODELS",
    "Action",
    "Address",
    "Catalogue",
    "Destination",
    "Document",
    "Freshness",
    "IdentityGraph",
    "KeyRef",
    "Mapping",
    "Project",
    "Segment",
    "SegmentLink",
    "Source",
    "Spec",
    "Suppress",
    "address_of",
    "kebab",
]
