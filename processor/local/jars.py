"""Which jars make Apache Kafka, and are exactly these in the user's cache?"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from processor.domain.errors import ConfigurationError

VERSION = "4.3.1"
LEFT_SECONDS = 86_400

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there will be."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar: where a Maven repository has it, and what it must be."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """Its name in the cache folder, the same as in a Maven repository."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """Its name in Maven's words."""
        return f"{self.group}:{self.artifact}:{self.version}"

    def check(self, path: Path, mend: str) -> None:
        """Raise ConfigurationError, naming the jar, when the file is not the pinned one."""
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != self.sha256:
            raise ConfigurationError(
                f"wrong checksum: {self.coordinate} in {path} is not the jar that was pinned"
                f" (sha256 {found}, expected {self.sha256}); {mend}"
            )


def pinned() -> tuple[Jar, ...]:
    """Every jar of the broker, by name, version, size and checksum."""
    lines = resources.files(__package__).joinpath(f"kafka-{VERSION}.sha256").read_text("ascii")
    return tuple(_jar(line) for line in lines.splitlines())


def _jar(line: str) -> Jar:
    sha256, size, coordinate = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, int(size), sha256)


def ensure(cache: Path, progress: Progress | None = None) -> Path:
    """The folder of the checked jars, fetching what is missing.

    Every jar is hashed at every start: 44 MB take a few hundredths of a second. Each is written
    aside and renamed once it has been checked, so that two processes may fetch at once and a
    broken download leaves nothing behind. Raises ConfigurationError.
    """
    folder = cache / f"kafka-{VERSION}"
    jars = pinned()
    missing = [jar for jar in jars if not (folder / jar.file).exists()]
    for jar in jars:
        if jar not in missing:
            jar.check(folder / jar.file, "delete the file and start again")
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as aside:
            _fetch(missing, Path(aside), progress or (lambda _here, _all: None))
            for jar in missing:
                jar.check(Path(aside) / jar.file, "nothing of the download was kept")
            for jar in missing:
                (Path(aside) / jar.file).replace(folder / jar.file)
    return folder


def _sweep(cache: Path) -> None:
    """Delete what downloads that were killed long ago have left."""
    for aside in cache.glob("fetching-*"):
        if time.time() - aside.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(aside, ignore_errors=True)


def _fetch(jars: Sequence[Jar], into: Path, progress: Progress) -> None:
    """Let another process fetch, so that trusting the system's certificates stays inside it."""
    command = [sys.executable, "-P", "-m", "processor.local.fetching", str(into)]
    total = sum(jar.size for jar in jars)
    wanted = "".join(f"{jar.coordinate}\n" for jar in jars)
    with _started(command) as process:
        assert process.stdin is not None  # noqa: S101 - asked for with PIPE
        assert process.stdout is not None  # noqa: S101 - asked for with PIPE
        process.stdin.write(wanted)
        process.stdin.close()
        here = 0
        for line in process.stdout:
            if line.startswith("failed "):
                raise ConfigurationError(
                    f"Apache Kafka {VERSION} could not be fetched, which is needed once:"
                    f" {line.removeprefix('failed ').strip()}"
                )
            here += int(line)
            progress(here, total)
    if process.returncode:
        raise ConfigurationError(
            f"Apache Kafka {VERSION} could not be fetched, which is needed once:"
            f" the download ended with exit code {process.returncode}"
        )


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is for this process, which then ends that one
    )
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
