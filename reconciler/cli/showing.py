"""``batchctl show``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.options import formats_of


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--format", "formats", metavar="text|json[=FILE]", multiple=True, help="Form of the plan; may be repeated."
)
@click.option("--no-color", is_flag=True, help="No colours.")
def command(file: Path, formats: tuple[str, ...], no_color: bool) -> int:
    """Show a plan saved with plan --out. Its digests are checked; nothing is read but the file."""
    chosen = formats_of(formats)
    from reconciler.cli.outputs import write_plan
    from reconciler.cli.screen import Screen
    from reconciler.planfile import open_plan

    with open_plan(file) as opened:
        write_plan(opened.plan, chosen, Screen.of(no_color=no_color))
    return 0
