"""Change and Plan: the values a plan is made of; they round-trip through a file unchanged. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.address import IdType, TargetKey
from reconciler.data.staged import Counts, RejectCount
from reconciler.state.state import Batch, DataFile, TargetState

FORMAT = 1


class Op(StrEnum):
    """The plan's verbs."""

    CREATE = "create"
    ADOPT = "adopt"
    DELTA = "delta"
    FULL = "full"
    DELETE = "delete"
    FORGET = "forget"
    """Given up in state only: `on_destroy: keep`, or an orphan that is gone from Batch."""
    NONE = "none"


class Outcome(StrEnum):
    """What became of a change."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    NOT_ATTEMPTED = "not_attempted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NONE = "none"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Refusal(_Value):
    """Why a change is held back, and the exact YAML or command that would allow it once."""

    rule: str
    """Stable word, e.g. ``max_remove_percent empty_source freshness max_reject_percent prevent_destroy exists``."""
    limit: float | None = None
    actual: float | None = None
    override: str = ""
    """YAML to write on `where`, or a command to run; "" when nothing allows it."""
    where: str = ""
    """Address of the document that takes the override, e.g. ``segment-link/onboarding``."""
    detail: str = ""
    """What is wrong, in words, e.g. ``removes 46.1 %, limit 30 %``."""


class Totals(_Value):
    """The sum that must add up: planned = done + failed + not_attempted + refused + unknown."""

    planned: int = 0
    done: int = 0
    failed: int = 0
    not_attempted: int = 0
    refused: int = 0
    unknown: int = 0

    def __add__(self, other: Totals) -> Totals:
        mine, theirs = self.model_dump(), other.model_dump()
        return Totals(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def adds_up(self) -> bool:
        """The law every report obeys."""
        return self.planned == self.done + self.failed + self.not_attempted + self.refused + self.unknown


class Writes(_Value):
    """Requests that write, as they went out; what reads is not counted. What became of those planned is in `Totals`.

    planned − refused = begun + spared + unconnected + not attempted
    sent = begun + retries
    """

    sent: int = 0
    """Went out to Batch, whatever the answer."""
    begun: int = 0
    """Planned ones of which at least one went out."""
    spared: int = 0
    """Planned ones that are done and of which none had to go out: an earlier run, or somebody else, had done them."""
    unconnected: int = 0
    """Planned ones that found no connection."""

    def __add__(self, other: Writes) -> Writes:
        mine, theirs = self.model_dump(), other.model_dump()
        return Writes(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def retries(self) -> int:
        """Those beyond the first of a planned one: repetitions, and halves of what Batch refused as a whole."""
        return self.sent - self.begun


class Change(_Value):
    """One target's change, with everything apply needs: apply looks nothing up."""

    address: str
    """``segment-link/<name>``; profiles: ``destination/<name>``; an orphan: ``audience/<name>``."""
    key: str
    """`str(TargetKey)`."""
    links: tuple[str, ...] = ()
    destination: str
    op: Op
    reason: str = ""
    outcome: Outcome = Outcome.PLANNED
    id_type: IdType
    display_name: str | None = None
    create: bool = False
    recreate: bool = False
    """Deleted, awaited until absent, then created: MEP 1.0 with `allow: {recreate: true}` only."""
    full: bool = False
    """Everybody is sent: after its commit the baseline is trusted."""
    void: bool = False
    """Nothing Batch holds is known: a removal guard compares the members with `before`."""
    begun_anew: bool = False
    """It was so in an earlier run that was cut off, see `Course.begun_anew`: the guard compares alike."""
    forget: bool = False
    """Commit gives the target up: an orphan that was emptied."""
    repairs: int | None = None
    """nb_ids minus count which this full upload answers: what of it remains afterwards is the known offset."""
    settings: tuple[str, ...] = ()
    """What changes in state besides members, e.g. ``prevent_destroy: false → true``; may be all there is to do."""
    attributes: tuple[str, ...] = ()
    """Names of the attributes this target carries."""
    file: DataFile | None = None
    """The staged delta file; `path` is relative to the plan's staging folder."""
    batches: tuple[Batch, ...] = ()
    consent_batches: tuple[Batch, ...] = ()
    """What is sent when the rest is refused: consent removals only."""
    route: Literal["audience", "custom_data", "profiles_update", "profiles_mass_update"] = "audience"
    limit: int = 10_000
    kinds: dict[str, int] = Field(default_factory=dict)
    """Rows to send by kind, in file order: consent, remove, reset, add, put."""
    counts: Counts = Counts()
    oldest: dict[str, float] = Field(default_factory=dict)
    """Catalogue → age of its data in seconds."""
    consent_refused: bool = False
    """The consent prefix is left out of `batches`, for `consent_refusal`."""
    consent_refusal: Refusal | None = None
    rejects: tuple[RejectCount, ...] = ()
    before: int | None = None
    """Count at the last commit; of an adopted audience what Batch reports; None when there is none."""
    committed: bool = False
    """A first upload was completed in an earlier run."""
    pool: str = ""
    """What shares one request budget: host and REST key reference."""
    rate: float = 1.0
    """Requests per second of the pool."""
    write_rate: float = 0.0
    """Profile writes: custom IDs per second; 0 is unlimited."""
    burst: int = 0
    """Profile writes: custom IDs that cost no time."""
    bytes: int = 0
    seconds: float = 0.0
    requests: int = 0
    minimum: int = 0
    requests_why: str = ""
    """Why `requests` is above `minimum`, for the cost line."""
    refused: Refusal | None = None
    made: bool = False
    """A one-time push that was made: nothing but removals for consent comes of it any more."""
    consent_only: bool = False
    """The change is refused but its consent removals are not."""
    after: tuple[str, ...] = ()
    """Keys of targets which must be APPLIED first (`activation: serial`)."""
    state: TargetState | None = None
    """What state will say of the target once the change is committed, counts and files excepted."""
    first_uses: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rows: Totals = Totals()
    request_totals: Totals = Totals()
    writes: Writes = Writes()
    """Filled by apply."""
    refused_rows: int = 0
    """Rows Batch refused; they are rejects, with its words."""
    sent: int = 0
    accepted: int = 0
    indexed: int | None = None
    awaited: bool = False
    """`--wait` waited for its last write, of this run or of one before, and did not see it indexed."""
    error: str = ""

    @property
    def is_orphan(self) -> bool:
        """No link names it any more."""
        return self.address.startswith("audience/")

    @property
    def narrowed(self) -> bool:
        """A guard keeps a part of it back: who was uncertain before may be so still after its commit."""
        return self.consent_only or self.consent_refused

    @property
    def consent_rows(self) -> int:
        """Removals for consent that are planned; of a change that starts anew, which leaves nobody, once refused."""
        planned = not self.void or self.narrowed
        return sum(batch.stop - batch.start for batch in self.consent_batches) if planned else 0

    @property
    def planned_rows(self) -> int:
        """Rows that are sent, or refused."""
        return sum(rows for kind, rows in self.kinds.items() if kind != "consent") + self.consent_rows

    @property
    def removed_again(self) -> int:
        """Removals beyond `counts.removed`: of whom Batch may hold although no row says so; no change for guards."""
        return max(self.kinds.get("remove", 0) - self.counts.removed, 0)

    @property
    def unverified(self) -> int:
        """Members or people who lose a value: Batch gives no way to see that it forgets it (unknowns U35, U62).

        Who withdraws consent is one of them where it is values that they lose, not a place in an audience.
        """
        if not self.target_key.is_profiles:
            return self.kinds.get("reset", 0)
        withheld = 0 if self.consent_refused else self.counts.consent
        return withheld + (0 if self.consent_only else self.counts.cleared)

    @property
    def target_key(self) -> TargetKey:
        """The key as a value."""
        return TargetKey.parse(self.key)


class Cost(_Value):
    """Requests, bytes and the least time at the rate limit."""

    requests: int = 0
    minimum: int = 0
    bytes: int = 0
    seconds: float = 0.0
    why: str = ""
    """Why `requests` is above `minimum`."""
    rate: str = ""
    """The rate that sets `seconds`, e.g. ``1 request/s``."""
    endpoints: dict[str, int] = Field(default_factory=dict)
    """Requests per endpoint, e.g. ``audience update``."""


class Plan(_Value):
    """Everything a run would do (or, after apply, did)."""

    format: int = FORMAT
    tool: str
    project: str
    environment: str = ""
    lineage: str
    serial: int
    created: datetime
    digest: str = ""
    """Identity of the plan: sha256 over specs, sources, state serial and staged files."""
    specs: str = ""
    """Digest of the normalised specs."""
    sources: dict[str, str] = Field(default_factory=dict)
    """Source file → fingerprint (size and modification time)."""
    changes: tuple[Change, ...] = ()
    cost: Cost = Cost()
    unmanaged: dict[str, int] = Field(default_factory=dict)
    suppressed: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    exit_code: int = 0
    given: str = ""
    """Of a plan that is saved the options that said which project: commands that it suggests need them."""
    partial: bool = False
    """A subset was asked for (`--target`, `-l`): nothing outside it is read as deleted."""
