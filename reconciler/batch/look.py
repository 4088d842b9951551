"""What exists is decided by looking, never by the status of a write or by guessing.

    view says                            → audience
    200 with the name asked for          → that one
    404, and the list could be read      → none
    anything else (400, 200 with no or   → what a full scan of the list says
    another name)
    any 4xx to a view with a token       → the view is repeated without the token

Neither the answer to an unknown name nor that to a repeated create is documented for both APIs
(https://doc.batch.com/api/custom-audience/1.0/get/, https://doc.batch.com/developer/api/cep/audiences/view).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.address import IdType
from reconciler.batch.client import Written
from reconciler.batch.transport import Owner
from reconciler.errors import ConfigurationError, Refused4xx
from reconciler.observed import Inventory, Observed

LOOKS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Pauses before the looks at an audience whose creation may be on its way: it may not be visible at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to look at one audience."""

    name: str
    ask: Callable[[str | None], Observed | None]
    """View with a token or without: whatever audience the answer holds. Raises Refused4xx."""
    scan: Callable[[], Inventory]
    listed: Callable[[], bool]
    """The list was read in this run with these credentials."""
    pause: Callable[[float], None]
    """Wait some seconds; raises Cancelled."""

    def again(self, pause: float) -> Observed | None:
        """The audience after a pause."""
        if pause:
            self.pause(pause)
        return self.view()

    def view(self, token: str | None = None) -> Observed | None:
        """The audience, or None when there is none."""
        try:
            found = self.ask(token) if token else None
        except Refused4xx:
            found = None
        if found is not None and found.name == self.name:
            return found
        try:
            found = self.ask(None)
        except Refused4xx as refused:
            if refused.status == 404:
                if not self.listed():
                    self.scan()  # raises when the 404 is about the keys or the version
                return None
            found = None
        return found if found is not None and found.name == self.name else self.scan().audiences.get(self.name)


def create(send: Callable[[Callable[[], bool]], Written], look: Look, id_type: IdType) -> Written:
    """Create; an attempt whose answer was lost is looked for before it is repeated.

    When the repetition is refused and nothing is to be seen, the lost attempt may be on its way: whoever called waits
    for the audience to appear, with a deadline.
    """
    lost = False

    def settled() -> bool:
        nonlocal lost
        lost = True
        return any(_is_ours(look.again(pause), id_type) for pause in LOOKS)

    try:
        return send(settled)
    except Refused4xx:
        found = look.view() if lost else None
        if lost and (found is None or _is_ours(found, id_type)):
            return Written()
        raise


def _is_ours(found: Observed | None, id_type: IdType) -> bool:
    return found is not None and found.id_type in (id_type, None) and not found.nb_ids


def delete(send: Callable[[Callable[[], bool]], Written], look: Look) -> Written:
    """Delete; whatever the answer, an audience that is gone is a success.

    A refusal that follows a lost answer proves nothing while the audience is still shown: the lost attempt may have
    deleted it. Whoever called waits for it to disappear, with a deadline.
    """
    lost = False

    def settled() -> bool:
        nonlocal lost
        lost = True
        return look.view() is None

    try:
        return send(settled)
    except Refused4xx:
        if lost or look.view() is None:
            return Written()
        raise


def misconfigured(refused: Refused4xx, owner: Owner, guess: str) -> ConfigurationError:
    """A 4xx to the first list of a run: nothing may be concluded from it, and nothing is written."""
    return ConfigurationError(
        f"Batch refused to list the audiences of destination {owner.destination} ({refused.status})",
        why=refused.why,
        fix=f"{guess}: check {owner.keys}",
    )
