"""``batchctl status``: what Batch has been told, and what is under way. Reads the state only, never Batch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import common, common_of

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.state.holder import Holder
    from reconciler.state.lease import Heard
    from reconciler.state.standing import Standing
    from reconciler.state.state import State

WIDEST = 44
"""Longest audience name that still lines up with the others, ..."""
OTHERS = 72
"""... and what the other columns of a terminal take; a name that is longer stands alone there."""


@click.command("status")
@common
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the list."
)
def command(form: str, **shared: Any) -> int:
    """Show per target what Batch has been told, and what is uncertain or under way. Reads the state, never Batch."""
    options = common_of(**shared)
    from reconciler.cli.opening import reading
    from reconciler.cli.session import open_session
    from reconciler.render.fit import fitted
    from reconciler.render.words import placed
    from reconciler.state.lock import held_at
    from reconciler.state.standing import stand

    session = open_session(options, strict=False)
    reader = reading(session)
    state = reader.read()

    standings = [stand(known, reader.acked(known)) for known in state.targets.values()] if state else []
    standings.sort(key=lambda one: (one.known.destination, one.known.key))
    rows = [described(one) for one in standings]
    show = _json if form == "json" else _text
    shown = placed(show(session, state, rows, *held_at(reader.place)), options.given)
    columns = options.screen.columns if form == "text" else None
    click.echo("\n".join(row for line in shown.splitlines() for row in fitted(line, columns, hang=8)))
    return 0


def described(standing: Standing) -> dict[str, Any]:
    """One target as the JSON says it."""
    from reconciler.state.standing import size

    known, pending = standing.known, standing.known.pending
    last = known.last_write
    return {
        "key": str(known.key),
        "destination": known.destination,
        "account": known.account,
        "space": known.space.value,
        "target": "profiles" if known.key.is_profiles else "audience",
        "audience": known.audience or None,
        "links": list(known.links),
        "members": known.baseline.count,
        "trusted": known.baseline.trusted,
        "committed": known.committed,
        "last_commit": _iso(known.last_commit),
        "last_full": _iso(known.last_full),
        "last_write": _write(last.sent_at, indexed=last.applied) if last else None,
        "pending": {"op": pending.op, "create": pending.create, "started": _iso(pending.started)} if pending else None,
        "acknowledged_rows": size(standing.acked.told),
        "refused_rows": (known.baseline.refusals.rows if known.baseline.refusals else 0) + len(standing.acked.refused),
        "uncertain_rows": sum(size(one.ranges) if one.ranges is not None else one.rows for one in standing.unsure),
        "prevent_destroy": known.prevent_destroy,
        "on_destroy": known.on_destroy,
        "owned_since": known.owned_since,
    }


def _write(at: datetime, *, indexed: bool) -> dict[str, Any]:
    return {"at": _iso(at), "indexed": indexed}


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _json(
    session: Session, state: State | None, rows: list[dict[str, Any]], holder: Holder | None, heard: Heard | None
) -> str:
    from reconciler.state.holder import UNKNOWN

    lock: dict[str, str | float | None] | None = None
    if holder is not None:
        known = holder is not UNKNOWN
        lock = {"by": holder.text or None, "pid": holder.pid or None, "host": holder.host or None}
        lock |= {"since": _iso(holder.started) if known else None, "run": holder.run or None}
        lock |= {
            "heard_seconds_ago": round(heard.ago) if heard else None,
            "lease_seconds": heard.lease if heard else None,
        }
    document = {
        "format": 1,
        "project": session.project.name,
        "environment": session.common.env or "",
        "state": {"lineage": state.lineage, "serial": state.serial} if state else None,
        "lock": lock,
        "targets": rows,
        "warnings": list(session.unnamed(state)),
    }
    return json.dumps(document, indent=2) + "\n"


def _text(
    session: Session, state: State | None, rows: list[dict[str, Any]], holder: Holder | None, heard: Heard | None
) -> str:
    from reconciler.render.style import paint
    from reconciler.render.words import plain

    colour = session.common.colour
    env = f" ({session.common.env})" if session.common.env else ""
    serial = f"state serial {state.serial}" if state else "no state yet"
    lines = [f"{paint('batchctl', 'strong', colour=colour)} · {plain(session.project.name)}{env} · {serial}"]
    lines.append(f"lock     held by {plain(str(holder))}" if holder else "lock     free")
    lines += [f"         {heard}"] if heard else []
    lines += [f"{paint('warning', 'change', colour=colour)}  {plain(text)}" for text in session.unnamed(state)]
    if not rows:
        return "\n".join([*lines, "", _nothing(session, state)]) + "\n"
    columns = session.common.screen.columns
    widest = WIDEST if columns is None else max(min(WIDEST, columns - OTHERS), 0)
    width = min(widest, max(len(_name(row)) for row in rows))
    for (destination, account, space), members in groupby(rows, key=_place):
        title = f"{plain(destination)}  Batch {space}, account {account}"
        lines += ["", paint(title, "strong", colour=colour)]
        lines += [paint(_columns("", "told", "last commit", "last full", "last write", width), "quiet", colour=colour)]
        for row in members:
            alone = columns is not None and len(_name(row)) > width
            lines += [f"  {_name(row)}"] if alone else []
            lines.append(_row(row, "" if alone else _name(row), width).rstrip())
            lines += [f"      {paint(line, 'refuse', colour=colour)}" for line in _attention(row, session.now)]
            lines += [f"      {line}" for line in _settings(row)]
    return "\n".join([*lines, "", _summary(rows, held=holder is not None and not (heard and heard.over))]) + "\n"


def _nothing(session: Session, state: State | None) -> str:
    if state is None:
        return f"Nothing was ever applied from {session.state_url}. Start with: batchctl plan"
    return "Nothing in Batch is ours."


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["destination"], row["account"], "CEP" if row["space"] == "cep" else "MEP"


def _name(row: dict[str, Any]) -> str:
    return str(row["audience"] or "profiles")


def _columns(name: str, told: str, commit: str, full: str, write: str, width: int) -> str:
    return f"  {name:{width}}  {told:>11}  {commit:16}  {full:10}  {write}"


def _row(row: dict[str, Any], name: str, width: int) -> str:
    write = row["last_write"]
    seen = "-" if write is None else "indexed" if write["indexed"] else "accepted"
    if row["target"] == "profiles" and write is not None:
        seen = "accepted"
    elif seen == "accepted":
        seen += f" {_minute(write['at'])}"
    commit = _minute(row["last_commit"] or "never")
    told = f"{row['members']:,}" if row["trusted"] else "unknown"
    return _columns(name, told, commit, (row["last_full"] or "never")[:10], seen, width)


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _attention(row: dict[str, Any], now: datetime) -> list[str]:
    """What Batch lacks, and what the next run will do something about."""
    from reconciler.render.words import counted

    lines = []
    pending, write = row["pending"], row["last_write"]
    if pending is not None:
        what = "create" if pending["create"] else pending["op"]
        known = f", {row['acknowledged_rows']:,} rows acknowledged" if what != "delete" else ""
        lines.append(f"unfinished: {what} begun {_minute(pending['started'])}{known}")
        if write is not None and not write["indexed"] and row["target"] == "audience" and what != "delete":
            lines += _waits(datetime.fromisoformat(write["at"]), now)
    if row["uncertain_rows"]:
        lines.append(f"uncertain: {row['uncertain_rows']:,} rows; the next apply asserts them again")
    if row["refused_rows"]:
        so_far = counted(row["refused_rows"], "row")
        lines.append(f"refused by Batch so far: {so_far}; batchctl apply --retry-rejects sends them again")
    if not row["trusted"]:
        lines.append("members unknown: the next plan is a full upload")
    return lines


def _waits(sent_at: datetime, now: datetime) -> list[str]:
    """Whether it is indexed by now Batch alone knows, which `plan` asks."""
    from reconciler.plan.indexing import ASK, is_late, when

    waits = f"waits until Batch has indexed what it accepted at {when(sent_at, now)}"
    return [waits, f"where batchctl plan says it still has not: {ASK}"] if is_late(sent_at, now) else [waits]


def _settings(row: dict[str, Any]) -> list[str]:
    words = ["prevent_destroy"] if row["prevent_destroy"] else []
    words += [f"on_destroy: {row['on_destroy']}"] if row["on_destroy"] != "delete" else []
    return [", ".join(words)] if words else []


def _summary(rows: list[dict[str, Any]], *, held: bool) -> str:
    from reconciler.render.words import counted

    unfinished = sum(row["pending"] is not None or bool(row["uncertain_rows"]) for row in rows)
    way = "wait for the run that holds the lock" if held else "run batchctl apply"
    tail = f"{unfinished:,} unfinished: {way}" if unfinished else "nothing unfinished"
    return f"{counted(len(rows), 'target')}, {tail}. Times are UTC."
