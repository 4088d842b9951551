"""``batchctl demo``: the whole job on real purchases, against the emulator, with the real commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import click

from reconciler.errors import BatchctlError

ENVIRONMENT = {
    "SHOP_IOS_LIVE_API_KEY": "demolive",
    "BATCH_PROJECT_KEY": "project_demo",
    "BATCH_REST_API_KEY": "demorest",
}
NIGHTS = (date(1998, 5, 31), date(1998, 6, 30))


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Work folder; its contents are replaced.",
)
@click.option(
    "--example",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("specs"),
    show_default=True,
    help="Project to copy.",
)
def command(folder: Path, example: Path) -> int:
    """Validate, plan, apply, plan again, move on by a month of purchases, plan, apply; then show what Batch holds."""
    from reconciler.demo.data import build
    from reconciler.demo.purchases import fetch
    from reconciler.emulator import Options, running

    purchases = fetch(folder / "cache")
    project, saved = folder / "project", folder / "next.plan"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(example, project, ignore=shutil.ignore_patterns("data", ".*"))
    with running(Options(rate_scale=0, indexing_delay=0.1)) as url:
        click.echo(f"a local Batch is running, its dashboard is {url}/\n")
        for number, night in enumerate(NIGHTS):
            built = build(purchases, project, until=night)
            click.echo(f"# purchases until {night:%d %B %Y}: {built.customers:,} customers, {built.orders:,} purchases")
            steps = [["validate"]] if number == 0 else []
            steps += [["plan", "--out", str(saved)], ["apply", str(saved), "--wait"], ["plan", "--detailed-exitcode"]]
            for step in steps:
                _run(project, url, step)
        _held(url)
        if sys.stdin.isatty():
            click.prompt(f"\nthe dashboard stays at {url}/ until you press Enter", default="", show_default=False)
    return 0


def _run(project: Path, url: str, step: list[str]) -> None:
    """One command as a user would type it; the demo fails with it."""
    click.echo(f"$ batchctl {step[0]} -C {project} {' '.join(step[1:])}".rstrip())
    code = "from reconciler.cli import main; main()"
    environ = {**os.environ, **ENVIRONMENT, "BATCHCTL_API_URL": url}
    done = subprocess.run(
        [sys.executable, "-c", code, step[0], "-C", str(project), *step[1:]], env=environ, check=False
    )
    if done.returncode != 0:
        raise BatchctlError(f"batchctl {step[0]} ended with exit code {done.returncode}")
    click.echo("")


def _held(url: str) -> None:
    import json
    from http.client import HTTPConnection

    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/_emulator/audiences")
    audiences = json.load(connection.getresponse())["audiences"]
    connection.close()
    click.echo("Batch now holds")
    for one in sorted(audiences, key=lambda audience: str(audience["name"])):
        click.echo(f"  {one['name']:<44} {one['type']:<16} {one['nb_ids']:>8,}")
