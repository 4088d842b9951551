"""Where rules put what they find: problems at a path of an object, each once, in the order of the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from reconciler.errors import Location, Problem

Where = Callable[..., Location | None]
"""``where(address, *path)``: the place of a path in an object."""
Excerpt = Callable[..., str]
"""``excerpt(address, *path)``: its source line with a caret."""


@dataclass(slots=True)
class Report:
    """Collects problems."""

    where: Where = lambda *_: None
    excerpt: Excerpt = lambda *_: ""
    found: list[Problem] = field(default_factory=list)

    def error(self, rule: str, at: tuple[str | int, ...], what: str, fix: str, why: str = "") -> None:
        """Something that makes the specs invalid; `at` is an address and a path."""
        self._add("error", rule, at, what, fix, why)

    def warn(self, rule: str, at: tuple[str | int, ...], what: str, fix: str, why: str = "") -> None:
        """Something a reader should know."""
        self._add("warning", rule, at, what, fix, why)

    def _add(
        self, severity: Literal["error", "warning"], rule: str, at: tuple[str | int, ...], what: str, fix: str, why: str
    ) -> None:
        self.found.append(
            Problem(
                severity=severity,
                where=self.where(*at),
                what=what,
                why=why,
                fix=fix,
                rule=rule,
                excerpt=self.excerpt(*at),
            )
        )

    def problems(self) -> tuple[Problem, ...]:
        """Each once, by place."""
        return tuple(sorted(dict.fromkeys(self.found), key=lambda p: (p.where or Location(""), p.what, p.fix)))
