"""Text from Batch made fit for messages: no control characters, keys or identifiers, 300 characters at most. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import quote

LONGEST = 300

_EMAIL = re.compile(r"[^\s\"'<>,;:()\[\]{}]+@[^\s\"'<>,;:()\[\]{}]+")
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_WORD = re.compile(r"\"[^\"]+\"|'[^']+'|[^\s\"',;()\[\]{}]+")
_IDS = re.compile(rb'"(?:id|custom_id)":("(?:[^"\\]|\\.)*")')


class Sanitiser:
    """Knows the secrets of one destination and what to show instead, e.g. the account for the Live API key."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        shown = {form: word for secret, word in secrets.items() for form in {secret, quote(secret, safe="")} if secret}
        self._shown = {form.casefold(): word for form, word in shown.items()}
        longest_first = sorted(shown, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if shown else None

    def __call__(self, text: str, *, sent: bytes = b"") -> str:
        """`text` on one line. `sent` is the body it answers: an identifier of that body is masked."""
        return self.answering(sent)(text)

    def answering(self, sent: bytes) -> Callable[[str], str]:
        """The same for many texts that answer one body."""

        @cache
        def identifiers() -> frozenset[bytes]:
            return frozenset(_IDS.findall(sent))

        return lambda text: _short(_masked(self.without_secrets(text), identifiers))

    def without_secrets(self, text: str) -> str:
        """Keys replaced by what is shown instead, control characters by spaces."""
        plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if self._secrets is None:
            return plain
        unbroken = "".join(c for c in text if c.isprintable())
        if len(self._secrets.findall(unbroken)) > len(self._secrets.findall(plain)):
            plain = unbroken  # a key was cut by a line break or another control character
        return self._secrets.sub(lambda found: self._shown.get(found[0].casefold(), "[key]"), plain)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _masked(text: str, identifiers: Callable[[], frozenset[bytes]]) -> str:
    """E-mail addresses, UUIDs and words that are an identifier of the body sent, masked."""
    plain = _UUID.sub("[id]", _EMAIL.sub("[id]", text))
    known = identifiers()
    return _WORD.sub(lambda found: _masked_word(found[0], known), plain) if known else plain


def _masked_word(word: str, known: frozenset[bytes]) -> str:
    bare = word.strip("\"'")
    for candidate in (bare, bare.rstrip(".:!?")):
        if candidate and json.dumps(candidate, ensure_ascii=False).encode("utf-8", "replace") in known:
            return word.replace(candidate, "[id]")
    return word
