"""How numbers, bytes, times and foreign text are written on a screen."""

from __future__ import annotations

import re
import unicodedata
from math import ceil

MINUS = "\N{MINUS SIGN}"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories never shown as they are: controls (ANSI), bidirectional and zero-width marks, line breaks."""
_COMMAND = re.compile(
    r"\bbatchctl (?:plan|apply|import|status|rejects|preview|validate|state [a-z]+)\b(?! -C| --env| --var)"
)


def plain(text: str) -> str:
    r"""Text from Batch or YAML on one line, harmless to a terminal: hidden characters become ``\x1b`` or ``\u202e``."""
    return "".join(_shown(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _shown(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def brief(text: str, most: int) -> str:
    """The text, cut behind a word where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0] or text[: most - 1]} …"


def signed(number: int, sign: str) -> str:
    """``+1,210``, ``−845``, ``~90``; "" for zero."""
    return f"{MINUS if sign == '-' else sign}{number:,}" if number else ""


def counted(number: int, one: str, many: str = "") -> str:
    """``1 row``, ``2,203 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """``46.1 %`` of a share between 0 and 1; what is not zero never reads as zero."""
    value = share * 100
    return "<0.1 %" if 0 < value < 0.05 else f"{value:,.1f} %"


def size(number: int) -> str:
    """``812 B``, ``12.4 kB``, ``1.3 MB``; decimal units."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float) -> str:
    """``6 s``, ``12 min``, ``3.4 h``; rounded up, because it is a least time."""
    if seconds <= 120:
        return f"{ceil(seconds)} s"
    return f"{ceil(seconds / 60)} min" if seconds <= 7200 else f"{ceil(seconds / 360) / 10:,.1f} h"


def joined(parts: list[str], separator: str = " ") -> str:
    """The parts that are not empty."""
    return separator.join(part for part in parts if part)


def placed(text: str, given: str) -> str:
    """The text with `given`, e.g. ``-C crm --env prod``, behind the name of every command that takes it."""
    return _COMMAND.sub(lambda found: f"{found[0]} {given}", text) if given else text
