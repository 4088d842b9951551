"""The state document: one small JSON object, pinned to a project, an environment and a lineage. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.address import IdType, Space, TargetKey

FORMAT = 1
MADE = "once:"
"""Begins `TargetState.inputs` of a push that had been made once before."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Lessened(_Value):
    """A value of which versions before wrote one field more, which nothing needs: it is read past."""

    former: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _read_past(cls, found: object) -> object:
        if not isinstance(found, dict):
            return found
        return {name: value for name, value in found.items() if name != cls.former}


class DataFile(_Value):
    """One Parquet file of a baseline, relative to the state folder; the base comes first, newest last."""

    path: str
    rows: int
    bytes: int
    sha256: str
    ranges: tuple[tuple[int, int], ...] | None = None
    """Rows [start, stop) that count; None = all. Rows not acknowledged, or refused by Batch, were never told."""


class Batch(_Value):
    """Rows [start, stop) of the immutable delta file: one upload request, unless Batch makes us halve it."""

    start: int
    stop: int
    replace: bool = False
    """Sent as a *replace* (https://doc.batch.com/developer/api/cep/audiences/replace)."""
    barrier: bool = False
    """Everything sent before must be APPLIED before this request starts."""


class Pending(_Lessened):
    """The intent written before the first request of a change; `None` in a target at rest."""

    former = "consent_only"
    op: Literal["write", "delete"]
    plan: str
    """Digest of the plan that wrote it; the same saved plan applied again continues it."""
    started: datetime
    create: bool = False
    file: DataFile | None = None
    acks: str | None = None
    """Path of the acknowledgement log (JSON lines) of this intent, relative to the state folder."""
    batches: tuple[Batch, ...] = ()


class LastWrite(_Value):
    """The last write Batch accepted for a target: the next run waits for it before touching the same identifiers."""

    token: str | None
    sent_at: datetime
    applied: bool
    earlier: tuple[str, ...] = ()
    """Tokens of the same run's other writes, whose order among each other Batch does not promise."""
    unanswered: bool = False
    """It was begun and nobody saw its answer: it may be processed until its time-out is over."""


class Baseline(_Value):
    """What Batch has been told about one target: base file + delta files, newest wins."""

    files: tuple[DataFile, ...] = ()
    count: int = 0
    """Identifiers (audiences) or people (profiles) held by Batch as far as we know, at the last commit."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Logical type of every attribute ever sent; a type never changes in place."""
    rules: str = ""
    """Version of the row rules the members were checked by; another one means every row is checked again."""
    identifier: str = ""
    """Digest of identifier kind and fields; another one means a full upload."""
    refusals: DataFile | None = None
    """Rows Batch refused, with wish UUID and reason: sent again only when the wish changes.

    `ranges` are those that may be stored in part, of which Batch holds what nobody was told.
    """
    trusted: bool = True
    """False after an import, once somebody else replaced the members, and from a *replace* of ours until it is
    acknowledged: what Batch holds is not known until the next full upload."""


class TargetState(_Lessened):
    """One owned target. Holds all that is needed to delete it after its documents are gone; never a key."""

    former = "labels"
    account: str
    space: Space
    audience: str
    destination: str
    api_url: str | None
    api_version: str | None
    keys: dict[str, str]
    """Key *references* by role (``rest``, ``live`` or ``project``), e.g. ``${env:BATCH_REST_API_KEY}``."""
    id_type: IdType
    links: tuple[str, ...] = ()
    created: str | None = None
    """Creation date as Batch reported it: a different one means somebody recreated the audience."""
    owned_since: int = 0
    """Serial at which it became ours."""
    prevent_destroy: bool = False
    on_destroy: Literal["delete", "empty", "keep"] = "delete"
    on_exit: dict[str, Literal["keep", "unset"]] = Field(default_factory=dict)
    """Profiles only: per attribute, what happens to people who leave; without entry, as with `keep`, nothing."""
    baseline: Baseline = Baseline()
    committed: bool = False
    """A first upload was completed: percentages have something to be percentages of."""
    pending: Pending | None = None
    uncertain: tuple[DataFile, ...] = ()
    """Rows that `pending` does not assert again: of older intents whose fate is unknown, and until an audience that
    starts anew was created or replaced, all that it may hold."""
    last_write: LastWrite | None = None
    known_offset: int = 0
    """nb_ids minus baseline count, seen after a full upload and accepted as Batch's own arithmetic."""
    last_full: datetime | None = None
    last_commit: datetime | None = None
    inputs: str = ""
    """Digest of all the rows of the last commit were computed from: while it is the same, nobody has moved.

    After `MADE`: of a push that was made once, where nobody has withdrawn consent. Others may have joined since.
    """
    plan: str = ""
    """Digest of the plan committed last: the same saved plan applied again knows what is done."""
    once_done: tuple[str, ...] = ()
    """Links with `refresh: {every: once}` which have been activated."""

    @property
    def key(self) -> TargetKey:
        """The target's key; also its key in `State.targets`."""
        return TargetKey(self.account, self.space, self.audience)

    @property
    def may_hold(self) -> bool:
        """Whether Batch may hold something that it was sent: told, under way, uncertain, or refused in part."""
        refused = self.baseline.refusals
        doubtful = refused is not None and bool(refused.ranges)
        return doubtful or bool(self.baseline.files or self.uncertain) or self.pending is not None


class State(_Lessened):
    """The whole document."""

    former = "tool"
    format: int = FORMAT
    lineage: str
    serial: int = 0
    project: str
    environment: str = ""
    applying: str = ""
    """Digest of the saved plan that is being applied: only that one may continue although the serial has moved."""
    pushed_over: str = ""
    """Lineage of the versions before, where this one was pushed over those of another."""
    begun: int = 0
    """Serial it began with, not 0 where one before it was lost: what that one told is in files that are left."""
    suppressed: dict[str, int] = Field(default_factory=dict)
    """Rows of each catalogue's suppression list as an apply last believed it: one that shrank since is refused."""
    targets: dict[str, TargetState] = Field(default_factory=dict)

    def by_hand(self) -> State:
        """The state after a change that no plan made: the saved plan that is being applied may not continue."""
        return self.model_copy(update={"applying": ""})

    def target(self, key: TargetKey) -> TargetState | None:
        """What is known of one target."""
        return self.targets.get(str(key))

    def with_target(self, target: TargetState) -> State:
        """The state after one target was written; targets stay sorted, the serial is the writer's business."""
        return self.with_targets((target,))

    def with_targets(self, targets: Iterable[TargetState]) -> State:
        """The state after several targets were written at once: thousands are not sorted once for each."""
        merged = self.targets | {str(target.key): target for target in targets}
        return self.model_copy(update={"targets": dict(sorted(merged.items()))})

    def without_target(self, key: TargetKey) -> State:
        """The state after a target was given up."""
        return self.model_copy(update={"targets": {k: v for k, v in self.targets.items() if k != str(key)}})
