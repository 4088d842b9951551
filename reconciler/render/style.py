"""ANSI colours, only when asked for; text passes unchanged otherwise."""

from __future__ import annotations

from typing import Literal

Tone = Literal["add", "change", "remove", "refuse", "quiet", "strong"]

_CODES: dict[Tone, str] = {"add": "32", "change": "33", "remove": "31", "refuse": "1;35", "quiet": "2", "strong": "1"}


def paint(text: str, tone: Tone, *, colour: bool) -> str:
    """The text in a tone."""
    return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if colour and text else text
