"""Bad input at every endpoint: a 4xx with a stable code and a request id, never a 5xx and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest
from processes import Up

DEEP = b"[" * 100 + b"]" * 100
BODIES: dict[str, tuple[str, bytes]] = {
    "not JSON": ("application/json", b"{not json"),
    "not an object": ("application/json", b"[]"),
    "empty": ("application/json", b""),
    "300 KB": ("application/json", b'{"name":"' + b"x" * 300_000 + b'"}'),
    "depth 100": ("application/json", b'{"name":' + DEEP + b"}"),
    "duplicate members": ("application/json", b'{"name":"a","name":"b"}'),
    "unknown members": ("application/json", b'{"surprise":1}'),
    "not UTF-8": ("application/json", b'{"name":"\xff"}'),
    "NaN": ("application/json", b'{"name":NaN}'),
    "wrong content type": ("text/plain", b'{"name":"a"}'),
    "form without fields": ("application/x-www-form-urlencoded", b""),
    "repeated parameter": ("application/x-www-form-urlencoded", b"grant_type=client_credentials&grant_type=x"),
    "unknown grant": ("application/x-www-form-urlencoded", b"grant_type=surprise"),
    "broken escapes": ("application/x-www-form-urlencoded", b"grant_type=%ff%fe"),
    "bad assertion": (
        "application/x-www-form-urlencoded",
        b"grant_type=client_credentials&client_assertion=a.b.c&client_assertion_type="
        b"urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
    ),
    "bad presentation": (
        "application/x-www-form-urlencoded",
        b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=%7B%7D"
        b"&subject_token_type=https%3A%2F%2Fwww.w3.org%2F2018%2Fcredentials%23VerifiablePresentation",
    ),
    "bad event": ("application/secevent+jwt", b"a.b.c"),
}
AGENT = "urn:uuid:00000000-0000-4000-8000-000000000000"
ENDPOINTS = [
    ("issuer", "POST", "/agents"),
    ("issuer", "POST", f"/agents/{AGENT}/enrolment"),
    ("issuer", "POST", f"/agents/{AGENT}/suspend"),
    ("issuer", "POST", f"/agents/{AGENT}/credentials"),
    ("issuer", "POST", f"/credentials/{AGENT}/revoke"),
    ("bridge", "POST", "/token"),
    ("bridge", "POST", "/revoke"),
    ("bridge", "POST", "/revocations"),
    ("bridge", "PUT", "/resources"),
    ("bridge", "PUT", "/users/smith"),
    ("bridge", "POST", "/authorize"),
    ("ledger", "POST", "/events"),
    ("demo", "POST", ""),
]
READS = [
    ("issuer", "/agents"),
    ("issuer", "/agents/nobody"),
    ("issuer", "/credentials"),
    ("issuer", "/registry/did:key:nobody"),
    ("issuer", "/status-lists/revocation/99"),
    ("issuer", "/status-lists/surprise/1"),
    ("issuer", "/status-lists/revocation/%00"),
    ("bridge", "/authorize"),
    ("bridge", "/authorize?client_id=did:key:nobody&client_id=again"),
    ("bridge", "/evidence/sha-256:nothing"),
    ("bridge", "/revocations?after=x"),
    ("bridge", "/revocations?after=1&after=2"),
    ("bridge", "/resources"),
    ("ledger", "/events"),
    ("ledger", "/export"),
    ("ledger", "/proofs/inclusion?seq=-1"),
    ("ledger", "/nowhere"),
    ("demo", ""),
    ("demo", "?access_token=abc"),
]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(up: Up) -> dict[str, str]:
    """Return a good operator token per party, so that the body is what is refused."""
    import asyncio

    from did_agent.adapters.keystore import load_key
    from did_agent.client.bridge import BridgeClient

    key = load_key(up.data / "keys" / "operator.jwk")
    bridge = BridgeClient(up.url("bridge"))
    return {
        party: asyncio.run(bridge.client_credentials(key, resource=up.url(party)))
        for party in ("issuer", "bridge", "ledger")
    }


def require_clean_refusal(response: httpx2.Response) -> None:
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:300]}"
    assert response.headers["x-request-id"]
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text
    if response.headers["content-type"].startswith("text/html"):
        return  # a page for people: it names the request id in its header
    answer = json.loads(response.content)
    code = answer.get("code") or answer.get("error")
    assert code, answer
    assert not isinstance(code, dict) or code["code"]


@pytest.mark.req("LIM-01", "OPS-03", "TOK-05", "OAU-05")
@pytest.mark.parametrize(("party", "method", "path"), ENDPOINTS)
def test_every_bad_body_is_refused_cleanly(
    up: Up, http: httpx2.Client, tokens: dict[str, str], party: str, method: str, path: str
) -> None:
    for authorised in (False, True):
        for kind, body in BODIES.values():
            headers = {"Content-Type": kind}
            if authorised and party in tokens and path not in ("/token", "/revoke", "/revocations"):
                headers["Authorization"] = f"Bearer {tokens[party]}"
            require_clean_refusal(http.request(method, up.url(party) + path, content=body, headers=headers))


@pytest.mark.req("OPS-03", "TOK-15")
@pytest.mark.parametrize(("party", "path"), READS)
def test_every_bad_question_is_refused_cleanly(up: Up, http: httpx2.Client, party: str, path: str) -> None:
    require_clean_refusal(http.get(up.url(party) + path))


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize("party", ["issuer", "bridge", "ledger"])
def test_a_huge_header_and_a_foreign_host_are_refused(up: Up, http: httpx2.Client, party: str) -> None:
    url = up.url(party) + "/livez"
    assert http.get(url, headers={"X-Large": "x" * 20_000}).status_code == 431
    assert http.get(url).status_code == 200


@pytest.mark.req("WEB-09")
@pytest.mark.parametrize("party", ["issuer", "bridge", "ledger"])
def test_only_the_configured_host_is_served(up: Up, http: httpx2.Client, party: str) -> None:
    url = up.url(party) + "/livez"
    assert http.get(url, headers={"Host": "rebound.example"}).status_code == 421
    assert http.get(url).status_code == 200


def test_good_input_still_passes_after_all_that(up: Up) -> None:
    assert up.json("agent", "create", "survivor", "--sponsor", "Operations")["state"] == "active"
