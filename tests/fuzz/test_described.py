"""Does the API answer as its description says, whatever Schemathesis makes of that description?

Skipped where there is no Schemathesis.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.door import Door, Sent
from tests.proofs import Record

schemathesis = pytest.importorskip("schemathesis", reason="there is no Schemathesis")
requests = pytest.importorskip("requests", reason="Schemathesis brings it")
general = pytest.importorskip("schemathesis.checks")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

CHECKS = [
    general.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

OURS = "http://localhost:8080"


LONG = pytest.param(500, marks=(pytest.mark.long, pytest.mark.timeout(3_600)))


@pytest.mark.parametrize("many", [2, LONG])
def test_no_answer_is_undocumented_and_none_is_a_500(
    many: int, door: Door, record_property: Record
) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(door.openapi())))
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            tried += _try(operation, mode, many, door)
    record_property("runs", tried)
    assert tried


def _try(operation: Any, mode: Any, many: int, door: Door) -> int:  # noqa: ANN401 - theirs
    """So many cases of one operation; how many there were."""
    tried = 0

    @settings(
        max_examples=many, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        nonlocal tried
        case = data.draw(operation.as_strategy(generation_mode=mode))
        tried += 1
        case.validate_response(_answered(case, door), checks=CHECKS)

    try:
        attempt()
    except Exception as error:
        if type(error).__name__ != "Unsatisfiable":  # there is nothing that it could spoil
            raise
    return tried


def _answered(case: Any, door: Door) -> httpx.Response:  # noqa: ANN401 - theirs
    sent = requests.Request(**case.as_transport_kwargs(base_url=OURS)).prepare()
    url = urlsplit(sent.url)
    body = sent.body or b""
    headers = [(b"host", b"localhost")] + [
        (name.lower().encode("latin-1"), _bytes(value)) for name, value in sent.headers.items()
    ]
    answer = door.ask(
        Sent(
            sent.method,
            url.path.encode(),
            url.query.encode(),
            headers,
            body.encode() if isinstance(body, str) else body,
        )
    )
    told = httpx.Response(
        answer.status,
        headers=answer.headers,
        content=answer.body,
        request=httpx.Request(sent.method, sent.url),
    )
    told.elapsed = timedelta()
    return told


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")
