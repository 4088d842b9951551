"""One invocation on one project: specs loaded, links resolved, keys fetched, the state folder found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import click

from reconciler.address import account_of
from reconciler.batch.keys import Keys
from reconciler.cli.options import Common
from reconciler.cli.subset import check_variables
from reconciler.errors import ConfigurationError, Location, Problem, SpecInvalid
from reconciler.link import Resolution, resolve
from reconciler.loader import Loaded, check_api_url, load, parse_ref, resolve_key
from reconciler.spec import Destination, KeyRef, Project
from reconciler.state.state import State

STATE = ".batchctl"
NO_ENVIRONMENT = "unknown-environment"
"""Rule of the problem that the loader finds with ``--env``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything a command knows before it reads data or talks to Batch."""

    common: Common
    root: Path
    loaded: Loaded
    project: Project
    resolution: Resolution
    keys: dict[str, Keys] = field(repr=False)
    """By destination name; destinations whose keys are not set are missing."""
    missing: dict[str, ConfigurationError]
    now: datetime
    api_url: str | None

    @property
    def state_url(self) -> str:
        """Where the state of the project and environment lies: a folder below the project, or in an object store."""
        return self.project.state_url(self.common.env)

    @property
    def state_root(self) -> Path:
        """The state folder; for an object store the folder of this machine that goes with it."""
        scheme, found, _ = self.state_url.partition("://")
        if not found:
            return self.root / self.state_url
        return self.root / STATE / f"{scheme}-{hashlib.sha256(self.state_url.encode()).hexdigest()[:12]}"

    @property
    def history_since(self) -> datetime | None:
        """What was sent after this instant is kept; None keeps nothing that is not needed."""
        keep = self.project.history.keep
        return self.now - keep if keep is not None else None

    @property
    def data_roots(self) -> tuple[Path, ...]:
        """Folders besides the project that sources may lie in."""
        return data_roots()

    def unnamed(self, state: State | None) -> tuple[str, ...]:
        """A warning where the project has environments, none was named, and there is no state without a name yet."""
        names = list(self.project.environments)
        if state is not None or self.common.env is not None or not names:
            return ()
        which = f"environment {names[0]} is" if len(names) == 1 else f"environments {', '.join(names)} are"
        own = f"a state of its own ({self.state_url}), names without prefix and the keys that are set here"
        what = f"{which} declared and none was named: this is about none of them, but about {own}; --env NAME names one"
        return (what,)

    def where(self, address: str, *path: str | int) -> Location:
        """Place of a path in an object."""
        return self.loaded.where(address, *path) or Location(address)

    def need_keys(self, destinations: Iterable[str]) -> None:
        """Stops before the first request when a key is not set."""
        for name in destinations:
            if name in self.missing:
                raise self.missing[name]


def data_roots() -> tuple[Path, ...]:
    """Folders besides the project that sources may lie in."""
    return tuple(Path(part) for part in os.environ.get("BATCHCTL_DATA_ROOTS", "").split(os.pathsep) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specs:
    """What the folder says, whether it is valid or not."""

    loaded: Loaded
    resolution: Resolution
    keys: dict[str, Keys] = field(repr=False)
    missing: dict[str, ConfigurationError]
    allowed: tuple[str, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them."""
        return (*self.loaded.problems, *self.resolution.problems)


def read_specs(common: Common, *, today: date) -> Specs:
    """Loads and resolves as much as can be read."""
    allowed = tuple(part.strip() for part in os.environ.get("BATCHCTL_ALLOWED_HOSTS", "").split(",") if part.strip())
    env_allow = os.environ.get("BATCHCTL_ENV_ALLOW")
    root = common.folder
    loaded = load(root, environment=common.env, variables=common.variables, allowed_hosts=allowed, env_allow=env_allow)
    check_variables(common.variables, loaded)
    destinations = [spec for spec in loaded.specs.values() if isinstance(spec, Destination)]
    keys, missing = _keys(destinations, root, env_allow)
    accounts = {spec.name: _account(spec, keys) for spec in destinations}
    resolution = resolve(
        loaded.specs,
        prefix=loaded.project.prefix(common.env) if loaded.project is not None else "",
        accounts=accounts,
        today=today,
        where=loaded.where,
        excerpt=loaded.excerpt,
        unread=loaded.unread,
    )
    return Specs(loaded=loaded, resolution=resolution, keys=keys, missing=missing, allowed=allowed)


def open_session(common: Common, *, today: datetime | None = None, strict: bool = True) -> Session:
    """Loads and resolves; raises SpecInvalid with every problem when `strict`.

    It always does without a project, and for an environment that is not declared: there is no telling whose state it
    would be about.
    """
    now = today or instant()
    specs = read_specs(common, today=now.date())
    project, problems = specs.loaded.project, specs.problems
    wrong = any(problem.severity == "error" and (strict or problem.rule == NO_ENVIRONMENT) for problem in problems)
    if project is None or wrong:
        raise SpecInvalid(problems)
    return Session(
        common=common,
        root=common.folder,
        loaded=specs.loaded,
        project=project,
        resolution=specs.resolution,
        keys=specs.keys,
        missing=specs.missing,
        now=now,
        api_url=_api_url(specs.allowed),
    )


def instant() -> datetime:
    """The run's one and only now, UTC; BATCHCTL_NOW sets it for demonstrations and tests."""
    given = os.environ.get("BATCHCTL_NOW")
    if given:
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            raise click.UsageError("BATCHCTL_NOW is not a time such as 2026-11-23T06:00:00+00:00") from None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return datetime.now(UTC).replace(microsecond=0)


def _api_url(allowed: tuple[str, ...]) -> str | None:
    url = os.environ.get("BATCHCTL_API_URL")
    if not url:
        return None
    wrong = check_api_url(url, allowed)
    if wrong:
        raise ConfigurationError(
            "BATCHCTL_API_URL may not be used", why=wrong, fix="unset it, or list its host in BATCHCTL_ALLOWED_HOSTS"
        )
    return url.rstrip("/")


def _keys(
    destinations: Iterable[Destination], root: Path, env_allow: str | None
) -> tuple[dict[str, Keys], dict[str, ConfigurationError]]:
    found: dict[str, Keys] = {}
    missing: dict[str, ConfigurationError] = {}
    for spec in destinations:
        try:
            found[spec.name] = keys_of((spec.rest_api_key, spec.account_key), root, env_allow)
        except ConfigurationError as error:
            missing[spec.name] = ConfigurationError(
                f"destination {spec.name}: {error.what}", why=error.why, fix=error.fix
            )
    return found, missing


def keys_of(refs: tuple[KeyRef, KeyRef], root: Path, env_allow: str | None) -> Keys:
    """REST key and account key behind two references."""
    rest, account = (resolve_key(ref, environ=os.environ, root=root, env_allow=env_allow) for ref in refs)
    return Keys(rest=rest, live_or_project=account)


def state_keys(session: Session, references: dict[str, str]) -> Keys | None:
    """Keys behind the references state kept of a destination whose document is gone; None when they are not set."""
    account = references.get("live") or references.get("project")
    if not account or "rest" not in references:
        return None
    try:
        refs = (parse_ref(references["rest"]), parse_ref(account))
        return keys_of(refs, session.root, os.environ.get("BATCHCTL_ENV_ALLOW"))
    except ConfigurationError:
        return None


def _account(spec: Destination, keys: dict[str, Keys]) -> str:
    """The account, or a stand-in made from the reference while the key is not set."""
    if spec.name in keys:
        return account_of(keys[spec.name].live_or_project.get_secret_value())
    return account_of(str(spec.account_key))
