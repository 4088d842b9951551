"""Opening a client per destination, or for an account that only state remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from reconciler.address import Space, account_of
from reconciler.batch import cep, mep
from reconciler.batch.client import Client
from reconciler.batch.clock import Clock, SystemClock
from reconciler.batch.keys import Keys
from reconciler.batch.pacing import Bucket, Pacers, ProfileRoute
from reconciler.batch.transport import REQUEST_TIMEOUT, Attempt, Owner, RetryPolicy, Transport
from reconciler.errors import ConfigurationError
from reconciler.spec.destination import Destination
from reconciler.state.state import TargetState

API_URL = "https://api.batch.com"
"""https://doc.batch.com/developer/api/cep/audiences/create"""


@dataclass(frozen=True, slots=True)
class _Session:
    """What all clients of one run share."""

    pacers: Pacers
    cancel: threading.Event
    api_url_override: str | None
    on_attempt: Callable[[Attempt], None] | None
    clock: Clock | None
    request_timeout: float
    permit: Callable[[float], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Where to connect, and as whom."""

    destination: str
    platform: str
    api_url: str
    version: str
    references: tuple[str, ...]
    keys: Keys
    retry: RetryPolicy
    requests_per_second: float | None = None
    profile_updates_per_second: float | None = None


def open_clients(
    destinations: Iterable[Destination],
    keys: Mapping[str, Keys],
    *,
    pacers: Pacers,
    cancel: threading.Event,
    api_url_override: str | None = None,
    on_attempt: Callable[[Attempt], None] | None = None,
    clock: Clock | None = None,
    request_timeout: float = REQUEST_TIMEOUT,
    permit: Callable[[float], None] | None = None,
) -> dict[str, Client]:
    """A client per destination, by destination name; `keys` likewise. Nothing is sent yet.

    `api_url_override` stands in for every destination's api_url; who may set it is the caller's business. Raises
    ConfigurationError, with every client closed again, when a key is unusable or a URL is not allowed.
    """
    session = _Session(pacers, cancel, api_url_override, on_attempt, clock, request_timeout, permit)
    clients: dict[str, Client] = {}
    try:
        for spec in destinations:
            clients[spec.name] = _open(_of_spec(spec, keys[spec.name], session), session)
    except ConfigurationError:
        for client in clients.values():
            client.close()
        raise
    return clients


def client_for_state(
    target: TargetState,
    keys: Keys,
    *,
    pacers: Pacers,
    cancel: threading.Event,
    api_url_override: str | None = None,
    on_attempt: Callable[[Attempt], None] | None = None,
    clock: Clock | None = None,
    request_timeout: float = REQUEST_TIMEOUT,
    permit: Callable[[float], None] | None = None,
    retry: RetryPolicy | None = None,
) -> Client:
    """A client for a target whose Destination document is gone: state holds all that is needed but the keys."""
    session = _Session(pacers, cancel, api_url_override, on_attempt, clock, request_timeout, permit)
    return _open(
        _Account(
            destination=target.destination,
            platform="cep" if target.space is Space.CEP else "mep",
            api_url=session.api_url_override or target.api_url or API_URL,
            version=target.api_version or cep.VERSION,
            references=tuple(target.keys[role] for role in sorted(target.keys)),
            keys=keys,
            retry=retry or RetryPolicy(),
        ),
        session,
    )


def _of_spec(spec: Destination, keys: Keys, session: _Session) -> _Account:
    return _Account(
        destination=spec.name,
        platform=spec.platform,
        api_url=session.api_url_override or spec.api_url or API_URL,
        version=spec.api_version or cep.VERSION,
        references=(str(spec.rest_api_key), str(spec.account_key)),
        keys=keys,
        retry=RetryPolicy(
            base_seconds=spec.retry.base_seconds,
            attempts=spec.retry.attempts,
            deadline_seconds=spec.retry.deadline.total_seconds(),
        ),
        requests_per_second=spec.rate_limits.requests_per_second,
        profile_updates_per_second=spec.rate_limits.profile_updates_per_second,
    )


def _open(account: _Account, session: _Session) -> Client:
    rest = _usable(account.keys.rest, account)
    key = _usable(account.keys.live_or_project, account)
    owner = Owner(destination=account.destination, account=account_of(key), references=account.references)
    host = urlsplit(account.api_url).netloc
    is_cep = account.platform == "cep"
    transport = Transport(
        account.api_url,
        headers=cep.headers(rest, key) if is_cep else mep.headers(rest),
        secrets={rest: "[REST key]", key: owner.account},
        owner=owner,
        pacer=_requests(session.pacers, host, rest, account.requests_per_second),
        retry=account.retry,
        clock=session.clock or SystemClock(),
        cancel=session.cancel,
        on_attempt=session.on_attempt,
        request_timeout=session.request_timeout,
        permit=session.permit,
    )
    if not is_cep:
        return mep.MepClient(transport, application_key=key)
    buckets: dict[ProfileRoute, Bucket] = {
        "profiles_update": session.pacers.profiles(
            host, owner.account, "profiles_update", rate=account.profile_updates_per_second
        ),
        "profiles_mass_update": session.pacers.profiles(host, owner.account, "profiles_mass_update"),
    }
    return cep.CepClient(transport, buckets=buckets, version=account.version)


def _requests(pacers: Pacers, host: str, rest: str, rate: float | None) -> Bucket:
    return pacers.requests(host, rest) if rate is None else pacers.requests(host, rest, rate=rate)


def _usable(key: SecretStr, account: _Account) -> str:
    """A key that can travel in a header. Its length is nobody's business: https://doc.batch.com/ states none."""
    text = key.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        names = " or ".join(account.references) or "a key"
        raise ConfigurationError(
            f"destination {account.destination}: a key is empty or holds characters no key has",
            fix=f"check {names}, e.g. for a line break at its end",
        )
    return text


__all__ = ["API_URL", "Client", "Keys", "client_for_state", "open_clients"]
