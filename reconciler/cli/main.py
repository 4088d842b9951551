"""The command group: commands are imported when they are called, so that ``--help`` stays fast."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import click

from reconciler import __version__
from reconciler.cli import ended, streams
from reconciler.cli.owed import Owed
from reconciler.errors import BatchctlError, ExitCode, Usage
from reconciler.unforeseen import unforeseen

COMMANDS = {
    "validate": ("validating", "Check all specs, and data where it is reachable; nothing is sent."),
    "schema": ("schemas", "Write JSON Schemas for editors."),
    "plan": ("planning", "Show what would change in Batch."),
    "show": ("showing", "Show a saved plan."),
    "apply": ("applying", "Carry out a plan."),
    "import": ("importing", "Take over an audience that exists in Batch."),
    "status": ("status", "Show what Batch has been told, and what is under way."),
    "state": ("state", "Look at the state, move, verify, compact or unlock it."),
    "rejects": ("rejects", "List the rows of the last run that were not sent, and why."),
    "preview": ("preview", "Show how many people a link selects, stage by stage."),
    "emulator": ("emulating", "Run a strict local Batch."),
    "demo": ("demo", "Run the whole job on real purchases against the emulator."),
}

LATER = tuple("init new fmt drift destroy pull history explain forget graph doctor".split())
"""Commands of the contract that this version lacks."""


class Commands(click.Group):
    """Resolves a command's module when it is called; the list of commands needs none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; None when there is none of that name."""
        if cmd_name in LATER:
            raise click.UsageError(f"batchctl {cmd_name} is not supported in this version", ctx)
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"reconciler.cli.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="batchctl")
def cli() -> None:
    """GitOps for Batch: audiences and user attributes kept equal to what Git says.

    Exit codes: 0 ok, 1 error, 2 changes (--detailed-exitcode), 3 invalid specs, 4 refused in part, 5 locked,
    6 stale plan, 7 done in part, 8 rejects (--strict), 64 usage, 130/143 interrupted.
    """


def main() -> None:
    """Entry point: runs a command and turns every outcome into one clear message and a documented exit code."""
    streams.opened()
    gc.set_threshold(200_000, 20, 50)  # documents, state and plan of thousands of links are no garbage
    ended.in_order()
    code = run(sys.argv[1:])
    ended.not_any_more()
    if "_duckdb" not in sys.modules:  # which tells on standard error what nobody took apart
        gc.freeze()  # the process ends: no last look for cycles among all it has made
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Runs a command; the exit code."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them takes time, and they see values
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts threads for algebra that nobody asks for
    owed = Owed.of(arguments)
    try:
        result = cli.main(args=arguments, prog_name="batchctl", standalone_mode=False, obj=owed)
        return int(result) if isinstance(result, int) else 0
    except click.ClickException as error:
        return _misused(error, arguments, owed)
    except (click.Abort, KeyboardInterrupt):
        from reconciler.cli.messages import say, wants_json

        say("interrupted", "interrupted", json_lines=wants_json(arguments))
        owed.failed(BatchctlError("interrupted"), ended.code())
        return ended.code()
    except BatchctlError as error:
        return _reported(error, arguments, owed)
    except BrokenPipeError:
        return int(ExitCode.ERROR)
    except Exception as error:  # noqa: BLE001
        return _unexpected(error, arguments, owed)


def _misused(error: click.ClickException, arguments: list[str], owed: Owed) -> int:
    """A command line that is wrong, in the form of every other error; of one without a command its help, as it is."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx is not None:
        click.echo(error.ctx.get_help(), err=True)
        return int(ExitCode.USAGE)
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "batchctl"
    return _reported(Usage(error.format_message(), fix=f"{path} --help shows what it takes"), arguments, owed)


def _reported(error: BatchctlError, arguments: list[str], owed: Owed) -> int:
    from reconciler.cli.messages import say_error, wants_json
    from reconciler.cli.screen import Screen

    colour = Screen.of(sys.stderr, no_color="--no-color" in arguments).colour
    say_error(error, json_lines=wants_json(arguments), colour=colour)
    owed.failed(error, int(error.exit_code))
    return int(error.exit_code)


def _unexpected(error: Exception, arguments: list[str], owed: Owed) -> int:
    """What nobody foresaw, said without the text of the error, which may hold anything; BATCHCTL_DEBUG=1 shows it."""
    if os.environ.get("BATCHCTL_DEBUG"):
        raise error
    return _reported(unforeseen(error), arguments, owed)
