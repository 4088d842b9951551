"""The real command in processes of its own: few changes send few rows, existing audiences are imported, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from tests.e2e.world import differences, run, write_data, write_specs


def test_a_change_of_few_people_sends_few_rows(tmp_path: Path) -> None:
    write_specs(tmp_path)
    write_data(tmp_path, 1)
    with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
        assert run(tmp_path, url, "apply", "--auto-approve").returncode == 0
        people = tmp_path / "data" / "people.csv"
        lines = people.read_text().splitlines()
        people.write_text("\n".join(lines[:-2]) + "\n")
        planned = json.loads(run(tmp_path, url, "plan", "--format", "json").stdout)
        assert 0 < planned["totals"]["planned"] <= 20
        assert planned["cost"]["requests"] == planned["cost"]["minimum"]


def ask_settled(url: str) -> None:
    """Everything accepted is indexed."""
    import urllib.request

    request = urllib.request.Request(
        f"{url}/_emulator/settle", data=b"{}", headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def test_an_audience_that_exists_is_refused_until_it_is_imported(tmp_path: Path) -> None:
    write_specs(tmp_path)
    write_data(tmp_path, 1)
    with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
        assert run(tmp_path, url, "apply", "--auto-approve").returncode == 0
        shutil.rmtree(tmp_path / ".batchctl")
        refused = run(tmp_path, url, "plan")
        assert " segment-link/l6 s6_custom_ids" in refused.stdout.partition("batchctl import -C ")[2]
        for link, name in (
            ("l1", "s1_advertising_ids"),
            ("l2", "s2_install_ids"),
            ("l3", "s3_custom_ids"),
            ("l6", "s6_custom_ids"),
        ):
            taken = run(tmp_path, url, "import", f"segment-link/{link}", name)
            assert taken.returncode == 0, taken.stderr
        applied = run(tmp_path, url, "apply", "--auto-approve")
        assert applied.returncode == 4, applied.stdout + applied.stderr
        ask_settled(url)
        assert differences(tmp_path, url) == []


def test_state_and_rejects_can_be_listed(tmp_path: Path) -> None:
    write_specs(tmp_path)
    write_data(tmp_path, 1)
    people = tmp_path / "data" / "people.csv"
    people.write_text(people.read_text() + "p999,,not-a-uuid,,,,99,1,,[],true\n")
    with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
        run(tmp_path, url, "plan")
        strict = run(tmp_path, url, "apply", "--auto-approve", "--strict")
    assert strict.returncode in (4, 8), strict.stdout + strict.stderr
    assert "told" in run(tmp_path, url, "status").stdout
    assert "not a UUID" in run(tmp_path, url, "rejects").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("apply",), 64), (("plan", "--nonsense"), 64), (("validate",), 0), (("plan",), 1)],
)
def test_exit_codes_without_batch(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    write_specs(tmp_path)
    write_data(tmp_path, 1)
    (tmp_path / "specs.yaml").write_text((tmp_path / "specs.yaml").read_text().replace("attempts: 6", "attempts: 1"))
    done = run(tmp_path, "http://127.0.0.1:9", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not any(key in done.stdout + done.stderr for key in ("livekey1", "project_1"))
