"""``batchctl import``: an audience that exists in Batch becomes ours; its members stay unknown until a full upload."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.byhand import LEFT, warn
from reconciler.cli.options import common, common_of, waiting
from reconciler.errors import ConfigurationError, Usage

if TYPE_CHECKING:
    from reconciler.batch.client import Reader
    from reconciler.cli.session import Session
    from reconciler.link import Target
    from reconciler.plan.course import Course
    from reconciler.state.state import State, TargetState


@click.command("import")
@click.argument("address")
@click.argument("audience")
@common
@waiting
def command(address: str, audience: str, lock_timeout: float, **shared: Any) -> int:
    """Take over AUDIENCE, which exists in Batch, for the segment link ADDRESS. Nothing is changed in Batch.

    Who is in it cannot be read back: the next plan is a full upload.
    """
    options = common_of(**shared)
    from reconciler import upkeep
    from reconciler.cli.opening import current, writing
    from reconciler.cli.pipeline import Wish, connected
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import open_session
    from reconciler.cli.signals import cancelled_by_signals

    session = open_session(options)
    target = _target(session, address, audience)
    cancel = threading.Event()
    with (
        cancelled_by_signals(cancel, left=LEFT) as signals,
        Reporter(json_lines=options.log_json) as reporter,
        writing(session, what="import", timeout=lock_timeout, signals=signals, reporter=reporter) as (store, permit),
    ):
        state, lost = current(store, session)
        warn(session, (*session.unnamed(state), *lost))
        wish = Wish(keys=frozenset({target.key}))
        with connected(session, state, wish, cancel=cancel, reporter=reporter, permit=permit) as clients:
            reporter.stage(f"reading audiences of {target.destination.name}")
            course = _course(session, target, state, clients[target.key.account])
        state = state or store.new()
        imported, wrong = upkeep.remembering(store, _imported(course, state, session), now=session.now)
        warn(session, (f"{what}: whom Batch was told by it is not known any more" for what in wrong))
        state = store.write(state.by_hand().with_target(imported))
    _say(target, course, state.serial)
    return 0


def _target(session: Session, address: str, audience: str) -> Target:
    """The audience a link fills; Usage when ADDRESS is no such link or names its audience otherwise."""
    links = {link.address: target for target in session.resolution.targets for link in target.links}
    target = links.get(address)
    if target is None:
        known = ", ".join(sorted(name for name, one in links.items() if not one.key.is_profiles)) or "none"
        raise Usage(f"{address}: no such segment link", why=f"segment links that fill an audience: {known}")
    if target.key.is_profiles:
        raise Usage(f"{address} fills no audience", why="send_attributes sets attributes of profiles; import nothing")
    if target.key.audience != audience:
        raise Usage(
            f"{address} fills audience {target.key.audience}, not {audience}",
            fix=f"set audience: {{name: {audience}}} on {address}"
            + (" (the environment's audience_prefix goes in front)" if session.project.prefix(_env(session)) else ""),
        )
    return target


def _env(session: Session) -> str | None:
    return session.common.env


def _course(session: Session, target: Target, state: State | None, client: Reader) -> Course:
    """What Batch shows of the audience, ready to be recorded; ConfigurationError when it cannot be taken over."""
    from reconciler.course.named import audience_course
    from reconciler.course.ours import is_ours

    name = target.key.audience
    observed = client.inventory().audiences.get(name)
    if observed is None:
        raise ConfigurationError(
            f"audience {name} does not exist in Batch (account {target.key.account})",
            fix="nothing to import: batchctl apply creates it",
        )
    known = state.target(target.key) if state is not None else None
    if known is not None and is_ours(observed, known):
        raise ConfigurationError(f"audience {name} is ours already", why=f"owned since serial {known.owned_since}")
    course = audience_course(target, observed, None, session.now)
    if course.refused is not None and course.refused.rule == "type":
        raise ConfigurationError(
            f"audience {name} {course.refused.detail}", fix=f"give the link another name: {course.refused.override}"
        )
    return course


def _imported(course: Course, state: State, session: Session) -> TargetState:
    """The target as a commit would record it, but with nothing told and nothing trusted."""
    from reconciler.plan.target_state import NOTHING_DONE, state_after
    from reconciler.state.state import Baseline

    after = state_after(course, serial=state.serial, now=session.now)
    return after.model_copy(update={**NOTHING_DONE, "baseline": Baseline(trusted=False)})


def _say(target: Target, course: Course, serial: int) -> None:
    from reconciler.course.ours import rewritable
    from reconciler.render.words import counted

    name = target.key.audience
    held = course.observed.nb_ids if course.observed else None
    members = "an unknown number of identifiers" if held is None else counted(held, "identifier")
    click.echo(f"imported audience {name} of {target.destination.name} ({members} in Batch); state serial {serial}")
    if rewritable(target.key.space):
        click.echo("The next plan is a full upload: what Batch holds is replaced by the link's members.")
    else:
        click.echo("The next plan is a full upload: every member of the link is added.")
        click.echo("Who else is in the audience cannot be seen and stays: MEP 1.0 has no replace.")
