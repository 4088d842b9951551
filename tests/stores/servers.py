"""Object stores on loopback: moto's S3, Azurite's Blob Storage from node_modules, and a Google's of our own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.stores.google import Storage, storage

AZURITE = Path(__file__).parents[2] / "node_modules/azurite/dist/src/blob/main.js"
ACCOUNT = "devstoreaccount1"
BUCKET = "crm-state"
DEVELOPMENT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Not a secret: https://learn.microsoft.com/azure/storage/common/storage-use-azurite"""


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """An S3 with one bucket; the environment that leads to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT"), timeout=10).close()
    try:
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "access-A1B2",
            "AWS_SECRET_ACCESS_KEY": "secret-C3D4",
            "AWS_REGION": "eu-west-3",
        }
    finally:
        server.stop()


@contextmanager
def google() -> Iterator[tuple[Storage, dict[str, str]]]:
    """A Cloud Storage with one bucket; the environment that leads to it."""
    with storage(BUCKET) as (kept, url):
        yield kept, {"GOOGLE_BASE_URL": url, "GOOGLE_SERVICE_ACCOUNT_KEY": kept.account()}


def azurite_is_there() -> bool:
    """Whether npm has installed it."""
    return AZURITE.is_file() and shutil.which("node") is not None


@contextmanager
def azure(folder: Path) -> Iterator[dict[str, str]]:
    """A Blob Storage with one container; the environment that leads to it."""
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck"]
    command = ["node", str(AZURITE), *options, "--disableTelemetry"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "successfully listens on" in line)
            url = line.split()[-1]
            _create_container(url, DEVELOPMENT_KEY)
            yield {
                "AZURE_STORAGE_ENDPOINT": f"{url}/{ACCOUNT}",
                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": DEVELOPMENT_KEY,
            }
        finally:
            process.terminate()


def _create_container(url: str, key: str) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
    headers = {"x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2021-08-06"}
    listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = f"PUT{chr(10) * 12}{listed}/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    request = urllib.request.Request(f"{url}/{ACCOUNT}/{BUCKET}?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(request, timeout=10).close()
