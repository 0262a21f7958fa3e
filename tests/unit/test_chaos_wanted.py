"""Which faults does a run of chaos make, and when has it had enough?"""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from processor.chaos.diary import Diary
from processor.chaos.faults import FAULTS
from processor.chaos.wanted import EVERY, ISOLATION, Wanted, draw, parse_faults, usual_faults
from processor.domain.errors import ConfigurationError


def test_each_fault_comes_once_before_any_comes_again_kills_three_times() -> None:
    faults = list(FAULTS)
    drawn = list(islice(draw(faults, random.Random(1)), 2 * (len(faults) + 2)))
    first, second = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    assert Counter(first) == Counter(second) == Counter([*faults, "kill", "kill"])
    assert first != second
    assert drawn == list(islice(draw(faults, random.Random(1)), len(drawn)))


def test_no_fault_is_drawn_of_none() -> None:
    assert list(draw([], random.Random(1))) == []


@pytest.mark.parametrize("text", ["", " , "])
def test_a_list_that_names_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="names none; choose of kill,"):
        parse_faults(text)


def test_a_list_of_faults_may_have_spaces_and_names_only_what_there_is() -> None:
    assert parse_faults("kill, stall") == ("kill", "stall")
    with pytest.raises(ConfigurationError, match="'flood' is no fault"):
        parse_faults("kill,flood")


def test_servers_that_are_not_its_own_a_run_leaves_alone() -> None:
    wanted = Wanted(1, Path("log"), EVERY)
    assert set(wanted.happening(own_servers=True)) == set(FAULTS)
    left = set(wanted.happening(own_servers=False))
    assert set(FAULTS) - left == {"kafka", "postgres", "coordinator", "standby"}
    assert ISOLATION not in left


def test_the_usual_faults_are_all_but_what_a_run_is_too_long_for() -> None:
    assert usual_faults(0, 0) == EVERY
    assert usual_faults(200, 0) == ("kill", "projector")
    assert set(EVERY) - set(usual_faults(0, 30)) == {"standby"}


def test_a_run_has_had_enough_when_all_that_was_asked_for_is_so(tmp_path: Path) -> None:
    names = ["kill", "cut"]
    with Diary(tmp_path / "log") as diary:
        plain = Wanted(1, tmp_path, tuple(names), jobs=10)
        killing = Wanted(1, tmp_path, tuple(names), jobs=10, kills=2)
        lasting = Wanted(1, tmp_path, tuple(names), jobs=10, minutes=1)
        diary.write("fault kill")
        diary.write("kill -9", of="worker 1")
        assert not plain.is_over(diary, 0, 10, names)
        diary.write("fault cut")
        assert plain.is_over(diary, 0, 10, names)
        assert not plain.is_over(diary, 0, 9, names)
        assert not killing.is_over(diary, 0, 10, names)
        assert not lasting.is_over(diary, 59, 10, names)
        assert lasting.is_over(diary, 60, 10, names)
        diary.write("kill -9", of="projector 1")
        assert killing.is_over(diary, 0, 10, names)
    assert len((tmp_path / "log").read_text().splitlines()) == 4
