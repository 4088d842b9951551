"""One document → its spec, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path as Folder
from typing import cast

from pydantic import ValidationError

from reconciler.errors import Problem
from reconciler.loader.documents import Raw
from reconciler.loader.hosts import check_api_url
from reconciler.loader.secrets import check_env_name, check_file
from reconciler.loader.shape import example_at
from reconciler.loader.tree import KEY, Path
from reconciler.loader.variables import KEY_FIELDS, Interpolation
from reconciler.loader.words import Wrong, near, translate
from reconciler.spec import MODELS, Destination, KeyRef, Project, Segment, SegmentLink, Spec
from reconciler.spec.common import API_VERSION, Document
from reconciler.spec.project import Encryption


@dataclass(frozen=True, slots=True)
class Rules:
    """What documents are judged by besides their models."""

    root: Folder
    variables: Mapping[str, str]
    allowed_hosts: Collection[str] = ()
    env_allow: str | None = None
    asked: set[str] = field(default_factory=set)
    """Gathers the names of variables that documents refer to."""


def judge(raw: Raw, rules: Rules) -> tuple[Spec | None, list[Problem]]:
    """The spec when nothing is wrong with it, else None; and all problems of the document."""
    raw = _keys_stay_hidden(raw)
    found = [_problem(raw, wrong) for wrong in _head(raw)]
    if found or raw.kind not in MODELS:
        return None, [*raw.flaw_problems(), *found]
    wrongs: list[Wrong] = []
    reading = Interpolation(rules.variables, lambda *wrong: wrongs.append(Wrong(*wrong)), raw.kind, rules.asked)
    values = reading.apply(dict(raw.values)) if raw.file.refers else raw.values
    blind = [flaw.path for flaw in raw.flaws if flaw.path[-1:] != (KEY,)] + [wrong.path for wrong in wrongs]
    spec: Document | None = None
    model = MODELS[raw.kind]
    try:
        spec = model.model_validate(values)
        wrongs += _beyond(spec, rules)
    except ValidationError as error:
        wrongs += [wrong for wrong in translate(model, error, silent=raw.silent) if not _follows(wrong, blind)]
    problems = [*raw.flaw_problems(), *(_problem(raw, wrong) for wrong in wrongs)]
    return (cast(Spec, spec) if spec is not None and not problems else None), problems


def _keys_stay_hidden(raw: Raw) -> Raw:
    """A literal key that YAML reads as a number is a literal key first of all: its model says so, in its own words.

    A key field without a value is told as that, and not as a missing one.
    """
    if raw.kind != "Destination":
        return raw
    told, values = [], dict(raw.values)
    for flaw in raw.flaws:
        name = str(flaw.path[0]) if flaw.path else ""
        if name not in KEY_FIELDS or flaw.path[-1] == KEY:
            told.append(flaw)
        elif flaw.rule == "no-value":
            told.append(replace(flaw, fix="write ${env:NAME} or ${file:PATH}"))
            values[name] = "${env:NAME}"
        else:
            values[name] = ""
    return replace(raw, flaws=tuple(told), values=values)


def _follows(wrong: Wrong, blind: list[Path]) -> bool:
    """Whether it only repeats a flaw that was already reported at, below or above its path."""
    if any(wrong.path[: len(path)] == path for path in blind):
        return True
    about_keys = wrong.rule in ("missing-key", "unknown-key")
    return not about_keys and any(path[: len(wrong.path)] == wrong.path for path in blind)


def _head(raw: Raw) -> Iterator[Wrong]:
    """apiVersion and kind decide what everything else means, so they come first."""
    flawed = {flaw.path for flaw in raw.flaws}
    kind, version = raw.values.get("kind"), raw.values.get("apiVersion")
    if "kind" not in raw.values:
        yield Wrong((), "missing-key", "the key kind is missing", f"add kind: one of {', '.join(MODELS)}")
    elif raw.kind not in MODELS and ("kind",) not in flawed:
        yield Wrong(("kind",), "unknown-kind", "unknown kind", near(str(kind), list(MODELS)))
    elif ("kind",) in flawed:
        return
    elif "apiVersion" not in raw.values:
        yield Wrong((), "missing-key", "the key apiVersion is missing", f"add apiVersion: {API_VERSION}")
    elif version != API_VERSION and ("apiVersion",) not in flawed:
        yield Wrong(
            ("apiVersion",), "unknown-value", "this apiVersion is not known", f"write apiVersion: {API_VERSION}"
        )


def _problem(raw: Raw, wrong: Wrong) -> Problem:
    return raw.problem(wrong.path, wrong.rule, wrong.what, wrong.fix, wrong.why)


def _beyond(spec: Document, rules: Rules) -> Iterator[Wrong]:
    """What no pure model can know: hosts, files with keys, time zones."""
    if isinstance(spec, Destination):
        yield from _destination(spec, rules)
    elif isinstance(spec, Project):
        for path, ref in _encryption(spec):
            yield from _reference(path, ref, rules)
    elif isinstance(spec, SegmentLink) and spec.refresh is not None and not _zone_exists(spec.refresh.timezone):
        fix = "write an IANA name, e.g. Europe/Paris"
        yield Wrong(("refresh", "timezone"), "time-zone", f"there is no time zone {spec.refresh.timezone}", fix)
    elif isinstance(spec, Segment) and not (spec.where or spec.query or "").strip():
        name, fix = (
            ("where", "write a condition") if spec.where is not None else ("query", "write one SELECT of the key")
        )
        yield Wrong((name,), "wrong-size", f"{name} is empty", f"{fix}, e.g. {example_at(Segment, (name,))}")


def _destination(spec: Destination, rules: Rules) -> Iterator[Wrong]:
    wrong = check_api_url(spec.api_url, rules.allowed_hosts) if spec.api_url is not None else None
    if wrong is not None:
        listed = ", or list the host in the environment variable BATCHCTL_ALLOWED_HOSTS"
        fix = f"remove api_url{listed if wrong.startswith('the host') else '; the default is https://api.batch.com'}"
        yield Wrong(("api_url",), "api-url", "this host may not be used", fix, wrong)
    for name in ("rest_api_key", "live_api_key", "project_key"):
        ref = getattr(spec, name)
        if ref is not None:
            yield from _reference((name,), ref, rules)


def _encryption(project: Project) -> Iterator[tuple[Path, KeyRef]]:
    """References to keys of a state, with their paths."""
    places: list[tuple[Path, Encryption | None]] = [(("state",), project.state.encryption)]
    places += [(("environments", name, "state"), one.state.encryption) for name, one in project.environments.items()]
    for path, found in places:
        for name in ("key", "fallback") if found is not None else ():
            ref = getattr(found, name)
            if ref is not None:
                yield (*path, "encryption", name), ref


def _reference(path: Path, ref: KeyRef, rules: Rules) -> Iterator[Wrong]:
    of_env = ref.kind == "env"
    why = check_env_name(ref.name, rules.env_allow) if of_env else check_file(ref.name, rules.root)
    if why is not None:
        fix = "use a name that it allows" if of_env else "move the file, and write its path"
        yield Wrong(path, "key-reference", "this reference may not be used", fix, why)


@cache
def _zone_exists(name: str) -> bool:
    # Late: most projects have no schedule.
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return not available_timezones()
    return True
