"""Following references by name: the object, or a dangling reference with the nearest name there is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from reconciler.link.report import Report
from reconciler.spec import Document, Spec, kebab

Kind = TypeVar("Kind", bound=Document)


@dataclass(slots=True)
class Follower:
    """All objects by address; remembers which were used."""

    specs: Mapping[str, Spec]
    unread: Collection[str]
    """Addresses that exist but could not be read: not dangling, and nothing can be said of them. ``*`` may be any."""
    report: Report
    used: set[str] = field(default_factory=set)

    def find(self, kind: type[Kind], name: str, at: tuple[str, str]) -> Kind | None:
        """The object of that kind and name; None, reported once for each reference, when there is none."""
        address = f"{kebab(kind.__name__)}/{name}"
        self.used.add(address)
        found = self.specs.get(address)
        if isinstance(found, kind):
            return found
        if address not in self.unread and "*" not in self.unread:
            self.report.error("dangling", at, f"there is no {address}", self._near(kebab(kind.__name__), name))
        return None

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Every object of a kind, by address."""
        return [spec for _, spec in sorted((at, one) for at, one in self.specs.items() if isinstance(one, kind))]

    def warn_unused(self) -> None:
        """Objects nothing uses; links and the project are used by being there. Unread documents may use anything."""
        if self.unread:
            return
        for address in sorted(self.specs):
            kind = address.partition("/")[0]
            if kind in _USERS and address not in self.used:
                fix = f"use it in a {_USERS[kind]}, or remove it"
                self.report.warn("unused", (address, "name"), f"nothing uses {address}", fix)

    def _near(self, kind: str, name: str) -> str:
        names = [address.partition("/")[2] for address in self.specs if address.startswith(f"{kind}/")]
        close = get_close_matches(name, names, n=1)
        if close:
            return f"did you mean {close[0]}?"
        return f"use one of {', '.join(sorted(names)[:10])}" if names else f"add a document with name: {name}"


_USERS = {
    "catalogue": "segment or mapping",
    "segment": "segment link",
    "destination": "action",
    "mapping": "action",
    "action": "segment link",
}
