"""A folder of YAML → every spec with its place, and every problem of every file at once."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from reconciler.errors import Location, Problem, SpecInvalid
from reconciler.loader import files
from reconciler.loader.documents import Raw, addresses_in, forget_nodes, read_documents
from reconciler.loader.files import SourceFile
from reconciler.loader.judge import Rules, judge
from reconciler.loader.tree import Value
from reconciler.loader.words import slug
from reconciler.spec import MODELS, Project, Spec, address_of, kebab


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder says: specs by address in stable order, problems, and where everything is."""

    project: Project | None
    specs: dict[str, Spec]
    problems: tuple[Problem, ...]
    environment: str | None = None
    unread: frozenset[str] = frozenset()
    """Addresses that exist but could not be read; references to them are not dangling. ``*`` may be any."""
    variables: frozenset[str] = frozenset()
    """Names that the project declares or any document refers to."""
    _raws: dict[str, Raw] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """sha256 over the normalised specs and the environment: comments, order and layout do not count."""
        return _digest(self.specs, self.environment)

    def where(self, address: str, *path: str | int) -> Location | None:
        """Place of a path in an object, of its longest part that exists; None for an unknown address."""
        raw = self._raws.get(address)
        return raw.place(path) if raw is not None else None

    def excerpt(self, address: str, *path: str | int) -> str:
        """Source line and caret of that place; of a destination keys only."""
        raw = self._raws.get(address)
        return raw.problem(path, "", "").excerpt if raw is not None else ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that make the specs invalid."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def valid_project(self) -> Project:
        """The project; raises SpecInvalid when anything is wrong."""
        if self.errors or self.project is None:
            raise SpecInvalid(self.problems)
        return self.project


def load(
    root: Path,
    *,
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    allowed_hosts: Collection[str] = (),
    env_allow: str | None = None,
) -> Loaded:
    """Reads every spec below root. `variables` come from the command line and win over those of the project.

    Raises nothing for what files say: all of it is in `problems`. The environment of the process is not read.
    """
    with without_gc():
        loading = _Loading(root, environment)
        loading.read()
        loading.drop_state_folder()
        loading.judge_all(dict(variables or {}), allowed_hosts, env_allow)
        forget_nodes()
        return loading.loaded()


@dataclass(slots=True)
class _Loading:
    root: Path
    environment: str | None
    raws: list[Raw] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unread: dict[str, set[str]] = field(default_factory=dict)
    """By the path of the file or folder."""
    specs: dict[str, tuple[Spec, Raw]] = field(default_factory=dict)
    projects: int = 0
    variables: set[str] = field(default_factory=set)

    def read(self) -> None:
        """All documents of all files."""
        paths, unread = files.find(self.root)
        for file in (*unread, *(files.read(self.root, path) for path in paths)):
            if isinstance(file, SourceFile):
                pages = read_documents(file)
                self.raws += pages.documents
                self.problems += pages.problems
                self._unread(file.path, pages.unread)
            else:
                self.problems.append(file.problem)
                path = file.problem.where.path if file.problem.where else ""
                self._unread(path, {"", *(addresses_in(file.guess) if file.guess else ("*",))})

    def drop_state_folder(self) -> None:
        """A local state folder inside the project holds no specs, whatever its files are called."""
        folders = [folder for raw in self.raws if raw.kind == "Project" for folder in _state_folders(raw.values)]
        prefixes = tuple(f"{folder}/" for folder in folders)

        def outside(path: str) -> bool:
            return not f"{path}/".startswith(prefixes)

        if prefixes:
            self.raws = [raw for raw in self.raws if outside(raw.file.path)]
            self.problems = [p for p in self.problems if p.where is None or outside(p.where.path)]
            self.unread = {path: addresses for path, addresses in self.unread.items() if outside(path)}

    def judge_all(self, given: dict[str, str], allowed_hosts: Collection[str], env_allow: str | None) -> None:
        """Every document on its own, then what only all of them together show."""
        declared = self._variables()
        self.variables |= declared.keys()
        rules = Rules(self.root, declared | given, allowed_hosts, env_allow, self.variables)
        for raw in self.raws:
            spec, problems = judge(raw, rules)
            self.problems += problems
            self.projects += raw.kind == "Project"
            if spec is not None:
                self._add(spec, raw)
            else:
                self._unread(raw.file.path, _claimed(raw))
        self._one_project()

    def _unread(self, path: str, addresses: Collection[str]) -> None:
        self.unread.setdefault(path, set()).update(addresses)

    def _addresses_unread(self) -> frozenset[str]:
        return frozenset(address for addresses in self.unread.values() for address in addresses)

    def _add(self, spec: Spec, raw: Raw) -> None:
        address = address_of(spec)
        first = self.specs.get(address)
        if first is not None and raw.kind == "Project":
            return  # a second project is told as that
        if first is None:
            self.specs[address] = (spec, raw)
            return
        what, why = f"{address} is written twice", f"the first one is at {first[1].place(('name',))}"
        self.problems.append(raw.problem(("name",), "duplicate-name", what, "give it another name, or remove one", why))

    def _one_project(self) -> None:
        projects = [raw for raw in self.raws if raw.kind == "Project"]
        for raw in projects[1:]:
            what, why = "a second Project", f"the first one is at {projects[0].place(('kind',))}"
            self.problems.append(raw.problem(("kind",), "one-project", what, "keep exactly one Project below -C", why))
        if not projects and not any(address.startswith(("project/", "*")) for address in self._addresses_unread()):
            what = "no Project below this folder" if self.raws or self.problems else "no specs below this folder"
            fix = "check -C, or add a document: apiVersion: batchctl/v1, kind: Project, name: my-project"
            self.problems.append(Problem(where=Location("."), what=what, fix=fix, rule="one-project"))
        elif len(projects) == 1 and self.environment is not None:
            self._environment(projects[0], self.environment)

    def _environment(self, raw: Raw, name: str) -> None:
        known = raw.values.get("environments")
        names = list(known) if isinstance(known, dict) else []
        if name not in names:
            near = get_close_matches(name, names, n=1)
            fix = (
                f"did you mean --env {near[0]}?"
                if near
                else f"use one of {', '.join(names)}"
                if names
                else f"leave --env out, or add environments: {{{name}: {{…}}}} to the project"
            )
            self.problems.append(
                raw.problem(("environments",), "unknown-environment", f"there is no environment {name}", fix)
            )

    def _variables(self) -> dict[str, str]:
        """Variables of the project, overridden by those of the environment; wrong ones are reported by the model."""
        values = next((raw.values for raw in self.raws if raw.kind == "Project"), {})
        found = _texts(values.get("vars"))
        environments = values.get("environments")
        chosen = environments.get(self.environment or "") if isinstance(environments, dict) else None
        return found | (_texts(chosen.get("vars")) if isinstance(chosen, dict) else {})

    def loaded(self) -> Loaded:
        """The result, in stable order."""
        specs = {address: self.specs[address][0] for address in sorted(self.specs)}
        project = next((spec for spec in specs.values() if isinstance(spec, Project)), None)
        return Loaded(
            project=project,
            specs=specs,
            problems=tuple(sorted(dict.fromkeys(self.problems), key=_order)),
            environment=self.environment,
            unread=self._addresses_unread(),
            variables=frozenset(self.variables),
            _raws={address: raw for address, (_, raw) in self.specs.items()},
        )


def _order(problem: Problem) -> tuple[Location, str, str]:
    return problem.where or Location(""), problem.what, problem.fix


def _digest(specs: Mapping[str, Spec], environment: str | None) -> str:
    normal = {address: spec.model_dump(mode="json", by_alias=True) for address, spec in specs.items()}
    text = json.dumps([environment, normal], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _claimed(raw: Raw) -> set[str]:
    """Addresses that a refused document was probably meant to have."""
    name = raw.values.get("name")
    names = {str(name), slug(str(name))} if isinstance(name, str | int) else {""}
    kinds = [raw.kind] if raw.kind in MODELS else list(MODELS)
    return {f"{kebab(kind)}/{one}" for kind in kinds for one in names}


def _texts(value: Value) -> dict[str, str]:
    return {key: item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}


def _state_folders(values: Mapping[str, Value]) -> Iterator[str]:
    """Local state folders that a Project document names, relative to the project, below it."""
    environments = values.get("environments")
    places = [values, *(environments.values() if isinstance(environments, dict) else ())]
    for place in places:
        state = place.get("state") if isinstance(place, Mapping) else None
        url = state.get("url") if isinstance(state, Mapping) else None
        if isinstance(url, str) and "://" not in url:
            folder = "/".join(part for part in url.split("/") if part not in ("", "."))
            if folder and not url.startswith("/") and ".." not in folder.split("/"):
                yield folder


@contextmanager
def without_gc() -> Iterator[None]:
    """Millions of nodes without a cycle among them are no work for the collector."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
