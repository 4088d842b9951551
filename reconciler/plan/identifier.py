"""The digest that tells whether a target's identifiers still come from the same place."""

from __future__ import annotations

import hashlib
import json

from reconciler.link import Target


def identifier_digest(target: Target) -> str:
    """sha256 over kind, catalogue, fields and ID extension of every link, whatever their order or names."""
    sources = sorted(
        {(link.id_type.value, link.catalogue.name, link.id_fields, link.action.id_extension) for link in target.links}
    )
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()
