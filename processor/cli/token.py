"""What does `processor token` do?"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from processor.domain.errors import ConfigurationError


def token(
    subject: Annotated[str, typer.Argument(metavar="NAME", help="Who; the actor in the audit.")],
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="NAME", help="Whose jobs; '*': those of every tenant."),
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, submit, operate; else read.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="It expires then.")] = None,
) -> None:
    """Make a token for the API: an entry for the token file, and on stderr the token itself."""
    from processor.api.tokens import Scope, make_token

    try:
        scopes = list(dict.fromkeys(map(Scope, scope or [Scope.READ])))
    except ValueError:
        raise ConfigurationError(f"{', '.join(scope or ())} is not of {', '.join(Scope)}") from None
    now = datetime.now(UTC).replace(microsecond=0)
    expires = None if days is None else now + timedelta(days=days)
    secret, entry = make_token(subject, tenant, scopes, expires)
    sys.stderr.write(f"{secret}\n")
    sys.stdout.write(f"{entry}\n")
