"""The embedded stack: found, stopped, killed, refused, kept; as root and as an ordinary user."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from processor.domain.errors import ConfigurationError
from processor.local import account, jars, postgres
from processor.local.folders import cache_folder
from processor.local.stack import LocalStack, Stack, StackError, find, running

LIMIT = 40.0
"""Seconds after which a process that should have ended counts as left running."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may become other users")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals orphans")

HOLDER = """
import json, sys
from pathlib import Path
from processor.local.stack import running
with running(Path(sys.argv[1]), heap="256m", buffers="32MB") as local:
    found = local.processes() | {"supervisor": local.supervisor}
    print(json.dumps(found), flush=True)
    sys.stdin.read()
"""

WORK = "SELECT count(*) FROM generate_series(1, 3000000)"
WORKS = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = '{WORK}'"

COMMAND = "import typer; from processor.cli.local import local; typer.run(local)"


@contextmanager
def a_folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="job-processor-"))
    made.chmod(0o711)
    yield made / "data"
    account.forget(made / "data")
    shutil.rmtree(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that every user may enter."""
    with a_folder() as new:
        yield new


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """The same for several tests: where a stack has run before, the next starts sooner."""
    with a_folder() as shared:
        yield shared


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """A data folder that only its owner may enter."""
    tmp_path.chmod(0o700)
    yield tmp_path / "data"
    account.forget(tmp_path / "data")


@contextmanager
def small(folder: Path) -> Iterator[LocalStack]:
    with running(folder, heap="256m", buffers="32MB") as local:
        yield local


@contextmanager
def started(*arguments: str, **how: object) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(arguments, **pipes, **how) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The supervisor and the servers of a holder, once they run, with all their children."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the holder of the stack ended"
    members = [psutil.Process(pid) for pid in json.loads(line).values()]
    return members + [child for member in members for child in member.children(recursive=True)]


def servers(local: LocalStack) -> list[psutil.Process]:
    """Both, with all their children."""
    members = [psutil.Process(pid) for pid in local.processes().values()]
    return members + [child for member in members for child in member.children()]


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run when there was time enough to end."""
    return psutil.wait_procs(processes, timeout=LIMIT)[1]


async def remember(stack: Stack, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka)
    await producer.start()
    await producer.send_and_wait(topic, b"kept")
    await producer.stop()
    connection = await asyncpg.connect(stack.database)
    await connection.execute("CREATE TABLE kept AS SELECT 'kept' AS word")
    await connection.close()


async def remembered(stack: Stack, topic: str) -> tuple[bytes | None, str]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.kafka, auto_offset_reset="earliest")
    await consumer.start()
    record = await asyncio.wait_for(consumer.getone(), LIMIT)
    await consumer.stop()
    connection = await asyncpg.connect(stack.database)
    word = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    return record.value, word


def test_a_stack_is_found_while_it_runs_and_keeps_its_data_and_its_ports(folder: Path) -> None:
    assert find(folder) is None
    with small(folder) as local:
        first = local.stack
        assert find(folder) == first
        with pytest.raises(ConfigurationError, match=f"process {local.supervisor}"), small(folder):
            pass
        asyncio.run(remember(first, "kept"))
        members = servers(local)
        assert len(members) > 2
    assert not [member for member in members if member.is_running()]
    assert find(folder) is None
    with small(folder) as local:
        assert local.stack == first
        assert asyncio.run(remembered(first, "kept")) == (b"kept", "kept")


def test_kill_9_of_the_parent_leaves_nothing_running(used: Path) -> None:
    with started(sys.executable, "-c", HOLDER, str(used)) as holder:
        members = family(holder)
        holder.send_signal(signal.SIGKILL)
        assert not left(members)
    assert find(used) is None


@on_linux
async def test_kill_9_of_the_supervisor_leaves_nothing_running_and_the_next_takes_its_place(
    used: Path,
) -> None:
    with small(used) as local:
        first, members = local.stack, servers(local)
        busy, watching = [await asyncpg.connect(first.database) for _ in range(2)]
        working = asyncio.create_task(busy.execute(WORK))
        while not await watching.fetchval(WORKS):
            pass
        os.kill(local.supervisor, signal.SIGKILL)
        with pytest.raises(StackError, match="the supervisor of the embedded stack has ended"):
            local.wait()
        assert find(used) is None
        with small(used) as again:
            assert again.stack == first
            assert not left(members)
        await working  # only a backend that works does not hear of it at once
        busy.terminate()
        watching.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_what_runs_where_and_ends_cleanly(
    used: Path, number: signal.Signals
) -> None:
    with started(
        sys.executable, "-c", COMMAND, "--folder", str(used), start_new_session=True
    ) as command:
        assert command.stdout is not None
        line = command.stdout.readline()
        stack = find(used)
        assert stack is not None
        assert line == f"Kafka {stack.kafka} · PostgreSQL {stack.database} · data in {used}\n"
        members = psutil.Process(command.pid).children(recursive=True)
        os.killpg(command.pid, number)  # as a terminal does
        assert command.wait(LIMIT) == 0
        assert not left(members)
    logs = (used / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in logs
    assert (used / "kafka" / ".kafka_cleanshutdown").exists()


def test_a_server_that_ends_by_itself_ends_the_stack_with_one_clear_line(used: Path) -> None:
    with small(used) as local:
        broker = psutil.Process(local.processes()["kafka"])
        os.kill(local.processes()["postgres"], signal.SIGKILL)
        with pytest.raises(StackError, match=r"PostgreSQL ended by itself .*postgres\.log"):
            local.wait()
        assert not left([broker])


@as_root
def test_an_ordinary_user_runs_the_stack_too(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder.mkdir()
    fetched = jars.ensure(cache_folder(os.environ))
    shutil.copytree(fetched, folder.parent / "job-processor" / fetched.name)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    environment = {"XDG_CACHE_HOME": str(folder.parent), "HOME": "/nonexistent"}
    become = ordinary(nobody)
    with started(*become, HOLDER, str(folder), cwd="/", env=environment) as holder:
        members = family(holder)
        assert {member.uids().effective for member in members} == {nobody.pw_uid}
        assert holder.stdin is not None
        holder.stdin.close()
        assert holder.wait(LIMIT) == 0
        assert not left(members)


def ordinary(user: pwd.struct_passwd) -> list[str]:
    """How root runs this Python as an ordinary user, even where it lies in root's own home."""
    read = "+dac_read_search"
    command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    command += [f"--inh-caps={read}", f"--ambient-caps={read}", sys.executable, "-c"]
    try:
        subprocess.run([*command, ""], check=True, capture_output=True, cwd="/")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not run: root may not become an ordinary user here: {error}")
    return command


@as_root
def test_as_root_the_database_lies_where_its_user_may_go(private: Path) -> None:
    with small(private) as local:
        database = psutil.Process(local.processes()["postgres"])
        assert database.username() == "nobody"
        place = Path(database.cwd()).parent
        assert place.parent == account.SHELF
    assert account.database_folder(private, account.unprivileged()) == place
    account.forget(private)
    assert not place.exists()


@as_root
def test_a_database_on_the_shelf_is_swept_only_after_its_temporary_folder(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "SHELF", folder)
    tmp_path.chmod(0o700)
    gone, kept, elsewhere = (tmp_path / name for name in ("gone", "kept", "elsewhere"))
    places = []
    for owner in (gone, kept, elsewhere):
        owner.mkdir()
        places.append(account.database_folder(owner, account.unprivileged()))
    (places[2] / account.OWNER).write_text("/not-mounted/data")
    shutil.rmtree(gone)
    (tmp_path / "next").mkdir()
    account.database_folder(tmp_path / "next", account.unprivileged())
    assert [place.exists() for place in places] == [False, True, True]


@as_root
def test_a_database_that_has_gone_is_not_silently_replaced_by_an_empty_one(
    private: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "SHELF", folder)
    private.mkdir()
    shutil.rmtree(account.database_folder(private, account.unprivileged()))
    with pytest.raises(ConfigurationError, match="which is gone"):
        account.database_folder(private, account.unprivileged())


@as_root
def test_programs_that_the_user_of_the_database_cannot_reach_are_copied(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "SHELF", folder)
    nobody = account.unprivileged()
    installed = postgres.binaries(None).parent
    libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
    private = tmp_path / "private"
    shutil.copytree(installed, private / installed.parent.name / installed.name)
    shutil.copytree(libraries, private / libraries.name)
    private.chmod(0o700)
    copy = account.readable_copy(
        private / installed.parent.name / installed.name, private / libraries.name, nobody, "copy"
    )
    assert nobody is not None
    assert folder in copy.parents
    found = subprocess.run(
        [copy / "bin" / "initdb", "--version"],
        check=True, capture_output=True, text=True, cwd="/",
        user=nobody.user, group=nobody.group, extra_groups=[],
    )  # fmt: skip
    assert "PostgreSQL" in found.stdout


@pytest.mark.long
async def test_a_killed_broker_and_a_killed_database_come_back_with_what_was_acknowledged(
    local_stack: LocalStack, namespace: str
) -> None:
    await remember(local_stack.stack, namespace)
    for server in ("kafka", "postgres"):
        await asyncio.to_thread(local_stack.kill, server)
        await asyncio.to_thread(local_stack.start, server)
    assert await remembered(local_stack.stack, namespace) == (b"kept", "kept")
    connection = await asyncpg.connect(local_stack.stack.database)
    await connection.execute("DROP TABLE kept")
    await connection.close()


async def test_a_frozen_database_answers_only_when_it_thaws(local_stack: LocalStack) -> None:
    connection = await asyncpg.connect(local_stack.stack.database)
    with local_stack.frozen("postgres"):
        asked = asyncio.create_task(connection.fetchval("SELECT 1"))
        answered, _ = await asyncio.wait({asked}, timeout=0.2)
        assert not answered
    assert await asyncio.wait_for(asked, LIMIT) == 1
    await connection.close()
