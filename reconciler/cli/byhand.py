"""What the commands that look at the state, and change it by hand, have in common."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from reconciler.address import PROFILES, TargetKey, is_account
from reconciler.cli.options import Common, common_of
from reconciler.errors import ExitCode, StateError

if TYPE_CHECKING:
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import Session
    from reconciler.state.state import State, TargetState
    from reconciler.state.store import StateStore

LEFT = "nothing was sent, and the state is whole: the same command does what is left of it"
"""What is said of a command that a signal ended."""


def session_of(shared: dict[str, Any]) -> Session:
    """The session of the shared options; wrong documents do not matter, the Project's own excepted."""
    from reconciler.cli.session import open_session

    options: Common = common_of(**shared)
    return open_session(options, strict=False)


def read_state(session: Session) -> State | None:
    """The newest version, None where none was ever written."""
    from reconciler.cli.opening import reading

    state = reading(session).read()
    warn(session, doubts(session, state))
    return state


def doubts(session: Session, state: State | None) -> tuple[str, ...]:
    """What may be a mistake: no state, no environment that was named."""
    none = f"there is no state yet: nothing was ever applied from {session.state_url}"
    return (*([] if state else [none]), *session.unnamed(state))


def warn(session: Session, texts: Iterable[str]) -> None:
    """Says these on standard error; the commands they suggest with the options that say which project."""
    from reconciler.cli.messages import say
    from reconciler.render.words import placed

    for text in (placed(text, session.common.given) for text in texts):
        say("warning", text if session.common.log_json else f"warning: {text}", json_lines=session.common.log_json)


@contextmanager
def opened(session: Session, what: str, timeout: float, reporter: Reporter | None = None) -> Iterator[StateStore]:
    """The state under its lock; `what` names the command to whoever waits for it. A `reporter` is closed at the end."""
    from reconciler.cli.opening import writing
    from reconciler.cli.progress import Reporter
    from reconciler.cli.signals import cancelled_by_signals

    with (
        cancelled_by_signals(threading.Event(), left=LEFT) as signals,
        reporter or Reporter(json_lines=session.common.log_json) as said,
        writing(session, what=what, timeout=timeout, signals=signals, reporter=said) as (store, _),
    ):
        yield store


def staged(doing: str, targets: Sequence[TargetState], reporter: Reporter) -> Iterator[TargetState]:
    """The targets, each of which is said to be under way when it is taken."""
    for number, known in enumerate(targets, 1):
        reporter.stage(f"{doing} {known.key} ({number:,} of {len(targets):,})")
        yield known


def target_meant(state: State | None, key: str) -> TargetState:
    """The target meant by a key, or by an audience name that only one has; see `_is_meant` for profiles."""
    targets = state.targets if state else {}
    found = [targets[key]] if key in targets else [one for one in targets.values() if one.audience == key != ""]
    found = found or [one for one in targets.values() if one.key.is_profiles and _is_meant(key, one.key)]
    if not found:
        names = [*targets, *(one.audience for one in targets.values() if one.audience)]
        near = get_close_matches(key, names, n=1, cutoff=0.8)
        mean = f"did you mean {shlex.quote(near[0])}? " if near else ""
        raise StateError(f"{key} is not in the state", fix=f"{mean}batchctl state list shows all keys")
    if len(found) > 1:
        keys = ", ".join(shlex.quote(str(one.key)) for one in found)
        raise StateError(f"{key} names several targets", fix=f"use one of {keys}")
    return found[0]


def key_meant(text: str, known: TargetKey) -> TargetKey:
    """The key to give to what is `known` by another. UsageError where it is none."""
    wrong = f"{text} is no key such as {shlex.quote(str(known))}"
    try:
        found = TargetKey.parse(text)
    except ValueError:
        raise click.UsageError(wrong) from None
    if not is_account(found.account):
        raise click.UsageError(f"{wrong}: an account is 8 hexadecimal digits")
    profiles = replace(found, audience="")
    return profiles if known.is_profiles and _is_meant(text, profiles) else found


def _is_meant(text: str, profiles: TargetKey) -> bool:
    """Whether a text stands for the key of profiles, which end in `$profiles`: a shell makes nothing of that."""
    place = f"{profiles.account}/{profiles.space}/"
    return text in (PROFILES, "profiles", place, f"{place}profiles")


def remembered(known: TargetState, serial: int) -> str:
    """For how long it is known who was told, once `state rm` has written that serial."""
    from reconciler.state.store import VERSIONS_WITH_FILES

    if known.key.is_profiles:
        return (
            "Nobody knows any more who was told: who leaves or withdraws consent from now on keeps attributes in Batch."
        )
    last = f"Who was told is kept up to state serial {serial + VERSIONS_WITH_FILES - 1}, which the next apply may pass"
    return f"{last}: to take it over again, import it before. Later nobody knows them, and who withdraws consent stays."


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
