"""The story: identity, credential, presentation, token, tool call, delegation, revocation, record."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from did_agent.agent import Agent
from did_agent.cli.auditing import export_bytes, verify_log
from did_agent.cli.demo.narrator import Narrator
from did_agent.cli.demo.person import sign_in_and_consent
from did_agent.cli.demo.tools import Bearer, call, status_of, stock_provider
from did_agent.cli.deployment import Deployment
from did_agent.cli.table import audit_table
from did_agent.errors import BadLog
from did_agent.policy.decide import short_did
from did_agent.proof.jwt import unverified_jws

_REDIRECT: Final = "http://127.0.0.1:8499/callback"
_CASTING: Final = {
    "ordering-assistant": ("list_menu", "create_order", "assign_delivery"),
    "delivery-agent": ("list_menu",),
    "inventory-agent": ("list_menu", "update_stock"),
}
_SMITHS_RIGHTS: Final = ("list_menu", "create_order", "delete_order", "assign_delivery")
_SHOWN: Final = ("tool.call", "resource.access", "credential.revoke")
_PATIENCE: Final = 20  # looks at the ledger until deliveries have settled
_DELIVERY_STEP: Final = 0.15  # s between them
_VOLATILE: Final = ("id", "time", "token_id", "request_id")  # what differs between any two events


async def tell(deployment: Deployment, narrator: Narrator) -> None:
    """Walk all chapters on a running deployment.

    Raises: StoryBroken at the first step that does not end as told.
    """
    story = _Story(deployment, narrator)
    await story.onboard()
    await story.autonomous()
    await story.stock_client()
    await story.delegated()
    await story.agent_to_agent()
    await story.both_forms()
    await story.revocation()
    await story.record()


class _Story:
    """The stage: who is on it, and the chapters in order."""

    def __init__(self, deployment: Deployment, narrator: Narrator) -> None:
        self._stage = deployment
        self._tell = narrator
        self._resource, self._bridge = deployment.urls.demo_url, deployment.urls.bridge_url
        self._agents: dict[str, Agent] = {}
        self._credentials: dict[str, str] = {}  # agent name -> id of its capability credential
        self._password = secrets.token_urlsafe(18)
        self._ledger = deployment.ledger  # one client, one token: reading the log must not lengthen it
        self._user_token = ""

    async def onboard(self) -> None:
        self._tell.chapter(1, "The operator onboards three agents; each makes its own key and proves it")
        await self._stage.bridge.put_user(
            "smith", password=self._password, name="Jo Smith", rights={self._resource: list(_SMITHS_RIGHTS)}
        )
        for name, tools in _CASTING.items():
            agent = Agent.create(name, path=self._stage.data / "wallet")
            created = await self._stage.issuer.create_agent(
                name=name, sponsor="Urban Bites operations", redirect_uris=[_REDIRECT]
            )
            await agent.enrol(self._stage.urls.issuer_url, created["agent_id"], created["enrolment"]["challenge"])
            self._tell.step(f"{name} made a key, proved possession", short_did(agent.did))
            capability = {"resource": [self._resource], "tools": {tool: {} for tool in tools}}
            issued = await self._stage.issuer.issue_credential(
                created["agent_id"], capabilities=[capability], max_depth=1
            )
            agent.add_credential(issued["credential"])
            self._agents[name], self._credentials[name] = agent, issued["credential"]["id"]
            self._tell.step(f"{name} holds a credential for", ", ".join(tools))

    async def autonomous(self) -> None:
        self._tell.chapter(2, "Autonomous: a presentation becomes a token, the token calls a tool")
        agent = self._agents["inventory-agent"]
        token = await agent.token(self._bridge, self._resource)
        self._tell.step("inventory-agent presents its credential to the bridge", "at+jwt, 300 s, for one resource")
        await self._allowed(Bearer(token), "update_stock", {"item": "falafel", "quantity": 12})
        await self._refused(Bearer(token), "delete_order", {"order_id": "1"}, because="agent")

    async def stock_client(self) -> None:
        self._tell.chapter(3, "The unmodified MCP SDK client finds its way from the server's URL alone")
        provider = stock_provider(self._agents["inventory-agent"], resource=self._resource, issuer=self._bridge)
        await self._allowed(provider, "list_menu", {})

    async def delegated(self) -> None:
        self._tell.chapter(4, "Delegated: smith consents, ordering-assistant acts for smith")
        agent = self._agents["ordering-assistant"]
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        question = {
            "response_type": "code",
            "client_id": agent.did,
            "redirect_uri": _REDIRECT,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": state,
            "resource": self._resource,
            "requested_actor": agent.did,
        }
        answer = await sign_in_and_consent(
            f"{self._bridge}/authorize?{urlencode(question)}", username="smith", password=self._password
        )
        honest = answer.get("state") == state and answer.get("iss") == self._bridge and "code" in answer
        self._tell.step("smith signs in and consents; the answer names its issuer", "code, state, iss", as_told=honest)
        self._user_token = await agent.redeem(
            self._bridge, self._resource, code=answer["code"], code_verifier=verifier, redirect_uri=_REDIRECT
        )
        claims = _claims(self._user_token)
        told = claims["sub"] == "smith" and claims["act"]["sub"] == agent.did
        self._tell.step("the token says who, through whom", f"sub=smith act={short_did(agent.did)}", as_told=told)
        await self._allowed(Bearer(self._user_token), "create_order", {"item": "falafel", "quantity": 2})
        await self._refused(Bearer(self._user_token), "delete_order", {"order_id": "1"}, because="agent")

    async def agent_to_agent(self) -> None:
        self._tell.chapter(5, "Agent to agent: a narrower capability, signed by the agent that hands it on")
        giver, taker = self._agents["ordering-assistant"], self._agents["delivery-agent"]
        child = giver.delegate(
            taker.did,
            resource=self._resource,
            tools={"assign_delivery": {}},
            limits={"maxCalls": 1},
            valid_seconds=900,
        )
        taker.add_credential(child)
        self._tell.step("ordering-assistant signs for delivery-agent", "assign_delivery only, once, 15 min")
        token = await taker.token(self._bridge, self._resource, subject_token=self._user_token)
        act = _claims(token)["act"]
        nested = act["sub"] == taker.did and act["act"]["sub"] == giver.did
        self._tell.step("nested act", f"{short_did(taker.did)} ◂ {short_did(giver.did)} ◂ smith", as_told=nested)
        await self._allowed(Bearer(token), "assign_delivery", {"order_id": "1", "courier": "Ada"})
        await self._refused(Bearer(token), "assign_delivery", {"order_id": "1", "courier": "Bob"}, because="limit")
        await self._refused(Bearer(token), "create_order", {"item": "falafel", "quantity": 1}, because="agent")

    async def both_forms(self) -> None:
        self._tell.chapter(6, "Both forms: presentation or token, the same decision and the same record")
        agent = self._agents["inventory-agent"]
        arguments = {"item": "hummus", "quantity": 3}
        await self._allowed(agent.presentation_auth(self._resource), "update_stock", arguments)
        token = await agent.token(self._bridge, self._resource)
        await self._allowed(Bearer(token), "update_stock", arguments)
        rows = [
            row["event"]
            for row in await self._events()
            if row["event"]["target"] == "update_stock" and row["event"]["principal"] == agent.did
        ][-2:]
        plain = [{name: value for name, value in event.items() if name not in _VOLATILE} for event in rows]
        forms = [event.pop("details")["form"] for event in plain]
        same = len(plain) == 2 and plain[0] == plain[1] and forms == ["vp", "jwt"]
        self._tell.step("the two records, apart from id, time and form", "equal", as_told=same)

    async def revocation(self) -> None:
        self._tell.chapter(7, "Revocation: the credential dies, and with it the token made from it")
        agent = self._agents["inventory-agent"]
        token = await agent.token(self._bridge, self._resource)
        await self._allowed(Bearer(token), "list_menu", {})
        revoked = await self._stage.issuer.revoke_credential(
            self._credentials["inventory-agent"], reason="demonstration"
        )
        self._tell.step("the operator revokes the credential", str(revoked["state"]))
        status = await status_of(self._resource, Bearer(token))
        self._tell.step("the very next call with the token", f"HTTP {status}", as_told=status == 401)

    async def record(self) -> None:
        self._tell.chapter(8, "The record: who, through which agents, did what, on what, and why")
        names = {agent.did: name for name, agent in self._agents.items()}
        rows = [row["event"] for row in await self._events() if row["event"]["action"] in _SHOWN]
        for line in audit_table(rows, names).splitlines():
            self._tell.note("   " + line)
        log = self._stage.data / "audit.jsonl"
        log.write_bytes(await export_bytes(self._stage))
        with log.open("rb") as file:
            found = verify_log(self._stage, file)
        self._tell.step(
            "did-agent audit verify audit.jsonl (offline)", f"ok: {found.size} rows, {found.checkpoints} checkpoints"
        )
        spoiled = bytearray(log.read_bytes())
        where = spoiled.index(b'"target":"delete_order"') + len(b'"target":"')
        spoiled[where] ^= 0x01  # d becomes e
        copy = log.with_name("spoiled.jsonl")
        copy.write_bytes(spoiled)
        try:
            with copy.open("rb") as file:
                verify_log(self._stage, file)
        except BadLog as error:
            row = spoiled[:where].count(b'{"seq":')
            self._tell.step("one byte flipped in a copy", error.detail, as_told=error.detail.startswith(f"row {row} "))
        else:
            self._tell.step("one byte flipped in a copy", "not noticed", as_told=False)

    async def _allowed(self, auth: httpx2.Auth, tool: str, arguments: dict[str, Any]) -> None:
        outcome = await call(self._resource, auth, tool, arguments)
        self._tell.step(f"{tool}", "allowed" if outcome.allowed else outcome.text, as_told=outcome.allowed)

    async def _refused(self, auth: httpx2.Auth, tool: str, arguments: dict[str, Any], *, because: str) -> None:
        outcome = await call(self._resource, auth, tool, arguments)
        told = not outcome.allowed and because in outcome.text
        self._tell.step(f"{tool}", outcome.text if not outcome.allowed else "allowed", as_told=told)

    async def _events(self) -> list[dict[str, Any]]:
        """Return the log's newest rows once it holds all that the guard has decided."""
        rows: list[dict[str, Any]] = []
        for _ in range(_PATIENCE):
            size = len(rows)
            rows = await self._ledger.events(limit="500", newest="true")
            if rows and len(rows) == size:
                break
            await asyncio.sleep(_DELIVERY_STEP)
        return rows


def _claims(token: str) -> Any:
    return unverified_jws(token)[1]
