"""``batchctl validate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import common, common_of
from reconciler.errors import ConfigurationError, ExitCode, Problem, SpecInvalid

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.data.sqlguard import Rejected


@click.command("validate")
@common
@click.option("--online", is_flag=True, help="Not supported in this version.")
@click.option("--format", "form", type=str, default="text", metavar="text|json", help="Form of the problems.")
def command(online: bool, form: str, **shared: Any) -> int:
    """Check all specs at once, and their SQL against the data where it is reachable. Keys need not be set."""
    if online:
        raise click.UsageError("--online is not supported in this version")
    if form not in ("text", "json"):
        raise click.UsageError(f"--format {form} is not supported in this version; use text or json")
    options = common_of(**shared)
    problems = _problems(options)
    from reconciler.render.problems import problems_json, problems_text

    errors = [problem for problem in problems if problem.severity == "error"]
    if form == "json":
        click.echo(problems_json(problems))
    elif problems:
        click.echo(problems_text(problems, colour=options.colour), err=bool(errors), nl=False)
    if not errors and form == "text":
        click.echo("valid" + (f", {len(problems)} warnings" if problems else ""))
    return int(ExitCode.INVALID) if errors else 0


def _problems(options: Any) -> tuple[Problem, ...]:
    from reconciler.cli.session import open_session

    try:
        session = open_session(options, strict=False)
    except SpecInvalid as error:
        return error.problems
    found = (*session.loaded.problems, *session.resolution.problems, *_unset(session))
    return (*found, *sql_problems(session))


def _unset(session: Session) -> list[Problem]:
    """Keys that are not set, of destinations and of the state."""
    from reconciler.cli.opening import seal_of

    missing = {f"destination/{name}": error for name, error in session.missing.items()}
    try:
        seal_of(session)
    except ConfigurationError as error:
        missing[f"project/{session.project.name}"] = error
    return [
        Problem(
            severity="warning",
            where=session.where(address),
            what=error.what,
            why=error.why,
            fix=error.fix,
            rule="key-not-set",
        )
        for address, error in sorted(missing.items())
    ]


def sql_problems(session: Session) -> tuple[Problem, ...]:
    """Every segment's SQL, tried on tables without rows; sources are looked at where they are reachable."""
    from datetime import UTC, datetime

    from reconciler.data.engine import Engine
    from reconciler.data.segments import check_segments, empty_tables
    from reconciler.spec import Catalogue, Segment

    specs = session.loaded.specs
    catalogues = {spec.name: spec for spec in specs.values() if isinstance(spec, Catalogue)}
    segments = [spec for spec in specs.values() if isinstance(spec, Segment) and spec.catalogue in catalogues]
    with Engine(now=datetime(2000, 1, 1, tzinfo=UTC), memory="200MB") as engine:
        engine.lock([])
        for spec in catalogues.values():
            empty_tables(engine, spec)
        rejected = check_segments(engine, [(one, catalogues[one.catalogue]) for one in segments])
    parts = {one.name: "where" if one.where is not None else "query" for one in segments}
    return tuple(_rejected(session, f"segment/{name}", parts[name], why) for name, why in rejected.items())


def _rejected(session: Session, address: str, part: str, rejected: Rejected) -> Problem:
    return Problem(
        where=session.where(address, part),
        what=rejected.what,
        why=rejected.why,
        fix=rejected.fix,
        excerpt=session.loaded.excerpt(address, part),
        rule="sql",
    )
