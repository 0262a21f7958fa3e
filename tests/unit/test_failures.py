"""Which failure of several is told?"""

from __future__ import annotations

import pytest

from processor.bootstrap.failures import one_failure
from processor.domain.errors import Unavailable
from processor.ports.log import LogCut, Place

CUT = LogCut(Place("jobs.low", 1), 5, 7, 9)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ([KeyError("a")], KeyError),
        ([ExceptionGroup("inner", [CUT])], LogCut),
        ([KeyError("a"), Unavailable("away")], Unavailable),
        ([ExceptionGroup("inner", [KeyError("a"), CUT]), Unavailable("away")], LogCut),
    ],
)
def test_the_only_one_or_the_first_that_has_a_name_is_raised_as_itself(
    raised: list[Exception], told: type[Exception]
) -> None:
    with pytest.raises(told), one_failure():
        raise ExceptionGroup("a group of tasks", raised)


def test_several_bugs_stay_together_so_that_none_is_hidden() -> None:
    with pytest.raises(ExceptionGroup) as group, one_failure():
        raise ExceptionGroup("a group of tasks", [KeyError("a"), TypeError("b")])
    assert len(group.value.exceptions) == 2


def test_what_is_no_group_goes_through() -> None:
    with pytest.raises(Unavailable), one_failure():
        raise Unavailable("away")
