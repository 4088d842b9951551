"""Bytes → in which encoding they are text, if they are text at all. Pure."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from reconciler.errors import SourceError

_BEYOND = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
"""A character beyond ASCII that was decoded."""
_NO_TEXT = {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"\x1f\x8b": "compressed",
    b"\x28\xb5\x2f\xfd": "compressed",
    b"PK\x03\x04": "a ZIP file",
}
AS_TEXT = "save it as UTF-8, not compressed"


def check_text(path: Path, head: bytes) -> None:
    """Raises SourceError for what a file of text never begins with."""
    what = next((kind for mark, kind in _NO_TEXT.items() if head.startswith(mark)), None)
    if what is not None:
        raise SourceError(f"{path.name} is {what}", why="CSV and JSON lines are text in UTF-8 or Latin-1", fix=AS_TEXT)


class Spoken:
    """UTF-8, or Latin-1 where bytes are not valid and no character beyond ASCII is: in a file that is UTF-8 elsewhere they
    are damage to their rows, and must not change how all others read."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")  # what is not valid → U+DC80 to U+DCFF
        self._beyond = self._broken = False

    def hear(self, chunk: bytes) -> None:
        """The next bytes of the file."""
        text = self._decoder.decode(chunk)
        if text.isascii() or (self._beyond and self._broken):
            return
        try:
            text.encode()
            self._beyond = True
        except UnicodeEncodeError:
            self._broken = True
            self._beyond = self._beyond or _BEYOND.search(text) is not None

    @property
    def encoding(self) -> str:
        """Of all that was heard."""
        cut = bool(self._decoder.getstate()[0])
        return "latin-1" if (self._broken or cut) and not self._beyond else "utf-8"
