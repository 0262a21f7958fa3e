"""What does `processor api` do?"""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.settings import Settings


def api(
    host: Annotated[
        str | None, typer.Option(help="The address; JOBS_API_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The port, 0 for any; JOBS_API_PORT, else 8080."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Who may do what; needed beyond a loopback address."),
    ] = None,
) -> None:
    """Answer over HTTP, with pages for people, until Ctrl-C; see /openapi.json and /.

    On a loopback address without a token file whoever reaches it may do everything.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run, serve

    settings = find_settings()
    settings.need_kafka()
    settings.need_database()
    chosen = settings.api_tokens if tokens is None else str(tokens)
    run(
        serve(
            _serving(
                settings,
                settings.api_host if host is None else host,
                settings.api_port if port is None else port,
                None if chosen is None else Path(chosen),
            )
        ),
        quiet=False,
    )


def _serving(
    settings: Settings, host: str, port: int, tokens: Path | None
) -> AbstractAsyncContextManager[None]:
    try:
        from processor.adapters.exposition import Exposition
        from processor.api.running import api as answering
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the API needs {error.name}: install the extra, job-processor[api]"
        ) from None

    @asynccontextmanager
    async def told() -> AsyncIterator[None]:
        exposition = Exposition()
        exposition.install()
        at = answering(settings, host, port, tokens, exposition=exposition)
        async with at as (name, number):
            shown = f"[{name}]" if ":" in name else name
            sys.stderr.write(f"the API and its pages are at http://{shown}:{number}\n")
            sys.stderr.flush()
            yield

    return told()
