"""Plans and reports to standard output or files, and the exit codes they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from reconciler.cli.options import Common
from reconciler.cli.owed import owed
from reconciler.errors import BatchctlError, ExitCode
from reconciler.plan import Change, Op, Outcome, Plan
from reconciler.render.given import placed_plan
from reconciler.render.json import plan_json
from reconciler.render.report import is_awaited, report
from reconciler.render.text import text
from reconciler.render.words import counted


def on_output(formats: dict[str, Path | None]) -> str | None:
    """The form that standard output gets."""
    return next((name for name, path in formats.items() if path is None), None)


def write_plan(plan: Plan, formats: dict[str, Path | None], common: Common) -> None:
    """The plan in every form asked for; text is fitted to the screen, files are not."""

    def shown(colour: bool, columns: int | None) -> str:
        return text(plan, colour=colour, columns=columns, given=common.given)

    _write_all(formats, plan, shown, common)


def write_report(
    plan: Plan,
    formats: dict[str, Path | None],
    common: Common,
    *,
    again: str,
    waited: bool,
) -> tuple[Plan, list[BatchctlError]]:
    """What an apply did, in every form asked for; see `report` for what goes with it.

    What was done stays done: a form that cannot be written stops no other. The errors come back with the plan, whose
    exit code says so then, as the other forms do; a report that nobody would see is text on standard output.
    """

    def shown(colour: bool, columns: int | None) -> str:
        more = {"again": again, "given": common.given}
        return report(plan, colour=colour, columns=columns, waited=waited, **more)

    failed: dict[str, BatchctlError] = {}
    for name in sorted(formats, key=lambda one: formats[one] is None):
        try:
            _write_all({name: formats[name]}, plan, shown, common)
        except (BatchctlError, OSError) as error:
            failed[name] = error if isinstance(error, BatchctlError) else _closed(error)
            plan = plan.model_copy(update={"exit_code": int(unreported(ExitCode(plan.exit_code)))})
    if failed:
        rest: dict[str, Path | None] = {name: path for name, path in formats.items() if path and name not in failed}
        if not rest and None not in formats.values():
            rest = {"text": None}
        with suppress(BatchctlError, OSError):
            _write_all(rest, plan, shown, common)
    return plan, list(failed.values())


def unreported(code: ExitCode) -> ExitCode:
    """The exit code of an apply of which a part failed when everything had been sent."""
    weightier = (ExitCode.SIGINT, ExitCode.SIGTERM, ExitCode.LOCKED, ExitCode.ERROR)
    return code if code in weightier else ExitCode.PARTIAL


def _closed(error: OSError) -> BatchctlError:
    return BatchctlError("the report could not be written to standard output", why=error.strerror or "")


def _write_all(
    formats: dict[str, Path | None], plan: Plan, shown: Callable[[bool, int | None], str], common: Common
) -> None:
    screen = common.screen
    for name, path in sorted(formats.items(), key=lambda one: (one[1] is None, one[0] == "json")):
        document = plan_json(placed_plan(plan, common.given)) if name == "json" else ""
        if path is not None:
            _write(path, document or shown(False, None))
            owed().due &= name != "json"
        elif document:
            owed().due = False  # however much of it gets there, no other follows
            click.echo(document, nl=False)
        else:
            click.echo(shown(screen.colour, screen.columns), nl=False, color=True if screen.colour else None)


def _write(path: Path, out: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(out)
    except OSError as error:
        raise BatchctlError(f"{path} could not be written", why=error.strerror or "") from error


def all_done(plan: Plan) -> bool:
    """Whether an apply left nothing to continue."""
    return all(change.outcome in (Outcome.DONE, Outcome.NONE, Outcome.REFUSED) for change in plan.changes)


def has_changes(plan: Plan) -> bool:
    """Whether apply would do anything."""
    return any(change.op is not Op.NONE and (change.refused is None or change.consent_only) for change in plan.changes)


def has_refusals(plan: Plan) -> bool:
    """Whether a guard or rule holds anything back."""
    return any(is_refused(change) for change in plan.changes)


def is_refused(change: Change) -> bool:
    """Whether a guard or rule holds any of it back."""
    return change.refused is not None or change.consent_refusal is not None


def exit_code_of_plan(plan: Plan) -> ExitCode:
    """With ``--detailed-exitcode``: 2 when something would change or is refused."""
    return ExitCode.CHANGES if has_changes(plan) or has_refusals(plan) else ExitCode.OK


def exit_code_of_apply(plan: Plan, *, wait: bool, strict: bool) -> tuple[ExitCode, str]:
    """The documented precedence: 1 (nothing done), 7, 4, 8, 0; interruptions are the caller's. And what decided it."""
    unfinished = sum(_unfinished(change) for change in plan.changes)
    if unfinished:
        left = f"{unfinished:,} of {counted(len(plan.changes), 'target')} not done, or not to the end"
        return (ExitCode.PARTIAL if any(_reached(change) for change in plan.changes) else ExitCode.ERROR), left
    refused_rows = sum(change.refused_rows for change in plan.changes)
    if refused_rows:
        return ExitCode.PARTIAL, f"Batch refused {counted(refused_rows, 'row')}"
    awaited = sum(is_awaited(change) for change in plan.changes) if wait else 0
    if awaited:
        return ExitCode.PARTIAL, f"{counted(awaited, 'target')} not indexed when --wait was over"
    refused = [change for change in plan.changes if is_refused(change)]
    if refused:
        return ExitCode.REFUSED, _held_back(refused)
    rejects = sum(reject.count for change in plan.changes for reject in change.rejects)
    if strict and rejects:
        return ExitCode.REJECTS, f"{counted(rejects, 'row')} rejected, and --strict was given"
    return ExitCode.OK, ""


def _held_back(refused: list[Change]) -> str:
    rules = {one.rule for change in refused for one in (change.refused, change.consent_refusal) if one is not None}
    if rules == {"no_delete"}:
        return f"--no-delete held back {counted(len(refused), 'deletion')}, and no guard or rule anything else"
    return f"a guard or rule held back {counted(len(refused), 'target')}, or a part of it"


def _unfinished(change: Change) -> bool:
    return change.outcome in (Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED, Outcome.PLANNED)


def _reached(change: Change) -> bool:
    """Something of it is in Batch or in the state, or may be."""
    sums = change.request_totals
    return bool(sums.done or sums.unknown or change.accepted) or change.outcome in (Outcome.DONE, Outcome.UNKNOWN)
