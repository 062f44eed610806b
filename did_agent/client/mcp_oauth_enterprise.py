"""First leg of enterprise-managed authorization: an ID token becomes an ID-JAG for one MCP server (SEP-990)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from did_agent.client.wire import send, text_in
from did_agent.errors import PeerUnavailable

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_JAG: Final = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterpriseIdentity:
    """A person's sign-in at the company's identity provider, and this client's registration there."""

    token_endpoint: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    subject_token: Callable[[], Awaitable[str]] = field(repr=False)  # a fresh ID token each time it is asked for
    subject_token_type: str = ID_TOKEN

    async def id_jag(self, audience: str, resource: str) -> str:
        """Return the company's grant for `resource`, addressed to the authorization server `audience`.

        Raises: ServerRefused, PeerUnavailable.
        """
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "requested_token_type": ID_JAG,
            "audience": audience,
            "resource": resource,
            "subject_token": await self.subject_token(),
            "subject_token_type": self.subject_token_type,
            "client_id": self.client_id,
        }
        if self.client_secret is not None:
            form["client_secret"] = self.client_secret
        answer = await send("identity provider", self.token_endpoint, "POST", "", data=form)
        # Anything else would be sent to the MCP server's authorization server as if it were a grant for it.
        if answer.get("issued_token_type") != ID_JAG or str(answer.get("token_type")).upper() != "N_A":
            raise PeerUnavailable("the identity provider gave no ID-JAG")
        return text_in(answer, "access_token")
