"""Rules that only all links together show: names in an account, attributes, one destination at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise

from reconciler.address import Space, TargetKey
from reconciler.link.matrix import PROFILE_ATTRIBUTES
from reconciler.link.report import Report
from reconciler.link.values import Link
from reconciler.spec import SegmentLink, address_of


def check_names(links: Sequence[Link], report: Report) -> None:
    """One name, one link in an account; MEP 1.0 and 1.1 share their names. Case alone is worth a warning."""
    first: dict[tuple[str, bool, str], Link] = {}
    folded: dict[tuple[str, bool, str], Link] = {}
    for link in links:
        if link.target.is_profiles:
            continue
        account, cep, name = link.target.account, link.target.space is Space.CEP, link.target.audience
        at = (link.address, "audience", "name")
        other = first.setdefault((account, cep, name), link)
        alike = folded.setdefault((account, cep, name.lower()), link)
        if other is not link:
            what = f"{other.address} and {link.address} both fill the audience {name}"
            report.error("audience-name", at, what, "write another audience: {name: …} on one of them")
        elif alike is not link:
            what = f"the audiences {alike.target.audience} and {name} differ only by case"
            report.warn("audience-case", at, what, "give one of them another name", "for Batch these are two audiences")


def check_attributes(links: Sequence[Link], report: Report) -> None:
    """Of one destination: an attribute has one mapping and one on_exit, and there are at most 50."""
    by_target: dict[TargetKey, list[Link]] = defaultdict(list)
    for link in links:
        if link.target.is_profiles:
            by_target[link.target].append(link)
    for fed in by_target.values():
        writers: dict[str, Link] = {}
        for link in fed:
            for attribute in link.attributes:
                _check_writers(attribute.name, writers.setdefault(attribute.name, link), link, report)
        if len(writers) > PROFILE_ATTRIBUTES:
            at = (address_of(fed[0].destination), "attributes")
            what = f"{len(writers)} attributes are sent to the profiles, at most {PROFILE_ATTRIBUTES} are taken"
            report.error("too-many-attributes", at, what, "map fewer attributes")


def _check_writers(name: str, first: Link, link: Link, report: Report) -> None:
    if first.mapping.name != link.mapping.name:
        one, two = address_of(first.mapping), address_of(link.mapping)
        what = f"{one} and {two} both write {name} to {address_of(link.destination)}"
        fix = f"keep {name} in one of them, or use the same mapping in both actions"
        report.error("attribute-writers", (two, "attributes", name), what, fix)
    elif first.action.on_exit != link.action.on_exit:
        one, two = address_of(first.action), address_of(link.action)
        what = f"{one} and {two} disagree about on_exit of {name} in {address_of(link.destination)}"
        report.error("attribute-exit", (two, "on_exit"), what, "write the same on_exit in both")


def check_destinations(links: Sequence[Link], report: Report) -> None:
    """A segment goes to one destination unless it is activated serially."""
    by_segment: dict[str, list[Link]] = defaultdict(list)
    for link in links:
        if link.segment.activation == "single":
            by_segment[link.segment.name].append(link)
    for fed in by_segment.values():
        other = next((link for link in fed if link.destination.name != fed[0].destination.name), None)
        if other is not None:
            segment = address_of(fed[0].segment)
            names = sorted({link.destination.name for link in fed})
            what = f"{segment} is linked to several destinations: {', '.join(names)}"
            why = f"links: {', '.join(link.address for link in fed)}"
            fix = f"write activation: serial in {segment}, or remove links"
            report.error("one-destination", (other.address, "segment"), what, fix, why)


def check_moves(links: Sequence[SegmentLink], known: Collection[str], report: Report) -> None:
    """A former address is gone, and one link only claims it."""
    claimed: dict[str, str] = {}
    for link in links:
        if link.moved_from is None:
            continue
        at, address = (address_of(link), "moved_from"), address_of(link)
        if link.moved_from == address:
            fix = "remove moved_from, or write the former name"
            report.error("moved-from", at, "moved_from names the link itself", fix)
        elif link.moved_from in known:
            report.error(
                "moved-from", at, f"{link.moved_from} still exists", "remove moved_from, or the other document"
            )
        elif link.moved_from in claimed:
            what = f"{claimed[link.moved_from]} and {address} both say they were {link.moved_from}"
            report.error("moved-from", at, what, "keep moved_from in one of them")
        claimed.setdefault(link.moved_from, address)


def serial_order(links: Sequence[Link]) -> dict[TargetKey, tuple[TargetKey, ...]]:
    """Which targets come before which: those of a serial segment one after another, all by the order of keys."""
    chains: dict[str, set[TargetKey]] = defaultdict(set)
    for link in links:
        if link.segment.activation == "serial":
            chains[link.segment.name].add(link.target)
    before: dict[TargetKey, set[TargetKey]] = defaultdict(set)
    for chain in chains.values():
        ordered = sorted(chain)
        for earlier, later in pairwise(ordered):
            before[later].add(earlier)
    return {key: tuple(sorted(earlier)) for key, earlier in before.items()}
