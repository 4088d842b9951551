"""Which wire item a change's rows become. Pure: SQL text."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.address import Space, TargetKey
from reconciler.batch.wire import audience_item_sql, profile_item_sql, replace_item_sql


def item_of(key: TargetKey, types: Mapping[str, str]) -> str:
    """SQL of one request item for rows of `key`; `types` maps every attribute of the delta file to its type."""
    if key.is_profiles:
        return profile_item_sql("cep" if key.space is Space.CEP else "mep", types)
    return audience_item_sql(key.space, {} if key.space is Space.MEP10 else types)


def replacement_of(key: TargetKey, types: Mapping[str, str]) -> str:
    """SQL of one item of a *replace*; the update form where there is none."""
    if key.is_profiles or key.space is Space.MEP10:
        return item_of(key, types)
    return replace_item_sql(key.space, types)
