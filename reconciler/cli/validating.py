"""``batchctl validate``."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import common, common_of, unsupported
from reconciler.errors import ConfigurationError, ExitCode, Problem, SpecInvalid

if TYPE_CHECKING:
    from reconciler.cli.options import Common
    from reconciler.loader import Loaded
    from reconciler.spec import KeyRef


@click.command("validate")
@common
@unsupported("--online")
@click.option("--format", "form", type=str, default="text", metavar="text|json", help="Form of the problems.")
def command(form: str, **shared: Any) -> int:
    """Check all specs at once, and their SQL and sources where data is reachable. Keys need not be set."""
    if form not in ("text", "json"):
        raise click.UsageError(f"--format {form} is not supported in this version; use text or json")
    options = common_of(**shared)
    problems = problems_of(options)
    from reconciler.render.problems import problems_json, problems_text

    errors = [problem for problem in problems if problem.severity == "error"]
    if form == "json":
        click.echo(problems_json(problems), nl=False)
    elif errors and options.log_json:
        raise SpecInvalid(problems)
    elif problems:
        click.echo(problems_text(problems, colour=options.colour), err=bool(errors), nl=False)
    if not errors and form == "text":
        click.echo("valid")
    return int(ExitCode.INVALID) if errors else 0


def problems_of(options: Common) -> tuple[Problem, ...]:
    """Everything wrong with the project: specs, references between them, keys that are not set, SQL and sources."""
    from reconciler.cli.session import instant, read_specs
    from reconciler.loader import without_gc

    with without_gc():
        specs = read_specs(options, today=instant().date())
        return (*specs.problems, *_unset(specs.loaded, options), *_data(specs.loaded, options))


def _unset(loaded: Loaded, options: Common) -> list[Problem]:
    """References without a key behind them: one warning each, at the first place."""
    from reconciler.loader import resolve_key

    used: dict[KeyRef, list[tuple[str, ...]]] = defaultdict(list)
    for reference, place in _references(loaded, options):
        used[reference].append(place)
    found = []
    for reference, places in used.items():
        try:
            allowed = os.environ.get("BATCHCTL_ENV_ALLOW")
            resolve_key(reference, environ=os.environ, root=options.folder, env_allow=allowed)
        except ConfigurationError as error:
            found.append(_not_set(loaded, error, places))
    return found


def _references(loaded: Loaded, options: Common) -> Iterator[tuple[KeyRef, tuple[str, ...]]]:
    """Every reference to a key that a run would need, with its address and path."""
    from reconciler.loader.variables import KEY_FIELDS
    from reconciler.spec import Destination

    project, env = loaded.project, options.env
    sealed = project.encryption(env) if project is not None else None
    if project is not None and sealed is not None:
        own = env in project.environments and project.environments[env].state.encryption is not None
        above = ("environments", env) if own and env is not None else ()
        for name in ("key", "fallback"):
            if getattr(sealed, name) is not None:
                yield getattr(sealed, name), (f"project/{project.name}", *above, "state", "encryption", name)
    for address, spec in loaded.specs.items():
        for name in KEY_FIELDS if isinstance(spec, Destination) else ():
            if getattr(spec, name) is not None:
                yield getattr(spec, name), (address, name)


def _not_set(loaded: Loaded, error: ConfigurationError, places: list[tuple[str, ...]]) -> Problem:
    others = len({place[0] for place in places}) - 1
    lost = "set it: without it the state can neither be read nor written"
    return Problem(
        severity="warning",
        where=loaded.where(*places[0]),
        what=error.what,
        why=error.why or "plan and apply stop before the first request" + (f"; {others} more use it" if others else ""),
        fix=lost if "encryption" in places[0] else error.fix,
        excerpt=loaded.excerpt(*places[0]),
        rule="key-not-set",
    )


def _data(loaded: Loaded, options: Common) -> list[Problem]:
    """Sources that are reachable and lack something; every segment's SQL, tried on tables without rows."""
    from datetime import UTC, datetime

    from reconciler.cli.session import data_roots
    from reconciler.data.engine import Engine
    from reconciler.data.probe import probe
    from reconciler.data.segments import check_segments, empty_tables
    from reconciler.data.told import source_problem, sql_problem
    from reconciler.spec import Catalogue, Segment

    specs = loaded.specs.values()
    catalogues = {spec.name: spec for spec in specs if isinstance(spec, Catalogue) and spec.key in spec.fields}
    segments = {spec.name: spec for spec in specs if isinstance(spec, Segment) and spec.catalogue in catalogues}
    with Engine(now=datetime(2000, 1, 1, tzinfo=UTC), memory="200MB") as engine:
        found = probe(engine, catalogues.values(), root=options.folder, roots=data_roots())
        for spec in catalogues.values():
            empty_tables(engine, spec)
        rejected = check_segments(engine, [(one, catalogues[one.catalogue]) for one in segments.values()])
    told = [
        source_problem(
            one.catalogue, one.wrong, loaded.where, loaded.excerpt, severity="error" if one.reachable else "warning"
        )
        for one in found
    ]
    return [*told, *(sql_problem(segments[name], why, loaded.where, loaded.excerpt) for name, why in rejected.items())]
