"""Transforms of a mapping: ``lower``, ``replace(a, b)``, ``map({fr: France})`` as text or as a one-key mapping.

Parsed into ``(name, arguments)``: ``("substring", (1, 3))``, ``("map", ({"fr": "France"},))``. Nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches

from reconciler.spec.common import Fault, refuse

Transform = tuple[str, tuple[object, ...]]
PLAIN = ("trim", "lower", "upper", "title", "sha256", "md5", "digits")
WITH_ARGUMENTS = ("default", "map", "replace", "substring")
KNOWN = (*PLAIN, *WITH_ARGUMENTS)
USE = {
    "default": "default(unknown)",
    "map": "map({fr: France, de: Germany})",
    "replace": 'replace(" ", "_")',
    "substring": "substring(1, 3)",
}
_TOKEN = re.compile(r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|(?P<mark>[{}:,])|(?P<bare>[^"'{}:,]+))\s*""")
_CALL = re.compile(r"([a-z0-9]+)\s*(?:\((.*)\))?", re.DOTALL)
_LONGEST = 1024


class _Bad(ValueError):
    """Arguments that cannot be read; the text says why."""


def parse_transforms(value: object) -> tuple[Transform, ...]:
    """One transform or a list of them, each as text or as ``{name: arguments}``; raises with a fault per entry."""
    listed = value if isinstance(value, list | tuple) and not _is_parsed(value) else [value]
    found: list[Transform] = []
    faults: list[Fault] = []
    single = listed is not value
    for index, entry in _rejoined(listed):
        try:
            found.append(_parse(entry))
        except _Bad as bad:
            what, _, fix = str(bad).partition("\n")
            faults.append(Fault(() if single else (index,), "transform", what, fix))
    refuse(*faults)
    return tuple(found)


def _rejoined(listed: Sequence[object]) -> Iterator[tuple[int, object]]:
    """Entries with their place; a call that YAML cut at its commas, as in ``[trim, substring(1, 3)]``, is one again."""
    open_at = 0
    pieces: list[str] = []
    for index, entry in enumerate(listed):
        if pieces and isinstance(entry, str | int | float):
            pieces.append(str(entry))
            if _closed(pieces[-1]):
                yield open_at, ", ".join(pieces)
                pieces = []
        elif not pieces and isinstance(entry, str) and "(" in entry and not _closed(entry):
            open_at, pieces = index, [entry]
        else:
            if pieces:
                yield open_at, ", ".join(pieces)
                pieces = []
            yield index, entry
    if pieces:
        yield open_at, ", ".join(pieces)


def _closed(text: str) -> bool:
    return text.rstrip().endswith(")")


def _is_parsed(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], tuple)


def _parse(entry: object) -> Transform:
    if _is_parsed(entry) and isinstance(entry, tuple):
        return _checked(entry[0], list(entry[1]))
    if isinstance(entry, dict):
        if len(entry) != 1:
            raise _Bad("one transform per entry\nwrite each transform as its own entry of the list")
        name, given = next(iter(entry.items()))
        return _checked(str(name), list(given) if isinstance(given, list | tuple) else [given])
    if not isinstance(entry, str):
        raise _Bad("a transform is a word or a call\nwrite e.g. lower or replace(a, b)")
    call = _CALL.fullmatch(entry.strip())
    if call is None:
        raise _Bad("this transform cannot be read\nwrite it as name or name(arguments), e.g. lower or substring(1, 3)")
    return _checked(call[1], None if call[2] is None else _arguments(call[1], call[2]))


def _checked(name: str, args: list[object] | None) -> Transform:
    if name not in KNOWN:
        close = get_close_matches(name.lower(), KNOWN, n=1)
        fix = f"did you mean {close[0]}?" if close else f"use one of {', '.join(KNOWN)}"
        raise _Bad(f"unknown transform {name[:40]}\n{fix}")
    if name in PLAIN:
        if args:
            raise _Bad(f"{name} takes no arguments\nwrite {name}")
        return name, ()
    check: Callable[[list[object]], tuple[object, ...] | None] = {
        "default": _default,
        "map": _map,
        "replace": _replace,
        "substring": _substring,
    }[name]
    found = check(args or [])
    if found is None:
        raise _Bad(f"the arguments of {name} are wrong\nwrite {USE[name]}")
    return name, found


def _default(args: list[object]) -> tuple[object, ...] | None:
    match args:
        case [str() | int() | float() as value] if not isinstance(value, bool):
            return (str(value),)
    return None


def _map(args: list[object]) -> tuple[object, ...] | None:
    match args:
        case [dict() as table] if table and all(_is_word(k) and _is_word(v) for k, v in table.items()):
            return ({str(key): str(value) for key, value in table.items()},)
    return None


def _replace(args: list[object]) -> tuple[object, ...] | None:
    match args:
        case [found, by] if _is_word(found) and _is_word(by) and str(found):
            return str(found), str(by)
    return None


def _substring(args: list[object]) -> tuple[object, ...] | None:
    numbers = [int(arg) if isinstance(arg, str) and re.fullmatch(r"[0-9]{1,6}", arg) else arg for arg in args]
    match numbers:
        case [int(start), int(length)] if not any(isinstance(arg, bool) for arg in args) and start >= 1 and length > 0:
            return start, length
    return None


def _is_word(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _arguments(name: str, text: str) -> list[object]:
    """Arguments between the parentheses: words, quoted texts, or one ``{key: value, …}``."""
    if len(text) > _LONGEST:
        raise _Bad(f"the arguments of {name} are too long\nuse the YAML form, e.g. {{map: {{fr: France}}}}")
    tokens = _tokens(name, text)
    if tokens[:1] == [("mark", "{")] and tokens[-1:] == [("mark", "}")]:
        return [_table(name, tokens[1:-1])]
    return list(_words(name, tokens))


def _tokens(name: str, text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.end() == at or token.lastgroup is None:
            raise _Bad(f"the arguments of {name} cannot be read\nwrite {USE.get(name, name)}")
        kind, word = token.lastgroup, token[token.lastgroup]
        found.append((kind, _unquoted(word) if kind == "quoted" else word.strip()))
        at = token.end()
    return found


def _unquoted(word: str) -> str:
    if word[0] == "'":
        return word[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), word[1:-1], flags=re.DOTALL)


def _words(name: str, tokens: list[tuple[str, str]]) -> list[str]:
    """Values between commas; colons belong to words only inside quotes."""
    for index, (kind, word) in enumerate(tokens):
        if (kind == "mark") != (index % 2 == 1) or (kind == "mark" and word != ","):
            raise _Bad(f"the arguments of {name} cannot be read\nwrite {USE.get(name, name)}")
    if tokens and len(tokens) % 2 == 0:
        raise _Bad(f"an argument of {name} is missing after the last comma\nwrite {USE.get(name, name)}")
    return [word for kind, word in tokens if kind != "mark"]


def _table(name: str, tokens: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(tokens), 4):
        match tokens[start : start + 4]:
            case [(k, key), ("mark", ":"), (v, value), *rest] if k != "mark" and v != "mark":
                if key in found:
                    raise _Bad(f"{name} has the key {key[:40]} twice\nkeep one of them")
                if rest and (rest != [("mark", ",")] or start + 4 >= len(tokens)):
                    raise _Bad(f"the arguments of {name} cannot be read\nwrite {USE.get(name, name)}")
                found[key] = value
            case _:
                raise _Bad(f"the arguments of {name} cannot be read\nwrite {USE.get(name, name)}")
    return found
