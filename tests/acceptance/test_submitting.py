"""Do files and pipes reach the log whole, and is a wrong one told in one line?"""

from __future__ import annotations

import json
import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.domain.priority import Priority
from processor.domain.submission import Caller
from processor.local.stack import Stack
from tests.commands import Commands, commands

pytestmark = pytest.mark.timeout(240)

BATCH = re.compile(r"--batch ([0-9a-f-]{36})")
NOBODY = "127.0.0.1:9"


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("submitting")) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


def lines(count: int, start: int = 0, **fields: Any) -> bytes:  # noqa: ANN401 - any field
    numbered = ({"type": "a", "payload": {"n": start + n}} | fields for n in range(count))
    return b"".join(json.dumps(one).encode() + b"\n" for one in numbered)


def appended(run: Commands, tenant: str) -> list[int]:
    """The numbers that stand in the lanes for a tenant, which is one test."""
    mine = [record for record in run.records() if record.tenant == tenant]
    by_job = {record.job: json.loads(record.payload)["n"] for record in mine}
    return sorted(by_job.values())


def test_migrating_again_is_harmless(run: Commands) -> None:
    again = run("migrate")
    assert again.code == 0
    assert "none, all were there" in again.out


def test_a_file_is_submitted_and_its_ids_come_in_the_order_of_its_lines(
    run: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_bytes(lines(50, tenant="file", entity="e") + b"\n  \n" + lines(1, 50, tenant="file"))
    done = run("submit", str(file))
    assert done.code == 0, done
    records = {str(record.job): record for record in run.records() if record.tenant == "file"}
    assert [json.loads(records[job].payload)["n"] for job in done.ids] == list(range(51))
    assert re.search(r"^51 submitted, batch [0-9a-f-]{36} ", done.err)


def test_a_line_may_say_everything_a_submission_can(run: Commands) -> None:
    line = {
        "type": "b",
        "payload": [1],
        "entity": "e",
        "priority": "critical",
        "dedupe_key": "k",
        "not_before": "2100-01-01T00:00:00+01:00",
        "attempts": 2,
        "tenant": "everything",
        "caller": {"user": "u", "ip": "::1"},
        "trace": {"traceparent": "00-1-2-01"},
    }
    done = run("submit", "-", "--priority", "low", text=json.dumps(line).encode())
    assert done.code == 0, done
    (record,) = (record for record in run.records() if record.tenant == "everything")
    assert done.ids == [str(record.job)]
    assert (record.type, record.payload, record.entity) == ("b", b"[1]", "e")
    assert record.priority is Priority.CRITICAL
    assert record.dedupe_key == "k"
    assert record.not_before == 4_102_441_200_000_000
    assert record.attempts == 2
    assert record.caller == Caller(user="u", ip="::1")


def test_type_and_priority_may_be_given_for_all_lines(run: Commands) -> None:
    text = b'{"payload":{"n":0},"tenant":"defaults"}\n{"type":"own","tenant":"defaults"}'
    assert run("submit", "-", "--type", "given", "--priority", "high", text=text).code == 0
    records = [record for record in run.records() if record.tenant == "defaults"]
    assert {(record.type, record.priority) for record in records} == {
        ("given", Priority.HIGH),
        ("own", Priority.HIGH),
    }


def test_a_broken_line_is_named_and_every_line_before_it_is_appended(run: Commands) -> None:
    text = lines(12, tenant="broken") + b'{"type":"a",\n' + lines(10, 13, tenant="broken")
    ended = run("submit", "-", text=text)
    refusal = ended.refusal
    assert refusal.startswith("line 13 is broken: Invalid JSON")
    assert "every line up to 12 is appended, nothing after" in refusal
    assert len(ended.ids) == 12
    assert appended(run, "broken") == list(range(12))

    (batch,) = BATCH.findall(refusal)
    mended = text.replace(b'{"type":"a",\n', lines(1, 12, tenant="broken"))
    again = run("submit", "-", "--batch", batch, text=mended)
    assert again.code == 0, again
    assert again.ids[:12] == ended.ids
    assert appended(run, "broken") == list(range(23))


def test_checking_a_file_sends_nothing(run: Commands) -> None:
    good = run("submit", "-", "--check", text=lines(7, tenant="check"), JOBS_KAFKA=None)
    assert good.code == 0, good
    assert good.out == ""
    assert good.err.startswith("7 can be submitted")
    bad = run("submit", "-", "--check", text=lines(7, tenant="check") + b"[]\n")
    assert bad.refusal == "line 8 is broken: Input should be an object; nothing was sent"
    assert appended(run, "check") == []


def test_a_payload_over_the_limit_is_refused_before_it_is_sent(run: Commands) -> None:
    text = lines(3, tenant="large") + b'{"type":"a","payload":"' + b"x" * 600_000 + b'"}\n'
    refusal = run("submit", "-", text=text).refusal
    assert refusal.startswith("line 4 is broken: its payload has 600,002 bytes")
    assert appended(run, "large") == [0, 1, 2]


def test_a_file_that_is_not_there_is_told(run: Commands) -> None:
    assert run("submit", "nowhere.jsonl").refusal == (
        "nowhere.jsonl cannot be read: No such file or directory"
    )
    assert run("submit", ".").refusal == ". cannot be read: it is a folder"


def test_a_broker_that_does_not_answer_is_told(run: Commands) -> None:
    refusal = run("submit", "-", text=lines(1), JOBS_KAFKA=NOBODY).refusal
    assert refusal.startswith(f"no Kafka broker answers at {NOBODY}")


def test_without_a_broker_s_address_the_variable_is_named(run: Commands) -> None:
    refusal = run("submit", "-", text=lines(1), JOBS_KAFKA=None).refusal
    assert refusal.startswith("JOBS_KAFKA is not set: ")
    refusal = run("submit", "-", text=lines(1), JOBS_KAFKA="localhost").refusal
    assert refusal.startswith("JOBS_KAFKA is wrong: 'localhost' is no host:port")


def test_a_running_local_stack_is_found_and_named(run: Commands, stack: Stack) -> None:
    if not (stack.folder / "lock").exists():
        pytest.skip("the stack of this run is not the embedded one")
    text = lines(1, tenant="found")
    done = run("submit", "-", text=text, JOBS_KAFKA=None, JOBS_LOCAL=str(stack.folder))
    assert done.code == 0, done
    assert done.err.startswith(f"using the stack in {stack.folder}: Kafka {stack.kafka}\n")
    assert appended(run, "found") == [0]


def test_other_partition_counts_than_the_topics_have_are_refused(run: Commands) -> None:
    for command in (["submit", "-"], ["migrate"], ["projector"]):
        refusal = run(*command, text=lines(1, tenant="counts"), JOBS_PARTITIONS="6").refusal
        assert "has 4 partitions" in refusal
        assert "6" in refusal
    assert appended(run, "counts") == []


def test_a_namespace_without_topics_says_what_to_do(run: Commands) -> None:
    refusal = run("submit", "-", text=lines(1), JOBS_NAMESPACE="nobody-s").refusal
    assert "nobody-s.critical does not exist" in refusal


def test_a_producer_needs_no_database(run: Commands) -> None:
    text = lines(1, tenant="no database")
    for database in (None, f"postgresql://u@{NOBODY}/x"):
        assert run("submit", "-", text=text, JOBS_DATABASE=database).code == 0
    assert len(appended(run, "no database")) == 2


def test_ctrl_c_says_what_is_appended_and_going_on_does_nothing_twice(run: Commands) -> None:
    text = lines(100, tenant="stopped")
    with run.start("submit", "-") as started:
        assert started.stdin is not None
        assert started.stdout is not None
        started.stdin.write(text)
        started.stdin.flush()
        first = [started.stdout.readline().decode().strip() for _ in range(100)]
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert out == b""
    (line,) = err.decode().splitlines()
    assert line.startswith("processor: interrupted; every line up to 100 is appended")
    (batch,) = BATCH.findall(line)

    done = run("submit", "-", "--batch", batch, text=text + lines(5, 100, tenant="stopped"))
    assert done.code == 0, done
    assert done.ids[:100] == first
    assert appended(run, "stopped") == list(range(105))


def test_whoever_stops_reading_the_ids_does_not_stop_the_submissions(run: Commands) -> None:
    with run.start("submit", "-") as started:
        assert started.stdin is not None
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdin.write(lines(10, tenant="unread"))
        started.stdin.flush()
        started.stdout.readline()
        started.stdout.close()
        started.stdin.write(lines(10_000, 10, tenant="unread"))
        started.stdin.close()
        err = started.stderr.read().decode()
    assert started.returncode == 0, err
    assert err.startswith("10,010 submitted")
    assert appended(run, "unread") == list(range(10_010))


def memory_of(process: int) -> int:
    """The most memory a process has had, in KiB."""
    status = Path(f"/proc/{process}/status").read_text()
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak)


@pytest.mark.parametrize(
    ("count", "payload"),
    [(20_000, 4_000), pytest.param(1_000_000, 60, marks=pytest.mark.long)],
)
@pytest.mark.timeout(900)
def test_a_long_stream_needs_no_more_memory_than_half_of_it(
    run: Commands, count: int, payload: int
) -> None:
    with run.start("submit", "-") as started:
        assert started.stdin is not None
        assert started.stdout is not None
        peaks = []
        ids = set()
        for half in (1, 2):
            for _ in range(count // 2 // 1_000):
                started.stdin.write(lines(1_000, tenant="long", payload="y" * payload))
                started.stdin.flush()
                ids |= {started.stdout.readline() for _ in range(1_000)}
            assert len(ids) == count // 2 * half
            peaks.append(memory_of(started.pid))
        _, err = started.communicate(timeout=60)
    assert started.returncode == 0, err
    # The second half alone has more bytes than this, twice over in memory.
    assert peaks[1] - peaks[0] < 16 * 1024, peaks
