"""References to keys: whether a name may be asked for, and the key behind it. The environment is passed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import SecretStr

from reconciler.errors import ConfigurationError
from reconciler.spec import Destination, KeyRef

SECRETS_FOLDER = Path("/run/secrets")
MAX_KEY_BYTES = 4096
_USABLE = re.compile(r"[\x21-\x7e]+")


def check_env_name(name: str, allow_pattern: str | None) -> str | None:
    """What is wrong with asking for an environment variable, None when it may be asked for.

    `allow_pattern` (BATCHCTL_ENV_ALLOW) is one pattern of whole names, or several separated by commas: a glob
    (``SHOP_*``) or a regular expression (``SHOP_[A-Z_]+``).
    """
    if allow_pattern is None or not allow_pattern.strip():
        return None
    parts = [part.strip() for part in allow_pattern.split(",") if part.strip()]
    if any(fnmatchcase(name, part) or _matches(part, name) for part in parts):
        return None
    return f"BATCHCTL_ENV_ALLOW does not allow {name}"


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False


def check_file(path: str, root: Path) -> str | None:
    """What is wrong with a ``${file:…}`` path, None when it lies under the project folder or /run/secrets."""
    try:
        real = (root / path).resolve()
        inside = any(real.is_relative_to(base.resolve()) for base in (root, SECRETS_FOLDER))
    except (OSError, ValueError, RuntimeError):
        return "the path cannot be followed"
    return None if inside else f"files with keys must lie below the project folder or {SECRETS_FOLDER}"


def resolve_key(ref: KeyRef, *, environ: Mapping[str, str], root: Path, env_allow: str | None) -> SecretStr:
    """The key behind a reference. Raises ConfigurationError that names the reference, never the value."""
    value = _of_env(ref, environ, env_allow) if ref.kind == "env" else _of_file(ref, root)
    if not value:
        raise ConfigurationError(f"{ref} is not set" if ref.kind == "env" else f"{ref} is empty", fix=_set(ref))
    if not _USABLE.fullmatch(value):
        raise ConfigurationError(
            f"{ref} does not hold a key", why="it has spaces, line breaks or other characters", fix=_set(ref)
        )
    return SecretStr(value)


def resolve_keys(
    destination: Destination, *, environ: Mapping[str, str], root: Path, env_allow: str | None
) -> dict[str, SecretStr]:
    """Keys of a destination by role: ``rest`` and ``live`` (MEP) or ``project`` (CEP). Raises ConfigurationError."""
    role = "live" if destination.platform == "mep" else "project"
    refs = {"rest": destination.rest_api_key, role: destination.account_key}
    return {name: resolve_key(ref, environ=environ, root=root, env_allow=env_allow) for name, ref in refs.items()}


def parse_ref(text: str) -> KeyRef:
    """Inverse of ``str(ref)``, for references that state kept. Raises ConfigurationError without repeating the text."""
    found = re.fullmatch(r"\$\{(env|file):([^${}]+)\}", text)
    if found is None:
        raise ConfigurationError("a reference to a key cannot be read", fix="write ${env:NAME} or ${file:PATH}")
    return KeyRef("env" if found[1] == "env" else "file", found[2])


def _of_env(ref: KeyRef, environ: Mapping[str, str], env_allow: str | None) -> str:
    wrong = check_env_name(ref.name, env_allow)
    if wrong:
        raise ConfigurationError(f"{ref} may not be used", why=wrong, fix="use a name it allows, or extend it")
    return environ.get(ref.name, "")


def _of_file(ref: KeyRef, root: Path) -> str:
    wrong = check_file(ref.name, root)
    if wrong:
        raise ConfigurationError(f"{ref} may not be used", why=wrong, fix="move the file")
    try:
        with (root / ref.name).open("rb") as file:
            return file.read(MAX_KEY_BYTES).decode("ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"{ref} cannot be read", why=error.strerror or "", fix=_set(ref)) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{ref} does not hold a key", why="it is not ASCII text", fix=_set(ref)) from None


def how_to_set(ref: KeyRef) -> str:
    """What to do where the key behind a reference is missing."""
    return f"set the environment variable {ref.name}" if ref.kind == "env" else f"write the key into {ref.name}"


def _set(ref: KeyRef) -> str:
    return f"{how_to_set(ref)}; keys are in Batch's dashboard under Settings, General"
