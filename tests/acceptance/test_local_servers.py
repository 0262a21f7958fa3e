"""Is a server that is killed gone altogether, so that it can be started again at once?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processor.local.server import Program, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows children")

SERVING = """
import os, sys, time
if not os.fork():
    os.setsid()
    memory = b"1" * (128 << 20)
    os.sched_setaffinity(0, [int(sys.argv[1])])
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print("ready", flush=True)
time.sleep(600)
"""
"""Its child leads a session, as PostgreSQL's do, and runs and ends only while nobody else runs."""
BUSY = "while True: pass"
LIVES = 5


@pytest.fixture
def processor() -> Iterator[int]:
    """One that always has something better to do."""
    number = min(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", BUSY]) as busy:
        os.sched_setaffinity(busy.pid, [number])
        yield number
        busy.kill()


async def test_nobody_is_left_of_a_server_that_was_killed(processor: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVING, str(processor)]
    log = tmp_path / "log"
    server = Server(Program("slow", command, {}, tmp_path, log, b"ready", signal.SIGINT))
    for _ in range(LIVES):
        await server.start()
        (child,) = psutil.Process(server.pid).children()
        await server.kill()
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
