"""One honest specimen of every artefact a deployment signs, mints or hands out, by the parts that really make it."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bridge.backchannel import asking_digest
from did_agent.audit.delivery import batch_request
from did_agent.client.dpop import DPoPSigner
from did_agent.clock import numeric_date
from did_agent.credential.issuance import new_id
from did_agent.credential.sd_jwt_vc import issue_sd_jwt_vc
from did_agent.credential.token_status import issue_status_list_token
from did_agent.did.key import did_key, verification_method
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof import sd_jwt
from did_agent.proof.jwt import sign_jwt
from did_agent.proof.vc_jose import secure
from did_agent.tokens.key_proof import make_key_proof
from did_agent.tokens.security_event import SecurityEvent, sign_event
from tests.fakes.bridge_clients import asked
from tests.fakes.bridge_world import PASSWORD, REDIRECT, RESOURCE, Actor, Browser, Question, World, form_of, question

OFFLINE = "tool:list_menu offline_access"
PLATFORM = "https://platform.example"

Maker = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class Artefacts:
    """Makes artefacts of one agent, one person who has signed in, and one platform everybody trusts."""

    world: World
    agent: Actor
    client_id: str  # of a public client that agents act through
    platform: Any  # signs ID-JAGs, workload and ID tokens (`tests/integration/test_bridge_jwt_bearer.py`)
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = Browser(self.world)

    async def sign_in(self) -> None:
        page = form_of((await self.browser.get("/account")).text).fields
        fields = page | {"username": "smith", "password": PASSWORD}
        answer = await self.browser.submit("/account", fields.items())
        assert answer.status_code == 303, answer.text

    @property
    def makers(self) -> dict[str, Maker]:
        """Return a maker for each kind."""
        mine = {name.removeprefix("make_"): getattr(self, name) for name in dir(self) if name.startswith("make_")}
        return dict(sorted(mine.items()))

    def signer(self) -> DPoPSigner:
        return DPoPSigner(self.agent.key, clock=self.world.clock)

    def sign(self, typ: str, key: SigningKey, kid: str | None = None, **claims: object) -> str:
        now = numeric_date(self.world.clock())
        return sign_jwt({"iat": now, "exp": now + 60, "jti": new_id(), **claims}, typ=typ, key=key, kid=kid)

    # ---- codes, and what comes of them

    async def code(self, asking: Question, *, offline: bool = False) -> str:
        page = form_of((await self.browser.get(asking.path)).text)
        chosen = [("scope_item", box) for box in page.boxes if box != "yes"]
        chosen += [("offline", "yes")] if offline else []
        answer = await self.browser.submit(asking.path, [*page.fields.items(), *chosen, ("decision", "allow")])
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"].split("code=")[1].split("&")[0])

    async def delegation(self, **headers: str) -> dict[str, Any]:
        asking = question(self.agent, scope=OFFLINE)
        form = {
            "grant_type": "authorization_code",
            "code": await self.code(asking, offline=True),
            "code_verifier": asking.verifier,
            "redirect_uri": REDIRECT,
            **self.world.assertion(self.agent.key),
        }
        answer = await self.world.post("/token", form, **headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def own(self, **headers: str) -> str:
        form = {"grant_type": "client_credentials", "resource": RESOURCE, **self.world.assertion(self.agent.key)}
        answer = await self.world.post("/token", form, **headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def make_authorization_code(self) -> str:
        return await self.code(question(self.agent, code_challenge=CHALLENGE))

    async def make_access_delegated(self) -> str:
        return str((await self.delegation())["access_token"])

    async def make_access_agent(self) -> str:
        return await self.own()

    async def make_access_bound(self) -> str:
        return await self.own(DPoP=self.signer().proof("POST", f"{self.world.url}/token"))

    async def make_access_operator(self) -> str:
        return (await self.world.admin_headers())["Authorization"].removeprefix("Bearer ")

    async def make_refresh_token(self) -> str:
        return str((await self.delegation())["refresh_token"])

    async def make_introspection(self) -> str:
        form = {"token": await self.own(), **self.world.assertion(self.agent.key)}
        answer = await self.world.post("/introspect", form, Accept="application/token-introspection+jwt")
        return answer.text

    async def make_receipt(self) -> str:
        await self.delegation()
        page = form_of((await self.browser.get("/account")).text)
        consent = next(value for value in page.buttons if value not in ("yes", ""))
        answer = await self.browser.get(f"/account/receipts/{consent}")
        assert answer.status_code == 200, answer.text
        return answer.text

    async def make_request_uri(self) -> str:
        form = {**question(self.agent).parameters, **self.world.assertion(self.agent.key)}
        return str((await self.world.post("/par", form)).json()["request_uri"])

    async def make_auth_req_id(self) -> str:
        """Return the name of a question that was answered with yes."""
        form = {"login_hint": "smith", "scope": "tool:list_menu", "resource": RESOURCE}
        asked_for = await self.world.post("/bc-authorize", {**form, **self.world.assertion(self.agent.key)})
        assert asked_for.status_code == 200, asked_for.text
        value = str(asked_for.json()["auth_req_id"])
        where = f"/account/requests/{asking_digest(value)}"
        page = form_of((await self.browser.get(where)).text)
        chosen = [("scope_item", box) for box in page.boxes]
        answer = await self.browser.submit(where, [*page.fields.items(), *chosen, ("decision", "allow")])
        assert answer.status_code == 303, answer.text
        self.world.clock.forward(asked_for.json()["interval"] + 1)
        return value

    async def make_policy_bundle(self) -> str:
        answer = await self.world.http.get("/policy/bundle", headers=await self.world.admin_headers())
        assert answer.status_code == 200, answer.text
        return answer.text

    async def make_key_proof(self) -> str:
        """Return a proof as for a credential issuer, though made for the bridge."""
        nonce, now = await self.world.challenge(), self.world.clock()
        return make_key_proof(self.agent.key, audience=self.world.url, nonce=nonce, now=now, client_id=self.agent.did)

    async def make_challenge(self) -> str:
        return await self.world.challenge()

    # ---- presentations and credentials

    async def make_vp_jwt(self) -> str:
        return self.world.vp_jwt(self.agent)

    async def make_vp_jwt_resource(self) -> str:
        return self.world.vp_jwt(self.agent, audience=RESOURCE)

    async def make_vp_json(self) -> str:
        return await self.world.vp(self.agent)

    async def make_vp_encoded(self) -> str:
        return base64.urlsafe_b64encode((await self.world.vp(self.agent)).encode()).decode().rstrip("=")

    async def make_vp_secured(self) -> str:
        """Return a presentation of VC-JOSE-COSE that names no audience."""
        document = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiablePresentation"],
            "holder": self.agent.did,
        }
        method = verification_method(self.agent.did)
        return secure(document, self.agent.key, envelope="vp+jwt", verification_method=method)

    async def make_vc_json(self) -> str:
        return json.dumps(self.agent.held[0])

    async def make_vc_jwt(self) -> str:
        key = self.world.issuer.key
        document = {name: value for name, value in self.agent.held[0].items() if name != "proof"}
        return secure(document, key, envelope="vc+jwt", verification_method=verification_method(did_key(key.public)))

    async def make_sd_jwt(self) -> str:
        key, now = self.world.issuer.key, self.world.clock()
        credential = issue_sd_jwt_vc(
            {"capabilities": ["list_menu"]},
            vct="https://w3id.org/did-agent/capability",
            key=key,
            verification_method=verification_method(did_key(key.public)),
            holder=self.agent.key.public,
            issued_at=now,
            expires=now + timedelta(hours=1),
            disclosable=(),
            subject=self.agent.did,
        )
        audience, nonce = self.world.url, await self.world.challenge()
        return sd_jwt.present(
            credential, disclose=(), holder_key=self.agent.key, audience=audience, nonce=nonce, now=now
        )

    async def make_key_binding(self) -> str:
        return (await self.make_sd_jwt()).rpartition("~")[2]

    async def make_evidence(self) -> str:
        return json.dumps({"credentials": self.agent.held})

    # ---- single-purpose JWTs

    async def make_client_assertion(self) -> str:
        return self.world.assertion(self.agent.key)["client_assertion"]

    async def make_dpop(self) -> str:
        return self.signer().proof("POST", f"{self.world.url}/token")

    async def make_id_jag(self) -> str:
        return str(self.platform.id_jag(self.agent, resource=RESOURCE))

    async def make_workload(self) -> str:
        return str(self.platform.workload())

    async def make_id_token(self) -> str:
        now = numeric_date(self.world.clock())
        return str(self.platform.sign("JWT", sub="u-1", aud="did-agent", azp="did-agent", nonce="n", auth_time=now))

    async def make_request_object(self) -> str:
        said = question(self.agent).parameters
        kid = verification_method(self.agent.did)
        claims = {"iss": self.agent.did, "aud": self.world.url, **said}
        return self.sign("oauth-authz-req+jwt", self.agent.key, kid, **claims)

    async def make_security_event(self) -> str:
        key = self.world.issuer.key
        did = did_key(key.public)
        event = SecurityEvent(
            id=new_id(),
            kind="token-revoked",
            subject="urn:uuid:nobody",
            issued_at=self.world.clock(),
            reason="a test",
            issuer=did,
            audience=self.world.url,
        )
        return sign_event(event, key=key, kid=verification_method(did))

    async def make_status_list(self) -> str:
        now = self.world.clock()
        return issue_status_list_token(
            uri=f"{self.world.issuer.url}/token-status/1",
            statuses=bytes(64),
            bits=1,
            key=self.world.issuer.key,
            issued_at=now,
            expires=now + timedelta(hours=1),
            ttl=60,
        )

    async def make_audit_batch(self) -> str:
        key, now = self.agent.key, self.world.clock()
        _, headers, _ = batch_request(["{}"], ledger_url=self.world.url, key=key, now=now)
        return headers["Authorization"].removeprefix("Bearer ")


VERIFIER = "v" * 43  # the PKCE secret of every code made here, so that any request can bring it
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"


def through_client(client_id: str, agent: Actor) -> Question:
    """Return the request of a public client that `agent` is to act through."""
    return asked(client_id, requested_actor=agent.did)
