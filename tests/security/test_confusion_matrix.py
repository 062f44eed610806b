"""Token-type confusion at the bridge and the guard: every artefact at every door; only the diagonal passes (TOK-08).

Each test takes one artefact to every door that must refuse it, and then to those that must take it: that it is taken
at the end shows that it was whole all the time, and that no refusal spent it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from bridge.grants.authorization_code import CODE_TYPE
from bridge.grants.ciba import GRANT_TYPE as CIBA
from did_agent.adapters.http import GuardedFetcher
from did_agent.adapters.status import StatusLists
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.jwk import parse_public_jwk
from tests.fakes import guard_world
from tests.fakes.artefacts import CHALLENGE, VERIFIER, Artefacts, through_client
from tests.fakes.bridge_clients import open_to_clients, publisher
from tests.fakes.bridge_world import ACCESS, ASSERTION, EXCHANGE, JWT, REDIRECT, RESOURCE, VP, World, question, world
from tests.fakes.bridge_world import cheap_passwords as make_passwords_cheap
from tests.integration.test_bridge_jwt_bearer import GRANT, KUBERNETES, link, provider, trust
from verifier.doors.presentation import PresentationDoor
from verifier.doors.token import TokenDoor
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.parts import GuardParts
from verifier.service import Verifier

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.req("TOK-08")]

TOKEN_TYPES = "urn:ietf:params:oauth:token-type:"
CALL = guard_world.call("list_menu")
KINDS = sorted(name.removeprefix("make_") for name in dir(Artefacts) if name.startswith("make_"))
OWN = frozenset({"access_agent", "access_delegated", "access_bound"})  # access tokens for the resource
SHOWN = frozenset({"vp_jwt", "vp_json", "vp_encoded"})  # presentations for the bridge

Send = Callable[["Doors", str], Awaitable[httpx2.Response]]
Refusal = tuple[int, str | None]


@dataclass(frozen=True, slots=True)
class Door:
    """A place that takes signed artefacts: what it takes, and how it refuses everything else."""

    send: Send
    takes: frozenset[str]
    refusals: frozenset[Refusal]
    spends: frozenset[str] = frozenset()  # what it believes, and refuses all the same


@dataclass(slots=True)
class Doors:
    """A bridge, a guard that believes it, and the artefacts to be confused."""

    w: World
    made: Artefacts
    guard: Guard
    guarded: guard_world.World

    @property
    def proof(self) -> dict[str, str]:
        return self.w.assertion(self.made.agent.key)

    async def token(self, grant_type: str, headers: Any = None, **form: Any) -> httpx2.Response:
        return await self.w.post("/token", {"grant_type": grant_type, **form}, **(headers or {}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with deployment(tmp_path_factory.mktemp("confusion")) as made:
        yield Doors(w=made.world, made=made, **await _guard(made.world))


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[Artefacts]:
    """Run a bridge, an agent, a person, a public client and a platform, and make their artefacts."""
    async with AsyncExitStack() as stack:
        make_passwords_cheap(stack.enter_context(pytest.MonkeyPatch.context()))
        w = await stack.enter_async_context(world(folder))
        await open_to_clients(w)
        await w.put_user("smith", "list_menu", "create_order")
        agent = w.agent("orders", "list_menu", "create_order")
        site = await stack.enter_async_context(publisher())
        platform = await stack.enter_async_context(provider(w))
        await trust(w, platform, rules=[{"subject": KUBERNETES, "agent": agent.did}])
        await link(w, platform)
        made = Artefacts(world=w, agent=agent, client_id=site.client_id, platform=platform)
        await made.sign_in()
        yield made


async def _guard(w: World) -> dict[str, Any]:
    """Return a guard of the resource that believes this bridge's keys and this issuer."""
    (jwk,) = (await w.http.get("/.well-known/jwks.json")).json()["keys"]
    key, guarded = parse_public_jwk(jwk), guard_world.World(now=w.clock())

    class Keys:
        async def find(self, _kid: object) -> Any:
            return key

    trusted = TrustedIssuers.of(did_key(w.issuer.key.public))
    statuses = StatusLists(GuardedFetcher(allow_loopback=True), trusted=trusted, max_age=timedelta(0), clock=w.clock)
    verifier = Verifier(
        resource=RESOURCE,
        source=did_key(w.operator.public),
        party="verifier",
        doors=(
            TokenDoor(resource=RESOURCE, issuer=w.url, keys=Keys()),
            PresentationDoor(resource=RESOURCE, trusted=trusted, statuses=statuses),
        ),
        revocations=guarded,
        audit=guarded,
        clock=w.clock,
        replay=guarded,
    )
    spool: Any = None
    parts = GuardParts(verifier=verifier, spool=spool, background=[])
    metadata = ResourceMetadata(resource=RESOURCE, bridge=w.url, name="Test")
    return {"guard": Guard(guarded.inner, parts, metadata), "guarded": guarded}


# ---- doors of the token endpoint


async def _client_assertion(d: Doors, text: str) -> httpx2.Response:
    shown = {"client_assertion_type": ASSERTION, "client_assertion": text}
    return await d.token("client_credentials", resource=RESOURCE, **shown)


def _subject(kind: str) -> Send:
    async def send(d: Doors, text: str) -> httpx2.Response:
        return await d.token(EXCHANGE, subject_token=text, subject_token_type=kind, resource=RESOURCE)

    return send


def _subject_with_actor(kind: str) -> Send:
    async def send(d: Doors, text: str) -> httpx2.Response:
        actor = {"actor_token": d.w.vp_jwt(d.made.agent), "actor_token_type": VP}
        return await d.token(EXCHANGE, subject_token=text, subject_token_type=kind, resource=RESOURCE, **actor)

    return send


def _actor(kind: str) -> Send:
    async def send(d: Doors, text: str) -> httpx2.Response:
        subject = {"subject_token": await _delegated(d), "subject_token_type": ACCESS}
        return await d.token(EXCHANGE, actor_token=text, actor_token_type=kind, resource=RESOURCE, **subject)

    return send


_SUBJECTS: dict[int, str] = {}


async def _delegated(d: Doors) -> str:
    # One honest subject for all refusals; nothing that is refused spends it.
    if id(d) not in _SUBJECTS:
        _SUBJECTS[id(d)] = await d.made.make_access_delegated()
    return _SUBJECTS[id(d)]


def _bearer_grant(*, authenticated: bool) -> Send:
    async def send(d: Doors, text: str) -> httpx2.Response:
        return await d.token(GRANT, assertion=text, resource=RESOURCE, **(d.proof if authenticated else {}))

    return send


async def _dpop(d: Doors, text: str) -> httpx2.Response:
    return await d.token("client_credentials", {"DPoP": text}, resource=RESOURCE, **d.proof)


async def _code(d: Doors, text: str) -> httpx2.Response:
    shown = {"code": text, "code_verifier": VERIFIER, "redirect_uri": REDIRECT}
    return await d.token("authorization_code", **shown, **d.proof)


async def _code_as_subject(d: Doors, text: str) -> httpx2.Response:
    shown = {"subject_token": text, "subject_token_type": CODE_TYPE}
    return await d.token(EXCHANGE, **shown, code_verifier=VERIFIER, redirect_uri=REDIRECT, **d.proof)


async def _refresh(d: Doors, text: str) -> httpx2.Response:
    return await d.token("refresh_token", refresh_token=text, **d.proof)


def _requested_actor(form: str) -> Send:
    async def send(d: Doors, text: str) -> httpx2.Response:
        asking = through_client(d.made.client_id, d.made.agent)
        asking.parameters["code_challenge"] = CHALLENGE
        code = await d.made.code(asking)
        shown = {"code_verifier": VERIFIER, "redirect_uri": REDIRECT, "client_id": d.made.client_id}
        shown["actor_token"] = text
        if form == "A":
            return await d.token("authorization_code", code=code, **shown)
        if form == "B1":
            return await d.token(EXCHANGE, code=code, **shown)
        return await d.token(EXCHANGE, subject_token=code, subject_token_type=CODE_TYPE, **shown)

    return send


async def _approved(d: Doors, text: str) -> httpx2.Response:
    return await d.token(CIBA, auth_req_id=text, **d.proof)


# ---- the bridge's other doors


async def _introspect(d: Doors, text: str) -> httpx2.Response:
    return await d.w.post("/introspect", {"token": text, **d.proof})


async def _revoke(d: Doors, text: str) -> httpx2.Response:
    return await d.w.post("/revoke", {"token": text, **d.proof})


async def _pushed(d: Doors, text: str) -> httpx2.Response:
    return await d.made.browser.http.get("/authorize", params={"client_id": d.made.agent.did, "request_uri": text})


async def _request_object(d: Doors, text: str) -> httpx2.Response:
    parameters = {**question(d.made.agent).parameters, "request": text}
    return await d.w.post("/par", {**parameters, **d.proof})


async def _news(d: Doors, text: str) -> httpx2.Response:
    return await d.w.http.post("/revocations", content=text, headers={"Content-Type": "application/secevent+jwt"})


async def _administer(d: Doors, text: str) -> httpx2.Response:
    return await d.w.http.get("/resources", headers={"Authorization": f"Bearer {text}"})


async def _decide(d: Doors, text: str) -> httpx2.Response:
    question = {
        "subject": {"type": "user", "id": "smith"},
        "action": {"name": "list_menu"},
        "resource": {"type": "mcp", "id": RESOURCE},
        "context": {"agent": d.made.agent.did},
    }
    return await d.w.http.post("/access/v1/evaluation", json=question, headers={"Authorization": f"Bearer {text}"})


# ---- the guard's doors


async def _guard_bearer(d: Doors, text: str) -> httpx2.Response:
    return await d.guarded.send(text, CALL, guard=d.guard)


async def _guard_dpop(d: Doors, text: str) -> httpx2.Response:
    proof = d.made.signer().proof("POST", RESOURCE, access_token=text)
    return await d.guarded.send(text, CALL, guard=d.guard, scheme="DPoP", headers=[("DPoP", proof)])


async def _guard_proof(d: Doors, text: str) -> httpx2.Response:
    token = await d.made.make_access_bound()
    return await d.guarded.send(token, CALL, guard=d.guard, scheme="DPoP", headers=[("DPoP", text)])


def door(send: Send, *takes: str, refuses: set[Refusal]) -> Door:
    return Door(send, frozenset(takes), frozenset(refuses))


BAD_REQUEST: set[Refusal] = {(400, "invalid_request")}
# Tokens that nobody may act on, and those for another audience.
NO_SUBJECT: set[Refusal] = BAD_REQUEST | {(400, "actor_unauthorized"), (400, "invalid_target")}
BAD_GRANT: set[Refusal] = {(400, "invalid_grant")}
NOBODY: set[Refusal] = {(401, None), (400, None), (431, None)}
CLIENT: set[Refusal] = {(401, "invalid_client")}

DOORS: dict[str, Door] = {
    "client_assertion": door(_client_assertion, "client_assertion", refuses=CLIENT),
    "subject VP": door(_subject(VP), *SHOWN, refuses=BAD_REQUEST),
    "subject JWT": door(_subject(JWT), "vp_jwt", refuses=BAD_REQUEST),
    "subject access_token": door(_subject(ACCESS), refuses=BAD_REQUEST),
    "subject id_token": door(_subject(TOKEN_TYPES + "id_token"), refuses=BAD_REQUEST),
    "subject refresh_token": door(_subject(TOKEN_TYPES + "refresh_token"), refuses=BAD_REQUEST),
    "subject saml2": door(_subject(TOKEN_TYPES + "saml2"), refuses=BAD_REQUEST),
    "subject access_token, actor VP": door(_subject_with_actor(ACCESS), "access_delegated", refuses=NO_SUBJECT),
    "subject JWT, actor VP": door(_subject_with_actor(JWT), "access_delegated", refuses=NO_SUBJECT),
    "subject VP, actor VP": door(_subject_with_actor(VP), refuses=BAD_REQUEST),
    "actor VP": door(_actor(VP), *SHOWN, refuses=BAD_REQUEST),
    "actor JWT": door(_actor(JWT), "vp_jwt", refuses=BAD_REQUEST),
    "actor access_token": door(_actor(ACCESS), refuses=BAD_REQUEST),
    "actor id_token": door(_actor(TOKEN_TYPES + "id_token"), refuses=BAD_REQUEST),
    "jwt-bearer": door(_bearer_grant(authenticated=True), "id_jag", "vp_jwt", "workload", refuses=BAD_GRANT),
    "jwt-bearer, nobody": door(_bearer_grant(authenticated=False), "vp_jwt", "workload", refuses=BAD_GRANT | CLIENT),
    "DPoP at /token": door(_dpop, "dpop", refuses={(400, "invalid_dpop_proof"), (431, None)}),
    "code": door(_code, "authorization_code", refuses=BAD_GRANT),
    "code as subject": door(_code_as_subject, "authorization_code", refuses=BAD_GRANT),
    "refresh_token": door(_refresh, "refresh_token", refuses=BAD_GRANT),
    "auth_req_id": door(_approved, "auth_req_id", refuses=BAD_GRANT),
    **{
        f"requested actor, form {form}": door(
            _requested_actor(form), *SHOWN, "access_agent", "client_assertion", refuses=BAD_GRANT
        )
        for form in ("A", "B1", "B2")
    },
    "introspect": door(_introspect, *OWN, "refresh_token", refuses={(200, "inactive")}),
    "revoke": door(_revoke, *OWN, "refresh_token", refuses={(200, None), (400, "unauthorized_client")}),
    "request_uri": door(_pushed, "request_uri", refuses={(400, None)}),
    "request object": door(_request_object, refuses=BAD_REQUEST),
    "news": door(_news, "security_event", refuses={(400, None)}),
    "administer": door(_administer, "access_operator", refuses=NOBODY | {(403, None)}),
    "decide": Door(
        _decide,
        takes=frozenset({"access_operator"}),
        refusals=frozenset(NOBODY | {(403, None)}),
        spends=frozenset({"client_assertion"}),  # it proves the agent, who is then not allowed to ask
    ),
    "guard, Bearer": door(_guard_bearer, "access_agent", "access_delegated", "vp_jwt_resource", refuses=NOBODY),
    "guard, DPoP": door(_guard_dpop, "access_bound", "vp_jwt_resource", refuses=NOBODY),
    "guard, DPoP proof": door(_guard_proof, refuses=NOBODY),
}


def outcome(answer: httpx2.Response) -> Refusal:
    """Return status and error of an answer; an OAuth error, an inactive token, or nothing more to say."""
    try:
        body = answer.json()
    except ValueError:
        return answer.status_code, None
    if body.get("active") is False:
        return answer.status_code, "inactive"
    return answer.status_code, body["error"] if isinstance(body.get("error"), str) else None


async def ended(d: Doors) -> int:
    return len((await d.w.http.get("/revocations", params={"after": "0"})).json()["sets"])


@pytest.mark.parametrize("kind", KINDS)
async def test_an_artefact_passes_at_its_own_doors_alone(doors: Doors, kind: str) -> None:
    make = doors.made.makers[kind]
    text, before = await make(), await ended(doors)
    for name, it in DOORS.items():
        if kind not in it.takes:
            found = outcome(await it.send(doors, await make() if kind in it.spends else text))
            assert found in it.refusals, f"{kind} at {name}: {found}"
    assert await ended(doors) == before
    for number, (name, it) in enumerate((name, it) for name, it in DOORS.items() if kind in it.takes):
        answer = await it.send(doors, text if number == 0 else await make())
        found = outcome(answer)
        assert found[0] in (200, 202, 303), f"{kind} at {name}: {found} {answer.text[:300]}"
        assert found[1] is None, f"{kind} at {name}: {found}"


async def test_every_door_that_takes_anything_is_on_somebodys_way() -> None:
    homeless = {kind for kind in KINDS if not any(kind in it.takes for it in DOORS.values())}
    assert {kind for it in DOORS.values() for kind in it.takes} | homeless == set(KINDS)
    # What no door of the bridge and the guard takes; `test_confusion_readers.py` has the readers of most of them.
    assert homeless == {
        "audit_batch",
        "challenge",
        "evidence",
        "id_token",
        "introspection",
        "key_binding",
        "key_proof",
        "policy_bundle",
        "receipt",
        "request_object",
        "sd_jwt",
        "status_list",
        "vc_json",
        "vc_jwt",
        "vp_secured",
    }
