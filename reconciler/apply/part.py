"""Rows that go out in one request, and the halves of what Batch refused as a whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one request."""

    start: int
    stop: int
    half: bool = False
    """Of a request that was refused."""
    lost: bool = False
    """A request with these rows may have been processed before."""
    twins: list[int] = field(default_factory=list)
    """Sizes of the halves of one request that were accepted at once."""

    def halves(self, *, lost: bool = False) -> tuple[Part, ...]:
        """Both halves, the smaller first."""
        middle, twins = (self.start + self.stop) // 2, list[int]()
        return (
            Part(self.start, middle, half=True, lost=lost, twins=twins),
            Part(middle, self.stop, half=True, lost=lost, twins=twins),
        )
