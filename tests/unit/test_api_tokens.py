"""Who comes in, with what, and how far?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor import ConfigurationError, Jobs, Reject, Request
from processor.api.tokens import LOCAL, Scope, make_token, read_tokens
from processor.domain.ids import dead_letter_id
from processor.runtime.submission import new_id
from processor.testing import in_virtual_time
from tests.site import LONG_AGO, Site, bearer, tokens_of

TOKENS = tokens_of(
    ours=bearer("ada", "acme"),
    reads=bearer("bob", "acme", frozenset({Scope.READ})),
    submits=bearer("cyd", "acme", frozenset({Scope.SUBMIT})),
    foreign=bearer("eve", "other"),
    nobodys=bearer("nob"),
    old=bearer("ada", "acme", expires=LONG_AGO),
    all=bearer("root", everywhere=True),
)
WRONG = ("Bearer wrong", "Bearer old", "Bearer", "Bearer ", "Basic ours", "ours", "bearer  ", "")


def application() -> Jobs:
    jobs = Jobs()

    @jobs.handler("rejects")
    async def rejects(request: Request[str]) -> None:
        raise Reject("it cannot be")

    return jobs


def of(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes(site: Site) -> Iterator[tuple[str, str]]:
    """Every method of every route there is, pages and files too."""
    described = site.app.openapi()["paths"]
    for path, item in described.items():
        for method in item:
            yield method.upper(), path
    for path in ("/", "/jobs/{job}", "/dead-letters", "/plans/{plan}", "/static/style.css"):
        yield "GET", path
    yield "GET", "/openapi.json"


BODIES: dict[str, Any] = {
    "/v1/jobs": {"type": "rejects"},
    "/v1/batches": {"submissions": [{"type": "rejects"}]},
    "/v1/holds": {"kind": "type", "value": "a", "because": "b"},
    "/v1/holds/release": {"kind": "type", "value": "a", "because": "b"},
}
REASON = {"because": "b"}
OURS = {"selection": {"type": "rejects", "tenant": "acme"}}
BODIES |= {
    "/v1/dead-letters/{letter}/edit": {"payload": 1, **REASON},
    "/v1/plans/preview": OURS,
    "/v1/plans": {**OURS, **REASON},
}


async def ask(
    site: Site, method: str, path: str, headers: dict[str, str], **names: str
) -> httpx.Response:
    """A request that would do something, were it allowed."""
    filled = re.sub(r"{(\w+)}", lambda found: names.get(found[1], "1"), path)
    if filled == "/v1/entity":
        filled += "?name=N1&tenant=acme"
    body = BODIES.get(path, REASON) if method == "POST" else None
    if body is None:
        return await site.http.request(method, filled, headers=headers)
    return await site.post(filled, body, headers=headers)


@in_virtual_time
async def test_wrong_expired_and_no_tokens_get_401_on_every_route() -> None:
    async with Site(application(), TOKENS) as site:
        job = (await site.post("/v1/jobs", {"type": "rejects"}, headers=of("ours"))).json()["id"]
        letter = str(dead_letter_id(new_id(), 1))
        asked = 0
        answers = set()
        for method, path in routes(site):
            for wrong in WRONG:
                headers = {"Authorization": wrong}
                answer = await ask(site, method, path, headers, job=job, letter=letter)
                assert answer.status_code == 401, (method, path, wrong)
                assert answer.headers["www-authenticate"].startswith("Bearer")
                answers.add(answer.content)
                asked += 1
            if path.startswith("/v1/") or path == "/metrics":
                answer = await ask(site, method, path, {}, job=job, letter=letter)
                assert answer.status_code == 401, (method, path)
        assert asked > 150
        assert len(answers) == 1


@in_virtual_time
async def test_a_foreign_token_gets_403_or_the_404_of_what_is_not_there_on_every_route() -> None:
    async with Site(application(), TOKENS) as site:
        sent = {"type": "rejects", "payload": "secret", "entity": "N1"}
        job = (await site.post("/v1/jobs", sent, headers=of("ours"))).json()["id"]
        await site.settled()
        (dead,) = site.dead_letters
        names = {"job": job, "letter": str(dead.died.id)}
        unknown = {"job": str(new_id()), "letter": str(dead_letter_id(new_id(), 1))}
        its_own = set()
        for method, path in routes(site):
            if not path.startswith("/v1/"):
                continue
            for token in ("foreign", "nobodys"):
                there = await ask(site, method, path, of(token), **names)
                nowhere = await ask(site, method, path, of(token), **unknown)
                assert there.status_code == nowhere.status_code
                assert there.content == nowhere.content or there.status_code == 202
                assert b"secret" not in there.content
                assert b"N1" not in there.content
                if there.status_code not in {403, 404}:
                    its_own.add(path)
        # What names nothing of anybody else is theirs to do.
        assert its_own == {
            "/v1/jobs",
            "/v1/batches",
            "/v1/plans",
            "/v1/dead-letters",
            "/v1/dead-letters/groups",
        }
        await site.settled()
        listed = (await site.get("/v1/dead-letters", headers=of("foreign"))).json()["letters"]
        assert {one["tenant"] for one in listed} == {"other"}
        grouped = (await site.get("/v1/dead-letters/groups", headers=of("foreign"))).json()
        assert sum(one["letters"] for one in grouped["groups"]) == len(listed)
        assert site.dead_letters[0].died.id == dead.died.id


@in_virtual_time
async def test_a_scope_lets_in_to_what_it_names_and_nothing_else() -> None:
    async with Site(application(), TOKENS) as site:
        job = (await site.post("/v1/jobs", {"type": "rejects"}, headers=of("submits"))).json()["id"]
        await site.settled()
        names = {"job": job, "letter": str(site.dead_letters[0].died.id)}
        for method, path in routes(site):
            if not path.startswith("/v1/"):
                continue
            reads = await ask(site, method, path, of("reads"), **names)
            assert (reads.status_code == 403) == (method == "POST" or _of_all(path)), path
            submits = await ask(site, method, path, of("submits"), **names)
            assert (submits.status_code == 202) == (path in {"/v1/jobs", "/v1/batches"}), path
            assert submits.status_code in {202, 403}, path


def _of_all(path: str) -> bool:
    return path in {"/v1/overview", "/v1/workers", "/v1/holds", "/v1/audit"}


@in_virtual_time
async def test_the_tenant_is_the_tokens_and_the_actor_its_subject() -> None:
    async with Site(application(), TOKENS) as site:
        job = (await site.post("/v1/jobs", {"type": "rejects"}, headers=of("ours"))).json()["id"]
        await site.settled()
        (dead,) = site.dead_letters
        assert (dead.died.tenant, dead.died.caller and dead.died.caller.user) == ("acme", "ada")
        replay = f"/v1/dead-letters/{dead.died.id}/replay"
        assert (await site.post(replay, REASON, headers=of("ours"))).json() == {"job": job}
        await site.settled()
        told = (await site.get(f"/v1/jobs/{job}", headers=of("all"))).json()
        replays = [one["replay"] for one in told["history"] if one.get("replay")]
        assert [one["actor"] for one in replays] == ["ada"]
        assert (await site.get("/v1/overview", headers=of("all"))).status_code == 200


@in_virtual_time
async def test_another_host_is_refused_where_no_token_is_needed() -> None:
    async with Site(application()) as site:
        for host in ("evil.example", "127.0.0.1.evil.example:8080", "", "[::1"):
            answer = await site.get("/v1/overview", headers={"Host": host})
            assert answer.status_code == 421, host
        for good in ("localhost", "127.0.0.1:9", "[::1]:8080"):
            assert (await site.get("/v1/overview", headers={"Host": good})).status_code == 200


@in_virtual_time
async def test_another_sites_page_changes_nothing() -> None:
    async with Site(application()) as site:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:9999"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            refused = await site.post("/v1/jobs", {"type": "a"}, headers=headers)
            assert refused.status_code == 403, headers
        ours = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
        assert (await site.post("/v1/jobs", {"type": "a"}, headers=ours)).status_code == 202


@in_virtual_time
async def test_every_answer_is_hardened() -> None:
    async with Site(application(), TOKENS) as site:
        for path in ("/v1/overview", "/nothing", "/live", "/openapi.json"):
            headers = (await site.get(path)).headers
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers


@in_virtual_time
async def test_pages_are_told_whole_whatever_range_is_asked_for() -> None:
    async with Site(application()) as site:
        for path in ("/", f"/jobs/{new_id()}", "/dead-letters", "/plans/1", "/static/job.js"):
            for asked in ("x", "bytes=0-1", ""):
                answer = await site.get(path, headers={"Range": asked})
                assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
                assert int(answer.headers["content-length"]) == len(answer.content) > 500


def test_a_token_that_was_made_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    expires = datetime(2100, 1, 1, tzinfo=UTC)
    one, first = make_token('ada "the" \\ first', "acme", [Scope.READ, Scope.SUBMIT], expires)
    two, second = make_token("root", "*", [*Scope], None)
    file.write_text(first + "\n" + second)
    tokens = read_tokens(file)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ada, root = tokens.bearer(one, now), tokens.bearer(two, now)
    assert ada is not None
    assert root is not None
    assert (ada.subject, ada.tenant, ada.everywhere) == ('ada "the" \\ first', "acme", False)
    assert ada.scopes == {Scope.READ, Scope.SUBMIT}
    assert (root.tenant, root.everywhere) == (None, True)
    assert tokens.bearer(one, expires) is None
    assert tokens.bearer(one + "x", now) is None
    assert one not in file.read_text()
    assert LOCAL.sees("anybody")


KNOWN = f'sha256 = "{"0" * 64}"'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no [[token]]"),
        ("token = 1", "has no [[token]]"),
        ("a = ", "is no TOML"),
        ('[[token]]\nsha256 = "abc"', "64 hexadecimal digits"),
        (f"[[token]]\n{KNOWN}", "its subject"),
        (f'[[token]]\n{KNOWN}\nsubject = "a"', "its scopes"),
        (f'[[token]]\n{KNOWN}\nsubject = "a"\nscopes = ["rule"]', "read, submit, operate"),
        (f'[[token]]\n{KNOWN}\nsubject = "a"\nscopes = ["read"]\nexpires = "soon"', "no time"),
        (f'[[token]]\n{KNOWN}\nsubject = "a"\nscopes = ["read"]\ntenants = 1', "'tenants'"),
        (f'[[token]]\n{KNOWN}\nsubject = "a"\nscopes = ["read"]\n' * 2, "one token twice"),
    ],
)
def test_a_wrong_token_file_is_one_clear_line(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_tokens(file)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_token_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_tokens(tmp_path / "none")
