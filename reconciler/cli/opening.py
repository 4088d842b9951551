"""Opening the state of a session: to read it, or to write it under its lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.errors import ConfigurationError, Lost, SetBack
from reconciler.loader import how_to_set, resolve_key
from reconciler.spec import KeyRef
from reconciler.state.bucket import open_bucket
from reconciler.state.clouds import SCHEMES
from reconciler.state.holder import Holder
from reconciler.state.lock import Permit, hold
from reconciler.state.place import Folder, Place
from reconciler.state.reader import StateReader
from reconciler.state.seal import Seal
from reconciler.state.sealed import Sealed
from reconciler.state.state import State
from reconciler.state.store import StateStore

if TYPE_CHECKING:
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import Session
    from reconciler.cli.signals import Signals


ANEW = (
    "this goes on as if nothing had ever been sent: audiences that exist must be imported, attributes of people who "
    "left meanwhile stay. To go on from a backup instead: batchctl state push --force FILE"
)


def place_of(session: Session, *, cache: Path | None = None) -> Place:
    """Where the state of the project and environment lies; `cache` takes the place of this machine's copies."""
    place, seal = bare_place_of(session, cache=cache), seal_of(session)
    if seal is None:
        return place
    opened = Sealed(place, seal)
    click.get_current_context().call_on_close(opened.close)
    return opened


def bare_place_of(session: Session, *, cache: Path | None = None) -> Place:
    """The same without the key of its encryption: whoever frees the lock may not have it."""
    url, folder = session.state_url, cache or session.state_root
    if url.partition("://")[0] in SCHEMES:
        return open_bucket(url, cache=folder, environ=os.environ)
    return Folder(session.state_root)


def seal_of(session: Session) -> Seal | None:
    """What everything that is kept is encrypted with, None where the project says nothing.

    ConfigurationError when a key is not set: a state that was encrypted is never started afresh.
    """
    found = session.project.encryption(session.common.env)
    if found is None:
        return None
    key = _key(session, found.key)
    fallback = _key(session, found.fallback) if found.fallback is not None else None
    return _seal(key, fallback, found.enforced)


@cache
def _seal(key: str, fallback: str | None, enforced: bool) -> Seal:
    return Seal(key, fallback=fallback, enforced=enforced)


def _key(session: Session, ref: KeyRef) -> str:
    allowed = os.environ.get("BATCHCTL_ENV_ALLOW")
    try:
        return resolve_key(ref, environ=os.environ, root=session.root, env_allow=allowed).get_secret_value()
    except ConfigurationError as error:
        fix = f"{how_to_set(ref)}: without it the state can neither be read nor written"
        raise ConfigurationError(f"state encryption: {error.what}", why=error.why, fix=fix) from None


def reading(session: Session, *, cache: Path | None = None) -> StateReader:
    """The state, to be read; needs no lock."""
    return StateReader(
        place_of(session, cache=cache), project=session.project.name, environment=session.common.env or ""
    )


@contextmanager
def writing(
    session: Session, *, what: str, timeout: float, signals: Signals, reporter: Reporter
) -> Iterator[tuple[StateStore, Permit]]:
    """The state under its lock, and the permit every request to Batch asks for; Locked when another run keeps it.

    A signal ends the waiting for another run; the lock is never left held because of one.
    """
    place = place_of(session)
    said = set[str]()

    def waiting(text: str) -> None:
        signals.heed()
        if text not in said:
            said.add(text)
            reporter.stage(text)

    holder = Holder(text=what, started=session.now, run=ci_run())
    environment = session.common.env or ""
    signals.noting = True
    try:
        with (
            hold(place, timeout_seconds=timeout, holder=holder, waiting=waiting) as permit,
            StateStore(place, project=session.project.name, environment=environment, permit=permit) as store,
        ):
            try:
                signals.noting = False
                signals.heed()
                yield store, permit
            finally:
                signals.noting = True
    finally:
        signals.noting = False


def current(reader: StateReader, session: Session) -> tuple[State | None, tuple[str, ...]]:
    """The state to plan with, and a warning where its document was set back or is gone.

    Of a version that is kept: what may have been sent since is sent again. Of none: as if nothing had ever been sent.
    """
    try:
        return reader.read(), ()
    except SetBack as error:
        from reconciler import upkeep

        state = upkeep.gone_back(reader, now=session.now)
        facts = error.why.partition(";")[0]
        ahead = "this goes on from the newest version that is kept, and sends again what may have been sent after it"
        return state, (f"{error.what}: {facts}; {ahead}",)
    except Lost as error:
        reader.begin_anew()
        return None, (f"{error.what}: {ANEW}",)


def ci_run() -> str:
    """Address of the CI run this process belongs to, if any: GitLab, Jenkins, GitHub."""
    environ = os.environ
    github = [environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    address = "{}/{}/actions/runs/{}".format(*github) if all(github) else ""
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL") or address
