"""Errors that reach the command line, and the exit code of each. Rooms below raise kinds of their own.

BatchctlError                 1   something could not be done; the message says what, why and what to do
├── SpecInvalid               3   the specs (or their SQL, or a source they name) are wrong; nothing was sent
├── Locked                    5   another run holds the state, or has taken it over
├── Stale                     6   the saved plan no longer fits the state, the specs or its own digests
├── Usage                    64   the command line is wrong, or approval is missing
├── StateError                1   the state cannot be trusted: truncated, edited, of another project or version
│   ├── Unreached             -   it, or a file of it, could not be read or written: what it holds is not known
│   ├── SetBack               -   it is older than what is kept beside it, or gone
│   ├── Lost                  -   it is gone with all its versions, but files of its targets are there
│   └── Unopened              -   a file of it, or a line, is not opened: of another key or seal, plain, damaged
│       └── Damaged           -   it is not what was written
├── ConfigurationError        1   a key, host or account is wrong; found before the first write
├── SourceError               1   a source that existed when the specs were checked cannot be read
├── BatchError                1   Batch answered something final, or nothing in time
│   ├── Refused4xx            -   a 4xx other than 429: never repeated blindly
│   └── Unreachable           -   retries are used up
└── Interrupted         130/143   SIGINT or SIGTERM while nothing is sent; an apply that sends ends with its report
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class ExitCode(IntEnum):
    """Exit codes; `word` is what the JSON says."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    INVALID = 3
    REFUSED = 4
    LOCKED = 5
    STALE = 6
    PARTIAL = 7
    REJECTS = 8
    USAGE = 64
    SIGINT = 130
    SIGTERM = 143

    @property
    def word(self) -> str:
        """The word in JSON, e.g. ``changes``."""
        return "interrupted" if self in (ExitCode.SIGINT, ExitCode.SIGTERM) else self.name.lower()


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a spec file; line and column count from 1, 0 when unknown. `path` is relative to the project."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


class Word(str):
    """Last step of a path into a document that means a word inside the text there: a field in SQL, say."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, for a reader: a short constant `what`, the reason, and what to write instead."""

    severity: Literal["error", "warning"] = "error"
    where: Location | None = None
    what: str
    why: str = ""
    fix: str = ""
    excerpt: str = ""
    """Source line and caret, ready to print; in Destination documents keys only, never values."""
    rule: str = ""
    """Stable identifier of the check, e.g. ``duplicate-key``."""


class BatchctlError(Exception):
    """Base of everything raised on purpose. `str()` is one clear message that never holds a key or an identifier."""

    exit_code: ExitCode = ExitCode.ERROR
    maybe_processed = False
    """Whether Batch may have carried out an attempt of the request that ended so: an answer was lost, or was a 5xx."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__("\n".join(part for part in (what, why, fix) if part))


class SpecInvalid(BatchctlError):
    """The specs are wrong; carries every problem found, warnings included."""

    exit_code = ExitCode.INVALID

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        errors = sum(p.severity == "error" for p in problems)
        super().__init__(f"{errors} {'error' if errors == 1 else 'errors'} in the specs")


class Locked(BatchctlError):
    """Another run holds the state, or may."""

    exit_code = ExitCode.LOCKED


class Stale(BatchctlError):
    """A saved plan that no longer fits."""

    exit_code = ExitCode.STALE


class Usage(BatchctlError):
    """The command line is wrong, or approval is missing."""

    exit_code = ExitCode.USAGE


class StateError(BatchctlError):
    """The state cannot be trusted, or not be written; what is there was left as it is."""


class Unreached(StateError):
    """A state, or a file of it, that could not be reached, read or written: nothing can be said of what it holds."""


class SetBack(StateError):
    """The document of the state is gone, or did not come of the versions that are kept: it lost what was sent."""


class Lost(StateError):
    """The document of the state is gone with every version of it: nothing but its targets' files says what was sent."""


class Unopened(StateError):
    """A file, or a line of a log, that is not opened: of another key or a newer seal, plain where all is encrypted."""


class Damaged(Unopened):
    """A file, or a line of a log, that is not what was written under its name."""


class ConfigurationError(BatchctlError):
    """A key, host or account is wrong; found before the first write."""


class SourceError(BatchctlError):
    """A source cannot be read any more."""


class BatchError(BatchctlError):
    """Batch answered something final, or nothing in time."""


class Refused4xx(BatchError):
    """A 4xx other than 429, final for this request (https://doc.batch.com/developer/api/cep/audiences/update)."""

    def __init__(self, what: str, *, status: int, why: str = "", fix: str = "") -> None:
        self.status = status
        super().__init__(what, why=why, fix=fix)

    @property
    def forbidden(self) -> bool:
        """Whether nothing may be sent there: it says nothing of the rows that were."""
        return self.status == 403


class Unreachable(BatchError):
    """Retries are used up in number or time; whether the last request was processed is not known."""


class Interrupted(BatchctlError):
    """SIGINT (130) or SIGTERM (143)."""

    def __init__(self, code: ExitCode, *, left: str) -> None:
        super().__init__("interrupted", fix=left)
        self.exit_code = code
