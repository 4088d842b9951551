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
    """SQL of the second form of a row: of a *replace* where there is one, of a profile the values without nulls."""
    if key.is_profiles:
        return profile_item_sql("cep" if key.space is Space.CEP else "mep", types, nulls=False)
    return item_of(key, types) if key.space is Space.MEP10 else replace_item_sql(key.space, types)
