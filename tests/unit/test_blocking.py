"""Does a blocking call of ours inside a coroutine fail the test?"""

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError

import processor


def coroutine_written_in(folder: Path) -> Callable[[], Coroutine[Any, Any, None]]:
    source = "async def blocks():\n    time.sleep(0)\n"
    names: dict[str, Any] = {"time": time}
    exec(compile(source, str(folder / "invented.py"), "exec"), names)  # noqa: S102 - code of ours, placed at will
    made: Callable[[], Coroutine[Any, Any, None]] = names["blocks"]
    return made


async def test_a_blocking_call_in_a_coroutine_of_ours_fails() -> None:
    blocks = coroutine_written_in(Path(processor.__file__).parent)
    with pytest.raises(BlockingError):
        await blocks()


async def test_a_blocking_call_of_someone_else_is_theirs_to_answer_for(tmp_path: Path) -> None:
    await coroutine_written_in(tmp_path)()
