"""What the commands that look at the state, and change it by hand, have in common."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import Common, common_of
from reconciler.errors import ExitCode, StateError

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.state.state import State, TargetState
    from reconciler.state.store import StateStore


def session_of(shared: dict[str, Any]) -> Session:
    """The session of the shared options; wrong documents do not matter, the Project's own excepted."""
    from reconciler.cli.session import open_session

    options: Common = common_of(**shared)
    return open_session(options, strict=False)


def read_state(session: Session) -> State | None:
    """The newest version, None where none was ever written."""
    from reconciler.cli.opening import reading

    return reading(session).read()


@contextmanager
def opened(session: Session, what: str, timeout: float) -> Iterator[StateStore]:
    """The state under its lock; `what` names the command to whoever waits for it."""
    from reconciler.cli.opening import writing
    from reconciler.cli.progress import Reporter

    with (
        Reporter(json_lines=session.common.log_json) as reporter,
        writing(session, what=what, timeout=timeout, cancel=threading.Event(), reporter=reporter) as (store, _),
    ):
        yield store


def target_meant(state: State | None, key: str) -> TargetState:
    """The target meant by a key, or by an audience name that only one has."""
    targets = state.targets if state else {}
    found = [targets[key]] if key in targets else [one for one in targets.values() if one.audience == key != ""]
    if len(found) != 1:
        what = "is not in the state" if not found else "names several targets"
        raise StateError(f"{key} {what}", fix="batchctl state list shows all keys")
    return found[0]


def approved(question: str, *, auto_approve: bool) -> bool:
    """Whether a person says yes, or nobody is to be asked. UsageError where nobody can be."""
    if auto_approve:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask on: add --auto-approve")
    answer = click.prompt(f"{question} Only 'yes' does", default="", show_default=False, err=True)
    return bool(answer.strip() == "yes")


def declined() -> int:
    """Exit code where the person said no, or anything but yes; says so."""
    click.echo("Not done: nothing was changed.", err=True)
    return int(ExitCode.ERROR)
