"""``batchctl schema``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.options import unsupported
from reconciler.errors import ExitCode


@click.command("schema")
@click.option("--check", "only_check", is_flag=True, help="Exit 1 when the folder is not what would be written.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("schemas"),
    show_default=True,
    help="Folder of the schemas.",
)
@unsupported("--project")
def command(only_check: bool, folder: Path) -> int:
    """Write one JSON Schema per kind, and batchctl.schema.json for any document, for editors."""
    from reconciler.render.planschema import schema_text
    from reconciler.schema import generate

    files = {**generate(), "plan.schema.json": schema_text()}
    stale = [name for name, text in sorted(files.items()) if _read(folder / name) != text]
    extra = sorted(path.name for path in folder.glob("*.schema.json") if path.name not in files)
    if only_check:
        for name in [*stale, *extra]:
            click.echo(f"{folder / name} is not what batchctl schema writes", err=True)
        return int(ExitCode.ERROR) if stale or extra else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (folder / name).write_text(files[name], encoding="utf-8")
        click.echo(f"wrote {folder / name}", err=True)
    return 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
