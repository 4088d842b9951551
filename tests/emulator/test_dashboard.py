"""The dashboard page, as a browser renders it."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from reconciler.emulator import Options, running

CEP = {"Authorization": "Bearer k", "X-Batch-Project": "project_page"}
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        message = "Chromium is missing: apt-get update && apt-get install -y chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def rendered(browser: str, url: str, profile: Path) -> str:
    command = [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", f"{url}/"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_page_in_a_browser(browser: str, tmp_path: Path) -> None:
    with running(Options(rate_scale=0, indexing_delay=60)) as url, httpx.Client(base_url=url, headers=CEP) as http:
        assert "Nothing here yet" in rendered(browser, url, tmp_path / "one")
        http.post("/2.11/audiences/create", json={"name": "vip_fr", "type": "emails", "display_name": "<script>boom"})
        body = {"name": "vip_fr", "ids": [{"action": "add", "id": f"u{n}@example.com"} for n in range(1234)]}
        http.post("/2.11/audiences/update", json=body)
        assert "Indexing" in rendered(browser, url, tmp_path / "two")
        http.post("/_emulator/settle")
        page = rendered(browser, url, tmp_path / "three")
    assert all(text in page for text in ("vip_fr", "Email", "1\u202f234", "Ready", "/2.x/audiences/update"))
    assert "&lt;script&gt;boom" in page
    assert "<script>boom" not in page


def test_page_is_self_contained() -> None:
    with running(Options()) as url:
        reply = httpx.get(url)
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not any(word in reply.text for word in ("http://", "https://", "src=", "@import"))
