"""``batchctl rejects``: the rows of the last run that were not sent, with identifiers, for whoever corrects them."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import common, common_of

if TYPE_CHECKING:
    from reconciler.data.reject_list import Rejected

NO_RUN = "No run yet on this machine, and rejects stay where the run was: batchctl plan looks for them."


@click.command("rejects")
@common
@click.option("--link", metavar="ADDRESS", help="Only of this segment link.")
@click.option("--reason", metavar="TEXT", help="Only reasons that contain this text.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="How many rows to list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="Form of the list.",
)
def command(link: str | None, reason: str | None, limit: int, form: str, **shared: Any) -> int:
    """List the rows of the newest plan or apply that were not sent, and why. Shows identifiers: personal data."""
    options = common_of(**shared)
    from reconciler.cli.opening import seal_of
    from reconciler.cli.runs import newest_rejects
    from reconciler.cli.session import open_session
    from reconciler.cli.subset import link_meant
    from reconciler.data.engine import Engine
    from reconciler.data.reject_list import counted_by, listed, matching
    from reconciler.render.words import placed

    session = open_session(options, strict=False)
    with Engine(now=session.now, memory="200MB") as engine:
        folder, files = newest_rejects(session.state_root, seal=seal_of(session), scratch=engine.folder)
        every = counted_by(engine, files)
        address = None if link is None else link_meant(link, session.loaded, {address for address, _ in every})
        counts = matching(every, link=address, reason=reason)
        found = listed(engine, files, counts, limit=limit)
    total, whole = sum(counts.values()), sum(every.values())
    if form == "json":
        shown = {"format": 1, "run": folder.name if folder else None, "total": total, "of": whole}
        click.echo(json.dumps({**shown, "rejects": [asdict(one) for one in found]}, indent=2))
    elif form == "csv":
        click.echo(_csv(found), nl=False, color=True)  # else escape sequences within values are dropped
    elif folder is None:
        click.echo(placed(NO_RUN, options.given))
    elif not total:
        click.echo(_none(_run(folder.name), whole))
    else:
        click.echo(_text(_run(folder.name), found, counts), nl=False)
    if form == "csv" and folder is None:
        click.echo(placed(NO_RUN, options.given), err=True)
    if form == "csv" and folder is not None and whole and not total:
        click.echo(_none(_run(folder.name), whole), err=True)
    if form == "csv" and total > len(found):
        click.echo(_more(total - len(found)), err=True)
    return 0


def _none(run: str, whole: int) -> str:
    """What is said where nothing is listed: of all the rows of the run, perhaps, none is asked for."""
    from reconciler.render.words import counted

    if not whole:
        return f"No rows rejected by {run}."
    return f"None of the {counted(whole, 'row')} rejected by {run} matches."


def _csv(found: Sequence[Rejected]) -> str:
    """With a header; on a terminal hidden characters are written out, in a file values are what they are."""
    from reconciler.render.words import plain

    clean = plain if sys.stdout.isatty() else str
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["link", "reason", "key", "id", "row"])
    for one in found:
        fields = (one.link, one.reason, one.key, one.id)
        number = "" if one.row is None else one.row
        writer.writerow([*("" if text is None else clean(text) for text in fields), number])
    return out.getvalue()


def _text(run: str, found: Sequence[Rejected], counts: dict[tuple[str, str], int]) -> str:
    from reconciler.render.words import counted, plain

    total = sum(counts.values())
    lines = [f"{counted(total, 'row')} rejected by {run}"]
    for (link, reason), rows in groupby(found, key=lambda one: (one.link, one.reason)):
        lines += ["", f"{plain(link)}: {plain(reason)}, {counted(counts[link, reason], 'row')}"]
        lines += _rows(list(rows))
    if total > len(found):
        lines += ["", _more(total - len(found))]
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[Rejected]) -> list[str]:
    from reconciler.render.words import plain

    def shown(value: object) -> str:
        text = "-" if value is None else plain(str(value))
        return text if text == text.strip() else f'"{text}"'  # white space at an edge cannot be seen otherwise

    cells = [("row", "key", "identifier"), *((shown(one.row), shown(one.key), shown(one.id)) for one in rows)]
    wide = [max(len(cell[n]) for cell in cells) for n in (0, 1)]
    return [f"  {row:>{wide[0]}}  {key:{wide[1]}}  {identifier}" for row, key, identifier in cells]


def _more(number: int) -> str:
    return f"{number:,} more: raise --limit, or narrow with --link and --reason"


def _run(name: str) -> str:
    """``20261124T060000Z-apply`` → ``the apply of 2026-11-24 06:00:00 UTC``."""
    stamp, _, what = name.partition("-")
    try:
        moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S%z")
    except ValueError:
        return name
    return f"the {what} of {moment:%Y-%m-%d %H:%M:%S} UTC"
