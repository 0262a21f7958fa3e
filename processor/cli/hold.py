"""What do `processor hold` and `processor release` do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.telling import Because, By, Json, instant, iso, tell, tell_json, who, why
from processor.domain.errors import ConfigurationError, ProcessorError

if TYPE_CHECKING:
    from processor.ports.holds import Hold, HoldKind
    from processor.settings import Settings

Kind = Annotated[str, typer.Argument(metavar="KIND", help="type, entity, tenant or lane.")]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="Which one.")]


def hold(
    kind: Kind,
    value: Value,
    because: Because = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="It ends by itself then, in ISO 8601."),
    ] = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Keep the jobs of a type, an entity, a tenant or a lane from running, until they are released.

    What runs already runs to its end. Where it is held already the first hold stands.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    of, name = _held(kind, value)
    actor, reason, ends = who(by), why(because), instant(until)
    found = run(_hold(find_settings(), of, name, actor, reason, ends))
    if json:
        tell_json(_as_json(found), indent=2)
        return
    end = "until it is released" if found.until is None else f"until {iso(found.until)}"
    tell(f"{of} {name} is held {end}, since {iso(found.since)} by {found.by}: {found.why}")


def release(
    kind: Kind,
    value: Value,
    because: Because = None,
    rate: Annotated[
        int | None,
        typer.Option("--rate", metavar="N", min=1, help="At most so many jobs a second."),
    ] = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Let the jobs of a type, an entity, a tenant or a lane go on.

    With --rate what comes anew waits in its turn, until all that was kept is let out.
    """
    from processor.cli.finding import find_settings
    from processor.cli.running import run

    of, name = _held(kind, value)
    actor, reason = who(by), why(because)
    if rate is not None and of == "lane":
        raise ConfigurationError("a lane is released at once: it keeps no jobs, it is not read")
    if not run(_release(find_settings(), of, name, actor, reason, rate)):
        raise ProcessorError(f"no hold of {of} {name} is open")
    if json:
        tell_json({"kind": of, "value": name, "released": True}, indent=2)
    else:
        tell(f"{of} {name} is released" + ("" if rate is None else f", {rate:,} jobs a second"))


def _held(kind: str, value: str) -> tuple[HoldKind, str]:
    from processor.domain.priority import Priority
    from processor.ports.holds import HoldKind

    try:
        of = HoldKind(kind.lower())
    except ValueError:
        words = ", ".join(HoldKind)
        raise ConfigurationError(f"{kind!r} cannot be held; hold one of {words}") from None
    if not value:
        raise ConfigurationError(f"which {of} is meant is not said: it is empty")
    if of is not HoldKind.LANE:
        return of, value
    try:
        return of, Priority.parse(value).label
    except ValueError as wrong:
        raise ConfigurationError(str(wrong)) from None


def _as_json(found: Hold) -> dict[str, object]:
    return {
        "id": found.id,
        "kind": found.kind,
        "value": found.value,
        "release": found.release,
        "why": found.why,
        "by": found.by,
        "since": iso(found.since),
        "until": iso(found.until),
    }


async def _hold(
    settings: Settings, kind: HoldKind, value: str, by: str, because: str, until: int | None
) -> Hold:
    from processor.bootstrap.operating import holding

    async with holding(settings) as holds:
        return await holds.hold(kind, value, by, because, until)


async def _release(
    settings: Settings, kind: HoldKind, value: str, by: str, because: str, rate: int | None
) -> bool:
    from processor.bootstrap.operating import holding

    async with holding(settings) as holds:
        return await holds.release((kind, value), by, because, rate)
