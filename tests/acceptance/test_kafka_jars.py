"""Kafka's jars: pinned, checked, fetched once, and the class archive beside them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from processor.domain.errors import ConfigurationError
from processor.local import account, jars
from processor.local.folders import cache_folder
from processor.local.stack import running

SMALL = "jspecify-1.0.0.jar"
LIMIT = 60.0


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A cache with the pinned jars that a test may spoil."""
    fetched = jars.ensure(cache_folder(os.environ))
    shutil.copytree(fetched, tmp_path / "job-processor" / fetched.name)
    return tmp_path / "job-processor"


@pytest.fixture
def missing(cached: Path) -> Path:
    """One small jar's place in a cache that has all others."""
    jar = cached / f"kafka-{jars.VERSION}" / SMALL
    jar.unlink()
    return jar


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that every user may enter."""
    made = Path(tempfile.mkdtemp(prefix="job-processor-"))
    made.chmod(0o711)
    yield made
    account.forget(made)


def test_a_jar_that_is_not_the_pinned_one_is_refused_by_name(cached: Path) -> None:
    spoilt = cached / f"kafka-{jars.VERSION}" / "kafka-clients-4.3.1.jar"
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"wrong checksum: .*kafka-clients:4\.3\.1 in "):
        jars.ensure(cached)


def test_without_a_network_one_line_says_what_is_missing(
    missing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(ConfigurationError, match=r"Kafka 4\.3\.1 could not be fetched") as refused:
        jars.ensure(missing.parents[1])
    assert "\n" not in str(refused.value)
    assert not missing.exists()


@pytest.mark.long
def test_a_missing_jar_is_fetched_and_nothing_else_is_left(missing: Path) -> None:
    seen: list[tuple[int, int]] = []
    jars.ensure(missing.parents[1], lambda here, total: seen.append((here, total)))
    assert seen[-1][0] == seen[-1][1] == missing.stat().st_size
    assert [path.name for path in missing.parents[1].iterdir()] == [f"kafka-{jars.VERSION}"]


@pytest.mark.long
def test_a_download_with_a_wrong_checksum_is_not_kept(
    missing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {jar for jar in jars.pinned() if jar.file != SMALL}
    (small,) = set(jars.pinned()) - others
    wrong = replace(small, sha256="0" * 64)
    monkeypatch.setattr(jars, "pinned", lambda: (*others, wrong))
    with pytest.raises(ConfigurationError, match=r"wrong checksum: .*jspecify:1\.0\.0 in "):
        jars.ensure(missing.parents[1])
    assert not missing.exists()


@pytest.mark.long
def test_two_processes_that_fetch_at_once_both_end_with_every_jar(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    both = [processes.Process(target=jars.ensure, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    here = {path.name for path in (tmp_path / f"kafka-{jars.VERSION}").iterdir()}
    assert here == {jar.file for jar in jars.pinned()}


@pytest.mark.long
def test_the_second_start_uses_the_classes_that_the_first_has_archived(
    cached: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cached.parent))
    outdated = cached / "classes-0.jsa"
    outdated.touch()
    os.utime(outdated, (0, 0))
    with running(folder, buffers="32MB"):
        deadline = time.monotonic() + LIMIT
        while outdated.exists() or not list(cached.glob("classes-*.jsa")):
            assert time.monotonic() < deadline, (folder / "logs/kafka.archive.log").read_text()
            time.sleep(0.1)
    (archive,) = cached.glob("classes-*.jsa")
    with running(folder, buffers="32MB") as local:
        mapped = psutil.Process(local.processes()["kafka"]).memory_maps()
        assert str(archive) in {part.path for part in mapped}
    assert "[cds]" not in (folder / "logs" / "kafka.log").read_text()
