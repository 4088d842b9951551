"""``batchctl emulator``."""

from __future__ import annotations

import click

from reconciler.errors import ConfigurationError


@click.command("emulator")
@click.option("--port", default=8765, show_default=True, help="Port on loopback; 0 takes any free one.")
@click.option(
    "--preset",
    type=click.Choice(["likely", "harsh"]),
    default="likely",
    show_default=True,
    help="How undocumented behaviour is read.",
)
@click.option(
    "--set", "switches", metavar="SWITCH=VALUE", multiple=True, help="One undocumented behaviour; may be repeated."
)
@click.option(
    "--fault",
    "faults",
    metavar="NAME=P",
    multiple=True,
    help="A fault and its probability, e.g. 429=0.05; may be repeated.",
)
@click.option("--db", metavar="FILE", help="Keep everything in this SQLite file. Default: in memory.")
@click.option("--seed", default=0, show_default=True, help="Seed of the faults.")
@click.option("--indexing-delay", default=0.2, show_default=True, help="Seconds until an accepted write is indexed.")
@click.option(
    "--rate-scale", default=1.0, show_default=True, help="Factor on Batch's rate limits; 0 switches them off."
)
@click.option("--slow-seconds", default=2.0, show_default=True, help="Seconds of the faults slow and lost_reply.")
@click.option(
    "--account", "accounts", metavar="KEY:REST_KEY", multiple=True, help="Accept only these keys; may be repeated."
)
def command(
    port: int,
    preset: str,
    switches: tuple[str, ...],
    faults: tuple[str, ...],
    db: str | None,
    seed: int,
    indexing_delay: float,
    rate_scale: float,
    slow_seconds: float,
    accounts: tuple[str, ...],
) -> int:
    """Run a strict local Batch with both APIs; the dashboard is at /. Point BATCHCTL_API_URL at it.

    It takes any keys of the right form (CEP project keys begin with project_) that do not begin with wrong.
    """
    from reconciler.emulator import Options, parse_faults, parse_switches, serve

    try:
        options = Options(
            **parse_switches(preset, switches),
            faults=parse_faults(faults),
            port=port,
            db=db,
            seed=seed,
            indexing_delay=indexing_delay,
            rate_scale=rate_scale,
            slow_seconds=slow_seconds,
            accounts=tuple(_account(text) for text in accounts),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def ready(url: str) -> None:
        click.echo(f"Batch emulator at {url} (preset {preset}); use it with: export BATCHCTL_API_URL={url}")

    try:
        serve(options, ready=ready)
    except OSError as error:
        raise ConfigurationError(
            f"the emulator cannot listen on port {port} of this machine",
            why=error.strerror or "",
            fix="choose another with --port; --port 0 takes any free one",
        ) from error
    return 0


def _account(text: str) -> tuple[str, str]:
    key, found, rest = text.partition(":")
    if not found or not key or not rest:
        raise click.UsageError("--account takes KEY:REST_KEY")
    return key, rest
