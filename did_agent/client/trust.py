"""An issuer's trust: whom its organisation believes, as its operators keep it, and its did:web documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.client.wire import objects_in, require_address, segment, send, text_in
from did_agent.did.key import parse_did_key
from did_agent.errors import PeerUnavailable
from did_agent.tokens.profiles import TRUST_LIST
from did_agent.tokens.trust_list import PATH, TrustList, verify_trust_list

ABOUT: Final = "/.well-known/did-agent-issuer"


@dataclass(frozen=True, slots=True)
class TrustClient:
    """Talks to one issuer with an operator's rights."""

    url: str
    auth: httpx2.Auth | None = None

    async def add(self, /, issuer: str, *, resources: list[str], **said: Any) -> dict[str, Any]:
        """Trust a DID for `resources`; returns the line and the version of the list that has it first.

        Raises: ServerRefused, PeerUnavailable.
        """
        body = {
            "issuer": issuer,
            "resources": resources,
            **{name: one for name, one in said.items() if one is not None},
        }
        return await self._send("POST", "/trust", json=body)

    async def remove(self, identifier: str) -> dict[str, Any]:
        """Take a line out; what its issuer granted ends within the staleness cap of each verifier.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("DELETE", f"/trust/{segment(identifier)}")

    async def show(self, identifier: str) -> dict[str, Any]:
        """Return one line.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("GET", f"/trust/{segment(identifier)}")

    async def list(self) -> list[dict[str, Any]]:
        """Return every line.

        Raises: ServerRefused, PeerUnavailable.
        """
        return objects_in(await self._send("GET", "/trust"), "trust")

    async def publish_did(self, agent_id: str) -> str:
        """Publish an agent's did:web document; returns its DID.

        Raises: ServerRefused, PeerUnavailable.
        """
        return text_in(await self._send("PUT", f"/agents/{segment(agent_id)}/did-web"), "did")

    async def withdraw_did(self, agent_id: str) -> None:
        """Publish it no more.

        Raises: ServerRefused, PeerUnavailable.
        """
        await self._send("DELETE", f"/agents/{segment(agent_id)}/did-web")

    async def published(self, *, anchors: frozenset[str], now: datetime) -> TrustList:
        """Return the list as everybody sees it, if one of the `anchors` signed it.

        Raises: PeerUnavailable, what `verify_trust_list` raises.
        """
        require_address("issuer", self.url)
        try:
            async with peer_client() as http:
                answer = await http.get(self.url + PATH)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerUnavailable(f"the issuer {self.url}: {type(error).__name__}") from error
        if answer.status_code != httpx2.codes.OK or len(answer.content) > TRUST_LIST.max_bytes:
            raise PeerUnavailable(f"{self.url[:200]}{PATH} answered {answer.status_code}")
        text = answer.content.decode("ascii", errors="replace")
        return verify_trust_list(text, anchors=anchors, after=None, now=now)

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self.auth, **content)


async def issuer_did(url: str) -> str:
    """Return the DID that the issuer at `url` says it has: to be compared with what its people say.

    Raises: PeerUnavailable when it is no issuer, or calls itself by another address.
    """
    about: Mapping[str, Any] = await send("issuer", url, "GET", ABOUT)
    if text_in(dict(about), "url") != url:
        raise PeerUnavailable(f"the issuer at {url[:200]} calls itself {str(about['url'])[:200]}: use that address")
    did = text_in(dict(about), "did")
    parse_did_key(did)
    return did
