"""How an apply ends: what stopped it, its report, and the exit code that both carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.messages import error_text
from reconciler.cli.outputs import (
    all_done,
    exit_code_of_apply,
    has_changes,
    on_output,
    unreported,
    write_plan,
    write_report,
)
from reconciler.errors import ExitCode

if TYPE_CHECKING:
    from reconciler.cli.applying import Run
    from reconciler.plan import Plan


def finish(run: Run, done: Plan | None, again: str, *, strict: bool) -> int:
    """The exit code, once everything was said; `done` is None when the person said no. `again` is what goes on."""
    if done is None:
        click.echo("Not applied: nothing was sent.", err=True)
        return int(ExitCode.ERROR)
    stopped = run.signals.code if run.signals is not None else None
    if stopped is not None:
        left = "Batch has accepted everything"
        if not all_done(done):
            left = f"what Batch accepted is written down; {again} goes on from here"
        click.echo(f"stopped: {left}", err=True)
    code = stopped or exit_code_of_apply(done, wait=run.wait, strict=strict)
    if run.late is not None:
        click.echo(error_text(run.late), err=True)
        code = unreported(code)
    done = done.model_copy(update={"exit_code": int(code)})
    common = run.session.common
    if has_changes(done):
        done, failed = write_report(done, run.formats, common, again=again, waited=run.wait)
        for error in failed:
            click.echo(error_text(error), err=True)
    else:
        seen = "text" if run.shown and on_output(run.formats) == "text" else None
        write_plan(done, {name: path for name, path in run.formats.items() if path or name != seen}, common)
    return done.exit_code
