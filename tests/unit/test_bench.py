"""What is asked of a benchmark, and how is it told?"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from processor.bench.asking import asked
from processor.bench.catalogue import QUESTIONS, chosen
from processor.bench.comparing import Comparison
from processor.bench.latency import spread
from processor.bench.metering import Taken
from processor.bench.peers.peer import find
from processor.bench.question import Answer, Manner, Question, Round, Wanted
from processor.bench.telling import as_json, lines
from processor.bench.work import payload
from processor.domain.errors import ConfigurationError
from processor.settings import Settings


async def never(*_: object) -> Round:
    raise AssertionError


QUESTION = Question("W0", "nothing at all", 1_000, never)


def answer(*rates: float) -> Answer:
    rounds = [
        Round(1_000, {"jobs/s": rate}, {"worker": rate / 1e6}, {"worker": 80.0}) for rate in rates
    ]
    return Answer(QUESTION, Wanted(1_000, 2), rounds)


def test_the_beginning_of_names_means_all_of_them_and_a_name_means_one() -> None:
    assert chosen([]) == list(QUESTIONS)
    assert {one.name for one in chosen(["w2"])} == {
        one.name for one in QUESTIONS if one.name.startswith("W2.")
    }
    assert [one.name for one in chosen(["W4", "w1", "W4"])] == ["W4", "W1"]


def test_a_name_that_is_none_is_answered_with_all_there_are() -> None:
    with pytest.raises(ConfigurationError, match="'W9' is no benchmark; there are W1,"):
        chosen(["W9"])


def test_a_peer_that_is_none_or_not_installed_is_one_line() -> None:
    with pytest.raises(ConfigurationError, match="'nobody' is none to compare with; there are pg"):
        find("nobody")
    if importlib.util.find_spec("pgqueuer") is None:
        with pytest.raises(
            ConfigurationError, match="pgqueuer is not installed: pip install pgqueuer"
        ):
            find("pgqueuer")


def test_a_profile_is_one_of_three_kinds_of_file() -> None:
    with pytest.raises(ConfigurationError, match="a profile is a "):
        asked(chosen(["W1"]), Manner(profile=Path("w1.pdf")), None, named=True)


def test_a_payload_has_200_bytes() -> None:
    import json  # noqa: PLC0415 - for this sentence alone

    assert len(json.dumps(payload(12_345), separators=(",", ":"))) == 200


def test_an_answer_is_one_line_with_its_median_and_its_spread() -> None:
    (line,) = lines(answer(40_000, 42_000, 38_000))
    assert line == (
        "W0 (nothing at all, 2 workers; 1,000 jobs, 3 rounds): 40,000 jobs/s (38,000 to 42,000)"
        " | CPU s/1,000 0.040: worker 0.040 | MiB: worker 80"
    )


def test_a_comparison_tells_the_ratio_of_each_pair_and_both_answers() -> None:
    compared = Comparison("other 1.0", answer(40_000, 30_000), answer(10_000, 10_000))
    first, ours, theirs = lines(compared)
    assert first == "W0 against other 1.0: 3.50 times their jobs/s (3.00 to 4.00)"
    assert ours.startswith("  ours   W0")
    assert theirs.startswith("  theirs W0")
    (told,) = as_json([compared], Settings())["comparisons"]
    assert told["ours_by_theirs"] == {"jobs/s": 3.5}


def test_who_was_not_alone_is_told_so() -> None:
    taken = Taken(2.0, {"worker": 1.0}, {"worker": 80.0}, others=1.2)
    one = Round.of(1_000, {"jobs/s": 500.0}, taken, 500)
    assert one.cpu == {"worker": 2.0}
    (line,) = lines(Answer(QUESTION, Wanted(1_000), [one]))
    assert line.endswith("| not alone: others took up to 1.2 cores")


def test_the_spread_of_waits_is_their_median_99th_percentile_and_longest() -> None:
    assert spread([float(number) for number in range(1, 102)]) == {
        "ms p50": 51.0,
        "ms p99": 100.0,
        "ms max": 101.0,
    }
