"""The issuer: who may ask, what a name may be, one answer per invitation, and a lifecycle that is a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.chain import verify_chain
from did_agent.credential.status import is_set, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import StateConflict
from did_agent.presentation.present import present
from issuer.api import routes as issuer_routes
from issuer.api.routes import issuer_api
from issuer.model import LIFECYCLE, next_state
from issuer.naming import require_name, require_redirect
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    AGENT_KEY,
    ISSUER_URL,
    KEY,
    OPERATOR,
    RESOURCE,
    auth,
    issuer,
    onboard,
    recorded,
)


@pytest.mark.req("WEB-01")
async def test_every_route_needs_its_scope(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        for method, path in (
            ("POST", "/agents"), ("GET", "/agents"), ("GET", "/agents/x"), ("POST", "/agents/x/suspend"),
            ("POST", "/agents/x/credentials"), ("GET", "/credentials"), ("GET", "/credentials/x"),
            ("POST", "/credentials/x/revoke"), ("GET", "/registry/x"),
        ):  # fmt: skip
            assert (await http.request(method, path, json={})).status_code == 401, path
            refused = await http.request(method, path, json={}, headers=auth("audit:read"))
            assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), path
        assert (await http.get("/agents", headers=auth("registry:read"))).status_code == 200
        assert (await http.post("/agents", json={}, headers=auth("registry:read"))).status_code == 403


@pytest.mark.req("WEB-01")
def test_a_route_without_a_policy_does_not_start() -> None:
    async def nothing(*_: object) -> Any:
        return None

    bare = issuer_routes.Route(method="GET", path="/open", action="x", access=frozenset(), handler=nothing)
    unused: Any = None
    with pytest.raises(ValueError, match="declares no policy"):
        issuer_api([bare], unused, unused)


@pytest.mark.req("VCX-01", "VCX-02")
async def test_an_invitation_is_answered_once_in_time_by_a_key_for_us(tmp_path: Path) -> None:
    moment = [NOW]
    async with issuer(tmp_path, clock=lambda: moment[0]) as (http, _):
        made = (await http.post("/agents", json={"name": "one", "sponsor": "Ops"}, headers=ADMIN)).json()
        challenge, path = made["enrolment"]["challenge"], f"/agents/{made['agent_id']}/enrolment"

        async def answer(**changes: Any) -> int:
            options = {"key": AGENT_KEY, "audience": ISSUER_URL, "challenge": challenge, "now": NOW, **changes}
            proof = present([], **options)
            return int((await http.post(path, json={"presentation": proof})).status_code)

        assert await answer(audience="https://evil.example") == 401
        assert await answer(challenge="guess") == 401
        moment[0] = NOW + timedelta(minutes=16)
        assert await answer(now=moment[0]) == 401
        moment[0] = NOW
        assert await answer() == 201
        assert await answer() == 401
        other = (await http.post("/agents", json={"name": "two", "sponsor": "Ops"}, headers=ADMIN)).json()
        proof = present([], key=AGENT_KEY, audience=ISSUER_URL, challenge=other["enrolment"]["challenge"], now=NOW)
        taken = await http.post(f"/agents/{other['agent_id']}/enrolment", json={"presentation": proof})
        assert (taken.status_code, taken.json()["code"]) == (409, "state_conflict")


@pytest.mark.req("REV-03")
def test_the_lifecycle_is_the_table_and_nothing_else() -> None:
    allowed = 0
    for state in ("pending", "active", "suspended", "retired"):
        for change in ("enrol", "suspend", "resume", "retire", "recover"):
            try:
                assert next_state(state, change) == LIFECYCLE[state, change]
                allowed += 1
            except StateConflict:
                assert (state, change) not in LIFECYCLE
    assert allowed == len(LIFECYCLE)
    assert not any(state == "retired" for state, _ in LIFECYCLE)


@pytest.mark.req("REV-03", "VCX-10")
async def test_suspension_comes_back_and_revocation_does_not(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        body = {"capabilities": [{"resource": [RESOURCE], "tools": {"a": {}}}]}
        issued = await http.post(f"/agents/{agent['agent_id']}/credentials", json=body, headers=ADMIN)
        document = issued.json()["credential"]
        trusted = TrustedIssuers.of(did_key(KEY.public))
        chain = verify_chain([document], holder=agent["did"], now=NOW, trusted=trusted, max_depth=4)

        async def bits() -> dict[str, bool]:
            found = {}
            for entry in chain.status_entries:
                answer = (await http.get(entry.list_url)).json()
                verified = verify_status_list(answer, expected_url=entry.list_url, trusted_issuers=trusted, now=NOW)
                found[entry.purpose] = is_set(verified.bits, entry.index)
            return found

        async def change(verb: str, place: str = "agents", identifier: str = agent["agent_id"]) -> int:
            reason = {"reason": "because"}
            return int((await http.post(f"/{place}/{identifier}/{verb}", json=reason, headers=ADMIN)).status_code)

        assert await bits() == {"revocation": False, "suspension": False}
        assert await change("suspend") == 200
        assert await bits() == {"revocation": False, "suspension": True}
        refused = await http.post(f"/agents/{agent['agent_id']}/credentials", json=body, headers=ADMIN)
        assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
        assert "suspended" in refused.json()["detail"]
        assert await change("resume") == 200
        assert await bits() == {"revocation": False, "suspension": False}
        assert await change("revoke", "credentials", document["id"]) == 200
        assert await change("revoke", "credentials", document["id"]) == 200
        assert await bits() == {"revocation": True, "suspension": False}
        assert await change("retire") == 200
        assert await change("resume") == 409
        tag = (await http.get(chain.status_entries[0].list_url)).headers["etag"]
        again = await http.get(chain.status_entries[0].list_url, headers={"If-None-Match": tag})
        assert again.status_code == 304


async def test_a_limit_nobody_counts_is_not_granted(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        limited = {"resource": [RESOURCE], "tools": {"a": {}}, "limits": {"maxTokens": 1}}
        path = f"/agents/{agent['agent_id']}/credentials"
        refused = await http.post(path, json={"capabilities": [limited]}, headers=ADMIN)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter")
        assert "not enforced by this release" in refused.json()["detail"]
        counted = {"maxCalls": 1, "maxRate": 6, "singleUse": True, "maxAmount": "9.50", "currency": "EUR"}
        granted = await http.post(path, json={"capabilities": [{**limited, "limits": counted}]}, headers=ADMIN)
        assert granted.json()["credential"]["credentialSubject"]["capability"][0]["limits"] == counted
        for spoiled in ({"valid_seconds": 0}, {"valid_seconds": 86_401}, {"max_depth": 5}, {"valid_seconds": True}):
            body = {"capabilities": [{"resource": [RESOURCE], "tools": {"a": {}}}], **spoiled}
            assert (await http.post(path, json=body, headers=ADMIN)).status_code == 400


@pytest.mark.req("WEB-08")
@pytest.mark.parametrize(
    "name",
    [
        "", " padded ", "x" * 65, "line\nbreak", "bidi\u202eevil", "zero\u200bwidth", "p\u0430ypal", "e\u0301tude",
        "tab\t", "nul\x00", "private\ue000", "\u3164", "stock\ufe0f", "st\u034fock", "\u2800",
    ],
)  # fmt: skip
async def test_a_name_that_pretends_is_refused(name: str, tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        response = await http.post("/agents", json={"name": name, "sponsor": "Ops"}, headers=ADMIN)
        assert response.status_code == 400


@pytest.mark.req("WEB-08")
async def test_a_name_that_looks_like_another_is_taken(tmp_path: Path) -> None:
    assert require_name("étude-7") == "étude-7"
    async with issuer(tmp_path) as (http, _):
        assert (await http.post("/agents", json={"name": "Stock", "sponsor": "O"}, headers=ADMIN)).status_code == 201
        for name in ("stock", "ＳＴＯＣＫ", "s t o c k"):
            response = await http.post("/agents", json={"name": name, "sponsor": "O"}, headers=ADMIN)
            assert response.status_code in (400, 409), name


@pytest.mark.req("OAU-03")
@pytest.mark.parametrize(
    "uri",
    [
        "http://example.com/cb", "https://user@example.com/cb", "https://example.com/cb#x", "https://example.com/../x",
        "https://*.example.com/cb", "javascript:alert(1)", "https://example.com\\@evil.example", "http://localhost/cb",
        "https://ex\u00e4mple.com/", "https://", "https://example.com/a b", "https://[bad/cb", "https://example.com:99999/",
    ],
)  # fmt: skip
def test_an_odd_redirect_is_not_registered(uri: str) -> None:
    with pytest.raises(Exception, match="redirect_uris"):
        require_redirect(uri)
    assert require_redirect("http://127.0.0.1/callback") == "http://127.0.0.1/callback"


@pytest.mark.req("AUD-01", "AUD-02")
async def test_what_was_refused_is_recorded_too(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await http.post("/agents", json={"name": "one", "sponsor": "Ops"})
        await http.post("/agents", json={"name": "one"}, headers=ADMIN)
        await http.post("/agents", json={"name": "one", "sponsor": "Ops"}, headers=ADMIN)
    events = await recorded(tmp_path)
    assert [(event.action, event.decision, event.reason) for event in events] == [
        ("agent.create", "deny", "not_authenticated"),
        ("agent.create", "deny", "invalid_parameter"),
        ("agent.create", "allow", "allowed"),
    ]
    assert [event.principal for event in events] == [None, OPERATOR, OPERATOR]
    assert datetime(2026, 1, 1, tzinfo=UTC) < events[0].time
