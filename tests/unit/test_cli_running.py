"""How does a command end that is told to?"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from processor.cli.running import end_by_sigterm_too, run


@contextmanager
def heard_as_before(*numbers: signal.Signals) -> Iterator[None]:
    """The handlers of signals, put back afterwards."""
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("interrupt", [signal.SIG_IGN, signal.default_int_handler])
def test_a_sigterm_cancels_the_work_and_meets_nothing_else(
    interrupt: signal.Handlers, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.cli.running._configure_logs", lambda _: None)  # for all to come
    ended = []

    async def work() -> None:
        def callback() -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append("callback")

        asyncio.get_running_loop().call_soon(callback)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("work")

    with heard_as_before(signal.SIGINT, signal.SIGTERM):
        signal.signal(signal.SIGINT, interrupt)
        end_by_sigterm_too()
        with pytest.raises(KeyboardInterrupt):
            run(work())
        assert ended == ["callback", "work"]
        with pytest.raises(KeyboardInterrupt):  # also where nothing runs in a loop
            os.kill(os.getpid(), signal.SIGTERM)
    assert not capfd.readouterr().err
