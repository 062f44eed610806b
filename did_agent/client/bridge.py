"""The bridge as its clients see it: challenges, tokens, revocation, and its administration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from did_agent.client.certificate import ClientCertificate
from did_agent.client.dpop import DPoPSigner
from did_agent.client.wire import objects_in, segment, send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.errors import WrongAudience
from did_agent.keys.public import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion

VP_TYPE: Final = "https://www.w3.org/2018/credentials#VerifiablePresentation"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class BridgeClient:
    """Talks to one bridge; `auth` is needed for its administration alone.

    With a certificate it asks for tokens where the bridge looks at certificates, and they are bound to it.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: httpx2.Auth | None = None,
        certificate: ClientCertificate | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.url, self._auth, self._clock = url, auth, clock
        self._tls = None if certificate is None else certificate.context()

    async def challenge(self) -> str:
        """Return a fresh challenge for a presentation.

        Raises: PeerUnavailable, WrongAudience when the answer names another bridge than the one we asked.
        """
        answer = await self._send("POST", "/challenge")
        # What is signed is addressed to whom we connected to, never to whom an answer names (VCX, section 9).
        if answer.get("domain") != self.url:
            raise WrongAudience("the challenge is for another bridge")
        return text_in(answer, "c_nonce")

    async def client_credentials(self, key: SigningKey, *, resource: str, scope: str | None = None) -> str:
        """Return a token for a did:key client on its own.

        Raises: ServerRefused, PeerUnavailable.
        """
        fields = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
        return await self._token({**fields, **self._assertion(key)})

    async def exchange(
        self,
        presentation: Mapping[str, Any],
        *,
        resource: str,
        scope: str | None = None,
        subject_token: str | None = None,
        task: str | None = None,
        dpop: DPoPSigner | None = None,
    ) -> str:
        """Return the token a presentation is exchanged for (RFC 8693); with `subject_token` as its next actor.

        With `dpop` the token is bound to its key.

        Raises: ServerRefused, PeerUnavailable.
        """
        shown = json.dumps(presentation)
        fields: dict[str, str | None] = {"grant_type": TOKEN_EXCHANGE, "resource": resource, "scope": scope}
        fields["task"] = task
        if subject_token is None:
            fields |= {"subject_token": shown, "subject_token_type": VP_TYPE}
        else:
            fields |= {"subject_token": subject_token, "subject_token_type": ACCESS_TOKEN_TYPE}
            fields |= {"actor_token": shown, "actor_token_type": VP_TYPE}
        return await self._token(fields, dpop)

    async def redeem_code(  # OAuth has many parameters
        self,
        key: SigningKey,
        *,
        code: str,
        code_verifier: str,
        redirect_uri: str,
        presentation: Mapping[str, Any] | None = None,
        resource: str | None = None,
    ) -> str:
        """Return the token of an authorization code, the actor proven by its presentation.

        Raises: ServerRefused, PeerUnavailable.
        """
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": redirect_uri,
            "resource": resource,
        }
        if presentation is not None:
            fields |= {"actor_token": json.dumps(presentation), "actor_token_type": VP_TYPE}
        return await self._token({**fields, **self._assertion(key)})

    async def revoke(self, key: SigningKey, token: str) -> None:
        """Revoke a token of this client (RFC 7009).

        Raises: ServerRefused, PeerUnavailable.
        """
        await self._send("POST", "/revoke", data={"token": token, **self._assertion(key)})

    async def introspect(self, key: SigningKey, token: str) -> dict[str, Any]:
        """Return what the bridge says of a token to the client that has this key (RFC 7662).

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("POST", "/introspect", data={"token": token, **self._assertion(key)})

    async def put_resource(self, resource: str, *, name: str, tools: Mapping[str, str], **how: Any) -> dict[str, Any]:
        """Register a protected resource and its tools in plain words.

        `how` are `binding`, `admits`, `signing_alg`, `organisation` and `shared_with`.
        """
        body = {"resource": resource, "name": name, "tools": dict(tools), **how}
        return await self._send("PUT", "/resources", json=body)

    async def resources(self) -> list[dict[str, Any]]:
        """Return the registered resources."""
        return objects_in(await self._send("GET", "/resources"), "resources")

    async def put_user(
        self,
        username: str,
        *,
        password: str,
        name: str,
        rights: Mapping[str, Sequence[str]],
        groups: Sequence[str] = (),
        **place: Any,
    ) -> dict[str, Any]:
        """Create or replace a local user with what they may do at each resource, and the groups they are in.

        `place` are `organisation`, and `operates`: as what they administer agents of it.
        """
        body: dict[str, Any] = {"password": password, "name": name, "groups": list(groups), **place}
        body["rights"] = {key: list(tools) for key, tools in rights.items()}
        return await self._send("PUT", f"/users/{segment(username)}", json=body)

    def _assertion(self, key: SigningKey) -> dict[str, str]:
        assertion = make_client_assertion(key, audience=self.url, now=self._clock())
        return {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}

    async def _token(self, fields: Mapping[str, str | None], dpop: DPoPSigner | None = None) -> str:
        sent = {name: value for name, value in fields.items() if value is not None}
        place = f"{self.url}/token" if self._tls is None else await self._token_endpoint()
        answer = await send("bridge", place, "POST", "", auth=self._auth, tls=self._tls, data=sent, dpop=dpop)
        return text_in(answer, "access_token")

    async def _token_endpoint(self) -> str:
        """Return where tokens bound to certificates are asked for (RFC 8705, 5).

        Raises: WrongAudience when the metadata is of another bridge, PeerUnavailable.
        """
        parts = urlsplit(self.url)
        origin, path = f"{parts.scheme}://{parts.netloc}", f"/.well-known/oauth-authorization-server{parts.path}"
        metadata = await send("bridge", origin, "GET", path, tls=self._tls)
        if metadata.get("issuer") != self.url:
            raise WrongAudience("the metadata is of another bridge")
        aliases = metadata.get("mtls_endpoint_aliases")
        return text_in({**metadata, **(aliases if isinstance(aliases, dict) else {})}, "token_endpoint")

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, tls=self._tls, **content)
