"""Which host may be asked instead of Batch: one rule for `api_url` and for the override of the command line."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from reconciler.loopback import is_loopback

BATCH_HOST = "api.batch.com"


def check_api_url(url: str, allowed_hosts: Collection[str]) -> str | None:
    """What is wrong with a URL for Batch's API, None when it may be used.

    https except on loopback; api.batch.com, loopback, or a listed host (``host`` or ``host:port``); no user name,
    query or fragment. The URL itself is not repeated in the text: it may hold a password.
    """
    if any(ord(char) <= 32 or char == "\\" for char in url):
        return "the URL has white space, control characters or a backslash"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "this is not a URL"
    return _form(parts, host, url) or _host(parts.scheme, host, port, allowed_hosts)


def _form(parts: SplitResult, host: str, url: str) -> str | None:
    if parts.scheme not in ("http", "https") or not host:
        return "the URL must start with https:// and name a host"
    if "@" in parts.netloc:
        return "the URL must not hold a user name or password"
    if "?" in url or "#" in url:
        return "the URL must not hold a query or fragment"
    return None


def _host(scheme: str, host: str, port: int | None, allowed_hosts: Collection[str]) -> str | None:
    if is_loopback(host):
        return None
    if scheme != "https":
        return "the URL must be https, except on loopback"
    listed = {name.strip().lower() for name in allowed_hosts}
    if host == BATCH_HOST and port in (None, 443):
        return None
    named = f"{host}:{port or 443}"
    if named in listed or (host in listed and port in (None, 443)):
        return None
    return f"the host {host[:100]} is neither {BATCH_HOST} nor loopback, and BATCHCTL_ALLOWED_HOSTS does not list it"
