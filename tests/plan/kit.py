"""Small builders of targets, states and staged deltas: only what a test is about is spelled out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.address import IdType, Space, TargetKey, account_of
from reconciler.course import Course, decide
from reconciler.data.staged import Counts, RejectCount, Staged
from reconciler.link import Link, LinkAttribute, Target
from reconciler.observed import Inventory, Observed
from reconciler.plan import Plan
from reconciler.plan.identifier import identifier_digest
from reconciler.plan.make import make_plan
from reconciler.spec import Action, Catalogue, Destination, Mapping, Project, Segment, SegmentLink
from reconciler.state.state import Baseline, DataFile, State, TargetState

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
CREATED = "2026-01-02T03:04:05Z"
MEP_ACCOUNT, CEP_ACCOUNT = account_of("live"), account_of("project")
FIELD = {
    IdType.CUSTOM: "custom_id",
    IdType.INSTALL: "install_id",
    IdType.ADVERTISING: "advertising_id",
    IdType.EMAIL: "email",
}


def spec(model: type[Any], kind: str, name: str, **fields: Any) -> Any:
    """A spec as its YAML would say it."""
    return model.model_validate({"apiVersion": "batchctl/v1", "kind": kind, "name": name, **fields})


def project(**fields: Any) -> Project:
    made: Project = spec(Project, "Project", "shop-crm", **fields)
    return made


def destination(name: str, space: Space) -> Destination:
    keys = {"live_api_key": "${env:LIVE}"} if space is not Space.CEP else {"project_key": "${env:PROJECT}"}
    platform = "cep" if space is Space.CEP else "mep"
    made: Destination = spec(Destination, "Destination", name, platform=platform, rest_api_key="${env:REST}", **keys)
    return made


def target(
    audience: str = "vip",
    *,
    space: Space = Space.CEP,
    id_type: IdType = IdType.CUSTOM,
    links: tuple[dict[str, Any], ...] = ({},),
    attributes: dict[str, str] | None = None,
    action: dict[str, Any] | None = None,
    catalogue: dict[str, Any] | None = None,
    place: str = "",
    id_field: str = "customer_id",
) -> Target:
    """An audience (or "", the profiles), fed by links whose YAML fields are given."""
    place = place or ("cep-main" if space is Space.CEP else "shop-ios")
    key = TargetKey(CEP_ACCOUNT if space is Space.CEP else MEP_ACCOUNT, space, audience)
    carried = tuple(LinkAttribute(name=n, field=n, type=t) for n, t in sorted((attributes or {}).items()))
    made = tuple(
        _link(key, at, fields, carried, id_type, action or {}, catalogue or {}, place, id_field)
        for at, fields in enumerate(links)
    )
    return Target(key=key, destination=made[0].destination, links=made, id_type=id_type, attributes=carried)


def _link(
    key: TargetKey,
    at: int,
    fields: dict[str, Any],
    attributes: tuple[LinkAttribute, ...],
    id_type: IdType,
    action: dict[str, Any],
    catalogue: dict[str, Any],
    place: str,
    id_field: str,
) -> Link:
    name = fields.get("name") or (f"{key.audience or 'crm'}".replace("_", "-").lower() + ("" if not at else f"-{at}"))
    kind = "send_attributes" if key.is_profiles else f"send_{id_type}"
    return Link(
        address=f"segment-link/{name}",
        spec=spec(SegmentLink, "SegmentLink", **{"name": name, "segment": "seg", "action": "act", **fields}),
        segment=spec(Segment, "Segment", "seg", catalogue="customers", where="true"),
        action=spec(Action, "Action", "act", destination=place, type=kind, mapping="map", **action),
        mapping=spec(Mapping, "Mapping", "map", catalogue="customers", identifier={FIELD[id_type]: id_field}),
        destination=destination(place, key.space),
        catalogue=spec(
            Catalogue,
            "Catalogue",
            "customers",
            **{
                "source": {"path": "customers.parquet"},
                "key": "customer_id",
                "fields": {"customer_id": "string"},
                **catalogue,
            },
        ),
        id_type=id_type,
        id_fields=(id_field,),
        attributes=attributes,
        target=key,
    )


def known(made: Target, *, count: int = 100, **fields: Any) -> TargetState:
    """What the state says of a target after an ordinary life."""
    baseline = Baseline(
        files=(DataFile(path="base.parquet", rows=count, bytes=1, sha256="0"),),
        count=count,
        identifier=identifier_digest(made),
        attributes={attribute.name: attribute.type for attribute in made.attributes},
    ).model_copy(update=fields.pop("baseline", {}))
    usual: dict[str, Any] = {
        "account": made.key.account,
        "space": made.key.space,
        "audience": made.key.audience,
        "destination": made.destination.name,
        "api_url": None,
        "api_version": made.destination.api_version if made.key.space is Space.CEP else None,
        "keys": {"rest": "${env:REST}", **({"live": "${env:LIVE}"} if made.key.space is not Space.CEP else {})}
        | ({"project": "${env:PROJECT}"} if made.key.space is Space.CEP else {}),
        "id_type": made.id_type,
        "links": tuple(link.address for link in made.links),
        "created": None if made.key.is_profiles else CREATED,
        "owned_since": 12,
        "baseline": baseline,
        "committed": True,
        "last_full": NOW - timedelta(days=10),
        "last_commit": NOW - timedelta(days=1),
    }
    if made.key.is_profiles:
        usual["on_exit"] = {attribute.name: "keep" for attribute in made.attributes}
    return TargetState(**{**usual, **fields})


def state(*targets: TargetState, **fields: Any) -> State:
    base = State(lineage="0b1c", serial=41, project="shop-crm", environment="prod", **fields)
    for one in targets:
        base = base.with_target(one)
    return base


def observed(made: Target, **fields: Any) -> Observed:
    usual: dict[str, Any] = {
        "name": made.key.audience,
        "space": made.key.space,
        "id_type": made.id_type,
        "nb_ids": 100,
        "created": CREATED,
        "updated": CREATED,
        "indexing": "APPLIED",
    }
    return Observed(**{**usual, **fields})


def inventories(*audiences: tuple[str, Observed]) -> dict[str, Inventory]:
    """Both accounts; each audience under its account."""
    return {
        account: Inventory(account=account, audiences={one.name: one for place, one in audiences if place == account})
        for account in (MEP_ACCOUNT, CEP_ACCOUNT)
    }


def course(
    made: Target, *, seen: Observed | None = None, had: TargetState | None = None, now: datetime = NOW
) -> Course:
    """The course of one target alone."""
    found = inventories(*([(made.key.account, seen)] if seen else []))
    (one,) = decide([made], inventories=found, state=state(had) if had else None, project=project(), now=now)
    return one


def staged(
    *,
    consent: int = 0,
    remove: int = 0,
    reset: int = 0,
    add: int = 0,
    put: int = 0,
    rejects: tuple[RejectCount, ...] = (),
    **counts: int,
) -> Staged:
    """A diff with so many rows of each kind; guards see `add` as added, `remove` as removed unless told otherwise."""
    usual = {"members": 100, "rows_read": 1000, "source_rows": 1000}
    usual |= {"added": add, "removed": remove, "changed": put, "consent": consent}
    rows = consent + remove + reset + add + put
    return Staged(
        file=Path("staging/delta.parquet") if rows else None,
        rows=rows,
        consent_rows=consent,
        remove_rows=remove,
        reset_rows=reset,
        add_rows=add,
        put_rows=put,
        bytes=rows * 50,
        counts=Counts(**{**usual, **counts}),
        rejects=rejects,
    )


def planned(
    courses: list[Course] | tuple[Course, ...], diffs: dict[TargetKey, Staged], had: State | None = None, **fields: Any
) -> Plan:
    """The plan before policy."""
    usual: dict[str, Any] = {
        "state": had,
        "project": project(),
        "environment": "prod",
        "tool": "0.1.0",
        "now": NOW,
        "specs_digest": "5" * 64,
        "sources": {"customers.parquet": "1-2"},
    }
    return make_plan(courses, diffs, **{**usual, **fields})
