"""How the objects of a cloud are reached: schemes, endpoints, credentials, retries, and what its errors say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.errors import ConfigurationError
from reconciler.loopback import is_loopback

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
SCHEMES = tuple(ENDPOINTS)
_RETRY: dict[str, Any] = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}
_PATIENT = _RETRY | {"max_retries": 20, "backoff": {"max_backoff": timedelta(seconds=1.5)}}
"""For Google, who refuses to replace one name more than once a second: https://cloud.google.com/storage/quotas#objects"""
CONNECTING, TIMEOUT, LOCK_TIMEOUT = (timedelta(seconds=seconds) for seconds in (5, 60, 10))
"""Of one request; of one for the lock far less than its lease, so that a connection that hangs does not lose it."""
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
HINT = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a web identity, or the machine's role; AWS_REGION",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
    "az": "AZURE_STORAGE_ACCOUNT_NAME with a key, a SAS token, a client secret or a managed identity",
}


def opener(url: str, *, environ: Mapping[str, str]) -> Callable[[timedelta], ObjectStore]:
    """Makes clients for the objects below `url` whose requests end by themselves after a time.

    `environ` says which profile to use, and which endpoint. ConfigurationError where `url` names no bucket, or the
    endpoint is on another machine and without TLS; what is missing otherwise a client says when it is made.
    """
    from obstore.store import AzureStore, GCSStore, S3Store

    parts = urlsplit(url)
    prefix = parts.path.strip("/") or None
    if not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            f"{parts.scheme}:// needs a bucket and a folder in it, and nothing else",
            fix=f"write e.g. url: {parts.scheme}://crm-state/prod",
        )
    retry = _PATIENT if parts.scheme == "gs" else _RETRY
    options: dict[str, Any] = {"retry_config": retry}
    client: dict[str, Any] = {"connect_timeout": CONNECTING}
    for name in ENDPOINTS[parts.scheme]:
        endpoint = urlsplit(environ.get(name, ""))
        if endpoint.scheme == "http" and not is_loopback(endpoint.hostname or ""):
            raise ConfigurationError(
                f"{name} begins with http://, which is spoken to this machine only",
                fix="set it to an address that begins with https://",
            )
        if is_loopback(endpoint.hostname or ""):
            client["allow_http"] = True
    if parts.scheme == "s3" and environ.get("AWS_PROFILE") and not environ.get("AWS_ACCESS_KEY_ID"):
        options["credential_provider"] = _profile(environ["AWS_PROFILE"])
    kinds: dict[str, Callable[..., ObjectStore]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}

    def opened(timeout: timedelta) -> ObjectStore:
        return kinds[parts.scheme](parts.netloc, prefix=prefix, client_options=client | {"timeout": timeout}, **options)

    return opened


def _profile(name: str) -> Any:
    """Credentials of a profile, single sign-on included, which only boto3 can read."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise ConfigurationError(
            f"AWS_PROFILE is {name}, and profiles need boto3",
            fix="pip install 'batchctl[aws]', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from None
    from botocore.exceptions import BotoCoreError

    try:
        return Boto3CredentialProvider()
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"the AWS profile {name} has no credentials",
            why=type(error).__name__,
            fix="aws configure, or aws sso login",
        ) from None


def reason(error: Exception) -> str:
    """Status and code of what a store answered; never its text, which may hold an address with a signature."""
    text = str(error)
    status = re.search(r"status code: (\d{3}[ A-Za-z]*)", text)
    code = re.search(r"<Code>(\w+)</Code>", text)
    found = [match[1].strip() for match in (status, code) if match]
    if found:
        return ", ".join(found)
    if "error sending request" in text or "HTTP error" in text:
        return "no answer from the store"
    return type(error).__name__
