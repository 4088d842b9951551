"""What resolving the references gives: links (segment × action × mapping × destination) and targets. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.address import IdType, TargetKey
from reconciler.errors import Problem
from reconciler.spec import Action, Catalogue, Destination, Mapping, Segment, SegmentLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One activation with every reference followed."""

    address: str
    """``segment-link/<name>``."""
    spec: SegmentLink
    segment: Segment
    action: Action
    mapping: Mapping
    destination: Destination
    catalogue: Catalogue
    id_type: IdType
    id_fields: tuple[str, ...]
    """Catalogue or identity-graph fields whose non-null values are the person's identifiers."""
    attributes: tuple[LinkAttribute, ...]
    """Sorted by name; empty where the action carries none. MEP 1.1 tags are the attribute named ``$tags``."""
    target: TargetKey


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAttribute:
    """One destination attribute: where its value comes from and its logical type at the destination."""

    name: str
    field: str
    type: str
    """Logical type sent: string integer float boolean date timestamp url list<string>."""
    transforms: tuple[tuple[str, tuple[object, ...]], ...] = ()
    """(name, arguments), e.g. ``("substring", (1, 3))``, ``("map", ({"a": "b"},))``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What receives rows, with all links that feed it: exactly one for an audience, one or more for profiles."""

    key: TargetKey
    destination: Destination
    links: tuple[Link, ...]
    id_type: IdType
    attributes: tuple[LinkAttribute, ...]
    """Union of the links' attributes, sorted by name."""
    after: tuple[TargetKey, ...] = ()
    """Targets that must be APPLIED before this one starts (`activation: serial`)."""
    display_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Everything the specs ask for. With an error among the problems, links and targets may be incomplete."""

    links: tuple[Link, ...]
    """By address."""
    targets: tuple[Target, ...]
    """By key."""
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that make the specs invalid."""
        return tuple(problem for problem in self.problems if problem.severity == "error")
