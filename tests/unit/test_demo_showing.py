"""Does the demo show how far it is, in a terminal and elsewhere?"""

from io import StringIO

from rich.console import Console

from processor.demo.showing import Pace, Standing, showing
from processor.domain.priority import LANES, Priority

LANES_OF_TEN = dict.fromkeys(LANES, 10)


def standing(seconds: float, done: int, projected: int = 0, dead: int = 0) -> Standing:
    lanes = dict.fromkeys(LANES, done)
    return Standing(seconds, lanes, lanes, dead, projected)


def shown(*standings: Standing, terminal: bool) -> str:
    output = StringIO()
    console = Console(file=output, force_terminal=terminal, width=120)
    with showing(console, LANES_OF_TEN) as show:
        for one in standings:
            show(one)
    return output.getvalue()


def test_the_rate_is_that_of_the_last_two_seconds() -> None:
    pace = Pace()
    assert pace.after(standing(0, 0)) == 0
    assert pace.after(standing(1, 25)) == 100
    assert pace.after(standing(2, 25)) == 50
    assert pace.after(standing(3, 25)) == 0
    assert pace.after(standing(4, 50)) == 50


def test_without_a_terminal_a_line_is_written_now_and_then_and_at_the_end() -> None:
    lines = shown(
        standing(0, 0),
        standing(0.5, 1),
        standing(2.1, 4, dead=3),
        standing(2.2, 10, projected=39),
        standing(2.3, 10, projected=40),
        terminal=False,
    ).splitlines()
    assert [line.split(" s ")[0].strip() for line in lines] == ["0.0", "2.1", "2.3"]
    assert "critical 4/10" in lines[1]
    assert "3 dead letters" in lines[1]
    assert "history 40/40" in lines[2]


def test_in_a_terminal_every_lane_has_its_bar() -> None:
    text = shown(standing(1, 10, projected=40, dead=7), terminal=True)
    for lane in Priority:
        assert lane.label in text
    assert "40/40" in text
    assert "7 dead letters" in text


def test_copies_in_the_journal_never_show_more_histories_than_jobs() -> None:
    assert "history 40/40" in shown(standing(1, 10, projected=57), terminal=False)
    assert "57" not in shown(standing(1, 10, projected=57), terminal=True)
