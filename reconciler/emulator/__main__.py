"""`python -m reconciler.emulator --port N …`: the emulator without the rest of the command line."""

import argparse
import sys

from reconciler.emulator import Options, parse_faults, parse_switches, serve
from reconciler.emulator.switches import PRESETS


def parser() -> argparse.ArgumentParser:
    """The options of the emulator; help texts state units and defaults."""
    made = argparse.ArgumentParser(prog="python -m reconciler.emulator", description="A strict local Batch.")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    made.add_argument("--port", type=int, default=0, help="port to listen on (default: 0, any free port)")
    made.add_argument("--preset", default="likely", choices=PRESETS, help="reading of what Batch leaves undocumented")
    made.add_argument("--set", action="append", default=[], metavar="SWITCH=VALUE", help="override one switch")
    made.add_argument("--fault", action="append", default=[], metavar="NAME=PROBABILITY", help="inject a fault")
    made.add_argument("--seed", type=int, default=0, help="seed of the faults (default: 0)")
    made.add_argument("--db", default=None, metavar="FILE", help="SQLite file (default: in memory)")
    made.add_argument("--indexing-delay", type=float, default=0.2, metavar="SECONDS", help="default: 0.2")
    made.add_argument(
        "--rate-scale", type=float, default=1.0, metavar="FLOAT", help="speed of the rate limits; 0 = off"
    )
    made.add_argument(
        "--slow-seconds", type=float, default=2.0, metavar="SECONDS", help="delay of slow and lost replies"
    )
    made.add_argument("--account", action="append", default=[], metavar="KEY:REST_KEY", help="accept only these keys")
    return made


def options(arguments: argparse.Namespace) -> Options:
    """Arguments → Options; a ValueError says what to change."""
    accounts = tuple(_account(item) for item in arguments.account)
    chosen = parse_switches(arguments.preset, arguments.set)
    return Options(
        host=arguments.host, port=arguments.port, preset=arguments.preset, switches=chosen["switches"],
        faults=parse_faults(arguments.fault), seed=arguments.seed, db=arguments.db,
        indexing_delay=arguments.indexing_delay, rate_scale=arguments.rate_scale,
        slow_seconds=arguments.slow_seconds, accounts=accounts,
    )  # fmt: skip


def _account(item: str) -> tuple[str, str]:
    key, colon, rest = item.partition(":")
    if not (key and colon and rest):
        raise ValueError("--account needs KEY:REST_KEY, both parts not empty")
    return key, rest


def main(argv: list[str] | None = None) -> int:
    """Parse, serve, return the exit code."""
    made = parser()
    try:
        chosen = options(made.parse_args(argv))
    except ValueError as problem:
        made.error(str(problem))
    serve(chosen, ready=lambda url: print(f"Batch emulator on {url} (preset {chosen.preset})", flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
