"""How do named jars come from a Maven repository? Run as a process of its own by `jars`.

Reads coordinates from standard input, one a line, writes each jar into the folder it is given,
and reports on standard output: a number for bytes that came, or `failed` and the reason.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import truststore

AT_ONCE = 8
SECONDS = 60


class Reporter:
    """Tells the starting process how many bytes came, a few times a second and thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """Write one whole line."""
        with self._lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    @contextlib.contextmanager
    def download(self, _file: str, _size: int) -> Iterator[Callable[[int], None]]:
        """What the resolver calls for each file, and then for each chunk of it."""
        waiting = 0

        def came(count: int) -> None:
            nonlocal waiting
            waiting += count
            if waiting >= 1 << 18:
                self.line(str(waiting))
                waiting = 0

        yield came
        self.line(str(waiting))


def fetch(coordinates: list[str], into: Path) -> None:
    """Write the jars into the folder; raises what the network raises."""
    # Only here: the resolver takes half a second to import. It knows where repositories are.
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    reporter = Reporter()
    repository = into / "repository"
    maven = MavenContext(
        resolver=PythonResolver(progress_callback=reporter.download),
        repo_cache=repository,
        timeout=SECONDS,
    )

    def one(coordinate: str) -> None:
        group, artifact, version = coordinate.split(":")
        path = maven.project(group, artifact).at_version(version).artifact().resolve()
        path.replace(into / path.name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            list(pool.map(one, coordinates))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    shutil.rmtree(repository)


def main() -> int:
    """Fetch what standard input names."""
    # The system's certificates, so that a company's own authority is trusted as everywhere else.
    truststore.inject_into_ssl()
    try:
        fetch(sys.stdin.read().split(), Path(sys.argv[1]))
    except BrokenPipeError:  # nobody waits for the jars any more
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - told to the starting process, which raises it
        reason = " ".join(str(error).split())
        sys.stdout.write(f"failed {type(error).__name__}: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
