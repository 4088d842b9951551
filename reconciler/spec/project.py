"""Project: where state lives, variables, environments and the guards every link starts with. There is exactly one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from reconciler.spec.common import Document, Duration, Fault, Model, Percent, refuse, unsupported
from reconciler.spec.destination import Key

VAR_NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"
ENVIRONMENT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
SCHEMES = ("s3", "gs", "az")
RESERVED = frozenset(("state.json", "previous", "targets", "lock", "verified", "runs"))
"""Names that a state has below its url, whatever their case: no other state may lie in one of them."""
VarName = Annotated[str, Field(pattern=VAR_NAME, max_length=63)]
EnvironmentName = Annotated[str, Field(pattern=ENVIRONMENT_NAME, max_length=63)]
Engine = Annotated[str, Field(json_schema_extra={"enum": ["duckdb"], "supported_enum": True})]


class Encryption(Model):
    """Encryption of everything that is kept, with AES-256-GCM."""

    key: Key = Field(
        description="Reference to the key: `${env:NAME}` or `${file:PATH}`, at least 16 characters. "
        "Make one with `openssl rand -hex 32`. Whoever loses it loses the state.",
        examples=["${env:BATCHCTL_STATE_KEY}"],
    )
    fallback: Key | None = Field(
        default=None,
        description="Reference to the key before this one, which is only read with. Remove it after `batchctl state "
        "compact`.",
        examples=["${env:BATCHCTL_OLD_STATE_KEY}"],
    )
    enforced: bool = Field(
        default=False,
        description="Refuse a state, files and saved plans that are not encrypted. Set it once everything is, which "
        "`batchctl state compact` sees to: without it nobody can tell who wrote a plain file. Default false.",
        examples=[True],
    )


class StatePlace(Model):
    """Where the state of the project is kept."""

    url: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Where the state is kept: a folder relative to the project folder (`-C`), or a folder in an object "
        "store: `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`, with the clouds' usual "
        "credentials and environment variables. Default `.batchctl`; for an environment `<url>/<environment>`.",
        examples=[".batchctl", "s3://crm-state/prod"],
    )
    encryption: Encryption | None = Field(
        default=None,
        description="Encryption of the state, delta and baseline files, acknowledgement logs, saved plans and rejects. "
        "An environment without one has that of the project. Default: none; files have mode 0600.",
        examples=[{"key": "${env:BATCHCTL_STATE_KEY}", "enforced": True}],
    )

    @model_validator(mode="after")
    def _supported(self) -> StatePlace:
        found = []
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", self.url or "")
        if scheme and scheme[1] not in SCHEMES:
            what = f"state in {scheme[1].lower()}://"
            found.append(unsupported(("url",), what, "write a folder, or s3://bucket/folder, gs://… or az://…"))
        refuse(*found)
        return self


class History(Model):
    """What is kept of the past."""

    keep: Duration | None = Field(
        default=None,
        description="How long delta files and acknowledgement logs stay when the baseline does not need them any more, "
        "e.g. `90d`. Then the next apply or `batchctl state compact` deletes them.",
        examples=["90d"],
    )


class Guards(Model):
    """Limits on how much one run may change; a plan beyond them is refused for that audience."""

    max_remove_percent: Percent = Field(
        default=30,
        le=100,
        description="Most members that may leave an audience in one run, in percent of its size at the last commit. "
        "Default 30. More is refused until an `allow` on the link says otherwise.",
        examples=[30],
    )
    max_add_percent: Percent = Field(
        default=300,
        description="Most members that may join an audience in one run, in percent of its size at the last commit. "
        "Default 300.",
        examples=[300],
    )
    min_existing: int = Field(
        default=10,
        ge=0,
        description="Audiences smaller than this many members are not guarded by percentages. Default 10. An empty "
        "source is always refused.",
        examples=[10],
    )


class Environment(Model):
    """What `--env NAME` overrides."""

    vars: dict[VarName, str] = Field(
        default_factory=dict,
        description="Variables of this environment; they override those of the project.",
        examples=[{"region": "eu"}],
    )
    audience_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]*$",
        max_length=100,
        description="Text put in front of every audience name in this environment, explicit names included: letters, "
        "digits, `_` and `-`. Default: none.",
        examples=["prod_"],
    )
    state: StatePlace = Field(
        default_factory=StatePlace,
        description="Where the state of this environment is kept. Default: `<url of the project>/<environment>`.",
        examples=[{"url": ".batchctl/prod"}],
    )
    engine: Engine | None = Field(
        default=None,
        description="Engine of the catalogues in this environment: `duckdb`, the default.",
        examples=["duckdb"],
    )

    @model_validator(mode="after")
    def _supported(self) -> Environment:
        refuse(*engine_faults(self.engine))
        return self


class Project(Document):
    """The project: state, variables, environments and default guards. There is exactly one."""

    kind: Literal["Project"] = Field(description="This document is the project. There is exactly one.")
    state: StatePlace = Field(
        default_factory=StatePlace,
        description="Where batchctl keeps what it has told Batch. Default: the folder `.batchctl`.",
        examples=[{"url": ".batchctl"}],
    )
    history: History = Field(
        default_factory=History,
        description="How long what was sent is kept after it was folded into the baseline. Default: while needed.",
        examples=[{"keep": "90d"}],
    )
    engine: Engine = Field(
        default="duckdb", description="Default engine of the catalogues: `duckdb`.", examples=["duckdb"]
    )
    vars: dict[VarName, str] = Field(
        default_factory=dict,
        description="Variables, text to text, used as `${var:NAME}` in any text except SQL. Overridden by the "
        "environment, then by `--var NAME=value`.",
        examples=[{"region": "fr"}],
    )
    environments: dict[EnvironmentName, Environment] = Field(
        default_factory=dict,
        description="Environments by name, selected with `--env NAME`. Each may override vars, engine and state, and "
        "put a prefix in front of every audience name.",
        examples=[{"prod": {"audience_prefix": "prod_"}}],
    )
    guards: Guards = Field(
        default_factory=Guards,
        description="Guards of every link that does not set its own.",
        examples=[{"max_remove_percent": 30, "max_add_percent": 300, "min_existing": 10}],
    )
    max_delete_audiences: int = Field(
        default=1,
        ge=0,
        description="Most audiences that one run may delete; 25 % of those owned are always allowed if that is more. "
        "Default 1.",
        examples=[1],
    )

    @model_validator(mode="after")
    def _supported(self) -> Project:
        refuse(*engine_faults(self.engine), *_nested(self))
        return self

    def state_url(self, environment: str | None) -> str:
        """Where the state lies: what the environment says, default ``<url>/<environment>``."""
        base = self.state.url or ".batchctl"
        if environment is None:
            return base
        own = self.environments[environment].state.url if environment in self.environments else None
        return own or f"{base.rstrip('/')}/{environment}"

    def encryption(self, environment: str | None) -> Encryption | None:
        """How the state is encrypted: as the environment says, default as the project says."""
        own = self.environments[environment].state.encryption if environment in self.environments else None
        return own or self.state.encryption

    def prefix(self, environment: str | None) -> str:
        """What goes in front of every audience name."""
        chosen = self.environments.get(environment) if environment is not None else None
        return chosen.audience_prefix if chosen else ""


def _nested(project: Project) -> Iterator[Fault]:
    """States that would lie among the files of another one, which deletes what it does not need."""
    places = {name: _folders(project.state_url(name)) for name in (None, *project.environments)}
    for name, url in places.items():
        for other, above in places.items():
            inside = url[len(above) :] if url[: len(above)] == above else ()
            if inside and inside[0].casefold() in RESERVED:
                own = name is None or project.environments[name].state.url is not None
                at = ("state", "url") if own else ()
                yield Fault(
                    at if name is None else ("environments", name, *at),
                    "state-in-state",
                    f"this state would lie in {inside[0]}/ of the state "
                    + ("of the project" if other is None else f"of environment {other}"),
                    "name another folder" if own else "name the environment otherwise, or give it a state.url",
                    "what lies there is its own, and what it does not need it deletes",
                )
                break


def _folders(url: str) -> tuple[str, ...]:
    """A url as steps that are the same for the same place; an absolute path is another one than any relative."""
    scheme, found, path = url.partition("://")
    steps = [scheme] if found else ["/"] if url.startswith("/") else []
    for step in (path if found else url).split("/"):
        if step == ".." and steps and steps[-1] != "..":
            steps.pop()
        elif step not in ("", "."):
            steps.append(step)
    return tuple(steps)


def engine_faults(engine: str | None) -> tuple[Fault, ...]:
    """Engines other than duckdb are refused, never ignored."""
    if engine is None or engine == "duckdb":
        return ()
    return (unsupported(("engine",), "this engine", "write engine: duckdb"),)
