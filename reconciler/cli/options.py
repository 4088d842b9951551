"""Options that several commands share."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from reconciler.cli.screen import Screen
from reconciler.errors import BatchctlError
from reconciler.render.words import placed

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Where the project is, and how it is looked at."""

    folder: Path
    env: str | None
    variables: dict[str, str]
    log_json: bool
    screen: Screen
    given: str = ""
    """The options that say which project, as they were given: a command that is suggested needs them too."""

    def applying(self, file: Path | None, *flags: str, targets: Sequence[str] = (), labels: Sequence[str] = ()) -> str:
        """The command that applies, or goes on with, a saved plan or what the specs say; empty flags are none."""
        words = [str(file)] if file is not None else []
        words += [
            word for name, values in (("--target", targets), ("-l", labels)) for one in values for word in (name, one)
        ]
        return " ".join([placed("batchctl apply", self.given), *map(shlex.quote, (*words, *filter(None, flags)))])

    @property
    def colour(self) -> bool:
        """Whether standard output is coloured."""
        return self.screen.colour


def common(function: F) -> F:
    """``-C``, ``--env``, ``--var``, ``--no-color``, ``--log-format``; errors suggest commands with those given."""
    function = _placing(function)
    for option in reversed(
        (
            click.option(
                "-C",
                "folder",
                type=click.Path(path_type=Path),
                help="Project folder. Default: specs if it exists, else this one.",
            ),
            click.option("--env", metavar="NAME", help="Environment of the project."),
            click.option(
                "--var", "variables", metavar="K=V", multiple=True, help="Value of a variable; overrides the specs."
            ),
            click.option("--no-color", is_flag=True, help="No colours."),
            click.option(
                "--log-format",
                type=click.Choice(["text", "json"]),
                default="text",
                help="Form of progress and logs on standard error.",
            ),
        )
    ):
        function = option(function)
    return function


def _placing(function: F) -> F:
    @wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except BatchctlError as error:
            placed_error(error, _given(options["folder"], options["env"], options["variables"]))
            raise

    return cast(F, command)


def placed_error(error: BatchctlError, given: str) -> BatchctlError:
    """The same error, which suggests commands with the options `given`; see `words.placed`."""
    error.why, error.fix = placed(error.why, given), placed(error.fix, given)
    return error


def _given(folder: Path | None, env: str | None, variables: tuple[str, ...]) -> str:
    named = {"-C": [str(folder)] if folder else [], "--env": [env] if env else [], "--var": variables}
    return shlex.join([part for name, values in named.items() for value in values for part in (name, value)])


def selecting(function: F) -> F:
    """``--target`` and ``-l``: a subset, never read as a deletion of the rest."""
    for option in reversed(
        (
            click.option(
                "--target",
                "targets",
                metavar="ADDRESS",
                multiple=True,
                help="Only what this address feeds; never read as a deletion of the rest.",
            ),
            click.option("-l", "labels", metavar="LABEL=VALUE", multiple=True, help="Only links with this label."),
        )
    ):
        function = option(function)
    return function


def _seconds(_: click.Context, option: click.Parameter, value: float) -> float:
    if not 0 <= value < math.inf:
        raise click.UsageError(f"{option.opts[0]} takes a number of seconds, 0 or more, not {value:g}")
    return value


def waiting(function: F) -> F:
    """``--lock-timeout``."""
    add = click.option(
        "--lock-timeout",
        default=90.0,
        show_default=True,
        metavar="SECONDS",
        callback=_seconds,
        help="How long to wait for another run.",
    )
    return add(function)


def unsupported(*names: str) -> Callable[[F], F]:
    """Options of the contract that this version lacks: refused by name, with or without a value, and not in --help."""

    def refuse(_: click.Context, option: click.Parameter, value: object) -> None:
        if value is not None:
            raise click.UsageError(f"{option.opts[0]} is not supported in this version")

    def decorate(function: F) -> F:
        for name in names:
            add = click.option(
                name, hidden=True, expose_value=False, is_eager=True, is_flag=False, flag_value="", callback=refuse
            )
            function = add(function)
        return function

    return decorate


def common_of(
    *, folder: Path | None, env: str | None, variables: tuple[str, ...], no_color: bool, log_format: str
) -> Common:
    """The shared options as one value; UsageError when one is malformed."""
    chosen = folder or (Path("specs") if Path("specs").is_dir() else Path())
    try:
        there = chosen.is_dir()
    except OSError as error:  # a folder above it is closed to us
        raise click.UsageError(f"{chosen} cannot be read: {error.strerror}; check its permissions") from None
    if not there:
        raise click.UsageError(f"{chosen} is not a folder")
    return Common(
        folder=chosen,
        env=env,
        variables=dict(_pair(text, "--var") for text in variables),
        log_json=log_format == "json",
        screen=Screen.of(no_color=no_color),
        given=_given(folder, env, variables),
    )


def labels_of(labels: tuple[str, ...]) -> dict[str, str]:
    """``-l label=value`` as a mapping."""
    return dict(_pair(text, "-l") for text in labels)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise click.UsageError(f"{option} takes NAME=VALUE")
    return name, value


def formats_of(formats: tuple[str, ...], *, known: tuple[str, ...] = ("text", "json")) -> dict[str, Path | None]:
    """``--format json --format text=plan.txt`` → where each form goes; None is standard output."""
    chosen: dict[str, Path | None] = {}
    for text in formats or ("text",):
        name, found, path = text.partition("=")
        if name in ("markdown", "html", "sarif", "github") and name not in known:
            raise click.UsageError(f"--format {name} is not supported in this version; use {' or '.join(known)}")
        if name not in known:
            raise click.UsageError(f"--format takes {' or '.join(known)}, not {name!r}")
        chosen[name] = Path(path) if found else None
        if found and not Path(path).parent.is_dir():
            raise click.UsageError(f"--format {text}: {Path(path).parent} is not a folder")
    if sum(path is None for path in chosen.values()) > 1:
        raise click.UsageError("only one --format can go to standard output; write the other as NAME=FILE")
    return chosen
