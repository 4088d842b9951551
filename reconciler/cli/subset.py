"""What the command line names in a project: targets, labels, variables. What names nothing is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reconciler.errors import Usage

if TYPE_CHECKING:
    from reconciler.address import TargetKey
    from reconciler.link import Resolution, Target
    from reconciler.loader import Loaded

SHOWN = 10
"""No list of what exists is longer."""


def check_variables(given: Collection[str], loaded: Loaded) -> None:
    """Usage when ``--var`` sets what nothing declares or refers to; wrong documents are told first."""
    unknown = [name for name in given if name not in loaded.variables]
    if unknown and not loaded.errors:
        fix = _near(unknown[0], loaded.variables, none="the project has no variables: leave it out")
        raise Usage(
            f"--var {unknown[0]}: no such variable", why="the project does not declare it and nothing uses it", fix=fix
        )


def chosen(
    resolution: Resolution, targets: Collection[str], labels: Mapping[str, str], *, loaded: Loaded
) -> frozenset[TargetKey] | None:
    """Keys of the targets a subset is about; None for all. Usage when an address or a label selects nothing."""
    if not targets and not labels:
        return None
    keys: set[TargetKey] = set()
    for address in targets:
        found = {target.key for target in resolution.targets if address in _addresses(target)}
        if not found:
            raise _no_target(address, resolution, loaded)
        keys |= found
    labelled = {
        target.key
        for target in resolution.targets
        if any(labels.items() <= link.spec.labels.items() for link in target.links)
    }
    if labels and not labelled:
        raise _no_label(labels, resolution)
    return frozenset(keys | labelled if labels else keys)


def link_meant(text: str, loaded: Loaded, others: Collection[str]) -> str:
    """The address of a segment link, whose kind may be left out, of the project or among `others`.

    Usage when there is none; where documents are wrong it may be in one of them.
    """
    address = text if "/" in text else f"segment-link/{text}"
    known = {*others, *(name for name in loaded.specs if name.startswith("segment-link/"))}
    if address not in known and not loaded.errors:
        names = {name.removeprefix("segment-link/") for name in known}
        fix = _near(address.removeprefix("segment-link/"), names, none="the project has no segment links")
        raise Usage(f"--link {text}: no such segment link", fix=fix)
    return address


def _no_target(address: str, resolution: Resolution, loaded: Loaded) -> Usage:
    if address in loaded.specs:
        return Usage(f"--target {address}: it feeds nothing", why="no segment link leads through it to Batch")
    known = {name for target in resolution.targets for name in _addresses(target)}
    kind = address.partition("/")[0]
    same = {name for name in known if name.startswith(f"{kind}/")}
    links = {link.address for target in resolution.targets for link in target.links}
    near = get_close_matches(address, sorted(known), n=1, cutoff=0.85)
    fix = f"did you mean {near[0]}?" if near else _near("", same or links, none="the project has no segment links")
    return Usage(f"--target {address}: no such address", fix=fix)


def _no_label(labels: Mapping[str, str], resolution: Resolution) -> Usage:
    """Labels count on segment links only, and all that are given must be on one."""
    wanted = [f"{name}={value}" for name, value in labels.items()]
    known = {
        f"{name}={value}"
        for target in resolution.targets
        for link in target.links
        for name, value in link.spec.labels.items()
    }
    missing = [one for one in wanted if one not in known]
    if not missing:
        return Usage(f"-l {' -l '.join(wanted)}: no segment link has all of these labels", fix="give fewer")
    fix = _near(missing[0], known, none="no segment link has labels")
    return Usage(f"-l {missing[0]}: no segment link has this label", fix=fix)


def _near(word: str, known: Collection[str], *, none: str) -> str:
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6) if word else []
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return none
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"use one of {', '.join(names[:SHOWN])}{more}"


def _addresses(target: Target) -> set[str]:
    """Every object a target is made of: all of them select it."""
    out = {f"destination/{target.destination.name}"}
    for link in target.links:
        out |= {link.address, f"segment/{link.segment.name}", f"action/{link.action.name}"}
        out |= {f"mapping/{link.mapping.name}", f"catalogue/{link.catalogue.name}"}
    return out
