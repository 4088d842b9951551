"""References resolved, in one pass over actions and one over links; every mistake reported, none raised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from reconciler.address import TargetKey
from reconciler.link import across
from reconciler.link.actions import Wired, wire
from reconciler.link.catalogues import check_catalogue
from reconciler.link.follow import Follower
from reconciler.link.names import audience_name, is_valid
from reconciler.link.report import Excerpt, Report, Where
from reconciler.link.values import Link, LinkAttribute, Resolution, Target
from reconciler.spec import Action, Catalogue, Destination, Segment, SegmentLink, Spec, address_of


def resolve(
    specs: Mapping[str, Spec],
    *,
    prefix: str = "",
    accounts: Mapping[str, str],
    where: Where = lambda *_: None,
    excerpt: Excerpt = lambda *_: "",
    today: date | None = None,
    unread: Collection[str] = (),
) -> Resolution:
    """Links and targets of the specs, and what is wrong between them.

    `specs` by address; `prefix` goes in front of every audience name; `accounts` destination name → 8 hex digits;
    `where` and `excerpt` take an address and a path; without `today` no `allow` is expired; references to `unread`
    addresses are not dangling.
    """
    report = Report(where, excerpt)
    follower = Follower(specs, unread, report)
    for catalogue in follower.all(Catalogue):
        check_catalogue(catalogue, report)
    for segment in follower.all(Segment):
        follower.find(Catalogue, segment.catalogue, (address_of(segment), "catalogue"))
    wired = {action.name: wire(action, follower) for action in follower.all(Action)}
    found = [_link(spec, wired, follower, accounts, prefix, today) for spec in follower.all(SegmentLink)]
    links = tuple(link for link in found if link is not None)
    across.check_names(links, report)
    across.check_attributes(links, report)
    across.check_destinations(links, report)
    across.check_moves(follower.all(SegmentLink), {*specs, *unread}, report)
    _check_accounts(follower, accounts)
    follower.warn_unused()
    return Resolution(links=links, targets=_targets(links), problems=report.problems())


def _link(
    spec: SegmentLink,
    wired: Mapping[str, Wired | None],
    follower: Follower,
    accounts: Mapping[str, str],
    prefix: str,
    today: date | None,
) -> Link | None:
    report, address = follower.report, address_of(spec)
    segment = follower.find(Segment, spec.segment, (address, "segment"))
    action = follower.find(Action, spec.action, (address, "action"))
    ready = wired.get(spec.action) if action is not None else None
    spec = _without_expired(spec, today, report)
    if segment is None or ready is None:
        return None
    wiring = ready.wiring
    if not _fits(spec, segment, ready, follower):
        return None
    account = accounts[wiring.destination.name]
    name = "" if wiring.route.profiles else audience_name(spec, segment, wiring.route.id_type, prefix=prefix)
    if not wiring.route.profiles and not is_valid(name):
        what = f"the audience name has {len(name)} characters, at most 255 are taken"
        report.error("audience-name", (address, "audience", "name"), what, "write a shorter audience: {name: …}")
        return None
    return Link(
        address=address,
        spec=spec,
        segment=segment,
        action=wiring.action,
        mapping=wiring.mapping,
        destination=wiring.destination,
        catalogue=wiring.catalogue,
        id_type=wiring.route.id_type,
        id_fields=ready.id_fields,
        attributes=ready.attributes,
        target=TargetKey(account, wiring.route.space, name),
    )


def _fits(spec: SegmentLink, segment: Segment, ready: Wired, follower: Follower) -> bool:
    """Whether segment and action speak of the same people, and the audience block of an audience."""
    wiring, address, report, specs = ready.wiring, address_of(spec), follower.report, follower.specs
    fits = True
    if segment.catalogue != wiring.mapping.catalogue and f"catalogue/{segment.catalogue}" in specs:
        one, two = f"catalogue/{segment.catalogue}", f"catalogue/{wiring.mapping.catalogue}"
        what = f"{address_of(segment)} is about {one}, {address_of(wiring.mapping)} about {two}"
        report.error("catalogue-mismatch", (address, "segment"), what, "link a segment and an action of one catalogue")
        fits = False
    if wiring.route.profiles and spec.audience is not None:
        what = "send_attributes fills no audience"
        report.error("audience-block", (address, "audience"), what, "remove audience; it sets attributes of profiles")
        fits = False
    return fits


def _without_expired(spec: SegmentLink, today: date | None, report: Report) -> SegmentLink:
    """An `allow` that is over counts as absent."""
    if spec.allow is None or today is None or spec.allow.until >= today:
        return spec
    what = f"this allow ended on {spec.allow.until.isoformat()} and counts as absent"
    report.warn("allow-expired", (address_of(spec), "allow", "until"), what, "remove allow, or write a later date")
    return spec.model_copy(update={"allow": None})


def _check_accounts(follower: Follower, accounts: Mapping[str, str]) -> None:
    """Two destinations behind one key are one account: they share its audiences and its rate."""
    first: dict[tuple[str, str], str] = {}
    for destination in follower.all(Destination):
        key = (accounts[destination.name], destination.platform)
        other = first.setdefault(key, destination.name)
        if other != destination.name:
            what = f"destination/{other} and destination/{destination.name} are the same account"
            follower.report.warn(
                "same-account", (address_of(destination), "name"), what, "use one destination for both"
            )


def _targets(links: Sequence[Link]) -> tuple[Target, ...]:
    """One per key: an audience with its one link, or an account's profiles with all links that feed them."""
    by_key: dict[TargetKey, list[Link]] = defaultdict(list)
    for link in links:
        by_key[link.target].append(link)
    before = across.serial_order(links)
    ordered = sorted(by_key, key=lambda key: (key.account, key.space, key.audience))
    return tuple(_target(key, by_key[key], before.get(key, ())) for key in ordered)


def _target(key: TargetKey, links: list[Link], after: tuple[TargetKey, ...]) -> Target:
    fed = tuple(links) if key.is_profiles else tuple(links[:1])
    attributes: dict[str, LinkAttribute] = {}
    for link in fed:
        for attribute in link.attributes:
            attributes.setdefault(attribute.name, attribute)
    audience = fed[0].spec.audience
    shown = (audience.display_name if audience else None) or fed[0].segment.title or None
    return Target(
        key=key,
        destination=fed[0].destination,
        links=fed,
        id_type=fed[0].id_type,
        attributes=tuple(attributes[name] for name in sorted(attributes)),
        after=after,
        display_name=None if key.is_profiles else shown,
    )
