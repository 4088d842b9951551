"""A shop in a folder: documents as Python values, data as files, and a book that remembers what Batch was told.

Nothing is faked: references are resolved, targets evaluated and deltas folded by the code that does it in a run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from reconciler.address import TargetKey, account_of
from reconciler.data import refusals
from reconciler.data.checks import RULES
from reconciler.data.engine import Engine
from reconciler.data.reject_list import Rejected
from reconciler.data.sql import Digest, digest
from reconciler.data.staged import Staged
from reconciler.errors import Location
from reconciler.evaluate import evaluate
from reconciler.link import Resolution, Target, resolve
from reconciler.plan.course import Course
from reconciler.plan.target_state import state_after
from reconciler.plan.values import Op
from reconciler.recognise import Ground
from reconciler.spec import MODELS, Spec, address_of
from reconciler.state.standing import Acked, Standing, merged, subtract
from reconciler.state.state import DataFile, TargetState

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
Attributes = dict[str, object]


def spec(kind: str, name: str, **fields: Any) -> Spec:
    """A document as its YAML would say it."""
    made: Spec = MODELS[kind].model_validate({"apiVersion": "batchctl/v1", "kind": kind, "name": name, **fields})
    return made


PEOPLE = {"source": {"path": "people.csv"}, "key": "pid", "fields": {"pid": "string"}}


def documents(
    *,
    catalogue: Mapping[str, Any] = PEOPLE,
    action: str = "send_custom_ids",
    platform: str = "cep",
    identifier: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    where: str | None = "TRUE",
    query: str | None = None,
    tags: str | None = None,
    **options: Any,
) -> list[Spec]:
    """One link: catalogue ``people``, and a segment, mapping, action and link named ``one``."""
    keys = {"live_api_key": "${env:LIVE}"} if platform == "mep" else {"project_key": "${env:PROJECT}"}
    kinds = {"send_advertising_ids": "advertising_id", "send_install_ids": "install_id", "send_emails": "email"}
    mapped = identifier or {kinds.get(action, "custom_id"): catalogue["key"]}
    declared = options.pop("declared", {})
    return [
        spec("Catalogue", "people", **catalogue),
        spec("Destination", "shop", platform=platform, rest_api_key="${env:REST}", attributes=declared, **keys),
        *link("one", where=where, query=query, action=action, identifier=mapped, attributes=attributes, tags=tags,
              **options),
    ]  # fmt: skip


def link(
    name: str,
    *,
    where: str | None = "TRUE",
    query: str | None = None,
    action: str = "send_custom_ids",
    identifier: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    tags: str | None = None,
    catalogue: str = "people",
    **options: Any,
) -> list[Spec]:
    """A segment, mapping, action and link of one name."""
    mapping = {"catalogue": catalogue, "identifier": identifier or {"custom_id": "pid"}, "attributes": attributes or {}}
    return [
        spec("Segment", name, catalogue=catalogue, **({"query": query} if query else {"where": where})),
        spec("Mapping", name, **mapping, **({"tags": {"field": tags}} if tags else {})),
        spec("Action", name, destination="shop", type=action, mapping=name, **options),
        spec("SegmentLink", name, segment=name, action=name),
    ]


def resolution(specs: Sequence[Spec]) -> Resolution:
    """Links and targets; an error among the documents is a mistake of the test."""
    found = resolve({address_of(one): one for one in specs}, accounts={"shop": account_of("key")}, today=NOW.date())
    assert not found.errors, found.errors
    return found


@dataclass
class Turn:
    """What one evaluation of one target gave."""

    staged: Staged
    rows: list[dict[str, Any]]
    """Rows of the delta file in its order."""
    rejected: list[Rejected]

    def of(self, *kinds: str) -> dict[str, Attributes]:
        """Identifier → attributes of the rows of these kinds."""
        return {row["id"]: _attributes(row) for row in self.rows if row["kind"] in kinds}

    @property
    def added(self) -> set[str]:
        """Identifiers that are sent as members."""
        return set(self.of("add", "put"))

    @property
    def removed(self) -> set[str]:
        """Identifiers that are removed, for whatever reason."""
        return set(self.of("remove", "consent"))

    @property
    def reasons(self) -> dict[str, int]:
        """Reason → number of rejects."""
        out: dict[str, int] = {}
        for one in self.staged.rejects:
            out[one.reason] = out.get(one.reason, 0) + one.count
        return out


@dataclass
class Shop:
    """A folder of data and what Batch has been told so far, per target."""

    root: Path
    known: dict[TargetKey, TargetState] = field(default_factory=dict)
    serial: int = 0
    progress: list[str] = field(default_factory=list)
    """What the last evaluation said it was doing."""

    def write(self, name: str, content: str | bytes) -> Path:
        """One source file as it is."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def parquet(self, name: str, query: str) -> Path:
        """One Parquet file made by a SELECT."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _duck().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return path

    def look(self, specs: Sequence[Spec], **course: Any) -> Turn:
        """Evaluates the only target of the documents."""
        turns = self.look_all(specs, **course)
        assert len(turns) == 1
        return next(iter(turns.values()))

    def look_all(
        self,
        specs: Sequence[Spec],
        *,
        now: datetime = NOW,
        retry_rejects: bool = False,
        exact: bool = False,
        digest: Digest = digest,
        engine_of: Callable[..., Engine] = Engine,
        **fields: Any,
    ) -> dict[TargetKey, Turn]:
        """Evaluates every target; `exact` keeps the fast path out of it, `digest` is its hash."""
        self.progress.clear()
        courses = [self._course(target, **fields) for target in resolution(specs).targets]
        standings = {}
        for course in courses:
            if course.known is not None:
                known = course.known
                if exact:
                    before = {"rules": "0", "refusals": known.baseline.refusals or self._nothing_refused()}
                    known = known.model_copy(update={"baseline": known.baseline.model_copy(update=before)})
                standings[str(course.key)] = Standing(
                    known=known, layers=known.baseline.files, unsure=known.uncertain, acked=Acked()
                )
        with engine_of(now=now, scratch=self.root, threads=1) as engine:
            ground = Ground(
                root=self.root,
                where=lambda *_: Location("specs.yaml"),
                progress=self.progress.append,
                path_of=lambda file: self.root / file.path,
                locate=lambda file: self.root / file.path,
                retry_rejects=retry_rejects,
                digest=digest,
            )
            found = evaluate(engine, courses, standings, ground)
            return {key: self._kept(staged) for key, staged in found.staged.items()}

    def rewrite(self, specs: Sequence[Spec], columns: str) -> None:
        """Replaces the files of the only target's baseline by these columns of theirs."""
        (target,) = resolution(specs).targets
        for file in self.known[target.key].baseline.files:
            path = self.root / file.path
            _duck().execute(f"CREATE OR REPLACE TABLE rewritten AS SELECT {columns} FROM read_parquet('{path}')")
            _duck().execute(f"COPY rewritten TO '{path}' (FORMAT parquet)")

    def orphan(self, key: TargetKey) -> Turn:
        """A target that no document names any more is to be emptied."""
        known = self.known[key]
        course = Course(key=key, op=Op.DELTA, known=known, forget=True)
        standing = Standing(known=known, layers=known.baseline.files, unsure=known.uncertain, acked=Acked())
        with Engine(now=NOW, scratch=self.root, threads=1) as engine:
            ground = Ground(
                root=self.root,
                where=lambda *_: Location("specs.yaml"),
                progress=lambda _: None,
                path_of=lambda file: self.root / file.path,
                locate=lambda file: self.root / file.path,
            )
            return self._kept(evaluate(engine, [course], {str(key): standing}, ground).staged[key])

    def _course(self, target: Target, **fields: Any) -> Course:
        known = self.known.get(target.key)
        usual = Course(
            key=target.key, op=Op.DELTA if known else Op.CREATE, target=target, known=known, void=known is None
        )
        return replace(usual, **fields)

    def _kept(self, staged: Staged) -> Turn:
        """The turn with its files taken out of the engine's folder, which is about to disappear."""
        self.serial += 1
        rows: list[dict[str, Any]] = []
        rejected: list[Rejected] = []
        if staged.file is not None:
            file = Path(shutil.copy(staged.file, self.root / f"delta-{self.serial}.parquet"))
            staged = replace(staged, file=file)
            rows = _rows(f"SELECT * FROM read_parquet('{file}', file_row_number = true) ORDER BY file_row_number")
        if staged.rejects_file is not None:
            file = Path(shutil.copy(staged.rejects_file, self.root / f"rejects-{self.serial}.parquet"))
            staged = replace(staged, rejects_file=file)
            columns = (
                'link, reason, CAST(key AS VARCHAR) AS key, CAST(id AS VARCHAR) AS id, CAST("row" AS BIGINT) AS "row"'
            )
            found = _rows(
                f"SELECT {columns} FROM read_parquet('{file}') ORDER BY link, reason, \"row\" NULLS LAST, key, id"
            )
            rejected = [Rejected(**row) for row in found]
        return Turn(staged, rows, rejected)

    def apply(
        self,
        specs: Sequence[Spec],
        *,
        accepted: Sequence[tuple[int, int]] | None = None,
        refused: Mapping[int, str] | None = None,
        **course: Any,
    ) -> Turn:
        """Evaluates the only target and remembers what Batch was told; see `tell`."""
        turn = self.look(specs, **course)
        (target,) = resolution(specs).targets
        self.tell(target, turn, accepted=accepted, refused=refused)
        return turn

    def tell(
        self,
        target: Target,
        turn: Turn,
        *,
        accepted: Sequence[tuple[int, int]] | None = None,
        refused: Mapping[int, str] | None = None,
    ) -> None:
        """The baseline after an upload: all rows, or the ranges `accepted`; the others are uncertain. Rows `refused` never count."""
        course = self._course(target)
        after = state_after(course, serial=self.serial, now=NOW)
        before = self.known[target.key].baseline if target.key in self.known else None
        files, words = before.files if before else (), before.refusals if before else None
        uncertain: tuple[DataFile, ...] = ()
        if turn.staged.file is not None:
            whole = ((0, turn.staged.rows),)
            file = DataFile(path=turn.staged.file.name, rows=turn.staged.rows, bytes=1, sha256="")
            sure = merged(whole if accepted is None else accepted)
            told = subtract(sure, tuple((row, row + 1) for row in refused or ()))
            files = (*files, file.model_copy(update={"ranges": told}))
            if open_rows := subtract(whole, sure):
                uncertain = (file.model_copy(update={"ranges": open_rows}),)
            if refused or words:
                words = self._refused(turn, words, refused or {})
        baseline = after.baseline.model_copy(
            update={"files": files, "rules": RULES, "refusals": words, "count": turn.staged.counts.after}
        )
        self.known[target.key] = after.model_copy(
            update={"baseline": baseline, "uncertain": uncertain, "inputs": turn.staged.inputs}
        )

    def _nothing_refused(self) -> DataFile:
        empty = "SELECT 'x' AS id, uuid() AS wish, 'x' AS reason WHERE FALSE"
        return DataFile(path=self.parquet("nothing-refused.parquet", empty).name, rows=0, bytes=1, sha256="")

    def _refused(self, turn: Turn, before: DataFile | None, refused: Mapping[int, str]) -> DataFile | None:
        assert turn.staged.file is not None
        to = self.root / f"refusals-{self.serial}.parquet"
        with Engine(now=NOW, scratch=self.root, threads=1) as engine:
            rows, in_part = refusals.record(
                engine,
                before=self.root / before.path if before else None,
                file=turn.staged.file,
                sent="TRUE",
                refused=refused.items(),
                to=to,
            )
        ranges = ((0, in_part),) if in_part else ()
        return DataFile(path=to.name, rows=rows, bytes=1, sha256="", ranges=ranges) if rows else None

    def told(self, specs: Sequence[Spec]) -> dict[str, Attributes]:
        """Identifier → attributes Batch was told, folded here and not by the product: newest row wins."""
        (target,) = resolution(specs).targets
        return self.told_of(target.key)

    def told_of(self, key: TargetKey) -> dict[str, Attributes]:
        """As `told`, of one target."""
        out: dict[str, Attributes] = {}
        for layer in self.known[key].baseline.files if key in self.known else ():
            rows = _rows(
                f"SELECT * FROM read_parquet('{self.root / layer.path}', file_row_number = true) ORDER BY file_row_number"
            )
            for row in rows:
                at = row["file_row_number"]
                if layer.ranges is not None and not any(start <= at < stop for start, stop in layer.ranges):
                    continue
                out.pop(row["id"], None)
                if row["kind"] in ("add", "put"):
                    out[row["id"]] = _attributes(row)
        return out


@cache
def _duck() -> duckdb.DuckDBPyConnection:
    """One engine beside the product's for reading and writing files: starting one costs more than using it."""
    return duckdb.connect(config={"threads": 1})


def _rows(query: str) -> list[dict[str, Any]]:
    found = _duck().execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _attributes(row: Mapping[str, Any]) -> Attributes:
    return {name[2:]: value for name, value in row.items() if name.startswith("a:") and value is not None}
