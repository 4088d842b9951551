"""Carrying a plan out, fresh or saved, under the lock of the state: what `apply` does once its options are read."""

from __future__ import annotations

import gc
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from reconciler.cli.messages import traced
from reconciler.errors import BatchctlError, ConfigurationError, StateError
from reconciler.unforeseen import unforeseen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from reconciler.apply.books import Books
    from reconciler.batch.client import Client
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import Session
    from reconciler.cli.signals import Signals
    from reconciler.plan import Change, Plan
    from reconciler.state.lock import Permit
    from reconciler.state.state import State
    from reconciler.state.store import StateStore

    Opened = AbstractContextManager[tuple[StateStore, Permit]]


class Run:
    """One apply: planning (or opening a saved plan) and carrying it out, under the lock."""

    def __init__(
        self,
        *,
        session: Session,
        wish: Any,
        reporter: Reporter,
        cancel: threading.Event,
        wait: bool,
        ask: bool,
        formats: dict[str, Path | None],
    ) -> None:
        self.session, self.wish, self.formats = session, wish, formats
        self.reporter, self.cancel = reporter, cancel
        self.wait, self.ask = wait, ask
        self.done: Plan | None = None
        """What became of the plan, once it was carried out."""
        self.shown = False
        """The plan is on standard output already."""
        self.late: BatchctlError | None = None
        """What failed when everything was sent."""
        self.permit: Permit | None = None
        self.signals: Signals | None = None

    def result(self, opened: Opened, file: Path | None, engine: Any) -> Plan | None:
        """What came of a saved plan, or of a fresh one; None when the person said no."""
        try:
            with opened as (store, self.permit):
                self.done = self.saved(store, file) if file is not None else self.fresh(store, engine)
        except Exception as error:
            if self.done is None:
                raise
            if not isinstance(error, BatchctlError):
                traced(error)
                error = unforeseen(error)
            self.late = self.late or error  # all was sent by then: its report is owed
        return self.done

    def fresh(self, store: StateStore, engine: Any) -> Plan | None:
        """Plans and applies; None when the person said no."""
        from reconciler.cli.opening import current
        from reconciler.cli.pipeline import connected, plan_with, warned

        session, cancel, reporter = self.session, self.cancel, self.reporter
        state, back = current(store, session)
        with connected(session, state, self.wish, cancel=cancel, reporter=reporter, permit=self.permit) as clients:
            planned = plan_with(session, store, state, clients, engine, self.wish, cancel=cancel, reporter=reporter)
            planned = warned(planned, back)
            reporter.close()
            self._show(planned.plan)
            if not self._approved(planned.plan):
                return None
            return self._carry_out(store, state, planned.plan, planned.staging, clients, planned.rejects)

    def saved(self, store: StateStore, file: Path) -> Plan:
        """Applies a saved plan after checking that it still fits, guards included."""
        from reconciler.cli.fitting import check_fits, moved
        from reconciler.cli.opening import current, seal_of
        from reconciler.cli.pipeline import connected
        from reconciler.planfile import open_plan
        from reconciler.policy import check

        session = self.session
        with open_plan(file, seal=seal_of(session)) as opened:
            state, back = current(store, session)
            plan = opened.plan
            check_fits(plan, state, session)
            checked = check(
                plan,
                session.resolution.targets,
                project=session.project,
                state=state,
                now=session.now,
                no_delete=self.wish.no_delete,
            )
            checked = checked.model_copy(update={"warnings": (*checked.warnings, *moved(plan, session.root), *back)})
            with connected(
                session, state, self.wish, cancel=self.cancel, reporter=self.reporter, permit=self.permit
            ) as clients:
                return self._carry_out(store, state, checked, opened.staging, clients, opened.rejects)

    def _was_late(self, error: BatchctlError) -> None:
        self.late = error

    def _sleep(self, seconds: float) -> None:
        self.cancel.wait(seconds)

    def _show(self, plan: Plan) -> None:
        """The plan before it is carried out: for whoever is asked, and for whoever reads the log afterwards."""
        from reconciler.cli.outputs import has_changes, on_output, write_plan
        from reconciler.cli.screen import Screen
        from reconciler.render.text import text

        if on_output(self.formats) == "text":
            write_plan(plan, {"text": None}, self.session.common)
            click.echo("", nl=has_changes(plan))
            self.shown = True
        elif self.ask:
            screen = Screen.of(sys.stderr)
            given = self.session.common.given
            click.echo(text(plan, colour=screen.colour, columns=screen.columns, given=given), nl=False, err=True)

    def _approved(self, plan: Plan) -> bool:
        from reconciler.cli.outputs import has_changes

        if not self.ask or not has_changes(plan):
            return True
        answer = click.prompt("Apply this plan? Only 'yes' does", default="", show_default=False, err=True)
        return bool(answer.strip() == "yes")

    def _keep(self, rejects: tuple[Path, ...]) -> None:
        """The rejects of this run, so far as they are known."""
        from reconciler.cli.opening import seal_of
        from reconciler.cli.runs import keep_rejects

        session = self.session
        keep_rejects(session.state_root, rejects, now=session.now, what="apply", seal=seal_of(session))

    def _carry_out(
        self,
        store: StateStore,
        state: State | None,
        plan: Plan,
        staging: Path,
        clients: dict[str, Client],
        rejects: tuple[Path, ...],
    ) -> Plan:
        from reconciler.apply import REFUSED, Tools, apply, left_to_see
        from reconciler.apply.books import Books
        from reconciler.batch.transport import REQUEST_TIMEOUT
        from reconciler.cli.outputs import has_changes
        from reconciler.data.engines import Engines
        from reconciler.loopback import is_loopback
        from reconciler.plan.target_state import protecting
        from reconciler.policy import lists_believed

        self._keep(rejects)
        if not has_changes(plan):
            if state is not None and (kept := protecting(state, plan.changes)) is not state:
                state = store.write(kept)
            if not (self.wait and state is not None and left_to_see(plan, state)):
                return self._aged(store, state, plan)
        state = state or store.new()
        books = Books(store, state)
        if self.signals is not None:
            self.signals.sending = True
        books.change(
            lambda before: protecting(before, plan.changes).model_copy(
                update={"applying": plan.digest, "suppressed": lists_believed(plan, before)}
            )
        )
        local = is_loopback(urlsplit(self.session.api_url or "").hostname or "")
        deadlines = [t.destination.retry.deadline.total_seconds() for t in self.session.resolution.targets]
        tools = Tools(
            books=books,
            staging=staging,
            client_of=partial(_client_of, clients),
            engines=Engines(now=self.session.now),
            digest=plan.digest,
            progress=self.reporter.progress,
            clock=lambda: datetime.now(UTC),
            sleep=self._sleep,
            cancel=self.cancel,
            deadline=max(deadlines, default=900.0),
            request_timeout=2.0 if local else REQUEST_TIMEOUT,
            wait=self.wait,
            late=self._was_late,
            noticed=traced,
        )
        self.reporter.expect(plan.changes)
        gc.set_threshold(700, 10, 10)  # what each request leaves, a body among it, must go soon
        with tools.engines:
            done = self.done = apply(plan, tools)
        refused = tuple(sorted(staging.glob(REFUSED)))
        warnings = self._close(store, books, done, (*rejects, *refused) if refused else ())
        left = books.state
        warnings = (*done.warnings, *warnings)
        return done.model_copy(update={"lineage": left.lineage, "serial": left.serial, "warnings": warnings})

    def _close(self, store: StateStore, books: Books, done: Plan, rejects: tuple[Path, ...]) -> tuple[str, ...]:
        """What was sent is written down already: a failure here is late, and the report is owed all the same. Files
        that nobody needs and that could not be deleted are worth a warning."""
        from reconciler.cli.outputs import all_done

        try:
            if rejects:
                self._keep(rejects)
        except StateError as error:
            self.late = error
        if self.cancel.is_set():
            return ()
        try:
            books.change(lambda before: before.model_copy(update={"applying": ""}) if all_done(done) else before)
        except BatchctlError as error:
            self.late = error
            return ()
        return self._swept(store, books.state)

    def _aged(self, store: StateStore, state: State | None, plan: Plan) -> Plan:
        """A plan without changes: what is past its time as history goes by this run as by any other."""
        since = self.session.history_since
        if state is None or since is None or self.cancel.is_set() or not store.aged(state, since=since):
            return plan
        warnings = self._swept(store, state)
        for text in warnings:
            self.reporter.note("warning", text if self.reporter.json_lines else f"warning: {text}")
        return plan.model_copy(update={"warnings": (*plan.warnings, *warnings)})

    def _swept(self, store: StateStore, state: State) -> tuple[str, ...]:
        try:
            store.sweep(state, since=self.session.history_since)
        except StateError as error:
            return (f"files of the state that nobody needs any more were not deleted: {error}",)
        except BatchctlError as error:
            self.late = error
        return ()


def _client_of(clients: Mapping[str, Client], change: Change) -> Client:
    account = change.target_key.account
    if account not in clients:
        lost = "the plan was made with them; set them again, or make a new plan"
        raise ConfigurationError(f"nobody has the keys of account {account} any more", fix=lost)
    return clients[account]
