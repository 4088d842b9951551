"""A network between the command and Batch that answers, loses or counts single requests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import httpx

from tests.batch.kit import Say, Script, Seen, serving

LOST = Say(reset=True)
"""Batch is asked, and its answer never arrives."""
Fate = Callable[[Seen], Say | None]
"""What becomes of a request: an answer in Batch's place, LOST, or None: it is passed on."""
_PASSED_ON = ("authorization", "content-type", "x-authorization", "x-batch-project")


@contextlib.contextmanager
def between(url: str, fate: Fate) -> Iterator[Script]:
    """The network; its `url` is the command's, and `seen` has every request that arrived."""
    with httpx.Client(base_url=url) as client:
        turn = threading.Lock()

        def answer(seen: Seen) -> Say:
            chosen = fate(seen)
            if chosen is not None and chosen is not LOST:
                return chosen
            path = f"{seen.path}?{urlencode(seen.query)}" if seen.query else seen.path
            headers = {name: seen.headers[name] for name in _PASSED_ON if name in seen.headers}
            with turn:
                reply = client.request(seen.method, path, content=seen.body, headers=headers)
            return chosen or Say(reply.status_code, reply.content)

        with serving(by=answer) as script:
            yield script


def writes(script: Script) -> list[Seen]:
    """The requests that change something."""
    return [seen for seen in script.seen if seen.method != "GET"]
