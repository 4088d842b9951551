"""Two sides matched by sorting one 64-bit value per row: which values stand alone. In memory, or through files.

A value is, from the top: the *prefix*, bits of the hash of the identifier; bits of the hash of the attributes, where
there are any; two bits that say whose row it is. Sorted, a member and the same told stand side by side.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.data.explain import FULL, no_space
from reconciler.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.uint64]

FEW = 30_000
"""Values that Python has sorted before numpy is imported."""
IN_MEMORY = 25_000_000
"""Values sorted at once, 8 bytes each: both sides of 12 million."""
_PARTS = 6
"""Bits by which what does not fit the memory is parted."""
_WINDOW, _TOGETHER, _PIECE = 1 << 16, 64, 1 << 20
"""Values looked at at once, as many as a processor's cache holds; such windows at a time; prefixes handed on together."""


class Side(IntEnum):
    """Whose row a value is of: its last two bits."""

    MEMBER = 0
    TOLD = 1
    OUTSIDE = 2
    """No member, but whoever has the identifier is looked at."""
    ODD = 3
    """A member to look at in any case."""


UNEVEN = 2
"""The bit that values of rows have that can be no pair."""


def summed(values: memoryview, checks: memoryview) -> tuple[int, int]:
    """How many of these values may be one of a pair, and the sum of their checks modulo 2^64."""
    if len(values) <= FEW:
        even = [check for value, check in zip(values, checks, strict=True) if not value & UNEVEN]
        return len(even), sum(even) & _ALL
    import numpy as np

    plain = np.frombuffer(values, np.uint64) & UNEVEN == 0
    some = np.frombuffer(checks, np.uint64)
    return int(np.count_nonzero(plain)), int((some if plain.all() else some[plain]).sum())


def chosen(values: memoryview, flags: memoryview) -> memoryview:
    """The values whose flag is not 0."""
    if len(values) <= FEW:
        return memoryview(array("Q", [value for value, flag in zip(values, flags, strict=True) if flag]))
    import numpy as np

    return memoryview(np.frombuffer(values, np.uint64)[np.frombuffer(flags, np.uint64) != 0])


@dataclass(frozen=True, slots=True)
class Layout:
    """How many of the lower bits of a value are not its prefix."""

    shift: int

    @classmethod
    def of(cls, *, attributes: bool) -> Layout:
        """With attributes 34 bits tell identifiers apart, so that of 50 million one in 300 is looked at in vain; that 28
        bits do not see a change of attributes is found by the proof, once in 300 runs with a million changes."""
        return cls(30 if attributes else 2)

    def value(self, identifier: str, attributes: str, side: str) -> str:
        """SQL of the value of a row from SQL of the hashes of both and of its side."""
        prefix = f"({identifier} & {-1 << self.shift & _ALL}::UBIGINT)"
        between = f" | (({attributes}::UBIGINT >> {66 - self.shift}) << 2)" if self.shift > 2 else ""
        return f"{prefix}{between} | ({side})::UBIGINT"

    def prefix(self, identifier: str) -> str:
        """SQL of the prefix from SQL of the hash of the identifier."""
        return f"({identifier} >> {self.shift})"


_ALL = (1 << 64) - 1


class Matcher:
    """Takes values in any order and says which are `unpaired`. FEW of them need no numpy."""

    def __init__(self, path: Callable[[], Path]) -> None:
        """`path` names files for what does not fit the memory."""
        self._path, self._few = path, list[int]()
        self._many: Sorter | None = None

    def add(self, values: memoryview) -> None:
        """Raises SourceError when the disk is full."""
        if self._many is None and len(self._few) + len(values) <= FEW:
            self._few += values.tolist()
            return
        import numpy as np

        if self._many is None:
            self._many = Sorter(self._path)
            self._many.add(np.array(self._few, np.uint64))
        self._many.add(np.frombuffer(values, np.uint64))

    def unpaired(self, layout: Layout) -> Iterator[Values | list[int]]:
        """The prefixes, once each, that are not exactly a member and the same one told, nor all OUTSIDE.

        In pieces of about a million, so that the memory is bounded when everybody is among them.
        """
        if self._many is None:
            yield _few_unpaired(sorted(self._few), layout)
            return
        for part in self._many.parts():
            yield from unpaired(part, layout)

    def repeated(self) -> Iterator[Values | list[int]]:
        """The values that were added more than once, once each."""
        if self._many is None:
            yield [value for value, group in groupby(sorted(self._few)) if len(list(group)) > 1]
            return
        for part in self._many.parts():
            again = part[1:][part[1:] == part[:-1]]
            yield again[_begins(again)]


def _few_unpaired(values: list[int], layout: Layout) -> list[int]:
    found = []
    for prefix, group in groupby(values, key=lambda value: value >> layout.shift):
        those = list(group)
        pair = len(those) == 2 and those[0] & 3 == Side.MEMBER and those[1] - those[0] == 1
        if not pair and any(value & 3 != Side.OUTSIDE for value in those):
            found.append(prefix)
    return found


class Sorter:
    """Takes values in any order and gives them back sorted, in parts between which no prefix is divided.

    More than `most` (else IN_MEMORY) go through files named by `path`, which exist no longer than `parts` is read.
    """

    def __init__(self, path: Callable[[], Path], *, most: int | None = None) -> None:
        import numpy as np

        self._path, self._used = path, 0
        self._held: Values = np.empty(most or IN_MEMORY, np.uint64)
        self._files: list[Path] = []

    def add(self, values: Values) -> None:
        """Raises SourceError when the disk is full."""
        while len(values):
            if self._used == len(self._held):
                self._spill()
            taken = min(len(values), len(self._held) - self._used)
            self._held[self._used : self._used + taken] = values[:taken]
            self._used += taken
            values = values[taken:]

    def parts(self) -> Iterator[Values]:
        """All values; a part is overwritten by the next one."""
        if not self._files:
            yield self._sorted()
            return
        self._spill()
        for file in self._files:
            yield self._read(file)

    def _sorted(self) -> Values:
        return _sort(self._held[: self._used])

    def _spill(self) -> None:
        import numpy as np

        if not self._files:
            self._files = [self._path() for _ in range(1 << _PARTS)]
            with _explaining():
                for file in self._files:
                    file.touch(mode=0o600)
        found = self._sorted()
        bounds = np.arange(1, 1 << _PARTS, dtype=np.uint64) << np.uint64(64 - _PARTS)
        with _explaining():
            for file, part in zip(self._files, np.split(found, found.searchsorted(bounds)), strict=True):
                with file.open("ab") as out:
                    out.write(part.tobytes())
        self._used = 0

    def _read(self, file: Path) -> Values:
        import numpy as np

        with _explaining():
            part = np.fromfile(file, np.uint64)
            file.unlink()
        return _sort(part)


def _sort(values: Values) -> Values:
    """Sorts in place, many values by two threads."""
    if len(values) < _WINDOW:
        values.sort()
        return values
    middle = len(values) // 2
    values.partition(middle)
    with ThreadPoolExecutor(2) as pool:
        for half in [pool.submit(half.sort) for half in (values[:middle], values[middle:])]:
            half.result()
    return values


@contextmanager
def _explaining() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in FULL:
            raise no_space(why) from None
        raise SourceError(
            "intermediate results cannot be kept", why=why, fix="check the temporary folder (TMPDIR); nothing was sent"
        ) from None


def unpaired(values: Values, layout: Layout) -> Iterator[Values]:
    """As `Matcher.unpaired` has it, of sorted values."""
    import numpy as np

    windows = _windows(values, layout)
    held: list[Values] = []
    with ThreadPoolExecutor(2) as pool:
        while some := list(islice(windows, _TOGETHER)):
            held += (
                pool.map(lambda window: _alone(window, layout), some) if len(some) > 1 else [_alone(some[0], layout)]
            )
            if sum(map(len, held)) >= _PIECE:
                yield np.concatenate(held)
                held = []
    if any(map(len, held)):
        yield np.concatenate(held)


def _alone(values: Values, layout: Layout) -> Values:
    import numpy as np

    left = values[~_paired(values, layout)]
    if not len(left):
        return left
    prefixes = left >> left.dtype.type(layout.shift)
    first = np.flatnonzero(_begins(prefixes))
    return prefixes[first][np.logical_or.reduceat((left & 3) != Side.OUTSIDE, first)]


def _begins(values: Values) -> NDArray[np.bool_]:
    """Whether each of these sorted values is another one than the one before it."""
    import numpy as np

    found = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def _windows(values: Values, layout: Layout) -> Iterator[Values]:
    """The values in pieces, none of which ends within a prefix."""
    start = 0
    while start < len(values):
        stop = min(start + _WINDOW, len(values))
        if stop < len(values):
            last = values[stop - 1] | values.dtype.type((1 << layout.shift) - 1)
            stop += int(values[stop:].searchsorted(last, side="right"))
        yield values[start:stop]
        start = stop


def _paired(values: Values, layout: Layout) -> NDArray[np.bool_]:
    """Whether each value is of a prefix that is one MEMBER and, with the same attributes, one TOLD."""
    import numpy as np

    apart = values[1:] ^ values[:-1]
    alone = np.ones(len(values) + 1, np.bool_)  # begins a prefix, or ends the one before it
    np.greater_equal(apart, 1 << layout.shift, out=alone[1:-1])
    begins = (apart == 1) & (values[:-1] & UNEVEN == 0)
    begins &= alone[:-2]
    begins &= alone[2:]
    found = np.zeros(len(values), np.bool_)
    found[:-1] = begins
    found[1:] |= begins
    return found
