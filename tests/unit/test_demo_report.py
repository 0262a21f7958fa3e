"""Does the demo's last word say whether the two agree, and where they do not?"""

from dataclasses import replace
from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from processor.demo.expectation import Found, differences, expect
from processor.demo.export import rows
from processor.demo.report import SHOWN, Report, Times, tell
from processor.settings import Settings

HERE = Settings(kafka="k:1", database="postgresql://ann:secret@server/demo-1", namespace="demo-1")
JOBS = [UUID(int=place) for place in range(1_000)]


def told(report: Report) -> str:
    output = StringIO()
    tell(report, Console(file=output, width=200))
    return output.getvalue()


@pytest.fixture(scope="module")
def agreeing() -> Report:
    expected = expect(rows(1_000))
    found = Found(
        aircraft=expected.aircraft,
        rows=expected.fit,
        jobs=expected.fit,
        dead={JOBS[place] for place in expected.unfit},
        ends={"complete": expected.fit, "failed": len(expected.unfit)},
        histories=expected.flights,
    )
    lives = {"A finished job": ["queued", "complete"]}
    times = Times(submitting=0.5, working=2.0, whole=3.0)
    return Report(HERE, expected, found, differences(expected, found, JOBS), lives, times)


def failing(agreeing: Report, found: Found) -> Report:
    return replace(agreeing, found=found, differences=differences(agreeing.expected, found, JOBS))


def test_an_agreeing_run_says_so_and_how_fast_it_was(agreeing: Report) -> None:
    text = told(agreeing)
    assert agreeing.agrees
    assert "Agrees for every aircraft" in text
    assert "1,000 jobs worked in 2.0 s: 500 jobs/s" in text
    assert "A finished job\nqueued\ncomplete\n" in text


def test_where_its_jobs_can_be_asked_for_is_said_without_the_password(agreeing: Report) -> None:
    text = told(agreeing)
    assert "JOBS_NAMESPACE=demo-1" in text
    assert "secret" not in text


def test_one_aircraft_that_went_astray_is_named(agreeing: Report) -> None:
    tailnum, row = next(iter(agreeing.found.aircraft.items()))
    astray = {**agreeing.found.aircraft, tailnum: replace(row, last_destination="[XX]")}
    text = told(failing(agreeing, replace(agreeing.found, aircraft=astray)))
    assert "Does not agree: 1 differences." in text
    assert f"aircraft {tailnum}, last_destination: expected {row.last_destination}, found [XX]" in (
        text
    )


def test_of_many_differences_the_first_are_written_out_and_the_others_counted(
    agreeing: Report,
) -> None:
    report = failing(agreeing, replace(agreeing.found, aircraft={}))
    lines = told(report).splitlines()
    assert sum(line.startswith("  aircraft") for line in lines) == SHOWN
    assert f"  and {len(report.differences) - SHOWN:,} more" in lines
