"""Rows that are not sent, each with its reason: counted for the plan, listed in a file of the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.data.engine import Engine
from reconciler.data.membership import Members
from reconciler.data.people import Desired
from reconciler.data.refusals import PREFIX
from reconciler.data.sql import ident, lit
from reconciler.data.staged import UNKNOWN_KEY, RejectCount


def collect(
    engine: Engine, links: Sequence[Members], wanted: Desired, decided: str
) -> tuple[tuple[RejectCount, ...], Path | None]:
    """Counts by link and reason, and a Parquet file (link, reason, key, id, row), or None when there is no reject."""
    if not links:
        return (), None
    table = ident(engine.table("rejects"))
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT DISTINCT * FROM ({' UNION ALL '.join(_parts(links, wanted, decided))})"
    )
    counted = engine.rows(f"SELECT link, reason, count(*) FROM {table} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2")
    if not counted:
        return (), None
    path = engine.path("rejects")
    engine.copy(f"SELECT * FROM {table} ORDER BY link, reason, key, id, row", path, ordered=True)
    return tuple(
        RejectCount(link=str(link), reason=str(reason), count=int(str(n))) for link, reason, n in counted
    ), path


def _parts(links: Sequence[Members], wanted: Desired, decided: str) -> list[str]:
    named = "CASE link " + " ".join(f"WHEN {n} THEN {lit(m.link.address)}" for n, m in enumerate(links)) + " END"
    person = "CAST(key AS VARCHAR) AS key"
    parts = [
        (
            f"SELECT {named} AS link, reason, {person}, CASE WHEN reason = fault THEN NULL ELSE id END AS id, row "
            f"FROM {wanted.checked} WHERE reason IS NOT NULL"
        )
    ]
    if wanted.clash:
        parts.append(
            f"SELECT {named}, 'differs from another identifier only by case', {person}, id, row "
            f"FROM {wanted.checked} WHERE reason IS NULL AND id IN (SELECT id FROM {wanted.clash})"
        )
    for name in sorted({a.name for m in links for a in m.link.attributes}):
        column = ident(f"r:{name}")
        parts.append(
            f"SELECT {named}, {column}, {person}, NULL, row FROM {wanted.checked} WHERE reason IS NULL AND {column} IS NOT NULL"
        )
    for members in links:
        address = lit(members.link.address)
        if members.unknown_keys:
            parts.append(f"SELECT {address}, {lit(UNKNOWN_KEY)}, {person}, NULL, NULL FROM ({members.unknown_keys})")
        if members.consent_unread:
            why = lit(f"{members.opened.spec.consent}: not a value of type boolean, so no consent")
            parts.append(f"SELECT {address}, {why}, {person}, NULL, row FROM ({members.consent_unread})")
        if members.mapped.graph_fields and members.opened.graph and members.opened.graph_unreadable:
            parts += [f"SELECT {address}, {why}, NULL, NULL, row FROM {rows}" for why, rows in _graph_faults(members)]
        if members.opened.rows.malformed:
            parts.append(f"SELECT {address}, why, NULL, NULL, row FROM {members.opened.rows.malformed}")
    first = lit(links[0].link.address)
    parts.append(f"SELECT {first}, concat({lit(PREFIX)}, words), NULL, id, NULL FROM {decided} WHERE refused")
    return parts


def _graph_faults(members: Members) -> list[tuple[str, str]]:
    """(reason, rows) of the identity graph whose person cannot be read, as SQL."""
    graph, spec = members.opened.graph, members.opened.spec.identity_graph
    assert graph is not None
    assert spec is not None
    found = [("concat('identity graph: ', why)", graph.malformed)] if graph.malformed else []
    if spec.key in graph.flags:
        kind = members.opened.spec.fields[members.opened.spec.key]
        bad = f'(SELECT "#row" AS "row" FROM {graph.view} WHERE {ident(f"!{spec.key}")})'
        found.append((lit(f"identity graph: {spec.key}: not a value of type {kind}"), bad))
    return found
