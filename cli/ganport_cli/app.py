"""The application: all commands. A failure that a user can mend becomes one line and an exit code."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperGroup

from ganport_cli import INTERRUPTED
from ganport_cli.commands import (
    bench,
    demo,
    doctor,
    embed,
    export,
    export_triton,
    features,
    generate,
    info,
    optimize,
    serve,
    train,
    tune,
)
from ganport_cli.packages import missing_extra

app = typer.Typer(
    name="ganport",
    help="From a PyTorch GAN to images served, fast and verified, on whatever machine is there.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS: tuple[Callable[..., None], ...] = (
    train.train, export.export, optimize.optimize, info.info, generate.generate, embed.embed, features.features,
    tune.tune, serve.serve, export_triton.export_triton, bench.bench, doctor.doctor, demo.demo,
)  # fmt: skip


class DefaultGroup(TyperGroup):
    """A group whose hidden command needs no name: words that begin with none of the others' names are its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the hidden command's name before words that are its own."""
        is_named = bool(args) and args[0] in self.commands and not self.commands[args[0]].hidden
        if args and not is_named:
            args = ["--help"] if "--help" in args else [self._default, *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options of the hidden command, then the others."""
        self.commands[self._default].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    @property
    def _default(self) -> str:
        return next(name for name, command in self.commands.items() if command.hidden)


def _aborted_by_interrupt(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `KeyboardInterrupt` as `typer.Abort`: typer alone would exit without a message."""

    @wraps(command)
    def run_command(**values: Any) -> None:
        try:
            command(**values)
        except KeyboardInterrupt:
            raise typer.Abort from None

    return run_command


def _group(command: Callable[..., None], *named: Callable[..., None]) -> typer.Typer:
    """A command that has commands of its own; its help shows them all, each with its example."""
    examples = (line.strip() for one in named for line in (one.__doc__ or "").splitlines() if "Example: " in line)
    text = "\n\n".join((cleandoc(command.__doc__ or ""), *examples))
    group = typer.Typer(
        cls=DefaultGroup, help=text, rich_markup_mode=None, no_args_is_help=True, subcommand_metavar="TARGET | COMMAND"
    )
    group.command(hidden=True)(_aborted_by_interrupt(command))
    for one in named:
        group.command()(_aborted_by_interrupt(one))
    return group


for command in COMMANDS:
    if command is bench.bench:
        app.add_typer(_group(command, bench.compare, bench.load), name=command.__name__)
    else:
        app.command()(_aborted_by_interrupt(command))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return int(app(words, prog_name="ganport", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(words, "interrupted", INTERRUPTED)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its text is the help page itself
            print(error.format_message(), file=sys.stderr)
            return error.exit_code
        return _fail(words, f"{error.format_message().rstrip('.')}. Try --help.", error.exit_code)
    except ModuleNotFoundError as error:
        remedy = missing_extra(error)
        if remedy is None:
            raise
        return _fail(words, remedy, 1)
    except Exception as error:
        if not _is_expected(error):
            raise
        return _fail(words, str(error), 1)


def _is_expected(error: Exception) -> bool:
    """Whether an error is one of ganport's own types or an `OSError`, hence no defect of ganport."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0].startswith("ganport_")


def _fail(words: Sequence[str], message: str, exit_code: int) -> int:
    name = f"ganport {words[0]}" if words and not words[0].startswith("-") else "ganport"
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    return exit_code
