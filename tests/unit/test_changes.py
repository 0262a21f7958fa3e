"""How is an edited payload told from what died?"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.domain.changes import Change, difference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ('{"a":1}', '{"a":1}', []),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', []),
        ('{"a":1}', '{"a":2}', [("a", "1", "2")]),
        ('{"a":1}', '{"a":1.0}', [("a", "1", "1.0")]),
        ('{"a":1}', '{"a":true}', [("a", "1", "true")]),
        ('{"a":1}', "{}", [("a", "1", None)]),
        ("{}", '{"a":null}', [("a", None, "null")]),
        (
            '{"l":[{"t":"x"},2]}',
            '{"l":[{"t":"y"},2,3]}',
            [("l.0.t", '"x"', '"y"'), ("l.2", None, "3")],
        ),
        ('{"a":[1]}', '{"a":{"0":1}}', [("a", "[1]", '{"0": 1}')]),
        ("5", '"5"', [("", "5", '"5"')]),
        ("{", "5", [("", "{", "5")]),
        ("{", "{", []),
    ],
)
def test_a_difference_names_the_places_before_and_after(
    before: str, after: str, changes: list[tuple[str, str | None, str | None]]
) -> None:
    told = difference(before.encode(), after.encode())
    assert told == tuple(Change(*one) for one in changes)


@given(JSON, JSON)
def test_there_is_no_difference_exactly_where_both_say_the_same(
    before: object, after: object
) -> None:
    texts = [json.dumps(one, sort_keys=True) for one in (before, after)]
    told = difference(texts[0].encode(), texts[1].encode())
    assert (told == ()) == (texts[0] == texts[1])
    assert all(one.before != one.after for one in told)


def test_what_is_nested_too_deep_differs_as_a_whole() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    (change,) = difference(deep, b"1")
    assert (change.path, change.after) == ("", "1")
    assert difference(deep, deep) == ()
