"""Names of what a state consists of, beside `state.json`: previous versions and the files of targets."""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import PurePosixPath

from reconciler.address import TargetKey
from reconciler.errors import StateError
from reconciler.state.state import State

STATE = "state.json"
"""The document."""
PREVIOUS = "previous/"
"""Where the versions before it are."""
TARGETS = "targets/"
"""Where baselines, deltas and acknowledgement logs are."""
LOCK = "lock"
"""See `lock` and `lease`."""
LOG = "acks"
"""Kind of acknowledgement logs."""
OURS = re.compile(rf"{TARGETS}[^/]+/(?:base|delta|acks|refusals)-[^/]+")
"""Names of a target's files: nothing else that lies below targets/ is touched."""


def slug_of(key: TargetKey) -> str:
    """Folder name of a target: readable, and different for names that differ by case only."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", key.audience or "profiles")[:80]
    return f"{key.account}-{name}-{hashlib.sha256(str(key).encode()).hexdigest()[:8]}"


def name_of(key: TargetKey, stem: str, state: State, suffix: str) -> str:
    """A name for a new file of a target which no version of any state has used."""
    return f"{TARGETS}{slug_of(key)}/{stem}-{state.serial + 1}-{uuid.uuid4().hex[:8]}{suffix}"


def checked_name(name: str) -> str:
    """The name, which must be one below targets/."""
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or f"{parts[0]}/" != TARGETS or ".." in parts or "\\" in name or "\0" in name:
        raise StateError(f"{name!r} is not a name of a file below targets/")
    return name


def kind_of(name: str) -> str:
    """What a file of a target is: `base`, `delta`, `acks` or `refusals`."""
    return name.rpartition("/")[2].partition("-")[0]


def number_of(name: str) -> int:
    """The serial a file of a target was put for; no version before that one names it."""
    number = name.rpartition("/")[2].partition("-")[2].partition("-")[0]
    return int(number) if number.isdecimal() else 0


def serial_of(name: str) -> int:
    """Serial of a previous version by its name; -1 when it is none."""
    found = re.fullmatch(rf"{PREVIOUS}state-([0-9]+)\.json", name)
    return int(found[1]) if found else -1
