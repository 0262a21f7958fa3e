"""How does a process of a run end when the run dies, however it dies?

It runs the command line that it is given with one thread beside it, which waits for its standard
input to close: whoever runs it holds the other end and never writes.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

DRAIN_SECONDS = 10.0
"""The stack may die with the run, so a drain may have nothing left to wait for."""


def _follow() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def tether() -> None:
    """From now on end when standard input does."""
    threading.Thread(target=_follow, daemon=True).start()


def run() -> None:
    """Run the command line of this process' arguments."""
    tether()
    runpy.run_module("processor", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run()
