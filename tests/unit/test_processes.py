"""Do the tests run in as many processes as is worth it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import files, processes

MUCH = 64 << 30


@pytest.mark.parametrize(
    ("named", "cores", "memory", "started"),
    [
        pytest.param(200, 2, MUCH, 2, id="everything"),
        pytest.param(1, 2, MUCH, 0, id="one file"),
        pytest.param(200, 1, MUCH, 0, id="one core"),
        pytest.param(200, 8, MUCH, 2, id="many cores"),
        pytest.param(200, 2, 3 << 30, 0, id="little memory"),
    ],
)
def test_two_processes_share_what_is_much(
    named: int, cores: int, memory: int, started: int
) -> None:
    assert processes(named, cores, memory) == started


def test_files_are_counted_by_what_is_named(tmp_path: Path) -> None:
    for name in ("one/test_a.py", "one/two/test_b.py", "one/other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files(["one"], tmp_path) == 2
    assert files(["one/test_a.py::test_it", "one/two"], tmp_path) == 2
    assert files([], tmp_path) == 0
