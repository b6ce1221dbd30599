"""A group of commands one of which needs no name: words that begin with none of the others' are its own."""

from typing import Any

from typer.core import TyperGroup

__all__ = ["DefaultGroup"]


class DefaultGroup(TyperGroup):
    """Its hidden command is the one without a name, and the group's help shows its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the hidden command's name before words that are its own; its help is the group's."""
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
