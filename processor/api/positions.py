"""Where does the log stand after a submission? The header `Job-Position`, there and back.

A dictionary of RFC 9651: lane and partition, and the offset that comes next there. Whoever hands it
in with a later question, to any process, is answered once the history has come so far.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from processor.api.problems import Problem
from processor.domain.priority import Priority
from processor.ports.log import Place

if TYPE_CHECKING:
    from processor.domain.topics import Topics
    from processor.runtime.acknowledged import Acknowledgement

HEADER: Final = "Job-Position"
_ONE: Final = re.compile(r"\s*(critical|high|normal|low)\.(\d{1,4})=(\d{1,15})\s*")
MOST: Final = 4_000
"""Places that one header names: those of every lane, if there are a thousand partitions."""


def told(acknowledged: Iterable[Acknowledgement]) -> str:
    """The header of what was appended, the furthest of each partition."""
    furthest: dict[tuple[Priority, int], int] = {}
    for one in acknowledged:
        key = one.lane, one.place.partition
        furthest[key] = max(furthest.get(key, 0), one.offset + 1)
    return ", ".join(
        f"{lane.label}.{partition}={offset}"
        for (lane, partition), offset in sorted(furthest.items())
    )


def parsed(text: str, topics: Topics, partitions: int) -> Mapping[Place, int]:
    """The places of a header; raises a problem for one that is none of ours."""
    places: dict[Place, int] = {}
    for part in text.split(",", MOST):
        found = _ONE.fullmatch(part)
        if found is None or not found[2].isascii() or int(found[2]) >= partitions:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                f"{HEADER} is not as it was given: normal.3=1235, low.0=17.",
            )
        place = Place(topics.lane(Priority.parse(found[1])), int(found[2]))
        places[place] = int(found[3])
    return places
