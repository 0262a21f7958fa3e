"""Which dead letters does a command mean?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from processor.cli.telling import id_of, zoned
from processor.domain.errors import ConfigurationError
from processor.domain.instants import microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.domain.selection import Selection

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="The dead letters' ids.")]
Type = Annotated[str | None, typer.Option("--type", metavar="NAME", help="Those of a job type.")]
Place = Annotated[
    str | None, typer.Option("--place", metavar="TEXT", help="Whose error was raised there.")
]
Release = Annotated[
    str | None, typer.Option("--release", metavar="NAME", help="Last run by that release.")
]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Those of a tenant.")]
After = Annotated[
    str | None, typer.Option("--after", metavar="TIME", help="Died since then, or for so long: 2h.")
]
Before = Annotated[str | None, typer.Option("--before", metavar="TIME", help="Died before then.")]
Overtaken = Annotated[
    bool | None,
    typer.Option(
        "--overtaken/--not-overtaken",
        help="Whose entity has, or has not, completed another job since.",
    ),
]
Discarded = Annotated[
    bool, typer.Option("--discarded", help="Those that were discarded, to undo it.")
]

_LENGTH: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What was typed."""

    ids: Sequence[str] | None = None
    type: str | None = None
    place: str | None = None
    release: str | None = None
    tenant: str | None = None
    after: str | None = None
    before: str | None = None
    overtaken: bool | None = None
    discarded: bool = False

    def selection(self) -> Selection:
        """The same, read; raises `ConfigurationError`."""
        from processor.domain.selection import Selection

        return Selection(
            ids=tuple(id_of(text, "dead letter") for text in self.ids or ()),
            type=self.type,
            place=self.place,
            release=self.release,
            tenant=self.tenant,
            died_after=moment(self.after),
            died_before=moment(self.before),
            overtaken=self.overtaken,
            discarded=self.discarded,
        )

    def chosen(self, verb: str) -> Selection:
        """The same for what does something: refuses to mean them all, or ids with filters."""
        selection = self.selection()
        named, filtered = bool(self.ids), self.filtered
        if named == filtered:
            raise ConfigurationError(
                f"say which dead letters to {verb}: either by their ids, or by filters, as --type,"
                " --place, --release, --tenant or --after"
            )
        return selection

    @property
    def filtered(self) -> bool:
        """Whether there is any filter beside the ids; `--discarded` alone is none."""
        given = (self.type, self.place, self.release, self.tenant, self.after, self.before)
        return self.overtaken is not None or any(one is not None for one in given)


def moment(text: str | None) -> int | None:
    """A time that has been, in ISO 8601 with its zone, or how long ago; in microseconds."""
    if text is None:
        return None
    ago = _LENGTH.fullmatch(text)
    if ago is not None:
        when = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return microseconds(when)
    return microseconds(
        zoned(text, "write it as 2013-01-31T12:00Z, or 90m, 2h, 7d for so long ago")
    )
