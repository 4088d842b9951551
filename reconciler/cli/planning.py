"""``batchctl plan``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import common, common_of, formats_of, labels_of, selecting, unsupported
from reconciler.errors import ExitCode, StateError

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.state.reader import StateReader


@click.command("plan")
@common
@selecting
@unsupported("--due")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan for batchctl apply FILE.")
@click.option(
    "--format", "formats", metavar="text|json[=FILE]", multiple=True, help="Form of the plan; may be repeated."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when something would change or is refused.")
@click.option(
    "--no-delete",
    is_flag=True,
    help="No audience is deleted; members who left are still removed. What is held back is refused.",
)
@click.option("--retry-rejects", is_flag=True, help="Send rows again which Batch refused earlier.")
def command(
    targets: tuple[str, ...],
    labels: tuple[str, ...],
    out: Path | None,
    formats: tuple[str, ...],
    detailed_exitcode: bool,
    no_delete: bool,
    retry_rejects: bool,
    **shared: Any,
) -> int:
    """Show every create, upload and deletion that apply would do. Nothing is changed."""
    chosen_formats = formats_of(formats)
    options = common_of(**shared)
    from reconciler.cli.messages import say
    from reconciler.cli.opening import current, reading, seal_of
    from reconciler.cli.outputs import exit_code_of_plan, write_plan
    from reconciler.cli.pipeline import Wish, connected, plan_with, warned
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import open_session
    from reconciler.cli.signals import cancelled_by_signals
    from reconciler.cli.subset import chosen
    from reconciler.data.engine import Engine

    session = open_session(options)
    keys = chosen(session.resolution, targets, labels_of(labels), loaded=session.loaded)
    wish = Wish(keys=keys, no_delete=no_delete, retry_rejects=retry_rejects)
    reader = reading(session)
    cancel = threading.Event()
    with (
        cancelled_by_signals(cancel),
        Reporter(json_lines=options.log_json) as reporter,
        Engine(now=session.now) as engine,
    ):
        state, back = current(reader, session)
        busy = _busy(reader)
        with connected(session, state, wish, cancel=cancel, reporter=reporter) as clients:
            planned = plan_with(session, reader, state, clients, engine, wish, cancel=cancel, reporter=reporter)
        planned = warned(planned, back)
        reporter.close()
        if busy:
            say("warning", busy if options.log_json else f"warning: {busy}", json_lines=options.log_json)
        code = exit_code_of_plan(planned.plan) if detailed_exitcode else ExitCode.OK
        warnings = (*planned.plan.warnings, *_kept(session, planned.rejects))
        plan = planned.plan.model_copy(update={"exit_code": int(code), "warnings": warnings})
        if out is not None:
            from reconciler.planfile import save

            told = planned.plan.model_copy(update={"given": options.given})
            save(out, told, planned.staging, seal=seal_of(session))
        write_plan(plan, chosen_formats, options)
        if out is not None:
            say("saved", f"saved as {out}: {options.applying(out)}", json_lines=options.log_json)
    return int(code)


def _kept(session: Session, rejects: tuple[Path, ...]) -> tuple[str, ...]:
    """Keeps the rejects of a plan; what to say where that fails, as on a read-only checkout: the plan is as good."""
    from reconciler.cli.opening import seal_of
    from reconciler.cli.runs import keep_rejects

    try:
        keep_rejects(session.state_root, rejects, now=session.now, what="plan", seal=seal_of(session))
    except StateError as error:
        return (f"{error.what}: {error.why}; batchctl rejects lists those of an earlier run",) if rejects else ()
    return ()


def _busy(reader: StateReader) -> str:
    """What to know of a plan that is made while another run goes on; nothing where none does, or it is dead."""
    from reconciler.state.lock import held_at

    holder, heard = held_at(reader.place)
    if holder is None or (heard is not None and heard.over):
        return ""
    alive = f" ({heard})" if heard is not None else ""
    return f"{holder} holds the state{alive}: what it has begun looks interrupted here, so plan again when it has ended"
