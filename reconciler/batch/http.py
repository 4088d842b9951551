"""One HTTP exchange with httpx: bytes in, an answer or a broken connection out. The only home of httpx.

httpx is imported when a client is made, so that commands which never talk to Batch start without it.
"""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import cast
from urllib.parse import urlsplit

import orjson

from reconciler.errors import ConfigurationError
from reconciler.loopback import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `body` is None when it was empty or not JSON."""

    status: int
    body: object | None
    text: str
    retry_after: str | None = None
    location: str = ""
    """Host of a redirection."""

    @property
    def passing(self) -> bool:
        """429 and 5xx go away by themselves."""
        return self.status == 429 or self.status >= 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """No answer. `unopened`: the connection could not be opened, so nothing was sent."""

    word: str
    detail: str
    unopened: bool


@cache
def import_httpx() -> None:
    """Imports httpx without its command line (rich, pygments) and without anyio: most of what it takes to import.

    A name bound to None cannot be imported; httpcore does without anyio then, which only its async half needs.
    """
    nothing = ModuleType("httpx._main")
    vars(nothing)["main"] = lambda: None
    sys.modules.setdefault("httpx._main", nothing)
    blocked = cast(dict[str, ModuleType | None], sys.modules)
    without = "anyio" not in blocked
    if without:
        blocked["anyio"] = None
    try:
        import_module("httpx")
        import_module("httpcore")
    finally:
        if without:
            del blocked["anyio"]


class Http:
    """A keep-alive client for one base URL: https, or http on loopback; TLS verified; redirections not followed."""

    def __init__(self, base_url: str, *, headers: Mapping[str, str], timeout: float, destination: str) -> None:
        import_httpx()
        import httpx  # late: see the module docstring

        url = urlsplit(base_url)
        local = is_loopback(url.hostname or "")
        schemes = ("http", "https") if local else ("https",)
        if not url.hostname or url.username or url.query or url.scheme not in schemes:
            raise ConfigurationError(
                f"destination {destination}: api_url must be https, or http on this machine, without user or query",
                fix="leave api_url out to use https://api.batch.com",
            )
        for name in ("httpx", "httpcore"):  # they log URLs and headers, and those hold keys
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._base, self._destination = base_url.rstrip("/"), destination
        self._client = httpx.Client(
            headers={**headers, "Accept": "application/json", "User-Agent": "batchctl"},
            timeout=timeout,
            follow_redirects=False,
            trust_env=not local,
            verify=_trusted(environment=not local),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(
        self, method: str, path: str, query: Mapping[str, str | int] | None, body: bytes | None
    ) -> Answer | Broken:
        """One attempt. Raises ConfigurationError when the server's certificate is not trusted."""
        import httpx

        try:
            answer = self._client.request(
                method,
                self._base + path,
                params=query,
                content=body,
                headers={"Content-Type": "application/json"},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            self._reject_untrusted(error)
            return Broken(word="connect", detail=f"{urlsplit(self._base).netloc}: {_reason(error)}", unopened=True)
        except httpx.TimeoutException as error:
            return Broken(word="timeout", detail=_kind(error), unopened=False)
        except (httpx.TransportError, httpx.DecodingError) as error:
            return Broken(word="broken", detail=_kind(error), unopened=False)
        if answer.is_success and answer.content.lstrip()[:1] == b"<":
            detail = f"{answer.status_code} with a web page"
            return Broken(word="page", detail=detail, unopened=False)
        return _answer(answer.status_code, answer.content, answer.headers)

    def _reject_untrusted(self, error: BaseException) -> None:
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, ssl.SSLCertVerificationError):
                host = urlsplit(self._base).hostname
                raise ConfigurationError(
                    f"destination {self._destination}: the TLS certificate of {host} is not trusted",
                    why=seen.verify_message,
                    fix="check api_url and the machine's certificates (SSL_CERT_FILE)",
                ) from None
            seen = seen.__cause__ or seen.__context__


@cache
def _trusted(*, environment: bool) -> ssl.SSLContext:
    """The certificates trusted by all connections alike: reading them takes 70 ms."""
    import httpx

    try:
        return httpx.create_ssl_context(trust_env=environment)
    except OSError as error:  # a file that is not there, or holds no certificates
        raise ConfigurationError(
            "the certificates to trust cannot be read",
            why=error.strerror or str(error),
            fix="check SSL_CERT_FILE and SSL_CERT_DIR",
        ) from None


def _answer(status: int, content: bytes, headers: Mapping[str, str]) -> Answer:
    try:
        body: object | None = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    return Answer(
        status=status,
        body=body,
        text=content[:4096].decode("utf-8", "replace"),
        retry_after=headers.get("retry-after"),
        location=_host(headers.get("location", "")),
    )


def _host(location: str) -> str:
    """Host of a redirection: the rest may hold a key."""
    try:
        return urlsplit(location).hostname or ("the same host" if location else "")
    except ValueError:
        return ""


def _reason(error: BaseException) -> str:
    """What the system said about a connection that could not be opened, e.g. ``Connection refused``."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def _kind(error: Exception) -> str:
    """The error's type: its text may hold a URL."""
    return type(error).__name__
