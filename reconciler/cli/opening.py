"""Opening the state of a session: to read it, or to write it under its lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import ExitCode, Interrupted
from reconciler.state.bucket import SCHEMES, open_bucket
from reconciler.state.holder import Holder
from reconciler.state.lock import Permit, hold
from reconciler.state.place import Folder, Place
from reconciler.state.reader import StateReader
from reconciler.state.store import StateStore

if TYPE_CHECKING:
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import Session


def place_of(session: Session, *, cache: Path | None = None) -> Place:
    """Where the state of the project and environment lies; `cache` takes the place of this machine's copies."""
    url = session.state_url
    if url.partition("://")[0] in SCHEMES:
        return open_bucket(url, cache=cache or session.state_root, environ=os.environ)
    return Folder(session.state_root)


def reading(session: Session, *, cache: Path | None = None) -> StateReader:
    """The state, to be read; needs no lock."""
    return StateReader(
        place_of(session, cache=cache), project=session.project.name, environment=session.common.env or ""
    )


@contextmanager
def writing(
    session: Session, *, what: str, timeout: float, cancel: threading.Event, reporter: Reporter
) -> Iterator[tuple[StateStore, Permit]]:
    """The state under its lock, and the permit every request to Batch asks for; Locked when another run keeps it."""
    place = place_of(session)
    said = set[str]()

    def waiting(text: str) -> None:
        if cancel.is_set():
            raise Interrupted(ExitCode.SIGINT)
        if text not in said:
            said.add(text)
            reporter.stage(text)

    holder = Holder(text=what, started=session.now, run=ci_run())
    with (
        hold(place, timeout_seconds=timeout, holder=holder, waiting=waiting) as permit,
        StateStore(place, project=session.project.name, environment=session.common.env or "") as store,
    ):
        yield store, permit


def ci_run() -> str:
    """Address of the CI run this process belongs to, if any: GitLab, Jenkins, GitHub."""
    environ = os.environ
    github = [environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    address = "{}/{}/actions/runs/{}".format(*github) if all(github) else ""
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL") or address
