"""Are the words of a command text?

A shell hands on any bytes. What is no Unicode can be neither stored nor encoded, so it is refused
before a command looks at it; the name of a file may be any bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperArgument, TyperCommand, TyperOption

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


FILE: Final = "file"
"""The parameter that is the name of a file."""


class Command(TyperCommand):
    """A command that is given text."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's own
        """See `click.Command`; raises `ConfigurationError` for a word that is no text."""
        left = super().parse_args(ctx, args)
        for parameter in self.params:
            if isinstance(parameter, TyperOption | TyperArgument) and parameter.name != FILE:
                for word in _words(ctx.params.get(parameter.name)):
                    _check(parameter, word)
        return left


def _check(parameter: TyperOption | TyperArgument, word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{_named(parameter)} is not valid Unicode") from None


def _named(parameter: TyperOption | TyperArgument) -> str:
    option = parameter.opts[0]
    if option.startswith("-"):
        return option
    return (parameter.metavar or option.upper()).strip("[].")


def _words(given: object) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, list | tuple):
        for one in given:
            yield from _words(one)
