"""Links that fed a target once: of an orphan, the documents that may still speak for it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from reconciler.link.values import Link, Target


def former_links(targets: Iterable[Target], addresses: Collection[str]) -> tuple[Link, ...]:
    """Links of the project that have one of these addresses, or had it before they were renamed; by address."""
    found = {
        link.address: link
        for target in targets
        for link in target.links
        if link.address in addresses or link.spec.moved_from in addresses
    }
    return tuple(found[address] for address in sorted(found))
