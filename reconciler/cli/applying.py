"""``batchctl apply``."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import common, common_of, formats_of, labels_of, selecting, unsupported, waiting


@click.command("apply")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@common
@selecting
@unsupported("--due")
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@click.option(
    "--no-delete",
    is_flag=True,
    help="No audience is deleted; members who left are still removed. What is held back is refused: exit 4.",
)
@click.option("--wait", is_flag=True, help="Until Batch reports every write as indexed, or a deadline.")
@click.option("--strict", is_flag=True, help="Exit 8 when rows were rejected.")
@click.option("--retry-rejects", is_flag=True, help="Send rows again which Batch refused earlier.")
@waiting
@click.option(
    "--format", "formats", metavar="text|json[=FILE]", multiple=True, help="Form of the report; may be repeated."
)
def command(
    file: Path | None,
    targets: tuple[str, ...],
    labels: tuple[str, ...],
    auto_approve: bool,
    no_delete: bool,
    wait: bool,
    strict: bool,
    retry_rejects: bool,
    lock_timeout: float,
    formats: tuple[str, ...],
    **shared: Any,
) -> int:
    """Carry out the plan shown, or exactly a plan saved with plan --out. May be killed at any moment."""
    chosen_formats = formats_of(formats)
    if file is None and not auto_approve and not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask on: add --auto-approve, or apply a saved plan")
    if file is not None and (targets or labels):
        raise click.UsageError("a saved plan is applied as it is: --target and -l belong to batchctl plan")
    options = common_of(**shared)
    from reconciler.cli.carrying import Run
    from reconciler.cli.ending import finish
    from reconciler.cli.opening import writing
    from reconciler.cli.pipeline import Wish
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import open_session
    from reconciler.cli.signals import cancelled_by_signals
    from reconciler.cli.subset import chosen
    from reconciler.data.engine import Engine

    session = open_session(options)
    keys = chosen(session.resolution, targets, labels_of(labels), loaded=session.loaded)
    wish = Wish(keys=keys, no_delete=no_delete, retry_rejects=retry_rejects)
    reporter = Reporter(json_lines=options.log_json)
    cancel = threading.Event()
    _arm_crash_point()
    unasked = "--auto-approve" * (auto_approve and file is None)
    ends = ("--wait" * wait, "--strict" * strict)
    flags = (unasked, "--no-delete" * no_delete, "--retry-rejects" * retry_rejects, *ends)
    again = options.applying(file, *flags, targets=targets, labels=labels)
    run = Run(
        session=session,
        wish=wish,
        reporter=reporter,
        cancel=cancel,
        wait=wait,
        ask=file is None and not auto_approve,
        formats=chosen_formats,
    )
    with (
        cancelled_by_signals(cancel, reporter=reporter, again=again) as signals,
        reporter,
        Engine(now=session.now) as engine,
    ):
        run.signals = signals
        opened = writing(session, what="apply", timeout=lock_timeout, signals=signals, reporter=reporter)
        done = run.result(opened, file, engine)
        reporter.close()
        return finish(run, done, again, strict=strict)


def _arm_crash_point() -> None:
    """Tests kill the process at the n-th write, or at the n-th point of a name: BATCHCTL_CRASH_AT=n or =n,name."""
    number, _, name = os.environ.get("BATCHCTL_CRASH_AT", "").partition(",")
    if number.isdigit():
        from reconciler.crashpoint import arm

        log = os.environ.get("BATCHCTL_CRASH_LOG")
        arm(int(number), Path(log) if log else None, name=name)
