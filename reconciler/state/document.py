"""The state as bytes: JSON that carries its own checksum, and is trusted only when it still fits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import orjson
from pydantic import ValidationError

from reconciler.errors import StateError
from reconciler.state.seal import is_sealed, refused_without_key
from reconciler.state.state import FORMAT, DataFile, State


def encode(state: State) -> bytes:
    """The document; the same bytes for the same state."""
    document = state.model_dump(mode="json")
    document["checksum"] = _checksum(document)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def decode(text: bytes, *, where: str, way_out: Callable[[], str]) -> State:
    """Inverse of `encode`. StateError names `where`, what is wrong with it and the `way_out`."""
    if is_sealed(text):
        raise refused_without_key(where)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StateError(f"the state {where} is truncated or no JSON", why=str(error), fix=way_out()) from None
    if not isinstance(document, dict):
        raise StateError(f"the state {where} is no JSON object", fix=way_out())
    if isinstance(document.get("format"), int) and document["format"] > FORMAT:
        why = f"it has format {document['format']}, this version reads up to {FORMAT}"
        raise StateError(f"the state {where} was written by a newer batchctl", why=why, fix="upgrade batchctl")
    if document.pop("checksum", None) != _checksum(document):
        why = "its checksum does not fit its content"
        raise StateError(f"the state {where} was edited or damaged", why=why, fix=way_out())
    try:
        return State.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        why = f"{'.'.join(map(str, first['loc'][:1]))}: {first['msg']}"
        raise StateError(f"the state {where} is not one batchctl understands", why=why, fix=way_out()) from None


def rows_of(state: State) -> dict[str, DataFile]:
    """Every file with rows that a version of the state names, pending intents included, by its name."""
    files: list[DataFile | None] = []
    for target in state.targets.values():
        files += (*target.baseline.files, *target.uncertain, target.baseline.refusals)
        files += (target.pending.file,) if target.pending else ()
    return {file.path: file for file in files if file is not None}


def files_of(state: State) -> set[str]:
    """Every file a version of the state names, pending intents and their logs included."""
    pending = [target.pending for target in state.targets.values() if target.pending]
    return {*rows_of(state), *(one.acks for one in pending if one.acks)}


def _checksum(document: dict[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
