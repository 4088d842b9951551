"""How an apply ends: what stopped it, its report, and the exit code that both carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli.messages import say, say_error
from reconciler.cli.options import placed_error
from reconciler.cli.outputs import (
    all_done,
    exit_code_of_apply,
    has_changes,
    on_output,
    unreported,
    write_plan,
    write_report,
)
from reconciler.cli.owed import owed
from reconciler.errors import BatchctlError, ExitCode, Locked

if TYPE_CHECKING:
    from reconciler.cli.carrying import Run
    from reconciler.plan import Plan


def finish(run: Run, done: Plan | None, again: str, *, strict: bool) -> int:
    """The exit code, once everything was said; `done` is None when the person said no. `again` is what goes on."""
    common = run.session.common
    if done is None:
        say("declined", "Not applied: nothing was sent.", json_lines=common.log_json)
        owed().failed(BatchctlError("not applied: nothing was sent"), int(ExitCode.ERROR))
        return int(ExitCode.ERROR)
    stopped = run.signals.code if run.signals is not None else None
    if stopped is not None:
        left = "Batch has accepted everything"
        if not all_done(done):
            left = f"what Batch accepted is written down; {again} goes on from here"
        say("stopped", f"stopped: {left}", json_lines=common.log_json)
    judged, why = exit_code_of_apply(done, wait=run.wait, strict=strict)
    code = stopped or judged
    if run.late is not None:
        if isinstance(run.late, Locked):
            run.late.fix = f"run {again} again; {run.late.fix}"
        say_error(placed_error(run.late, common.given), json_lines=common.log_json)
        code = stopped or (ExitCode.LOCKED if isinstance(run.late, Locked) else unreported(code))
    done = done.model_copy(update={"exit_code": int(code)})
    if has_changes(done) or any(change.awaited or change.indexed is not None for change in done.changes):
        done, failed = write_report(done, run.formats, common, again=again, waited=run.wait)
        for error in failed:
            say_error(placed_error(error, common.given), json_lines=common.log_json)
    else:
        seen = "text" if run.shown and on_output(run.formats) == "text" else None
        write_plan(done, {name: path for name, path in run.formats.items() if path or name != seen}, common)
    if why and done.exit_code == judged:  # else what was said of a signal or an error decided it
        say("ended", f"exit code {done.exit_code}: {why}", json_lines=common.log_json)
    return done.exit_code
