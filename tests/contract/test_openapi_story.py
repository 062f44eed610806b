"""An honest story at every party; each answer is held against what its party publishes as OpenAPI."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from jsonschema import Draft202012Validator

from did_agent.adapters.openapi import PATH
from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk
from did_agent.presentation.present import present, present_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from tests.contract import issuer_story, ledger_story, trust_story
from tests.contract.bridge_tenants_story import tenants
from tests.fakes.bridge_world import ASSERTION, EXCHANGE, PASSWORD, START, VP, form_of, origin
from tests.fakes.deployment import Deployed, deployed

RESOURCE, CALLBACK, SECRET = "https://urban-bites.example/mcp", "https://app.example/cb", "s" * 43
CAPABILITY = {"resource": [RESOURCE], "tools": {"list_menu": {}}}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(slots=True)
class Witness:
    """A client whose every answer is checked; it remembers which operations it saw succeed."""

    deployment: Deployed
    party: str
    http: httpx2.Client = field(init=False)
    document: dict[str, Any] = field(init=False)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.http = httpx2.Client(base_url=self.deployment.urls[self.party], trust_env=False, timeout=30)
        self.document = self.http.get(PATH).json()

    def send(self, method: str, path: str, status: int, *, bearer: str | None = None, **sent: Any) -> Any:
        headers = {**sent.pop("headers", {}), **({} if bearer is None else {"Authorization": f"Bearer {bearer}"})}
        answer = self.http.request(method, path, headers=headers, **sent)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        self.check(method, path, answer)
        return answer

    def begin(self, path: str, *, bearer: str) -> None:
        """Open a stream of events, check how it begins, and leave."""
        with self.http.stream("GET", path, headers={"Authorization": f"Bearer {bearer}"}) as answer:
            begun = httpx2.Response(answer.status_code, headers=answer.headers, text=next(answer.iter_text()))
        self.check("GET", path, begun)

    def form(self, path: str, status: int, **fields: str) -> Any:
        return self.send("POST", path, status, content=urlencode(fields), headers=FORM)

    def check(self, method: str, path: str, answer: httpx2.Response) -> None:
        name, operation = self.operation(method, urlsplit(path).path)
        said = operation["responses"].get(str(answer.status_code))
        if said is None:
            said = operation["responses"][f"{answer.status_code // 100}XX"]
        else:
            self.seen.add(f"{method} {name}")
        content = said.get("content")
        if not content:
            assert answer.content == b"" or answer.is_redirect, name
            return
        media = answer.headers["content-type"].split(";")[0]
        assert media in content, (name, media)
        is_json = media == "application/json" or media.endswith("+json") or media == "application/vc"
        schema = {**content[media]["schema"], "components": self.document["components"]}
        Draft202012Validator(schema).validate(answer.json() if is_json else answer.text)

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        exact = [name for name in self.document["paths"] if name == path]
        fitting = [name for name in self.document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", ".+", name), path)]
        fitting.sort(key=lambda name: (name.count("/") != path.count("/"), name.count("{")))
        name = next(one for one in [*exact, *fitting] if method.lower() in self.document["paths"][one])
        return name, self.document["paths"][name][method.lower()]

    def unseen(self) -> set[str]:
        paths = self.document["paths"].items()
        return {f"{method.upper()} {path}" for path, methods in paths for method in methods} - self.seen


@dataclass(slots=True)
class Story:
    """The parties, as one operator and one agent meet them."""

    deployment: Deployed
    bridge: Witness
    issuer: Witness
    ledger: Witness
    vc_api: Witness
    key: SigningKey = field(default_factory=SigningKey.generate)

    @property
    def did(self) -> str:
        return did_key(self.key.public)

    def proof(self) -> dict[str, str]:
        made = make_client_assertion(self.key, audience=self.deployment.urls["bridge"], now=START)
        return {"client_assertion_type": ASSERTION, "client_assertion": made}

    def enrol(self) -> dict[str, Any]:
        """Walk an agent from registration to its first credential; return the credential."""
        admin, issuer = self.deployment.token("issuer"), self.issuer
        body = {"name": "orders", "sponsor": "Ops", "redirect_uris": [CALLBACK]}
        made = issuer.send("POST", "/agents", 201, bearer=admin, json=body).json()
        invited = made["enrolment"]
        shown = present([], key=self.key, audience=invited["domain"], challenge=invited["challenge"], now=START)
        where = f"/agents/{made['agent_id']}"
        issuer.send("POST", f"{where}/enrolment", 201, json={"presentation": shown})
        asked = {"capabilities": [CAPABILITY]}
        issued = issuer.send("POST", f"{where}/credentials", 201, bearer=admin, json=asked).json()
        return dict(issued["credential"])

    def code(self, asking: dict[str, str]) -> str:
        """Walk login and consent; return the code."""
        path, sent = "/authorize?" + urlencode(asking), {**FORM, "Origin": origin(self.deployment.urls["bridge"])}
        page = form_of(self.bridge.send("GET", path, 200).text).fields
        login = urlencode(page | {"username": "smith", "password": PASSWORD})
        self.bridge.send("POST", path, 303, content=login, headers=sent)
        page_of = form_of(self.bridge.send("GET", path, 200).text)
        chosen = [("scope_item", box) for box in page_of.boxes if box != "yes"]
        chosen += [("offline", "yes")] if "yes" in page_of.boxes else []
        answer = urlencode([*page_of.fields.items(), *chosen, ("decision", "allow")])
        given = self.bridge.send("POST", path, 303, content=answer, headers=sent)
        return parse_qs(urlsplit(given.headers["location"]).query)["code"][0]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with deployed(tmp_path_factory.mktemp("story")) as running:
        witnesses = {party: Witness(running, party) for party in running.urls}
        yield Story(running, **witnesses)
        for witness in witnesses.values():
            witness.http.close()


def test_the_answers_of_an_honest_day_are_those_that_are_published(story: Story) -> None:
    credential = story.enrol()
    at_the_issuer(story, credential)
    trust_story.trust(story)
    issuer_story.issuer(story)
    prepare_the_bridge(story)
    tokens_at_the_bridge(story, credential)
    administration_of_the_bridge(story)
    ledger_story.ledger(story)
    at_the_vc_api(story, credential)
    # Nothing is left out but what this deployment does not offer, or what only a browser can begin.
    assert story.bridge.unseen() <= ELSEWHERE
    assert story.issuer.unseen() <= issuer_story.ELSEWHERE | trust_story.ELSEWHERE
    for witness in (story.ledger, story.vc_api):
        assert witness.unseen() == set(), witness.party


# What other tests walk through with the very parts it needs: a provider, a passkey, a policy with two approvers.
ELSEWHERE = {
    "POST /upstream/test",
    "POST /revocations/batch",
    "GET /status-lists/tokens/{number}",
    "GET /account/requests/{digest}",
    "POST /account/requests/{digest}",
}


def at_the_issuer(story: Story, credential: dict[str, Any]) -> None:
    issuer, admin = story.issuer, story.deployment.token("issuer")
    agents = issuer.send("GET", "/agents", 200, bearer=admin).json()["agents"]
    identifier = agents[0]["agent_id"]
    issuer.send("GET", f"/agents/{identifier}", 200, bearer=admin)
    reader = story.deployment.token("issuer", scope="registry:read")
    issuer.send("GET", f"/registry/{story.did}", 200, bearer=reader)
    issuer.send("GET", f"/registry/{story.did}/keys", 200, bearer=reader)
    issuer.send("GET", f"/registry/{story.did}", 403, bearer=admin)  # whoever operates an organisation is no party
    issuer.send("GET", "/credentials", 200, bearer=admin)
    issuer.send("GET", f"/credentials/{credential['id']}", 200, bearer=admin)
    for purpose in ("revocation", "suspension"):
        issuer.send("GET", f"/status-lists/{purpose}/1", 200)
    issuer.send("GET", "/contexts/capability/v1", 200)
    issuer.send("GET", "/schemas/agent-capability-credential/v1", 200)
    issuer.send("GET", "/.well-known/did-agent-issuer", 200)
    issuer.send("GET", "/livez", 200)
    issuer.send("GET", "/readyz", 200)
    why = {"reason": "a test"}
    issuer.send("POST", f"/agents/{identifier}/suspend", 200, bearer=admin, json=why)
    issuer.send("POST", f"/agents/{identifier}/resume", 200, bearer=admin, json=why)
    second = issuer.send(
        "POST", f"/agents/{identifier}/credentials", 201, bearer=admin, json={"capabilities": [CAPABILITY]}
    ).json()["credential"]
    issuer.send("POST", f"/credentials/{second['id']}/revoke", 200, bearer=admin, json=why)
    issuer.send("POST", "/agents/urn:uuid:nobody/suspend", 404, bearer=admin, json=why)
    issuer.send("POST", "/agents", 400, bearer=admin, json={"name": ""})
    issuer.send("GET", "/agents", 401)


def prepare_the_bridge(story: Story) -> None:
    bridge, admin = story.bridge, story.deployment.token("bridge")
    resource = {"resource": RESOURCE, "name": "Urban Bites", "tools": {"list_menu": "read the menu"}}
    bridge.send("PUT", "/resources", 200, bearer=admin, json={**resource, "admits": "clients"})
    person = {"name": "Jo Smith", "password": PASSWORD, "rights": {RESOURCE: ["list_menu"]}}
    bridge.send("PUT", "/users/smith", 200, bearer=admin, json=person)


def tokens_at_the_bridge(story: Story, credential: dict[str, Any]) -> None:
    bridge, url = story.bridge, story.deployment.urls["bridge"]
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/livez", "/readyz"):
        bridge.send("GET", path, 200)
    bridge.send("GET", "/bridge.css", 200)
    bridge.send("GET", "/passkeys.js", 200)
    bridge.send("GET", "/.well-known/authzen-configuration", 200)
    own = {"grant_type": "client_credentials", "resource": RESOURCE}
    bridge.form("/token", 200, **own, **story.proof())
    details = [{"type": "attenuating_agent_token", "locations": [RESOURCE], "tools": CAPABILITY["tools"]}]
    told = bridge.form("/token", 200, **own, authorization_details=json.dumps(details), **story.proof()).json()
    assert told["authorization_details"]
    challenge = bridge.send("POST", "/challenge", 200).json()["c_nonce"]
    vp = present_jwt([credential], key=story.key, audience=url, now=START, nonce=challenge)
    shown = {"grant_type": EXCHANGE, "subject_token": vp, "subject_token_type": VP, "resource": RESOURCE}
    token = bridge.form("/token", 200, **shown).json()["access_token"]
    bridge.form("/token", 400, **shown)
    bridge.form("/token", 401, **own, client_id="nobody", client_secret="x")
    bridge.form("/introspect", 200, token=token, **story.proof())
    challenge_s256 = base64.urlsafe_b64encode(hashlib.sha256(SECRET.encode()).digest()).rstrip(b"=").decode()
    asking = {
        "response_type": "code",
        "client_id": story.did,
        "redirect_uri": CALLBACK,
        "code_challenge": challenge_s256,
        "code_challenge_method": "S256",
        "resource": RESOURCE,
        "requested_actor": story.did,
        "scope": "tool:list_menu offline_access",
    }
    pushed = bridge.form("/par", 201, **asking, **story.proof()).json()
    code = story.code({"client_id": story.did, "request_uri": pushed["request_uri"]})
    redeem = {"grant_type": "authorization_code", "code": code, "code_verifier": SECRET, "redirect_uri": CALLBACK}
    given = bridge.form("/token", 200, **redeem, **story.proof()).json()
    digest = bridge.form("/introspect", 200, token=given["access_token"], **story.proof()).json()
    bridge.send("GET", f"/evidence/{digest['delegation_evidence']['digest']}", 200)
    refreshing = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    given = bridge.form("/token", 200, **refreshing, **story.proof()).json()
    bridge.form("/bc-authorize", 200, login_hint="smith", scope="tool:list_menu", resource=RESOURCE, **story.proof())
    bound = {"grant_type": "client_credentials", "resource": RESOURCE, "task": "stocktaking"}
    assert bridge.form("/token", 200, **bound, **story.proof()).json()["task"]
    bridge.form("/tasks/complete", 200, task="stocktaking", **story.proof())
    bridge.form("/tasks/complete", 400, task="unknown", **story.proof())
    page = form_of(bridge.send("GET", "/account", 200).text)
    consent = next(value for value in page.buttons if re.fullmatch(r"[A-Za-z0-9_-]{43}", value))
    bridge.send("GET", f"/account/receipts/{consent}", 200)
    bridge.send("GET", "/account/receipts/nothing", 404)
    withdrawal = urlencode({"csrf_token": page.fields["csrf_token"], "withdraw": consent})
    sent = {**FORM, "Origin": origin(story.deployment.urls["bridge"])}
    bridge.send("POST", "/account", 303, content=withdrawal, headers=sent)
    bridge.form("/revoke", 200, token=given["refresh_token"], **story.proof())
    news = bridge.send("GET", "/revocations?after=0", 200).json()["sets"]
    assert news
    bridge.send(
        "POST", "/revocations", 400, content=news[0]["set"], headers={"Content-Type": "application/secevent+jwt"}
    )
    bridge.seen.add("POST /revocations")  # the issuer's news, pushed above, are such


def administration_of_the_bridge(story: Story) -> None:
    bridge, admin = story.bridge, story.deployment.token("bridge")

    def sent(method: str, path: str, status: int = 200, body: object = None) -> Any:
        return bridge.send(method, path, status, bearer=admin, **({} if body is None else {"json": body}))

    for path in (
        "/resources",
        "/users",
        "/clients",
        "/trusted-issuers",
        "/signing-keys",
        "/policy",
        "/tasks",
        "/signals",
    ):
        sent("GET", path)
        bridge.send("GET", path, 401)
    client = {"name": "Legacy", "redirect_uris": [CALLBACK], "auth_method": "client_secret_basic"}
    sent("PUT", "/clients/legacy", body=client)
    sent(
        "PUT",
        "/clients/keyed",
        body={**client, "auth_method": "private_key_jwt", "keys": [public_jwk(story.key.public)]},
    )
    sent("GET", "/clients")
    sent("DELETE", "/clients/legacy", 204)
    sent("DELETE", "/clients/legacy", 404)
    tenants(sent)
    rule = {"subject": "system:serviceaccount:*:orders", "agent": story.did}
    issuer = {"issuer": "https://idp.example", "name": "IdP", "vouches_for_users": True, "rules": [rule]}
    sent("PUT", "/trusted-issuers", body=issuer)
    sent("GET", "/trusted-issuers")
    sent("PUT", "/identities", 204, {"issuer": "https://idp.example", "subject": "u-1", "username": "smith"})
    sent("DELETE", "/trusted-issuers", 204, {"issuer": "https://idp.example"})
    policy = sent("GET", "/policy").json()["policy"]
    sent("POST", "/policy/approvals", body={"policy": policy})
    record = sent("PUT", "/policy", body={"policy": policy, "note": "first"}).json()
    sent("PUT", "/policy", body={"policy": policy, "note": "second"})
    sent("GET", "/policy/versions")
    sent("GET", f"/policy/versions/{record['version']}")
    sent("POST", "/policy/rollback", body={"version": record["version"]})
    sent("GET", "/policy/bundle")
    question = {
        "subject": {"type": "user", "id": "smith"},
        "action": {"name": "list_menu"},
        "resource": {"type": "mcp", "id": RESOURCE},
        "context": {"agent": story.did},
    }
    sent("POST", "/access/v1/evaluation", body=question)
    sent("POST", "/access/v1/evaluations", body={"evaluations": [question, question]})
    sent("POST", "/signals", body={"subject": "smith", "level": 80, "seconds": 60, "reason": "a test"})
    sent("POST", "/signals", 400, {"subject": "smith", "level": 101})
    sent("POST", "/upstream/test", 404)
    sent("POST", "/signing-keys", 201, {"algorithm": "EdDSA", "reason": "a test"})
    keys = sent("GET", "/signing-keys").json()["signing_keys"]
    waiting = next(one["kid"] for one in keys if one["state"] == "pending")
    sent("POST", f"/signing-keys/{waiting}/revoke", 204, {"reason": "a test"})
    sent("POST", "/revoke-subject", 204, {"sub_id": {"format": "opaque", "id": "smith"}})
    sent("DELETE", "/users/smith", 204)


def at_the_vc_api(story: Story, credential: dict[str, Any]) -> None:
    vc_api, issuer = story.vc_api, story.issuer
    plain = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "id": new_id(),
        "issuer": issuer.send("GET", "/vc-api/credentials/issuers", 200).json()["issuers"][0]["id"],
        "credentialSubject": {"id": story.did},
    }
    asked = {"credential": plain, "options": {"cryptosuite": "eddsa-rdfc-2022"}}
    issued = issuer.send("POST", "/vc-api/credentials/issue?statusPurpose=revocation", 201, json=asked).json()
    signed = issued["verifiableCredential"]
    name = signed["id"]
    issuer.send("GET", f"/vc-api/credentials/{name}", 200)
    issuer.send("GET", "/vc-api/status-lists/revocation", 200)
    change = {"credentialId": name, "credentialStatus": {"statusPurpose": "revocation"}, "status": True}
    issuer.send("POST", "/vc-api/credentials/status", 200, json=change)
    question = {"verifiableCredential": {name: value for name, value in credential.items()}, "options": {}}
    vc_api.send("POST", "/credentials/verify", 200, json=question)
    vc_api.send("POST", "/credentials/verify", 400, json={"verifiableCredential": plain, "options": {}})
    challenge = vc_api.send("POST", "/challenges", 200).json()["challenge"]
    empty = {"@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"]}
    options = {"challenge": challenge, "domain": "https://v.example"}
    for path in ("/presentations", "/presentations/prove"):
        made = vc_api.send("POST", path, 201, json={"presentation": empty, "options": options}).json()
    shown = {"verifiablePresentation": made["verifiablePresentation"], "options": options}
    vc_api.send("POST", "/presentations/verify", 200, json=shown)
    vc_api.send("POST", "/presentations/verify", 400, json={"verifiablePresentation": empty, "options": options})
    derivable = {"credential": {**plain, "id": new_id()}, "options": {"cryptosuite": "ecdsa-sd-2023"}}
    derivable["credential"]["issuer"] = next(
        one["id"] for one in issuer.send("GET", "/vc-api/credentials/issuers", 200).json()["issuers"]
        if one["keyType"] == "P-256"
    )  # fmt: skip
    base = issuer.send("POST", "/vc-api/credentials/issue", 201, json=derivable).json()["verifiableCredential"]
    vc_api.send(
        "POST", "/credentials/derive", 201, json={"verifiableCredential": base, "options": {"selectivePointers": []}}
    )
    vc_api.send("GET", f"/1.0/identifiers/{story.did}", 200)
    vc_api.send("GET", "/1.0/identifiers/did:key:nothing", 400)
    for path in ("/livez", "/readyz"):
        vc_api.send("GET", path, 200)
