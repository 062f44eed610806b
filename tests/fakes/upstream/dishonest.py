"""An OpenID provider on loopback that a test can make lie: every part of its answers can be spoiled, one at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from did_agent.adapters.party import listen, serving

CLIENT_ID = "did-agent-bridge"
CLIENT_SECRET = "a secret + with % odd characters"
SIGNING = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)
OTHER = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
CURVE = ECKey.generate_key("P-256", {"kid": "curve"}, private=True)


@dataclass(slots=True)
class Dishonest:
    """The provider; `claims`, `document`, `answer` and `token` are laid over what an honest one says (None: absent)."""

    issuer: str
    clock: Callable[[], datetime]
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    key: Any = field(default_factory=lambda: SIGNING)
    keys: list[Any] = field(default_factory=lambda: [SIGNING, CURVE])
    raw_token: str | None = None
    is_away: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)  # authorization requests
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        places = {
            "/.well-known/openid-configuration": self._discovery,
            "/jwks": self._jwks,
            "/authorize": self._authorize,
            "/token": self._token,
        }
        return Starlette(routes=[Route(path, end, methods=["GET", "POST"]) for path, end in places.items()])

    async def _discovery(self, _request: Request) -> Response:
        if self.is_away:
            return Response(status_code=500)
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": ["openid", "profile", "groups"],
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse(_over(honest, self.document))

    async def _jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = _over({"code": code, "state": asked["state"], "iss": self.issuer}, self.answer)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", status_code=303)

    async def _token(self, request: Request) -> Response:
        sent = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if not _is_client(request.headers.get("authorization", "")):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        asked = self._codes.pop(sent["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).rstrip(b"=")
        if asked is None or asked["code_challenge"] != challenge.decode():
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(self.clock().timestamp())
        honest = {
            "iss": self.issuer,
            "sub": "00u1",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "name": "Avery Jones",
            "email": "smith@company.example",
            "groups": ["kitchen"],
        }
        token = {"id_token": self.raw_token or self.sign(_over(honest, self.claims)), "token_type": "Bearer"}
        return JSONResponse(_over(token, self.token))

    def sign(self, claims: dict[str, Any]) -> str:
        payload, algorithm = json.dumps(claims).encode(), self.header["alg"]
        if algorithm not in ("none", "HS256"):
            return str(jws.serialize_compact(self.header, payload, self.key, algorithms=[algorithm]))
        text = f"{_b64(json.dumps(self.header).encode())}.{_b64(payload)}"
        # The text of the public key as a shared secret: what a confused verifier takes for its key.
        mac = hmac.digest(SIGNING.as_pem(private=False), text.encode(), "sha256")
        return f"{text}.{_b64(mac) if algorithm == 'HS256' else ''}"


@asynccontextmanager
async def dishonest(clock: Callable[[], datetime]) -> AsyncIterator[Dishonest]:
    """Run a provider, honest until a test changes it, while the block runs."""
    listener = listen("127.0.0.1", 0)
    provider = Dishonest(issuer=f"http://127.0.0.1:{listener.getsockname()[1]}", clock=clock)
    async with serving([(provider.app(), listener)]):
        yield provider


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _is_client(authorization: str) -> bool:
    name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return (unquote(name), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)


def _over(honest: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**honest, **changes}.items() if value is not None}
