"""One destination's connection to Batch: attempts, retries, pacing, refusals; the only importer of httpx.

    2xx                         → Reply                          any 2xx is success, unless it is a web page
    3xx                         → ConfigurationError             never followed: keys go to one host only
    401                         → ConfigurationError             names the destination and the key references
    other 4xx but 429           → Refused4xx                     final for the request, a 403 for its target
    429 5xx time-out broken     → wait, the same request again   then Unreachable

Waits: https://doc.batch.com/developer/api/cep/profiles/update asks for some seconds after a 429; no ``Retry-After`` is
documented, so it is obeyed when it makes sense and never relied on.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from reconciler.batch.clock import Clock, SystemClock
from reconciler.batch.http import Answer, Broken, Http
from reconciler.batch.pacing import Bucket
from reconciler.batch.refusal import refused_text, retry_after
from reconciler.batch.request import Attempt, Reply, Request
from reconciler.batch.sanitise import Sanitiser
from reconciler.errors import BatchctlError, ConfigurationError, ExitCode, Refused4xx, Unreachable

REQUEST_TIMEOUT = 30.0
"""Seconds to connect, and between two reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long one request is insisted on."""

    base_seconds: float = 5.0
    """Least wait; the most doubles with every failure."""
    attempts: int = 6
    deadline_seconds: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose requests these are, for messages: never a key."""

    destination: str
    account: str
    references: tuple[str, ...] = ()
    """Key references, e.g. ``${env:BATCH_REST_API_KEY}``."""

    @property
    def keys(self) -> str:
        """The references as words."""
        return " and ".join(self.references) or "the keys of the destination"


class Cancelled(BatchctlError):
    """The run was told to stop; raised before a request begins, never while one is in flight."""

    exit_code = ExitCode.SIGINT

    def __init__(self) -> None:
        super().__init__("cancelled")


@dataclass(slots=True)
class _Tries:
    """What is known of the attempts of one request so far."""

    number: int = 0
    started: float = 0.0
    opened: bool = False
    """A connection was, at least once."""
    lost: bool = False
    """An answer was lost, or was a 5xx: the request may have been processed. A 429 was not."""

    def count(self, outcome: Answer | Broken, begun: float) -> None:
        """One attempt more, begun at `begun`."""
        self.number += 1
        self.started = begun if self.number == 1 else self.started
        if isinstance(outcome, Answer):
            self.opened, self.lost = True, self.lost or outcome.status >= 500
        elif not outcome.unopened:
            self.opened = self.lost = True


class Transport:
    """Sends the requests of one destination over one keep-alive client. Thread-safe; close it when done."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        secrets: Mapping[str, str],
        owner: Owner,
        pacer: Bucket,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        cancel: threading.Event | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        permit: Callable[[float], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`secrets` maps keys to what is shown instead; `permit` raises Locked before a request the lock may end in."""
        self.owner, self.clock = owner, clock or SystemClock()
        self.cancel = cancel or threading.Event()
        self.clean = Sanitiser(secrets)
        self._retry, self._pacer = retry or RetryPolicy(), pacer
        self.on_attempt, self._jitter = on_attempt, jitter
        self._permit, self._timeout = permit, request_timeout
        self._http = Http(base_url, headers=headers, timeout=request_timeout, destination=owner.destination)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def watched(self, saw: Callable[[Attempt], None]) -> Self:
        """The same connection, which tells `saw` as well of whatever is sent over it; only the first is closed."""

        def both(attempt: Attempt) -> None:
            saw(attempt)
            if self.on_attempt is not None:
                self.on_attempt(attempt)

        seen = copy(self)
        seen.on_attempt = both
        return seen

    def pause(self, seconds: float) -> None:
        """Wait between two requests; raises Cancelled."""
        if self.clock.wait(seconds, self.cancel):
            raise Cancelled

    def send(self, request: Request, *, settled: Callable[[], bool] | None = None) -> Reply:
        """Send until there is a final answer; a table of them stands at the top of this module.

        `settled` is for requests that must not be repeated blindly: asked before a repetition after a lost answer
        or a 5xx, True ends the matter as a success. Whatever is raised says whether it was `maybe_processed`.
        """
        tries = _Tries()
        try:
            return self._insisted(request, tries, settled)
        except BatchctlError as error:
            error.maybe_processed |= tries.lost
            raise

    def _insisted(self, request: Request, tries: _Tries, settled: Callable[[], bool] | None) -> Reply:
        pacer = request.bucket or self._pacer
        while True:
            if not pacer.take(request.units, self.cancel) or self.cancel.is_set():
                raise Cancelled
            if self._permit is not None:
                self._permit(self._timeout)
            begun = self.clock.monotonic()
            outcome = self._http.send(request.method, request.path, request.query, request.body)
            seconds = self.clock.monotonic() - begun
            tries.count(outcome, begun)
            if isinstance(outcome, Answer) and not outcome.passing:
                self._report(request, outcome, seconds, None)
                return self._final(request, outcome, pacer)
            if isinstance(outcome, Answer) and outcome.status == 429:
                pacer.slow_down()
            wait = self._wait(outcome, tries)
            self._report(request, outcome, seconds, wait)
            if wait is None:
                raise self._unreachable(request, outcome, tries)
            if self.clock.wait(wait, self.cancel):
                raise Cancelled
            if tries.lost and settled is not None and settled():
                return Reply(202, None, "")

    def _final(self, request: Request, answer: Answer, pacer: Bucket) -> Reply:
        if 200 <= answer.status < 300:
            pacer.recover()
            return Reply(answer.status, answer.body, answer.text)
        where = f"{request.method} {request.route} of destination {self.owner.destination}"
        if answer.status < 400:
            raise ConfigurationError(
                f"Batch answered with a redirection ({answer.status}) to {self.clean(answer.location) or 'nowhere'}",
                why=f"{where}: keys are sent to one host only, so redirections are not followed",
                fix="check api_url of the destination",
            )
        said = self.clean(refused_text(answer.body, answer.text), sent=request.body or b"")
        if answer.status == 401:
            raise ConfigurationError(
                f"Batch refused the credentials of destination {self.owner.destination} (401)",
                why=f"{request.method} {request.route}: {said}",
                fix=f"check {self.owner.keys}; Batch's dashboard shows them under Settings, General",
            )
        what = f"Batch refused {where} ({answer.status})"
        raise Refused4xx(what, status=answer.status, why=said)

    def _wait(self, outcome: Answer | Broken, tries: _Tries) -> float | None:
        """Seconds before the next attempt; None when number or time is used up.

        Any time between the least wait and one that doubles with each failure: Batch asks for 5 seconds at least.
        """
        left = self._retry.deadline_seconds - (self.clock.monotonic() - tries.started)
        if tries.number >= self._retry.attempts:
            return None
        base = self._retry.base_seconds
        most = base * 2.0 ** min(tries.number, 32)
        wait = base + self._jitter() * (most - base)
        asked = retry_after(outcome.retry_after, self.clock.wall()) if isinstance(outcome, Answer) else None
        if asked is not None and asked <= left:
            wait = max(wait, asked)
        return wait if wait <= left else None

    def _unreachable(self, request: Request, outcome: Answer | Broken, tries: _Tries) -> Unreachable:
        last = f"last answer {outcome.status}" if isinstance(outcome, Answer) else f"last error: {outcome.word}"
        detail = outcome.detail if isinstance(outcome, Broken) else refused_text(outcome.body, outcome.text)
        fix = "run again; what is not acknowledged is sent again" if tries.opened else "check the network and api_url"
        if isinstance(outcome, Broken) and outcome.word == "page":
            fix = "check that nothing between here and Batch answers in its place (a proxy, a login page)"
        return Unreachable(
            f"Batch did not answer {request.method} {request.route} of destination {self.owner.destination}",
            why=f"{tries.number} attempts, {last}: {self.clean(detail, sent=request.body or b'')}",
            fix=fix,
        )

    def _report(self, request: Request, outcome: Answer | Broken, seconds: float, wait: float | None) -> None:
        if self.on_attempt is None:
            return
        self.on_attempt(
            Attempt(
                destination=self.owner.destination,
                account=self.owner.account,
                method=request.method,
                route=request.route,
                status=outcome.status if isinstance(outcome, Answer) else None,
                error="" if isinstance(outcome, Answer) else outcome.word,
                seconds=seconds,
                retry_wait=wait,
            )
        )


__all__ = [
    "REQUEST_TIMEOUT", "Attempt", "Cancelled", "Owner", "Reply", "Request", "RetryPolicy", "Transport", "Unreachable",
]  # fmt: skip
