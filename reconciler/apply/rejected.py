"""Rows that Batch refused in this run, as rejects: counted for the report, listed in a file for ``batchctl rejects``.

They read as the next plan reads them: of the target's first link, with Batch's words.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reconciler.address import TargetKey
from reconciler.apply.tools import Tools
from reconciler.apply.work import Work
from reconciler.data import refusals
from reconciler.data.staged import RejectCount
from reconciler.errors import BatchctlError
from reconciler.plan import Change
from reconciler.state.state import DataFile

REFUSED = "refused-*.parquet"
"""Files of a staging folder with the rows of one target."""


def with_rejects(result: Change, work: Work) -> Change:
    """The outcome of a change with its refused rows among its rejects; their list is a file of the staging folder."""
    if not work.sent.refused:
        return result
    link = next(iter(work.change.links), work.change.address)
    words = Counter(refusals.PREFIX + text for _, text in work.sent.refused)
    fresh = tuple(RejectCount(link=link, reason=text, count=n) for text, n in sorted(words.items()))
    try:
        _list(work, link)
    except (BatchctlError, OSError) as error:  # what was sent is written down already; the report is owed all the same
        warning = f"rows that Batch refused could not be listed: {error}"
        result = result.model_copy(update={"warnings": (*result.warnings, warning)})
    return result.model_copy(update={"rejects": (*result.rejects, *fresh)})


def kept(tools: Tools, key: TargetKey, file: Path, rows: int, in_part: int) -> DataFile | None:
    """A file of refusals as the state names it; None of no rows."""
    if not rows:
        return None
    named = tools.books.take(file, key, "refusals", rows=rows)
    return named.model_copy(update={"ranges": ((0, in_part),) if in_part else ()})


def _list(work: Work, link: str) -> None:
    if work.file is None:
        return
    to = work.tools.staging / REFUSED.replace("*", work.file.stem)
    with work.tools.engines.lent(120) as engine:
        refusals.listed(engine, file=work.file, refused=work.sent.refused, link=link, to=to)
