"""Courses → staged deltas: catalogues opened once, each target diffed once, every problem of specs collected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from reconciler.address import IdType, TargetKey
from reconciler.batch.items import item_of
from reconciler.course import Course
from reconciler.data import baseline, catalogue, delta, refusals
from reconciler.data.catalogue import Found, Opened
from reconciler.data.checks import RULES
from reconciler.data.engine import Engine
from reconciler.data.membership import Members, members_of
from reconciler.data.segments import check_segments, named
from reconciler.data.source import SourceMissing
from reconciler.data.staged import Staged
from reconciler.data.stamp import unmoved
from reconciler.data.still import Asked, still
from reconciler.data.told import source_problem, sql_problem
from reconciler.data.verdict import Rules
from reconciler.errors import SpecInvalid
from reconciler.link import Link, Target
from reconciler.plan.target_state import on_exit_of
from reconciler.recognise import Evaluated, Ground, Recognised, recognise
from reconciler.spec import Catalogue
from reconciler.state.standing import Standing

_COMPARING, _FLOWING, _A_COLUMN = 480, 160, 20
"""Megabytes of memory to compare with what was told, to write what was never told, and for each attribute written."""


def evaluate(
    engine: Engine,
    courses: Sequence[Course],
    standings: Mapping[str, Standing],
    ground: Ground,
    recognised: Recognised | None = None,
) -> Evaluated:
    """Stages every course that has rows to compare. Raises SpecInvalid for SQL and sources that are wrong.

    `recognised` is what `recognise` says of the same courses, where somebody has asked it already.
    """
    ground = replace(ground, path_of=cache(ground.path_of))  # a thousand targets' files are looked at once
    known = recognised or recognise(courses, standings, ground, now=engine.now)
    staged, digests, todo = dict(known.staged), known.digests, known.todo
    if not todo:  # nothing to ask DuckDB, which is not even opened
        return Evaluated(staged=staged)
    specs = {link.catalogue.name: link.catalogue for course in todo for link in course.links}
    found = _found(engine, specs, ground)
    files = [path for one in found.values() for relation in one.relations for path in relation.files]
    engine.limit(_megabytes(todo, standings))
    engine.lock([*files, *_baseline_files(todo, standings, ground)])
    with unmoved(relation.read_later for one in found.values() for relation in one.relations):
        opened = _opened(engine, found, ground)
        _check_segments(engine, todo, ground)
        members = members_of({link.address: link for course in todo for link in course.links}.values(), opened)
        with named(members.values(), ground.where, ground.excerpt):
            for key, one in _all_staged(engine, todo, standings, members, ground):
                clean = not (one.rejects or one.counts.held or one.counts.refused_before or one.warnings)
                staged[key] = replace(one, inputs=digests.get(key) or "" if clean else "")
    sources = {_shown(path, ground.root): str(stamp) for one in opened.values() for path, stamp in one.stamps.items()}
    return Evaluated(staged=staged, sources=sources)


def _megabytes(todo: Sequence[Course], standings: Mapping[str, Standing]) -> int:
    """Memory to evaluate with. Rows only flow where nobody was, or may be, told and one condition says who is in."""
    known = [standings[str(course.key)] for course in todo if str(course.key) in standings]
    told = any(file.rows for one in known for file in (*one.layers, *one.unsure))
    targets = [course.target for course in todo if course.target]
    if told or not all(_flows(target) for target in targets):
        return _COMPARING
    return min(_FLOWING + _A_COLUMN * max((len(one.attributes) for one in targets), default=0), _COMPARING)


def _flows(target: Target) -> bool:
    return len(target.links) == 1 and target.links[0].segment.where is not None


def _shown(path: Path, root: Path) -> str:
    try:
        return str(path.relative_to(root.resolve()))
    except ValueError:
        return str(path)


def _found(engine: Engine, specs: Mapping[str, Catalogue], ground: Ground) -> dict[str, Found]:
    out: dict[str, Found] = {}
    problems = []
    for name, spec in sorted(specs.items()):
        ground.progress(f"reading catalogue {name}")
        try:
            out[name] = catalogue.find(engine, spec, root=ground.root, roots=ground.roots)
        except SourceMissing as error:
            problems.append(source_problem(name, error, ground.where, ground.excerpt))
    if problems:
        raise SpecInvalid(tuple(problems))
    return out


def _opened(engine: Engine, found: Mapping[str, Found], ground: Ground) -> dict[str, Opened]:
    out: dict[str, Opened] = {}
    problems = []
    for name, one in found.items():
        try:
            out[name] = catalogue.open_catalogue(engine, one)
        except SourceMissing as error:
            problems.append(source_problem(name, error, ground.where, ground.excerpt))
    if problems:
        raise SpecInvalid(tuple(problems))
    return out


def _check_segments(engine: Engine, todo: Sequence[Course], ground: Ground) -> None:
    pairs = {
        link.segment.name: (link.segment, link.catalogue)
        for course in todo
        if course.target
        for link in course.target.links
    }
    rejected = check_segments(engine, pairs.values())
    problems = [sql_problem(pairs[name][0], why, ground.where, ground.excerpt) for name, why in rejected.items()]
    if problems:
        raise SpecInvalid(tuple(problems))


def _baseline_files(todo: Sequence[Course], standings: Mapping[str, Standing], ground: Ground) -> list[Path]:
    files = []
    for course in todo:
        standing = standings.get(str(course.key))
        if standing is not None:
            files += [ground.path_of(layer) for layer in (*standing.layers, *standing.unsure)]
            if standing.known.baseline.refusals:
                files.append(ground.locate(standing.known.baseline.refusals))
            if standing.acked.refused and standing.known.pending and standing.known.pending.file:
                files.append(ground.path_of(standing.known.pending.file))
    return files


def _all_staged(
    engine: Engine,
    todo: Sequence[Course],
    standings: Mapping[str, Standing],
    members: Mapping[str, Members],
    ground: Ground,
) -> Iterator[tuple[TargetKey, Staged]]:
    at_rest = _still(engine, todo, standings, members, ground)
    for number, course in enumerate(todo, 1):
        ground.progress(f"evaluating {course.key.audience or 'profiles'} ({number} of {len(todo)})")
        with engine.passing():
            yield (
                course.key,
                at_rest.get(course.key) or _stage(engine, course, standings.get(str(course.key)), members, ground),
            )


def _still(
    engine: Engine,
    todo: Sequence[Course],
    standings: Mapping[str, Standing],
    members: Mapping[str, Members],
    ground: Ground,
) -> dict[TargetKey, Staged]:
    """The targets that one look at many finds as they were told to be; the others are compared one by one."""
    asked = {}
    for course in todo:
        standing = standings.get(str(course.key))
        link = _only_link(course, standing)
        if standing is not None and link is not None:
            asked[course.key] = Asked(
                members=members[link.address],
                layers=[(ground.path_of(layer), layer) for layer in standing.layers],
                told=standing.known.baseline.attributes,
            )
    found = still(engine, asked)
    return {
        key: delta.unchanged(asked[key].members, number, asked[key].own, asked[key].told)
        for key, number in found.items()
    }


def _only_link(course: Course, standing: Standing | None) -> Link | None:
    """The link of a target that is compared on no other footing than who is in it and what was told; else None."""
    if standing is None or course.target is None or len(course.target.links) != 1:
        return None
    if course.forget or course.void or course.everybody or standing.doubtful or standing.known.baseline.rules != RULES:
        return None
    told = standing.known.baseline.attributes
    same_types = all(told.get(one.name, one.type) == one.type for one in course.target.attributes)
    return course.target.links[0] if same_types else None


def _stage(
    engine: Engine, course: Course, standing: Standing | None, members: Mapping[str, Members], ground: Ground
) -> Staged:
    known = standing.known if standing else None
    blank = standing is None or (course.void and not course.anew)
    told_types = dict(known.baseline.attributes) if known and not blank else {}
    target = course.target
    links = tuple(members[link.address] for link in course.links)
    wanted = {a.name: a.type for a in target.attributes} if target else {}
    sent = {name: kind for name, kind in wanted.items() if told_types.get(name, kind) == kind}  # others are refused
    attributes = dict(sorted({**told_types, **sent}.items()))
    told = baseline.told(
        engine,
        () if blank or standing is None else standing.layers,
        () if blank or standing is None else standing.doubtful,
        attributes={**sent, **told_types},
        path_of=ground.path_of,
    )
    refused = refusals.standing(engine, standing, path_of=ground.locate) if standing and not course.void else None
    request = delta.Request(
        links=links,
        told=replace(told, attributes=told_types),
        rules=_rules(course, standing, attributes, frozenset(sent), ground),
        id_type=_id_type(course),
        same_rules=known is not None and known.baseline.rules == RULES,
        refusals=refused[0] if refused else None,
        item=item_of(course.key, attributes),
    )
    return delta.diff(engine, request, digest=ground.digest)


def _id_type(course: Course) -> IdType:
    if course.target is not None:
        return course.target.id_type
    if course.known is None:
        raise AssertionError("an orphan is known to the state")
    return course.known.id_type


def _rules(
    course: Course, standing: Standing | None, attributes: Mapping[str, str], sent: frozenset[str], ground: Ground
) -> Rules:
    target = course.target
    known = standing.known if standing else None
    on_exit = on_exit_of(target, known) if target is not None else (known.on_exit if known else {})
    return Rules(
        profiles=course.key.is_profiles,
        attributes=attributes,
        sent=sent,
        unset_on_exit=frozenset(name for name, rule in on_exit.items() if rule == "unset"),
        delete=all(link.action.delete for link in target.links) if target else True,
        everybody=course.everybody,
        consent_only=course.target is None and course.refused is not None,
        made=course.made,
        anew=course.anew,
        retry_rejects=ground.retry_rejects,
    )
