"""The wallet of an agent at a credential issuer, request by request, so that a test can spoil any part of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2

from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present
from did_agent.tokens.dpop import make_proof
from did_agent.tokens.key_proof import make_key_proof
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, AGENT_KEY, CAPABILITIES, ISSUER_URL

ISSUER = f"{ISSUER_URL}/oid4vci"
GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
REASON = {"reason": "tests"}
INVALID_TRANSACTION = "invalid_transaction_id"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def refused(answer: httpx2.Response, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text


async def offered(http: httpx2.AsyncClient, agent: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make an offer to an agent as the operator."""
    body = {"agent": agent["agent_id"], **CAPABILITIES, **changes}
    made = await http.post("/offers", json=body, headers=ADMIN)
    assert made.status_code == 201, made.text
    return dict(made.json())


@dataclass
class WalletOf:
    """What an agent with a key does with offers."""

    http: httpx2.AsyncClient
    key: SigningKey = AGENT_KEY
    now: datetime = NOW
    dpop: SigningKey | None = None
    token: str = ""
    answers: list[httpx2.Response] = field(default_factory=list)

    async def redeem(self, offer: dict[str, Any], **changes: Any) -> httpx2.Response:
        """Send the code of an offer to the token endpoint."""
        granted = offer["credential_offer"]["grants"][GRANT]
        form = {"grant_type": GRANT, "pre-authorized_code": granted["pre-authorized_code"], **changes}
        headers = {} if self.dpop is None else {"DPoP": self.proof("/token")}
        answer = await self.http.post(f"{ISSUER}/token", data=form, headers=headers)
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    async def nonce(self) -> str:
        return str((await self.http.post(f"{ISSUER}/nonce")).json()["c_nonce"])

    def jwt(self, nonce: str, **changes: Any) -> str:
        said: dict[str, Any] = {"audience": ISSUER, "nonce": nonce, "now": self.now, **changes}
        return make_key_proof(said.pop("key", self.key), **said)

    def di_vp(self, nonce: str, **changes: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"audience": ISSUER, "challenge": nonce, "now": self.now, **changes}
        return present(said.pop("credentials", []), key=said.pop("key", self.key), **said)

    def proof(self, path: str) -> str:
        assert self.dpop is not None
        shown = self.token if path != "/token" else None
        return make_proof(self.dpop, method="POST", url=ISSUER + path, now=self.now, access_token=shown)

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
        """Send a body to one of the endpoints behind the token."""
        shown = {"Authorization": f"Bearer {self.token}"}
        if self.dpop is not None:
            shown = {"Authorization": f"DPoP {self.token}", "DPoP": self.proof(path)}
        return await self.http.post(ISSUER + path, json=body, headers={**shown, **headers})

    async def credential(
        self, configuration: str = "agent-capability", *, proofs: dict[str, Any] | None = None, **changes: Any
    ) -> httpx2.Response:
        """Ask for a credential with a fresh proof, or with other ones."""
        if proofs is None:
            proofs = {"jwt": [self.jwt(await self.nonce())]}
        body = {"credential_configuration_id": configuration, "proofs": proofs, **changes}
        return await self.post("/credential", {name: value for name, value in body.items() if value is not None})

    async def take(self, offer: dict[str, Any], configuration: str = "agent-capability") -> Any:
        """Redeem an offer and get one credential of it."""
        redeemed = await self.redeem(offer)
        assert redeemed.status_code == 200, redeemed.text
        answer = await self.credential(configuration)
        assert answer.status_code == 200, answer.text
        return answer.json()["credentials"][0]["credential"]
