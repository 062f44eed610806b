"""The part of the honest day that is about a team's agents: their blueprints, rights, keys, and who stops them."""

from __future__ import annotations

from typing import Any, Final

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest
from tests.fakes.bridge_world import START

RESOURCE: Final = "https://urban-bites.example/mcp"
CAPABILITY: Final = {"resource": [RESOURCE], "tools": {"list_menu": {}}}
WHY: Final = {"reason": "a test"}
# What takes a platform that vouches, a wallet, a second operator, or a receiver: tests of their own walk these.
ELSEWHERE: Final = {
    "POST /attestations",
    "POST /enrolments",
    "POST /enrolments/state",
    "POST /enrolments/{identifier}/approve",
    "POST /enrolments/{identifier}/reject",
    "POST /agents/{identifier}/custodial-key",
    "POST /delegations",
    "POST /delegations/{identifier}/revoke",
    "POST /proposals/{identifier}/approve",
    "POST /offers/{identifier}/approve",
    "POST /offers/{identifier}/deny",
    "GET /oid4vci/offers/{handle}",
    "GET /token-status-lists/{number}",
    "POST /oid4vci/token",
    "POST /oid4vci/credential",
    "POST /oid4vci/deferred",
    "POST /oid4vci/notification",
    "POST /webhooks/{identifier}/deliveries/{delivery}/resend",
    "POST /credentials/{identifier}/renew",
    "POST /requests/{identifier}/approve",
}


class Team:
    """One operator, and one agent with a key of its own."""

    def __init__(self, story: Any) -> None:
        self.issuer, self.admin = story.issuer, story.deployment.token("issuer")
        self.url, self.key = story.deployment.urls["issuer"], SigningKey.generate()

    def ask(self, method: str, path: str, status: int, body: Any = None) -> Any:
        """Return an answer to the operator."""
        sent = {} if body is None else {"json": body}
        answer = self.issuer.send(method, path, status, bearer=self.admin, **sent)
        return answer.json() if answer.content else None

    def own(self, method: str, path: str, status: int, body: Any = None) -> Any:
        """Return an answer to the agent itself."""
        proof = present_jwt([], key=self.key, audience=self.url, now=START)
        sent = {} if body is None else {"json": body}
        return self.issuer.send(method, path, status, bearer=proof, **sent).json()


def issuer(story: Any) -> None:
    """Walk the issuer's width."""
    team = Team(story)
    agent = registry(team)
    rights(team, agent)
    keys(team, agent)
    others(team)


def registry(team: Team) -> str:
    """Make agents in all ways there are; return the id of one with a key."""
    ask = team.ask
    ask("PUT", "/groups/fleet", 200, {"description": "those that drive"})
    ask("PUT", "/groups/empty", 200, {})
    ask("DELETE", "/groups/empty", 200)
    ask("PUT", "/templates/driver", 200, {"sponsor": "Logistics", "groups": ["fleet"], "tags": ["eu"]})
    made = ask("POST", "/templates/driver/instances", 201, {"count": 2})["agents"]
    proof = present_jwt([], key=team.key, audience=team.url, now=START)
    row = {"key": "row-1", "name": "imported", "sponsor": "Logistics", "did": did_key(team.key.public), "proof": proof}
    (agent,) = [one["agent_id"] for one in ask("POST", "/agents/import", 200, {"rows": [row]})["rows"]]
    ask("PATCH", f"/agents/{agent}", 200, {"description": "drives", "tags": ["eu", "night"]})
    ask("PUT", "/principals/jo", 200, {"sponsors": ["Logistics"]})
    ask("GET", "/principals", 200)
    ask("POST", f"/agents/{agent}/transfer", 200, {"owner": "jo", "reason": "a new team"})
    ask("DELETE", "/principals/jo", 204)
    for path in (
        "/agents?tag=eu&limit=1&count=true",
        f"/agents/{agent}/history",
        f"/agents/{agent}/impact?change=suspend",
        "/templates",
        "/templates/driver",
        "/groups",
        "/groups/fleet",
        "/groups/fleet/members",
        "/kill-switches/impact?scope=template&target=driver",
    ):
        ask("GET", path, 200)
    ask("POST", "/groups/fleet/members", 200, {"add": [agent], "remove": [made[0]["agent_id"]]})
    switch = ask("POST", "/kill-switches", 201, {"scope": "template", "target": "driver", "reason": "odd"})
    ask("GET", "/kill-switches", 200)
    ask("POST", f"/kill-switches/{switch['id']}/lift", 200, WHY)
    ask("POST", "/groups/fleet/members", 200, {"remove": [agent]})
    ask("POST", f"/agents/{made[1]['agent_id']}/retire", 200, WHY)
    return str(agent)


def rights(team: Team, agent: str) -> None:
    """Grant by template and role, on request, and for a while."""
    ask, own = team.ask, team.own
    ask("PUT", "/granting-policy", 200, {"max_valid_seconds": 3_600})
    ask("GET", "/granting-policy", 200)
    ask("PUT", "/known-tools", 200, {"resource": RESOURCE, "tools": {}})
    ask("POST", "/capabilities", 201, {"name": "menu", "capabilities": [CAPABILITY], "renewable_seconds": 3_600})
    ask("POST", "/roles", 201, {"name": "reader", "templates": ["menu"]})
    ask("POST", "/roles/reader/assign", 201, {"kind": "agent", "target": agent})
    for path in (
        "/capabilities",
        "/capabilities/menu",
        "/roles",
        "/roles/reader",
        "/roles/reader/assignments",
        f"/agents/{agent}/entitlements",
        "/forms",
        "/forms/capability",
    ):
        ask("GET", path, 200)
    ask("POST", f"/agents/{agent}/credentials/collect", 201)
    own("POST", "/credentials/collect", 201)
    bulk = ask("POST", "/credentials/bulk", 201, {"entries": [{"agent": agent, "capabilities": [CAPABILITY]}]})
    credential = bulk["credentials"][0]["id"]
    ask("GET", f"/credentials/{credential}/impact", 200)
    ask("POST", f"/credentials/{credential}/suspend", 200, WHY)
    ask("POST", f"/credentials/{credential}/resume", 200, WHY)
    asked = own("POST", "/requests", 201, {"template": "menu", "reason": "to read the menu"})
    ask("GET", "/requests", 200)
    ask("GET", f"/requests/{asked['id']}", 200)
    ask("POST", f"/requests/{asked['id']}/deny", 200, WHY)
    again = own("POST", "/requests", 201, {"template": "menu", "reason": "please"})
    own("POST", f"/requests/{again['id']}/withdraw", 200, WHY)
    ask("POST", "/roles/reader/unassign", 200, {"kind": "agent", "target": agent, "reason": "done"})
    ask("POST", "/roles/reader/remove", 200, WHY)
    ask("POST", "/capabilities/menu/withdraw", 200, WHY)
    ask("PUT", "/granting-policy", 200, {})
    ask("GET", "/delegations", 200)


def keys(team: Team, agent: str) -> None:
    """Replace the agent's key, lose it, and invite it anew."""
    team.own("GET", "/self", 200)
    after = SigningKey.generate()
    statement = make_continuity(team.key, successor=did_key(after.public), agent_id=agent, audience=team.url, now=START)
    answer = present_jwt([], key=after, audience=team.url, now=START, nonce=statement_digest(statement))
    team.own("POST", f"/agents/{agent}/keys", 201, {"statement": statement, "possession": answer})
    team.key = after
    team.own("GET", f"/agents/{agent}/keys", 200)
    team.ask("POST", f"/agents/{agent}/recovery", 201, WHY)


def others(team: Team) -> None:
    """Say how agents arrive, who is told, and who shares the deployment."""
    ask = team.ask
    ask("PUT", "/enrolment-policies", 200, {"needs_approval": True, "template": "driver"})
    ask("GET", "/enrolment-policies", 200)
    token = ask("POST", "/enrolment-tokens", 201, {"template": "driver", "uses": 2})
    ask("GET", "/enrolment-tokens", 200)
    ask("DELETE", f"/enrolment-tokens/{token['id']}", 200)
    ask("GET", "/enrolments", 200)
    rule = {
        "issuer": "https://ci.example",
        "claims": {"repository": "acme/app"},
        "template": "driver",
        "agent_name": "ci",
    }
    ask("PUT", "/attestation-rules/ci", 200, {**rule, "jwks_uri": "https://ci.example/jwks"})
    ask("GET", "/attestation-rules", 200)
    ask("DELETE", "/attestation-rules/ci", 200)
    hook = ask("POST", "/webhooks", 201, {"url": "http://127.0.0.1:9/hook", "topics": ["agent.*"]})
    one = f"/webhooks/{hook['id']}"
    for path in ("/webhooks", one, f"{one}/deliveries"):
        ask("GET", path, 200)
    ask("PATCH", one, 200, {"topics": ["credential.*"]})
    ask("POST", f"{one}/rotate", 200)
    ask("POST", f"{one}/test", 202)
    ask("DELETE", one, 200)
    invited = ask("POST", "/agents", 201, {"name": "offered", "sponsor": "Ops"})
    offer = ask("POST", "/offers", 201, {"agent": invited["agent_id"], "capabilities": [CAPABILITY]})
    ask("GET", "/offers", 200)
    ask("GET", f"/offers/{offer['id']}", 200)
    ask("POST", f"/offers/{offer['id']}/withdraw", 200, WHY)
    for path in (
        "/.well-known/openid-credential-issuer/oid4vci",
        "/.well-known/oauth-authorization-server/oid4vci",
        "/.well-known/jwt-vc-issuer",
        "/oid4vci/types/capability",
    ):
        team.issuer.send("GET", path, 200)
    team.issuer.send("POST", "/oid4vci/nonce", 200)
    ask("POST", "/organisations", 201, {"name": "acme", "title": "Acme"})
    ask("PUT", "/organisations/acme/resources", 200, {"resources": [RESOURCE]})
    for change in ("suspend", "resume"):
        ask("POST", f"/organisations/acme/{change}", 200, WHY)
    ask("GET", "/organisations", 200)
    (signs,) = ask("GET", "/issuer-keys", 200)["issuer_keys"]
    made = ask("POST", "/issuer-keys", 201, WHY)
    ask("GET", f"/issuer-keys/{signs['did']}/impact", 200)
    ask("POST", f"/issuer-keys/{made['did']}/revoke", 200, WHY)
    ask("PUT", "/dual-control", 200, {"dual_control": ["trust", "keys"]})
    ask("POST", f"/issuer-keys/{signs['did']}/retire", 202, WHY)
    waits = ask("PUT", "/dual-control", 202, {"dual_control": []})
    ask("GET", "/proposals", 200)
    ask("POST", f"/proposals/{waits['proposal']}/reject", 200)
