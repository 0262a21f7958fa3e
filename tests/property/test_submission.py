"""Do dedupe keys name jobs so that the same is the same and no two others ever meet?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from processor.domain.limits import JSON_DEPTH
from processor.runtime.submission import Submission, Unfit, payload_of

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
scopes = st.tuples(st.none() | names, names, st.none() | names, names)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('[]{}"\\\n:,x')),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"x'), inner, max_size=3)
    ),
)


def submission(scope: tuple[str | None, str, str | None, str]) -> Submission:
    tenant, type_, entity, key = scope
    return Submission(type_, entity=entity, tenant=tenant, dedupe_key=key)


@given(scopes, scopes)
def test_two_keys_name_one_job_exactly_when_they_and_their_scopes_are_equal(
    one: tuple[str | None, str, str | None, str], other: tuple[str | None, str, str | None, str]
) -> None:
    assert (submission(one).id == submission(other).id) == (one == other)


@given(scopes)
def test_a_key_s_id_does_not_change_and_says_that_it_is_a_name(
    scope: tuple[str | None, str, str | None, str],
) -> None:
    assert submission(scope).id == submission(scope).id
    assert submission(scope).id.version == 5


@given(values)
def test_a_payload_comes_out_as_it_went_in(value: object) -> None:
    assert from_json(payload_of(Submission("a", value))) == value


@given(values, st.integers(1, JSON_DEPTH + 10))
def test_depth_is_counted_exactly_whatever_the_texts_hold(value: object, levels: int) -> None:
    deep: object = value
    for level in range(levels):
        deep = [deep, "]["] if level % 2 else {"}{": deep}
    try:
        payload_of(Submission("a", deep))
    except Unfit:
        assert depth_of(deep) > JSON_DEPTH
    else:
        assert depth_of(deep) <= JSON_DEPTH


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0
