"""Does any request end in anything but an answer that the API describes?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final
from urllib.parse import unquote

from tests.door import Door, Sent
from tests.fuzz.spoiling import spoilt, text_of
from tests.fuzz.trying import inputs, survives

WORDS: Final = (
    "acme",
    "a/b",
    "../..",
    "%00",
    "%2F",
    "%C3%28",
    "{}",
    "null",
    "NaN",
    "1e999",
    "-1",
    "0",
    "7",
    "é",
    "9" * 400,
    "1.0.2",
    "normal.1=3",
    "low.99=1",
    "critical.0=0, high.1=9",
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "Bearer x",
    "http://evil.example",
    "gzip",
    '"k"',
    "2026-11-24T03:12:45Z",
    "0001-01-01T00:00:00+23:59",
    "bytes=0-1",
    "100-continue",
    "chunked",
)
VALUES: Final = (
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e999",
    "NaN",
    "-Infinity",
    "9" * 5_000,
    '""',
    '"a"',
    '"\\u0000"',
    '"\\ud800"',
    '"' + "x" * 300 + '"',
    "[]",
    "{}",
    "[" * 90 + "]" * 90,
    '{"a":1,"a":2}',
    '"critical"',
    '"urgent"',
    '"2100-01-01T00:00:00+01:00"',
    '"2100-01-01T00:00:00"',
    '"lane"',
    '"type"',
    '"discard"',
    "0.1",
    "1000000000000000000000",
    '"rejects"',
    '"waits"',
    '["x"]',
    '{"type":"rejects"}',
    "-0.0",
)
HEADERS: Final = (
    "idempotency-key",
    "job-position",
    "last-event-id",
    "content-type",
    "content-length",
    "accept",
    "authorization",
    "host",
    "origin",
    "sec-fetch-site",
    "user-agent",
    "x-request-id",
    "range",
    "accept-encoding",
    "content-encoding",
    "expect",
    "transfer-encoding",
    "cookie",
    "x-forwarded-for",
)
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
JSON: Final = "application/json"


def request_of(chance: Random, door: Door) -> tuple[str, Sent]:
    """A request to a route, good or with anything wrong in any part; and the route."""
    route = chance.choice(list(door.described))
    operations = list(door.described[route])
    method = chance.choice(operations).upper()
    if chance.random() < 0.05:
        method = chance.choice(METHODS)
    path = route
    for name in ("{job}", "{letter}", "{plan}"):
        path = path.replace(name, _name(chance, door, name))
    raw = path.encode(errors="replace")
    if chance.random() < 0.05:
        raw = b"/" + spoilt(raw, chance, (b"/v1/", b"%")).lstrip(b"/")
    operation = door.described[route].get(method.lower(), {})
    body = _body(chance, operation)
    headers = {"host": "localhost", "content-type": JSON}
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        headers[chance.choice(HEADERS)] = text_of(chance, WORDS, 2)
    named = [
        (name.encode(), value.encode("latin-1", "replace").translate(None, b"\r\n\0"))
        for name, value in headers.items()
    ]
    return route, Sent(method, raw, _query(chance, operation), named, body)


def _name(chance: Random, door: Door, name: str) -> str:
    if chance.random() < 0.7:
        return "1" if name == "{plan}" else chance.choice(door.names)
    return text_of(chance, WORDS, 2) or "x"


def _query(chance: Random, operation: Mapping[str, Any]) -> bytes:
    names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    pairs = [f"{name}={text_of(chance, WORDS, 2)}" for name in names if chance.random() < 0.3]
    if "name" in names and chance.random() < 0.8:
        pairs.append("name=rejects")
    query = "&".join(pairs).encode(errors="surrogatepass")
    return spoilt(query, chance, (b"&", b"=")) if chance.random() < 0.1 else query


def _body(chance: Random, operation: Mapping[str, Any]) -> bytes:
    if "requestBody" not in operation and chance.random() < 0.9:
        return b""
    fields = {
        "type": '"rejects"',
        "payload": "1",
        "because": '"so"',
        "kind": '"type"',
        "value": '"waits"',
        "selection": '{"type":"rejects"}',
        "submissions": '[{"type":"rejects"}]',
    }
    reference = (
        operation.get("requestBody", {})
        .get("content", {})
        .get(JSON, {})
        .get("schema", {})
        .get("$ref", "")
        .rpartition("/")[2]
    )
    wanted = {
        "SubmissionBody": ("type", "payload"), "BatchBody": ("submissions",),
        "ReasonBody": ("because",), "ReplayBody": ("because",), "EditBody": ("because", "payload"),
        "HoldBody": ("kind", "value", "because"), "ReleaseBody": ("kind", "value", "because"),
        "PreviewBody": ("selection",), "PlanBody": ("selection", "because"),
    }.get(reference, ("type",))  # fmt: skip
    chosen = {name: fields[name] for name in wanted}
    optional = ("entity", "priority", "dedupe_key", "not_before", "attempts", "until", "rate",
                "canary", "stop_above", "expect", "tenant", "id", "__proto__")  # fmt: skip
    for _ in range(chance.choice((0, 0, 1, 2))):
        chosen[chance.choice((*optional, *wanted))] = chance.choice(VALUES)
    text = ("{" + ",".join(f'"{name}":{value}' for name, value in chosen.items()) + "}").encode()
    match chance.randrange(12):
        case 0:
            return spoilt(text, chance, (b"{", b"[", b'"'))
        case 1:
            return chance.choice(VALUES).encode()
        case 2:
            return chance.choice(
                (b"", b"\xff\xfe{", b"[" * 100_000, text.decode().encode("utf-16"))
            )
        case _:
            return text


def check(door: Door, route: str, sent: Sent) -> None:
    """The answer is one that the route describes, and a problem where it is none."""
    answer = door.ask(sent)
    said = (sent, answer.status, answer.body[:200])
    assert answer.status < 500 or answer.status == 503, said
    operation = door.described[route].get(sent.method.lower())
    if operation is not None and _is_of(unquote(sent.path.decode("latin-1")), route):
        known = {*operation["responses"], "404"}
        assert str(answer.status) in known, said
    if answer.status >= 400 and sent.method != "HEAD" and route != "/ready":
        assert answer.headers["content-type"] == "application/problem+json", said
        problem = json.loads(answer.body)
        assert problem["status"] == answer.status
        assert problem["detail"], said
    assert "content-security-policy" in answer.headers, said


def _is_of(path: str, route: str) -> bool:
    """Whether a path is still one of its route, whatever was spoilt in it."""
    parts, wanted = path.split("/"), route.split("/")
    return len(parts) == len(wanted) and all(
        one == other or "{" in other for one, other in zip(parts, wanted, strict=True)
    )


@inputs(400)
def test_a_request_is_answered_as_described_and_never_by_a_500(
    seeds: Sequence[int], door: Door
) -> None:
    def attempt(seed: int) -> None:
        check(door, *request_of(Random(seed), door))

    survives(attempt, seeds)
