"""A small valid project of all seven kinds; tests write one file of it anew, with § before the wrong place."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import Problem
from reconciler.link import resolve
from reconciler.loader import Loaded, load
from reconciler.spec import Destination

MARK = "§"
HEAD = "apiVersion: batchctl/v1\n"
VALID = {
    "project.yaml": """
        apiVersion: batchctl/v1
        kind: Project
        name: shop
        vars: {region: fr}
        environments:
          prod: {vars: {region: eu}, audience_prefix: prod_}
    """,
    "catalogue.yaml": """
        apiVersion: batchctl/v1
        kind: Catalogue
        name: customers
        source: {path: data/customers.parquet}
        key: customer_id
        fields:
          customer_id: string
          email: string
          gaid: string
          install_id: string
          orders: integer
          tier: string
          last_order_at: timestamp
          interests: list<string>
          consent: boolean
        consent: consent
        identity_graph:
          source: {path: data/devices.parquet}
          key: customer_id
          fields: {idfa: string}
    """,
    "destination.yaml": """
        apiVersion: batchctl/v1
        kind: Destination
        name: shop-ios
        platform: mep
        live_api_key: ${env:SHOP_IOS_KEY}
        rest_api_key: ${env:BATCH_REST_KEY}
        attributes: {tier: string, last_order: date}
    """,
    "crm.yaml": """
        apiVersion: batchctl/v1
        kind: Destination
        name: crm
        platform: cep
        project_key: ${env:CRM_KEY}
        rest_api_key: ${env:BATCH_REST_KEY}
        attributes: {tier: string}
    """,
    "mapping.yaml": """
        apiVersion: batchctl/v1
        kind: Mapping
        name: ids
        catalogue: customers
        identifier: {custom_id: customer_id}
    """,
    "profile.yaml": """
        apiVersion: batchctl/v1
        kind: Mapping
        name: profile
        catalogue: customers
        identifier: {custom_id: customer_id}
        attributes: {tier: tier}
    """,
    "action.yaml": """
        apiVersion: batchctl/v1
        kind: Action
        name: ios-ids
        destination: shop-ios
        type: send_custom_ids
        mapping: ids
    """,
    "crm-action.yaml": """
        apiVersion: batchctl/v1
        kind: Action
        name: crm-profile
        destination: crm
        type: send_attributes
        mapping: profile
    """,
    "segment.yaml": """
        apiVersion: batchctl/v1
        kind: Segment
        name: lapsed-buyers
        title: Lapsed buyers
        catalogue: customers
        where: orders > 3
    """,
    "everybody.yaml": """
        apiVersion: batchctl/v1
        kind: Segment
        name: everybody
        catalogue: customers
        where: orders >= 0
    """,
    "link.yaml": """
        apiVersion: batchctl/v1
        kind: SegmentLink
        name: lapsed-ios
        segment: lapsed-buyers
        action: ios-ids
    """,
    "crm-link.yaml": """
        apiVersion: batchctl/v1
        kind: SegmentLink
        name: everybody-crm
        segment: everybody
        action: crm-profile
    """,
}


def write(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """The valid project with some files written anew (or, None, left out)."""
    for name, text in {**VALID, **files}.items():
        if text is None:
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(plain(text), encoding="utf-8")
    return root


def plain(text: str) -> str:
    """The text of a file: dedented, without the mark."""
    return textwrap.dedent(text).lstrip("\n").replace(MARK, "")


def marked(name: str, text: str) -> tuple[str, int, int]:
    """File, line and column of the mark."""
    shown = textwrap.dedent(text).lstrip("\n")
    before = shown[: shown.index(MARK)]
    return name, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def judged(root: Path, *, environment: str | None = None, **options: object) -> tuple[Loaded, tuple[Problem, ...]]:
    """What validate says of the specs themselves: problems of the loader and of the links."""
    loaded = load(root, environment=environment, **options)  # type: ignore[arg-type]  # options of load, by name
    destinations = [spec for spec in loaded.specs.values() if isinstance(spec, Destination)]
    found = resolve(
        loaded.specs,
        prefix=loaded.project.prefix(environment) if loaded.project is not None else "",
        accounts={spec.name: str(spec.account_key) for spec in destinations},
        where=loaded.where,
        excerpt=loaded.excerpt,
        unread=loaded.unread,
    )
    return loaded, (*loaded.problems, *found.problems)
