"""One organisation of an issuer with everything an organisation can have, each thing made when it is first named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ISSUER_URL, RESOURCE, answer_to, auth
from tests.fakes.platform import possession

ADMIN, MANAGER, AUDITOR, SPONSOR = "issuer:admin", "issuer:manage", "issuer:audit", "issuer:sponsor"
SCOPES: Final = {"admin": ADMIN, "manager": MANAGER, "auditor": AUDITOR, "sponsor": SPONSOR}
CAPABILITY: Final = {"resource": [RESOURCE], "tools": {"a": {}}}
BECAUSE: Final = {"reason": "because"}
TRUSTED: Final = did_key(SigningKey.from_seed(b"t" * 32).public)
UNTIL: Final = "2026-11-23T14:00:00Z"


@dataclass
class Tenant:
    """Things of one organisation, made over HTTP by those who may; `role` is who asks at the moment."""

    http: httpx2.AsyncClient
    organisation: str
    role: str = "admin"
    made: dict[str, str] = field(default_factory=dict)  # by what they are called in requests
    keys: dict[str, SigningKey] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    numbers: int = 0

    def forget(self) -> None:
        """Make every thing anew from now on."""
        self.made.clear()
        self.secrets.clear()

    def subject(self, role: str) -> str:
        return f"did:key:{self.organisation}-{role}"

    def person(self, role: str, name: str | None = None) -> dict[str, str]:
        """Return the header of somebody with a role here."""
        who = self.subject(name or role)
        within = {} if self.organisation == "home" else {"organisation": self.organisation}
        return auth(SCOPES[role], subject=who, client_id=who, **within)

    def agent(self) -> dict[str, str]:
        """Return the header of the organisation's agent."""
        shown = present_jwt([], key=self.keys["active"], audience=ISSUER_URL, now=NOW)
        return {"Authorization": f"Bearer {shown}"}

    def headers(self, role: str) -> dict[str, str]:
        """Return the header of whoever is called `role`; `second` is another admin."""
        if role == "second":
            return self.person("admin", "second")
        return self.agent() if role == "agent" else self.person(role)

    async def send(self, method: str, path: str, by: Mapping[str, str], body: object = None) -> dict[str, Any]:
        content: dict[str, Any] = {} if body is None else {"json": body}
        answer = await self.http.request(method, path, headers=dict(by), **content)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return dict(answer.json())

    async def do(self, path: str, body: object, *, method: str = "POST", by: str = "admin") -> dict[str, Any]:
        return await self.send(method, path, self.headers(by), body)

    async def thing(self, name: str) -> str:
        """Return what a thing is called in requests; `$name` stands for it."""
        if name not in self.made:
            self.made[name] = await MAKERS[name](self)
        return self.made[name]

    async def filled(self, said: Any) -> Any:
        """Return a request with its `$things` named."""
        if callable(said):
            return await said(self)
        if isinstance(said, str):
            return await self.thing(said[1:]) if said.startswith("$") else said
        if isinstance(said, Mapping):
            return {name: await self.filled(one) for name, one in said.items()}
        return [await self.filled(one) for one in said] if isinstance(said, list) else said

    def fresh(self, stem: str) -> str:
        """Return a name that nobody else here has."""
        self.numbers += 1
        return f"{stem}-{self.organisation}-{self.numbers}"

    def key(self, name: str) -> SigningKey:
        """Return a new key for something."""
        self.keys[name] = SigningKey.generate()
        return self.keys[name]

    async def register(self, *, key: SigningKey | None = None) -> str:
        """Return a new agent of the sponsor, enrolled when it has a key."""
        body = {"name": self.fresh("agent"), "sponsor": "Ops"}
        agent = await self.do("/agents", body, by="sponsor")
        self.secrets["invited"] = agent
        if key is not None:
            await self.send("POST", f"/agents/{agent['agent_id']}/enrolment", {}, answer_to(agent, key))
        return str(agent["agent_id"])


async def allow(tenant: Tenant) -> None:
    """Let managers grant what the requests here ask for, and sponsors name who answers in them."""
    await tenant.do(f"/principals/{tenant.subject('sponsor')}", {"sponsors": ["Ops"]}, method="PUT")
    await tenant.do("/granting-policy", {"manager_resources": [RESOURCE]}, method="PUT")


async def _pending(at: Tenant) -> str:
    return await at.register()


async def _active(at: Tenant) -> str:
    return await at.register(key=at.key("active"))


async def _suspended(at: Tenant) -> str:
    identifier = await at.register(key=at.key("suspended"))
    await at.do(f"/agents/{identifier}/suspend", BECAUSE, by="sponsor")
    return identifier


async def _did(at: Tenant) -> str:
    await at.thing("active")
    return did_key(at.keys["active"].public)


async def _published(at: Tenant) -> str:
    agent = await at.thing("active")
    await at.do(f"/agents/{agent}/did-web", None, method="PUT")
    return agent


async def _slug(at: Tenant) -> str:
    return (await at.thing("published")).removeprefix("urn:uuid:")


async def _credential(at: Tenant) -> str:
    body = {"capabilities": [CAPABILITY], "valid_seconds": 18_000, "renewable_seconds": 36_000, "max_depth": 2}
    path = f"/agents/{await at.thing('active')}/credentials"
    return str((await at.do(path, body))["credential"]["id"])


async def _paused(at: Tenant) -> str:
    identifier = await _credential(at)
    await at.do(f"/credentials/{identifier}/suspend", BECAUSE)
    return identifier


def _named(path: str, stem: str, body: Mapping[str, object], method: str = "PUT") -> Callable[[Tenant], Awaitable[str]]:
    async def make(at: Tenant) -> str:
        name = at.fresh(stem)
        if method == "PUT":
            await at.do(f"{path}/{name}", await at.filled(body), method=method)
        else:
            await at.do(path, {"name": name, **await at.filled(body)})
        return name

    return make


def _numbered(path: str, body: Mapping[str, object], by: str = "admin") -> Callable[[Tenant], Awaitable[str]]:
    async def make(at: Tenant) -> str:
        asked = await at.filled(body)
        return str((await at.do(path, asked, by=by))["id"])

    return make


async def _assigned(at: Tenant) -> str:
    role = await at.thing("role")
    await at.do(f"/roles/{role}/assign", {"kind": "agent", "target": await at.thing("active")})
    return role


async def _own_request(at: Tenant) -> str:
    body = {"agent": await at.thing("active"), "capabilities": [CAPABILITY], **BECAUSE}
    return str((await at.do("/requests", body, by=at.role))["id"])


async def _delegation(at: Tenant) -> str:
    body = {"id": new_id(), "parent": await at.thing("credential"), "subject": TRUSTED, "valid_until": UNTIL}
    return str((await at.do("/delegations", body, by="agent"))["id"])


async def _application(at: Tenant) -> str:
    body = {"template": await at.thing("template"), "needs_approval": True, "owner": at.subject("sponsor")}
    token, key = (await at.do("/enrolment-tokens", body, by="second"))["token"], at.key("applied")
    enrolled = await at.send("POST", "/enrolments", {}, {"token": token, "possession": possession(token, key)})
    return str(enrolled["application"])


async def _delivery(at: Tenant) -> str:
    return str((await at.do(f"/webhooks/{await at.thing('webhook')}/test", None))["delivery"])


async def _proposal(at: Tenant) -> str:
    """Return a proposal by another admin than the one who asks here."""
    await at.do("/dual-control", {"dual_control": ["trust"]}, method="PUT")
    body = {"issuer": TRUSTED, "resources": [RESOURCE], "note": at.fresh("note")}
    made = str((await at.send("POST", "/trust", at.person("admin", "second"), body))["proposal"])
    lifted = await at.send("PUT", "/dual-control", at.person("admin", "second"), {"dual_control": []})
    await at.do(f"/proposals/{lifted['proposal']}/approve", None)
    return made


async def _issuer_key(at: Tenant) -> str:
    """Return the key that signs."""
    found = await at.http.get("/issuer-keys", headers=at.headers("admin"))
    return next(str(key["did"]) for key in found.json()["issuer_keys"] if key["state"] == "active")


async def _organisation(at: Tenant) -> str:
    return at.organisation


async def _fresh(at: Tenant) -> str:
    return at.fresh("new")


async def enrolling(at: Tenant) -> dict[str, Any]:
    """Return the answer of the last invited agent."""
    return answer_to(at.secrets["invited"], at.key("enrolled"))


async def rotating(at: Tenant) -> dict[str, Any]:
    """Return what asks for a change of the agent's key."""
    old, new = at.keys["active"], SigningKey.generate()
    agent_id = await at.thing("active")
    statement = make_continuity(old, successor=did_key(new.public), agent_id=agent_id, audience=ISSUER_URL, now=NOW)
    digest = statement_digest(statement)
    return {
        "statement": statement,
        "possession": present_jwt([], key=new, audience=ISSUER_URL, now=NOW, nonce=digest),
    }


async def coming(at: Tenant) -> dict[str, Any]:
    """Return what enrols a new agent by a token."""
    made = await at.do("/enrolment-tokens", {"template": await at.thing("template")})
    return {"token": made["token"], "possession": possession(made["token"], at.key("came"))}


async def asking(at: Tenant) -> dict[str, Any]:
    """Return what asks how an application stands."""
    await at.thing("application")
    return {"possession": possession("anything", at.keys["applied"])}


async def delegating(at: Tenant) -> dict[str, Any]:
    """Return what registers a delegation."""
    return {"id": new_id(), "parent": await at.thing("credential"), "subject": TRUSTED, "valid_until": UNTIL}


_OFFER: Final = {"agent": "$active", "capabilities": [CAPABILITY]}
_HOOK: Final = {"url": "http://127.0.0.1:9/hook", "topics": ["*"]}
MAKERS: Final[Mapping[str, Callable[[Tenant], Awaitable[str]]]] = {
    "organisation": _organisation,
    "issuer_key": _issuer_key,
    "fresh": _fresh,
    "pending": _pending,
    "active": _active,
    "suspended": _suspended,
    "did": _did,
    "published": _published,
    "slug": _slug,
    "credential": _credential,
    "paused": _paused,
    "template": _named("/templates", "template", {"sponsor": "Ops"}),
    "group": _named("/groups", "group", {"description": "those"}),
    "capability": _named("/capabilities", "capability", {"capabilities": [CAPABILITY], "managers": True}, "POST"),
    "role": _named("/roles", "role", {"templates": ["$capability"]}, "POST"),
    "assigned": _assigned,
    "rule": _named(
        "/attestation-rules",
        "rule",
        {"issuer": "https://ci.example", "claims": {"sub": "x"}, "template": "$template", "agent_name": "ci"},
    ),
    "person": _named("/principals", "person", {"sponsors": []}),
    "switch": _numbered("/kill-switches", {"scope": "group", "target": "$group", **BECAUSE}),
    "request": _numbered("/requests", {"agent": "$active", "capabilities": [CAPABILITY], **BECAUSE}, "sponsor"),
    "own_request": _own_request,
    "delegation": _delegation,
    "trust": _numbered("/trust", {"issuer": TRUSTED, "resources": [RESOURCE]}),
    "enrolment_token": _numbered("/enrolment-tokens", {"template": "$template"}, "sponsor"),
    "application": _application,
    "offer": _numbered("/offers", _OFFER),
    "waiting_offer": _numbered("/offers", {**_OFFER, "needs_approval": True}, "second"),
    "webhook": _numbered("/webhooks", _HOOK),
    "delivery": _delivery,
    "proposal": _proposal,
}
