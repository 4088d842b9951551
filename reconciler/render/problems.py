"""Everything wrong with the specs, at once: where, what, why and what to write instead; as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from reconciler.errors import BatchctlError, ExitCode, Location, Problem, SpecInvalid
from reconciler.plan import FORMAT
from reconciler.render.style import paint
from reconciler.render.words import counted, plain


def ordered(problems: Iterable[Problem]) -> list[Problem]:
    """Errors before warnings, each by place; the same problem once."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda one: (one.severity != "error", one.where or Location(""), one.what))


def problems_text(problems: Iterable[Problem], *, colour: bool = False) -> str:
    """A screen, ending in a newline; the last line counts."""
    found = ordered(problems)
    blocks = ["\n".join(_block(problem, colour=colour)) for problem in found]
    return "\n\n".join([*blocks, count_line(found)]) + "\n"


def count_line(problems: Iterable[Problem]) -> str:
    """``2 errors, 1 warning.``"""
    found = list(problems)
    errors = sum(problem.severity == "error" for problem in found)
    warnings = len(found) - errors
    parts = [counted(errors, "error")] if errors or not warnings else []
    return ", ".join([*parts, counted(warnings, "warning")] if warnings else parts) + "."


def _block(problem: Problem, *, colour: bool) -> list[str]:
    tone = paint(problem.severity, "refuse" if problem.severity == "error" else "change", colour=colour)
    place = f"{plain(str(problem.where))}: " if problem.where else ""
    rule = f" [{problem.rule}]" if problem.rule else ""
    return [
        f"{place}{tone}: {plain(problem.what)}{rule}",
        *(f"    {plain(line)}" for line in problem.excerpt.splitlines()),
        *_indented(problem.why),
        *_indented(problem.fix, "to fix it: "),
    ]


def _indented(text: str, label: str = "") -> list[str]:
    """Each line below the first; a reason may have several."""
    lines = [plain(line) for line in text.splitlines() if line.strip()]
    return [f"  {label if at == 0 else ' ' * len(label)}{line}" for at, line in enumerate(lines)]


def problems_json(problems: Iterable[Problem]) -> str:
    """The same as a document, ending in a newline."""
    found = ordered(problems)
    errors = sum(problem.severity == "error" for problem in found)
    value: dict[str, object] = {
        "format": 1,
        "valid": not errors,
        "errors": errors,
        "warnings": len(found) - errors,
        "problems": [_value(problem) for problem in found],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def failure_json(error: BatchctlError, *, tool: str, code: int) -> str:
    """What stands in the place of a plan or a report that there is none of, ending in a newline; see `planschema`."""
    alone = Problem(what=error.what, why=error.why, fix=error.fix)
    found = ordered(error.problems) if isinstance(error, SpecInvalid) else [alone]
    value: dict[str, object] = {
        "format": FORMAT,
        "tool": tool,
        "outcome": ExitCode(code).word,
        "exit_code": code,
        "problems": [_value(problem) for problem in found],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _value(problem: Problem) -> dict[str, object]:
    where = problem.where
    place = {"path": where.path, "line": where.line, "column": where.column} if where else None
    return {
        "severity": problem.severity,
        "rule": problem.rule,
        "where": place,
        "what": problem.what,
        "why": problem.why,
        "fix": problem.fix,
        "excerpt": problem.excerpt,
    }
