"""A stolen bridge key cannot invent a delegation: what strict guards look at is signed by others (DEL)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.keystore import load_key, load_or_create_key
from did_agent.credential.capability import scopes_of
from did_agent.did.key import did_key
from did_agent.errors import DidAgentError, Misconfigured, NotEvidenced, Revoked
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import thumbprint
from did_agent.policy.evidence import Strictness
from did_agent.tokens.access_token import AccessToken, encode_access_token, verify_access_token
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.dpop import make_proof
from tests.fakes.bridge_world import (
    RESOURCE,
    Actor,
    World,
    capability,
    cheap_passwords,
    code_for,
    redeem,
    world,
)
from verifier.composition import compose
from verifier.doors.known import KnownTexts
from verifier.doors.token import TokenDoor
from verifier.http import Shown
from verifier.model import Admission
from verifier.parts import GuardParts

STRICTNESSES: tuple[Strictness, ...] = ("off", "agents", "full")
ANN = "https://people.example/ann"


@dataclass
class Stage:
    """A bridge whose key was stolen, and one guard of each strictness."""

    w: World
    guards: dict[Strictness, GuardParts]
    orders: Actor
    courier: Actor
    personal: Actor  # acts on behalf of Ann, by its credential

    async def admit(self, text: str, strictness: Strictness) -> Admission:
        shown = Shown(scheme="bearer", credential=text, method="POST", url=RESOURCE)
        return await self.guards[strictness].verifier.admit(shown)

    async def verdicts(self, text: str) -> list[str]:
        """Return what guards say: off, agents, full."""
        said = []
        for strictness in STRICTNESSES:
            try:
                await self.admit(text, strictness)
                said.append("yes")
            except DidAgentError as error:
                said.append(error.code)
        return said

    def forge(self, honest: str, **changes: Any) -> str:
        """Sign another token with the bridge's real key."""
        key = load_key(self.w.data / "keys" / "bridge-token.jwk")
        token = verify_access_token(
            honest,
            find_key=lambda *_: key.public,
            expected_issuer=self.w.url,
            expected_audience=RESOURCE,
            proven=None,
            now=self.w.clock(),
        )
        forged: AccessToken = replace(token, **changes)
        return encode_access_token(forged, key=key, kid=thumbprint(key.public))

    # ---- honest tokens

    async def alone(self) -> str:
        return str((await self.w.client_credentials(self.orders.key, resource=RESOURCE)).json()["access_token"])

    async def presented(self) -> str:
        return str((await self.w.exchange(await self.w.vp(self.orders, self.orders.held[0]))).json()["access_token"])

    async def handed_on(self) -> str:
        parent = self.orders.held[0]
        child = self.w.hand_on(parent, self.orders, self.courier, "list_menu")
        answer = await self.w.exchange(await self.w.vp(self.courier, child, parent))
        return str(answer.json()["access_token"])

    async def next_hop(self) -> str:
        parent = self.orders.held[0]
        child = self.w.hand_on(parent, self.orders, self.courier, "list_menu")
        answer = await self.w.next_hop(await self.alone(), await self.w.vp(self.courier, child, parent))
        return str(answer.json()["access_token"])

    async def for_ann(self) -> str:
        return str((await self.w.exchange(await self.w.vp(self.personal))).json()["access_token"])

    async def consented(self) -> str:
        code, verifier = await code_for(self.w, self.orders)
        return str((await redeem(self.w, self.orders, code, verifier)).json()["access_token"])


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    cheap_passwords(monkeypatch)
    load_or_create_key(tmp_path / "keys" / "bridge-token.jwk")  # where an older deployment had it; this one is stolen
    async with world(tmp_path) as w, AsyncExitStack() as stack:
        await w.put_resource()
        await w.put_user("smith", "list_menu", "create_order")
        await w.put_user(ANN, "list_menu", "create_order")
        orders, courier, personal = w.agent("orders", "list_menu", "create_order"), w.enrol("courier"), w.enrol("own")
        w.grant(orders, capability("assign_delivery"))  # a second root: such a token stands on both
        w.grant(personal, capability("list_menu"), on_behalf_of=ANN)
        guards: dict[Strictness, GuardParts] = {}
        for strictness in STRICTNESSES:
            (folder := tmp_path / strictness).mkdir()
            guards[strictness] = compose(
                resource=RESOURCE,
                bridge=w.url,
                trusted_issuers=[did_key(w.issuer.key.public)],
                data=folder,
                strict_delegation=strictness,
                clock=w.clock,
            )
        for parts in guards.values():
            await stack.enter_async_context(parts.running())
        yield Stage(w, guards, orders, courier, personal)


@pytest.mark.req("DEL-07")
async def test_honest_tokens_of_every_door_are_admitted(stage: Stage) -> None:
    doors: list[Callable[[], Awaitable[str]]] = [
        stage.alone,
        stage.presented,
        stage.handed_on,
        stage.next_hop,
        stage.for_ann,
    ]
    for door in doors:
        assert await stage.verdicts(await door()) == ["yes"] * 3, door.__name__
    # That a person said yes at the bridge is the bridge's word: nobody else signed it.
    assert await stage.verdicts(await stage.consented()) == ["yes", "yes", "delegation_not_evidenced"]


@pytest.mark.req("DEL-07")
async def test_a_stolen_bridge_key_cannot_invent_an_agents_rights(stage: Stage) -> None:
    evil = stage.w.enrol("evil").did
    honest = await stage.alone()
    claims = {"subject": evil, "client_id": evil}
    for forged in (
        stage.forge(honest, **claims),  # behind it lie the credentials of somebody else
        stage.forge(honest, **claims, evidence=None, evidence_uri=None),
        stage.forge(honest, **claims, credential_ids=()),
    ):
        assert await stage.verdicts(forged) == ["yes", *["delegation_not_evidenced"] * 2]


@pytest.mark.req("DEL-07")
async def test_a_stolen_bridge_key_cannot_invent_a_hop(stage: Stage) -> None:
    evil = stage.w.enrol("evil").did
    handed, for_ann, consented = await stage.handed_on(), await stage.for_ann(), await stage.consented()
    refused = ["yes", *["delegation_not_evidenced"] * 2]
    assert await stage.verdicts(stage.forge(handed, actors=(evil,))) == refused
    assert await stage.verdicts(stage.forge(handed, actors=(evil, stage.courier.did))) == refused
    assert await stage.verdicts(stage.forge(handed, actors=(stage.courier.did, evil))) == refused
    assert await stage.verdicts(stage.forge(handed, subject=stage.courier.did, actors=())) == refused  # `act` stripped
    assert await stage.verdicts(stage.forge(for_ann, actors=(evil,))) == refused
    assert await stage.verdicts(stage.forge(consented, actors=(evil,))) == refused
    assert await stage.verdicts(stage.forge(consented, actors=())) == refused
    assert await stage.verdicts(stage.forge(consented, subject_profile="service", actors=())) == refused


@pytest.mark.req("DEL-03")
async def test_a_stolen_bridge_key_cannot_name_another_person(stage: Stage) -> None:
    for_ann = await stage.for_ann()
    assert await stage.verdicts(stage.forge(for_ann, subject="smith")) == ["yes", *["delegation_not_evidenced"] * 2]
    itself = stage.forge(for_ann, subject=stage.personal.did, subject_profile="ai_agent", actors=())
    assert await stage.verdicts(itself) == ["yes", *["delegation_not_evidenced"] * 2]
    # Without a person in its credentials, only full strictness asks for whom an agent acts.
    acting = {"subject_profile": "user", "subject": "smith", "actors": (stage.orders.did,)}
    invented = stage.forge(await stage.alone(), **acting)
    assert await stage.verdicts(invented) == ["yes", "yes", "delegation_not_evidenced"]


@pytest.mark.req("DEL-04", "DEL-05")
async def test_a_stolen_bridge_key_cannot_widen_a_token(stage: Stage) -> None:
    honest, refused = await stage.alone(), ["yes", *["delegation_not_evidenced"] * 2]
    more = (capability("delete_order"),)
    assert await stage.verdicts(stage.forge(honest, capabilities=more, scopes=scopes_of(more))) == refused
    both = (capability("list_menu", "assign_delivery"),)  # each is signed, but in two credentials
    assert await stage.verdicts(stage.forge(honest, capabilities=both, scopes=scopes_of(both))) == refused
    assert await stage.verdicts(stage.forge(honest, scopes=frozenset({"tool:list_menu", "tool:x"}))) == refused
    less = (capability("list_menu"),)
    assert await stage.verdicts(stage.forge(honest, capabilities=less, scopes=scopes_of(less))) == ["yes"] * 3
    short = stage.w.enrol("short")
    stage.w.grant(short, capability("list_menu"), valid_until=stage.w.clock() + timedelta(seconds=60))
    answer = await stage.w.client_credentials(short.key, resource=RESOURCE)
    text = answer.json()["access_token"]
    assert await stage.verdicts(text) == ["yes"] * 3
    assert await stage.verdicts(stage.forge(text, expires=stage.w.clock() + timedelta(seconds=300))) == refused


@pytest.mark.req("DEL-10")
async def test_a_stolen_bridge_key_cannot_revive_a_revoked_credential(stage: Stage) -> None:
    forged = stage.forge(await stage.alone(), credential_ids=())
    assert await stage.verdicts(forged) == ["yes"] * 3
    admitted = await stage.admit(forged, "full")
    assert len(admitted.caller.credential_ids) == 2  # what was left out is heard of all the same
    stage.w.issuer.bits["revocation"].add(1)  # the feed says nothing: it is the bridge's
    stage.w.clock.forward(31)
    for parts in stage.guards.values():
        parts.verifier.revocations._heard = stage.w.clock()  # type: ignore[attr-defined]  # a silent feed, not an old one
    assert await stage.verdicts(forged) == ["yes", "revoked", "revoked"]
    with pytest.raises(Revoked):
        await stage.admit(forged, "full")


@pytest.mark.req("TOK-09")
async def test_a_guard_can_insist_on_the_agents_own_key(stage: Stage) -> None:
    verifier = stage.guards["full"].verifier
    door = verifier.doors[0]
    assert isinstance(door, TokenDoor)
    assert door.delegation is not None
    door = replace(door, delegation=replace(door.delegation, agent_key=True))
    insisting = replace(verifier, doors=(door,), known=KnownTexts())
    w, key, thief = stage.w, stage.orders.key, SigningKey.generate()

    async def admit(text: str, proven_by: SigningKey) -> Admission:
        proof = make_proof(proven_by, method="POST", url=RESOURCE, now=w.clock(), access_token=text)
        return await insisting.admit(
            Shown(scheme="dpop", credential=text, method="POST", url=RESOURCE, proofs=(proof,))
        )

    form = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(key)}
    bound = await w.post("/token", form, DPoP=make_proof(key, method="POST", url=f"{w.url}/token", now=w.clock()))
    honest = bound.json()["access_token"]
    assert (await admit(honest, key)).caller.agent == stage.orders.did
    stolen = stage.forge(honest, confirmation=Confirmation(jkt=thumbprint(thief.public)))
    with pytest.raises(NotEvidenced):
        await admit(stolen, thief)
    with pytest.raises(NotEvidenced):
        await insisting.admit(Shown(scheme="bearer", credential=await stage.alone(), method="POST", url=RESOURCE))
    assert await stage.verdicts(await stage.alone()) == ["yes"] * 3


async def test_strictness_needs_somebody_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured):
        compose(
            resource=RESOURCE,
            bridge="https://bridge.example",
            trusted_issuers=(),
            data=tmp_path,
            strict_delegation="full",
        )
    monkeypatch.setenv("DID_AGENT_STRICT_AGENT_KEY", "true")
    with pytest.raises(Misconfigured):
        compose(resource=RESOURCE, bridge="https://bridge.example", trusted_issuers=(), data=tmp_path)


async def test_a_refusal_says_why_to_the_operator_alone(stage: Stage) -> None:
    with pytest.raises(NotEvidenced, match="holder_mismatch"):
        await stage.admit(stage.forge(await stage.alone(), subject=stage.courier.did), "agents")
