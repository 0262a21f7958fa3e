"""Do a stack's ports stay its own, also while nothing listens there?"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
import time
from dataclasses import astuple
from pathlib import Path

import pytest

from processor.domain.errors import ConfigurationError
from processor.local import ports
from processor.local.ports import HOST, reserved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "one"
    made.mkdir()
    return made


def test_a_folder_keeps_its_ports(folder: Path) -> None:
    with reserved(folder) as first:
        pass
    with reserved(folder) as again:
        assert again == first
        assert len(set(astuple(first))) == 3


def test_ports_of_a_stack_whose_servers_are_down_are_given_to_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "PATIENCE", 0.0)
    with reserved(folder) as one:
        copy = shutil.copytree(folder, folder.with_name("copy"))
        with reserved(copy) as other:
            assert not set(astuple(one)) & set(astuple(other))


def test_where_all_ports_are_taken_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reserved(folder) as taken:
        monkeypatch.setattr(ports, "RANGE", range(taken.kafka, taken.kafka + 1))
        refused = pytest.raises(ConfigurationError, match=f"no free port on {HOST}")
        with refused, reserved(folder.parent):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a server could not listen beside")
def test_a_server_that_is_down_gets_its_port_back_whoever_asks_for_it_meanwhile(
    folder: Path,
) -> None:
    with reserved(folder) as one, socket.socket() as stranger, socket.socket() as server:
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            stranger.bind((HOST, one.postgres))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, one.postgres))
        server.listen()
        with socket.create_connection((HOST, one.postgres)):
            pass


def test_the_ports_of_servers_that_are_still_ending_are_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reserved(folder) as first:
        pass
    ending = socket.socket()
    ending.bind((HOST, first.kafka))
    ending.listen()
    monkeypatch.setattr(time, "sleep", lambda _seconds: ending.close())
    with reserved(folder) as again:
        assert again == first
