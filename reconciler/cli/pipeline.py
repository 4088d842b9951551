"""specs + Batch + state + data → a plan: the calls every planning command makes, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from reconciler import __version__
from reconciler.address import TargetKey
from reconciler.batch.client import Client
from reconciler.batch.clock import SystemClock
from reconciler.batch.factory import client_for_state, open_clients
from reconciler.batch.pacing import Pacers
from reconciler.cli.progress import Reporter
from reconciler.cli.session import Session, state_keys
from reconciler.course import Course, decide, unmanaged
from reconciler.data.engine import Engine
from reconciler.errors import SourceError
from reconciler.plan import Plan
from reconciler.plan.make import make_plan
from reconciler.policy import check
from reconciler.recognise import Evaluated, Ground, recognise
from reconciler.refresh import refresh
from reconciler.spec import Destination
from reconciler.state.lock import Permit
from reconciler.state.reader import StateReader, measure
from reconciler.state.standing import Standing, stand
from reconciler.state.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with the folder of its staged files."""

    plan: Plan
    staging: Path
    rejects: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What part of the project a plan is for, and what it may do."""

    keys: frozenset[TargetKey] | None = None
    no_delete: bool = False
    retry_rejects: bool = False


@contextmanager
def connected(
    session: Session,
    state: State | None,
    wish: Wish,
    *,
    cancel: threading.Event,
    reporter: Reporter,
    permit: Permit | None = None,
) -> Iterator[dict[str, Client]]:
    """Clients by account: of every destination in use, and of accounts only the state remembers."""
    targets = [t for t in session.resolution.targets if wish.keys is None or t.key in wish.keys]
    used = {t.destination.name: t.destination for t in targets}
    if wish.keys is None and state is not None:
        owned = {known.destination for known in state.targets.values()}
        used |= {
            s.name: s
            for s in session.loaded.specs.values()
            if isinstance(s, Destination) and s.name in owned and s.name in session.keys
        }
    session.need_keys(used)
    pacers = Pacers(SystemClock())
    with ExitStack() as stack:
        opened = open_clients(
            used.values(),
            session.keys,
            pacers=pacers,
            cancel=cancel,
            api_url_override=session.api_url,
            on_attempt=reporter.attempt,
            permit=permit,
        )
        clients = {client.account: client for client in opened.values()}
        for client in opened.values():
            stack.callback(client.close)
        for known in state.targets.values() if state is not None and wish.keys is None else ():
            keys = state_keys(session, known.keys) if known.account not in clients else None
            if keys is None:
                continue
            client = client_for_state(
                known,
                keys,
                pacers=pacers,
                cancel=cancel,
                api_url_override=session.api_url,
                on_attempt=reporter.attempt,
                permit=permit,
            )
            stack.callback(client.close)
            if client.account == known.account:
                clients[known.account] = client
        yield clients


def standings_of(reader: StateReader, state: State | None) -> dict[str, Standing]:
    """Every owned target with its acknowledgements folded in."""
    if state is None:
        return {}
    return {key: stand(known, reader.acked(known)) for key, known in state.targets.items()}


def plan_with(
    session: Session,
    reader: StateReader,
    state: State | None,
    clients: dict[str, Client],
    engine: Engine,
    wish: Wish,
    *,
    cancel: threading.Event,
    reporter: Reporter,
) -> Planned:
    """Reads Batch, decides, evaluates, compares; nothing is written but staged files in the engine's folder."""
    standings = standings_of(reader, state)
    state = state.with_targets(standing.known for standing in standings.values()) if state else None
    targets = session.resolution.targets
    reporter.stage("reading Batch")
    inventories = refresh(
        clients.values(),
        standings,
        cancel=cancel,
        progress=lambda name: reporter.stage(f"reading audiences of {name}"),
    )
    courses = decide(
        targets,
        inventories=inventories,
        state=state,
        project=session.project,
        now=session.now,
        subset=wish.keys,
    )
    ground = _ground(session, reader, wish, reporter)
    evaluated = _evaluated(engine, courses, standings, ground)
    plan = make_plan(
        courses,
        evaluated.staged,
        state=state,
        project=session.project,
        environment=session.common.env or "",
        tool=f"batchctl {__version__}",
        now=session.now,
        specs_digest=session.loaded.digest,
        sources=evaluated.sources,
        partial=wish.keys is not None,
        unmanaged=unmanaged(targets, inventories=inventories, state=state),
        files={
            key: measure(one.file, one.file.name, rows=one.rows) for key, one in evaluated.staged.items() if one.file
        },
    )
    plan = check(plan, targets, project=session.project, state=state, now=session.now, no_delete=wish.no_delete)
    return Planned(plan=_warned(plan, session, state), staging=engine.folder, rejects=_rejects(evaluated))


def _evaluated(engine: Engine, courses: Sequence[Course], standings: dict[str, Standing], ground: Ground) -> Evaluated:
    """The deltas; where every target is recognised, nothing that computes them is even imported."""
    known = recognise(courses, standings, ground, now=engine.now)
    if not known.todo:
        return Evaluated(staged=known.staged)
    from reconciler.evaluate import evaluate

    try:
        return evaluate(engine, courses, standings, ground, known)
    except SourceError:  # what could not be read may be the state's own: its files are told apart by their digests
        for course in known.todo:
            if (standing := standings.get(str(course.key))) is not None:
                for layer in (*standing.layers, *standing.unsure):
                    ground.locate(layer)
        raise


def warned(planned: Planned, warnings: tuple[str, ...]) -> Planned:
    """The same with more warnings."""
    plan = planned.plan.model_copy(update={"warnings": (*planned.plan.warnings, *warnings)})
    return replace(planned, plan=plan)


def _warned(plan: Plan, session: Session, state: State | None) -> Plan:
    """No environment named; and overrides that have ended: whoever reads the refusal they no longer prevent must see
    them."""
    over = [f"{one.where}: {one.what}" for one in session.resolution.problems if one.rule == "allow-expired"]
    return plan.model_copy(update={"warnings": (*session.unnamed(state), *plan.warnings, *over)})


def _ground(session: Session, reader: StateReader, wish: Wish, reporter: Reporter) -> Ground:
    return Ground(
        root=session.root,
        roots=session.data_roots,
        where=session.where,
        excerpt=session.loaded.excerpt,
        progress=reporter.stage,
        path_of=reader.path_of,
        locate=partial(reader.path_of, verify=True),
        retry_rejects=wish.retry_rejects,
    )


def _rejects(evaluated: Evaluated) -> tuple[Path, ...]:
    return tuple(one.rejects_file for one in evaluated.staged.values() if one.rejects_file is not None)
