"""Operators of organisations, through bridge and issuer: each in its own, by its role, until it is removed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion
from tests.fakes.bridge_world import ASSERTION, START
from tests.fakes.deployment import Deployed, deployed


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("operators")) as running:
        yield running


def call(method: str, url: str, token: str, **content: Any) -> httpx2.Response:
    return httpx2.request(method, url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, **content)


def put(parties: Deployed, did: str, **body: Any) -> httpx2.Response:
    return call("PUT", f"{parties.urls['bridge']}/operators/{did}", parties.token("bridge"), json=body)


def token_of(parties: Deployed, key: SigningKey, party: str = "issuer", **more: str) -> httpx2.Response:
    made = make_client_assertion(key, audience=parties.urls["bridge"], now=START)
    form = {"grant_type": "client_credentials", "resource": parties.urls[party], **more}
    proof = {"client_assertion_type": ASSERTION, "client_assertion": made}
    return httpx2.post(f"{parties.urls['bridge']}/token", data=form | proof, trust_env=False)


def added(parties: Deployed, organisation: str, role: str) -> tuple[SigningKey, str]:
    """Return the key of a new operator, and a token of theirs for the issuer."""
    body = {"name": organisation}
    assert call("POST", f"{parties.urls['issuer']}/organisations", parties.token("issuer"), json=body).status_code in (
        201,
        409,
    )
    key = SigningKey.generate()
    answer = put(parties, did_key(key.public), name=f"{role} of {organisation}", organisation=organisation, role=role)
    assert answer.status_code == 200, answer.text
    token = token_of(parties, key)
    assert token.status_code == 200, token.text
    return key, str(token.json()["access_token"])


def ends(url: str, token: str) -> bool:
    """Tell whether a token is refused within the time the issuer has to hear of its end (REV-01)."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if call("GET", url, token).status_code == 401:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.req("WEB-02")
def test_an_operator_sees_its_own_organisation_alone(parties: Deployed) -> None:
    issuer = parties.urls["issuer"]
    (_, acme), (_, globex), home = (
        added(parties, "acme", "admin"),
        added(parties, "globex", "admin"),
        parties.token("issuer"),
    )
    body = {"name": "carrier", "sponsor": "Ops"}
    made = {
        name: call("POST", f"{issuer}/agents", token, json=body)
        for name, token in (("acme", acme), ("globex", globex), ("home", home))
    }  # the same name: tenants share no namespace
    assert [answer.status_code for answer in made.values()] == [201, 201, 201]
    assert [answer.json()["organisation"] for answer in made.values()] == ["acme", "globex", "home"]
    unknown = call("GET", f"{issuer}/agents/urn:uuid:00000000-0000-4000-8000-000000000000", acme)
    for name, token in (("globex", acme), ("home", acme), ("acme", globex), ("acme", home)):
        foreign = call("GET", f"{issuer}/agents/{made[name].json()['agent_id']}", token)
        assert foreign.status_code == unknown.status_code == 404
        assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
        stopped = call("POST", f"{issuer}/agents/{made[name].json()['agent_id']}/retire", token, json={"reason": "x"})
        assert stopped.status_code == 404
    assert [one["organisation"] for one in call("GET", f"{issuer}/agents", acme).json()["agents"]] == ["acme"]
    assert call("GET", f"{issuer}/agents/{made['acme'].json()['agent_id']}", acme).status_code == 200


@pytest.mark.req("WEB-04")
def test_a_role_is_what_it_says(parties: Deployed) -> None:
    issuer, body = parties.urls["issuer"], {"name": "roled", "sponsor": "Ops"}
    added_all = {role: added(parties, "roles", role) for role in ("admin", "manager", "auditor", "sponsor")}
    tokens = {role: token for role, (_, token) in added_all.items()}
    path = f"{issuer}/principals/{did_key(added_all['sponsor'][0].public)}"
    assert call("PUT", path, tokens["admin"], json={"sponsors": ["Ops"]}).status_code == 200
    assert call("POST", f"{issuer}/agents", tokens["auditor"], json=body).status_code == 403
    owned = call("POST", f"{issuer}/agents", tokens["sponsor"], json=body).json()
    other = call("POST", f"{issuer}/agents", tokens["manager"], json={**body, "name": "another"}).json()
    seen = {role: [one["name"] for one in call("GET", f"{issuer}/agents", token).json()["agents"]]
            for role, token in tokens.items()}  # fmt: skip
    assert {role: sorted(names) for role, names in seen.items()} == {
        "admin": ["another", "roled"], "manager": ["another", "roled"], "auditor": ["another", "roled"], "sponsor": ["roled"]
    }  # fmt: skip
    assert call("GET", f"{issuer}/agents/{other['agent_id']}", tokens["sponsor"]).status_code == 404
    assert call("GET", f"{issuer}/agents/{owned['agent_id']}", tokens["sponsor"]).status_code == 200


@pytest.mark.req("WEB-04")
def test_a_role_opens_nothing_else_and_is_nobodys_to_take(parties: Deployed) -> None:
    key, token = added(parties, "narrow", "admin")
    asked = token_of(parties, key, scope="issuer:admin issuer:manage registry:read")
    assert asked.json()["scope"] == "issuer:admin"
    assert token_of(parties, key, scope="registry:read").status_code == 400
    for party in ("bridge", "ledger"):
        assert token_of(parties, key, party).status_code in (400, 401)
    bridge = parties.urls["bridge"]
    assert call("GET", f"{bridge}/operators", token).status_code in (401, 403)
    assert call("PUT", f"{bridge}/operators/{did_key(key.public)}", token, json={}).status_code in (401, 403)
    stranger = token_of(parties, SigningKey.generate())
    assert stranger.status_code in (400, 401)
    # The deployment's own operators are of no organisation; and nobody is made one of the deployment's.
    own = put(parties, did_key(parties.operator.public), name="me", organisation="acme", role="sponsor")
    assert (own.status_code, own.json()["code"]) == (409, "state_conflict")
    for spoilt in ({"organisation": "home"}, {"organisation": "No Spaces"}, {"role": "root"}, {"extra": 1}):
        body = {"name": "x", "organisation": "acme", "role": "admin", **spoilt}
        assert put(parties, did_key(SigningKey.generate().public), **body).status_code == 400


@pytest.mark.req("REV-01")
def test_what_an_operator_held_ends_with_its_role(parties: Deployed) -> None:
    key, token = added(parties, "leaving", "admin")
    url = f"{parties.urls['issuer']}/agents"
    assert call("GET", url, token).status_code == 200
    did = did_key(key.public)
    assert put(parties, did, name="less", organisation="leaving", role="auditor").status_code == 200
    assert ends(url, token)
    less = str(token_of(parties, key).json()["access_token"])
    assert call("POST", url, less, json={"name": "late", "sponsor": "Ops"}).status_code == 403
    removed = call("DELETE", f"{parties.urls['bridge']}/operators/{did}", parties.token("bridge"))
    assert removed.status_code == 204
    assert ends(url, less)
    assert token_of(parties, key).status_code in (400, 401)
    again = call("DELETE", f"{parties.urls['bridge']}/operators/{did}", parties.token("bridge"))
    assert again.status_code == 404
