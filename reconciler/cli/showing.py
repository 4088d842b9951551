"""``batchctl show``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import common, common_of, formats_of


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--format", "formats", metavar="text|json[=FILE]", multiple=True, help="Form of the plan; may be repeated."
)
@common
def command(file: Path, formats: tuple[str, ...], **shared: Any) -> int:
    """Show a plan saved with plan --out. Its digests are checked; nothing is read but the file.

    The project is read only for the key of a plan that is encrypted.
    """
    chosen = formats_of(formats)
    options = common_of(**shared)
    from reconciler.cli.outputs import write_plan
    from reconciler.planfile import is_encrypted, open_plan
    from reconciler.render.words import plain

    seal = None
    if is_encrypted(file):
        from reconciler.cli.opening import seal_of
        from reconciler.cli.session import open_session

        seal = seal_of(open_session(options, strict=False))
    with open_plan(file, seal=seal) as opened:
        given = options.given or plain(opened.plan.given)
        write_plan(opened.plan, chosen, replace(options, given=given))
    return 0
