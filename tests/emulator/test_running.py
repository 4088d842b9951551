"""Running it: persistence, restricted accounts, the control plane over HTTP, the command line, signals."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from reconciler.emulator import Options, running
from reconciler.emulator.__main__ import main

CEP = {"Authorization": "Bearer k", "X-Batch-Project": "project_run"}


def test_importing_is_cheap() -> None:
    code = (
        "import sys, reconciler.emulator; print([m for m in ('starlette', 'uvicorn', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_its_own_room_is_imported() -> None:
    room = Path(__file__).parents[2] / "reconciler" / "emulator"
    names = {
        name
        for file in room.glob("*.py")
        for name in re.findall(r"^\s*(?:from|import) (reconciler[\w.]*)", file.read_text(), re.MULTILINE)
    }
    assert all(name.startswith("reconciler.emulator") for name in names)


def test_database_survives(tmp_path: Path) -> None:
    options = Options(db=str(tmp_path / "batch.db"), rate_scale=0, indexing_delay=0)
    with running(options) as url:
        httpx.post(f"{url}/2.11/audiences/create", headers=CEP, json={"name": "a", "type": "emails"})
        body = {"name": "a", "ids": [{"action": "add", "id": "x@example.com"}]}
        httpx.post(f"{url}/2.11/audiences/update", headers=CEP, json=body)
    with running(options) as url:
        assert httpx.get(f"{url}/2.11/audiences/view", params={"name": "a"}, headers=CEP).json()["nb_ids"] == 1


def test_a_client_that_dies_in_the_middle_of_its_request_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    with running(Options(rate_scale=0)) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /2.11/audiences/create HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{")
        assert httpx.get(f"{url}/2.11/audiences/list", headers=CEP).status_code == 200
        assert len(httpx.get(f"{url}/_emulator/log").json()["requests"]) == 1
    assert caplog.records == []


def test_restricted_accounts() -> None:
    pairs = (("project_run", "k"), ("DEV01", "k"))
    with running(Options(accounts=pairs, rate_scale=0)) as url:
        assert httpx.get(f"{url}/2.11/audiences/list", headers=CEP).status_code == 200
        other = CEP | {"X-Batch-Project": "project_other"}
        assert httpx.get(f"{url}/2.11/audiences/list", headers=other).status_code == 401
        assert httpx.get(f"{url}/1.0/DEV01/custom-audience", headers={"X-Authorization": "k"}).status_code == 200
        assert httpx.get(f"{url}/1.0/DEV01/custom-audience", headers={"X-Authorization": "z"}).status_code == 401
        assert httpx.get(f"{url}/1.0/DEV02/custom-audience", headers={"X-Authorization": "k"}).status_code == 401


def test_members_come_in_pages_and_as_lines() -> None:
    with running(Options(rate_scale=0)) as url, httpx.Client(base_url=url, headers=CEP) as http:
        http.post("/2.11/audiences/create", json={"name": "a", "type": "custom_ids"})
        ids = [{"action": "add", "id": f"u{n:03}"} for n in range(250)]
        http.post("/2.11/audiences/update", json={"name": "a", "ids": ids})
        http.post("/_emulator/settle")
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = http.get("/_emulator/members", params={"name": "a", "limit": 100, "after": after}).json()
            seen += [one["id"] for one in page["members"]]
            after = page["next_after"]
        assert seen == [one["id"] for one in ids]
        lines = http.get("/_emulator/members", params={"name": "a", "format": "ndjson"}).text.splitlines()
        assert len(lines) == page["total"] == 250
        log = http.get("/_emulator/log").json()
        assert log["counts"] == {"POST /2.x/audiences/create": 1, "POST /2.x/audiences/update": 1}
        assert log["requests"][1]["items"] == 250
        assert http.post("/_emulator/delete-audience", json={"name": "a"}).status_code == 200
        assert http.get("/2.11/audiences/view", params={"name": "a"}).status_code == 404
        refused = http.post("/_emulator/switch", json={"name": "retry_after", "value": "x"})
        assert refused.status_code == 400
        assert "absent, seconds, http_date" in refused.json()["error"]
        assert http.post("/_emulator/faults", json={"nope": 1}).status_code == 400
        assert http.get("/_emulator/nothing").status_code == 404


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_stops_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "reconciler.emulator", "--port", "0", "--set", "retry_after=seconds"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        assert httpx.get(f"{url}/_emulator/settings").json()["switches"]["retry_after"] == "seconds"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "retry_after=x"], "allowed: absent, seconds, http_date"),
        (["--fault", "x=1"], "faults are 429"),
        (["--account", "x"], "KEY:REST_KEY"),
        (["--rate-scale", "-1"], "0 or more"),
        (["--port", "70000"], "--port takes a number from 0 to 65535"),
        (["--indexing-delay", "nan"], "--indexing-delay takes a finite number"),
        (["--slow-seconds", "inf"], "--slow-seconds takes a finite number"),
    ],
)
def test_command_refuses(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert words in capsys.readouterr().err
