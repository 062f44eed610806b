"""Signs people in at the bridge: authorization code with PKCE, the client known by its key (RFC 7636, OAU-07)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from console.model import Attempt, Party, Token
from console.settings import CLIENT_ID
from did_agent.client.bridge import ASSERTION_TYPE
from did_agent.client.errors import ServerRefused
from did_agent.client.wire import send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.errors import PeerUnavailable
from did_agent.keys.public import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion


class BridgeSignIn:
    """The console as a client of one bridge."""

    def __init__(
        self,
        url: str,
        *,
        key: SigningKey,
        redirect_uri: str,
        resources: Mapping[Party, str],
        clock: Clock = system_clock,
    ) -> None:
        self._url, self._key, self._redirect_uri, self._clock = url, key, redirect_uri, clock
        self._resources = resources

    def address(self, attempt: Attempt, *, again: bool = False) -> str:
        """Return where the browser goes to sign in; with `again` a password is asked for in any case."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self._redirect_uri,
            "resource": self._resources[attempt.party],
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            "state": attempt.state,
            **({"prompt": "login"} if again else {}),
        }
        return f"{self._url}/authorize?{urlencode(query)}"

    async def redeem(self, attempt: Attempt, code: str) -> Token:
        """Return the token for a code.  Raises: ServerRefused, PeerUnavailable."""
        fields = {"code": code, "code_verifier": attempt.verifier, "redirect_uri": self._redirect_uri}
        return self._token(await self._post("/token", grant_type="authorization_code", **fields))

    async def renew(self, party: Party, token: Token) -> Token:
        """Return the next token.  Raises: ServerRefused, PeerUnavailable."""
        resource = self._resources[party]
        fields = {"grant_type": "refresh_token", "refresh_token": token.refresh or "", "resource": resource}
        return self._token(await self._post("/token", **fields))

    async def give_back(self, token: Token) -> None:
        """End what a token was made from (RFC 7009); a bridge that is away ends it by time."""
        with contextlib.suppress(ServerRefused, PeerUnavailable):
            await self._post("/revoke", token=token.refresh or token.access)

    async def _post(self, path: str, **fields: str) -> dict[str, Any]:
        made = make_client_assertion(self._key, audience=self._url, now=self._clock(), client_id=CLIENT_ID)
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": made}
        return await send("bridge", self._url, "POST", path, data={**fields, **proof})

    def _token(self, answer: dict[str, Any]) -> Token:
        seconds, refresh = answer.get("expires_in"), answer.get("refresh_token")
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            raise PeerUnavailable("the bridge's answer does not say how long the token lasts")
        return Token(
            access=text_in(answer, "access_token"),
            expires=self._clock() + timedelta(seconds=seconds),
            scopes=frozenset(str(answer.get("scope", "")).split()),
            refresh=refresh if isinstance(refresh, str) else None,
        )
