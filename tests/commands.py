"""How do tests run the real command line, each command a process of its own?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from processor.adapters.avro import AvroCodec
from processor.adapters.kafka.reader import KafkaReader
from processor.domain.submission import SubmissionRecord
from processor.local.stack import Stack
from processor.runtime.asking import places_of
from processor.settings import Settings

SECONDS = 60.0
CODEC = AvroCodec()


@dataclass
class Ended:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def ids(self) -> list[str]:
        return self.out.split()

    @property
    def refusal(self) -> str:
        """The one line of a command that was refused: exit 2 and nothing else on stderr."""
        assert self.code == 2, self
        (line,) = self.err.splitlines()
        said, _, why = line.partition("processor: ")
        assert said == "", line
        return why


@dataclass
class Commands:
    """The command line in one environment; nothing of the surrounding one but its paths."""

    variables: dict[str, str]
    folder: Path
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings.from_env(self.variables)

    def environment(self, changed: Mapping[str, str | None]) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
        # No stack that somebody runs at home is found by accident.
        merged = {**ours, "JOBS_LOCAL": str(self.folder / "nothing"), **self.variables, **changed}
        return {name: value for name, value in merged.items() if value is not None}

    def start(self, *command: str, **changed: str | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", "from processor.cli import main; main()", *command],
            cwd=self.folder,
            env=self.environment(changed),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(
        self, *command: str, text: bytes = b"", seconds: float = SECONDS, **changed: str | None
    ) -> Ended:
        started = self.start(*command, **changed)
        try:
            out, err = started.communicate(text, seconds)
        except BaseException:
            started.kill()
            started.communicate()
            raise
        return Ended(started.returncode, out.decode(), err.decode())

    def spawn(self, log: Path, *command: str, **changed: str | None) -> subprocess.Popen[bytes]:
        """A command whose output goes to a file."""
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", "from processor.cli import main; main()", *command],
                cwd=self.folder,
                env=self.environment(changed),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @contextlib.contextmanager
    def serving(self, *command: str, **changed: str | None) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs until the block ends, then drains; killed only if it does not."""
        started = self.spawn(self.folder / f"{command[0]}.log", *command, **changed)
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(SECONDS)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
                raise

    def records(self) -> list[SubmissionRecord]:
        """Every submission in the lanes."""
        return asyncio.run(self._records())

    async def _records(self) -> list[SubmissionRecord]:
        places = places_of(self.settings.topics, self.settings.partitions)
        found: list[SubmissionRecord] = []
        async with KafkaReader(self.settings.need_kafka(), places) as reader:
            bounds = await reader.bounds(places)
            left = sum(end - start for start, end in bounds.values())
            for place, (start, _) in bounds.items():
                reader.place(place, start)
            while left > 0:
                for records in (await reader.fetch(5.0, 10_000)).values():
                    left -= len(records)
                    found += [CODEC.decode_submission(one.value or b"") for one in records]
        return found


@contextlib.contextmanager
def commands(
    stack: Stack, name: str, folder: Path, partitions: int = 4, *, template: str = "template1"
) -> Iterator[Commands]:
    """A namespace and a database of one's own; neither migrated yet, where no template is."""
    asyncio.run(_administer(stack, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    database = urlsplit(stack.database)._replace(path=f"/{name}").geturl()
    try:
        yield Commands(variables_of(stack, database, name, partitions), folder)
    finally:
        asyncio.run(_administer(stack, f'DROP DATABASE "{name}" WITH (FORCE)'))


def variables_of(stack: Stack, database: str, namespace: str, partitions: int) -> dict[str, str]:
    """The environment that names a stack, a database and a namespace, as tests set them."""
    return {
        "JOBS_KAFKA": stack.kafka,
        "JOBS_DATABASE": database,
        "JOBS_NAMESPACE": namespace,
        "JOBS_PARTITIONS": str(partitions),
        "JOBS_REPLICATION": "1",
        "JOBS_SESSION_TIMEOUT": "6",
    }


async def _administer(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.database)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
