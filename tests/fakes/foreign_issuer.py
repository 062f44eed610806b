"""An authorization server of somebody else's, as a small ASGI app: metadata, keys and introspection that a test can spoil."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from did_agent.adapters.party import listen, serving
from did_agent.clock import numeric_date
from did_agent.keys import ecdsa, rsa
from did_agent.keys.ed25519 import SigningKey as Ed25519Key
from did_agent.keys.jwk import public_jwk
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import sign_compact

CLIENT_ID, SECRET = "guard of the shop", "a secret + with % odd characters"


@functools.cache
def signing_key(kind: str, name: str = "one") -> SigningKey:
    """Return the key of this name, made once: RSA takes its time."""
    if kind == "RSA":
        return rsa.SigningKey.generate()
    if kind == "Ed25519":
        return Ed25519Key.from_seed(name.encode().ljust(32, b"."))
    return ecdsa.SigningKey.generate("P-256")


@dataclass
class AuthorizationServer:
    """What it says can be changed by a test at any moment."""

    issuer: str
    clock: Callable[[], datetime]
    keys: dict[str, SigningKey] = field(default_factory=dict)  # published, by kid
    documents: dict[str, Any] = field(default_factory=dict)  # path -> JSON, laid over what an honest one serves
    texts: dict[str, str] = field(default_factory=dict)  # path -> a status list
    opaque: dict[str, dict[str, Any]] = field(default_factory=dict)  # token -> what is said of it
    raw: bytes | None = None  # answer of the introspection endpoint, whatever is asked
    status: int = 200
    media_type: bytes = b"application/json"
    served: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[Mapping[str, str], Mapping[str, str]]] = field(default_factory=list)  # headers and form

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return honest claims with some changed; None leaves one out."""
        now = numeric_date(self.clock())
        honest = {"iss": self.issuer, "sub": "smith", "client_id": "shop", "iat": now, "exp": now + 300, "jti": "t1"}
        return {name: value for name, value in {**honest, **changes}.items() if value is not None}

    def token(
        self, *, key: SigningKey | None = None, kid: str | None = "one", typ: str | None = "at+jwt", **changes: Any
    ) -> str:
        """Return a signed token."""
        header = {"typ": typ, "kid": kid}
        signer = key or self.keys[kid or next(iter(self.keys))]
        return sign_compact({n: v for n, v in header.items() if v is not None}, self.claims(**changes), signer)

    def grant(self, token: str, **changes: Any) -> str:
        """Let an opaque token be active."""
        self.opaque[token] = {"active": True, **self.claims(**changes)}
        return token

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve on a loopback port while the block runs; the issuer string follows the port."""
        listener = listen("127.0.0.1", 0)
        self.issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with serving([(self, listener)]):
            yield

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.served[scope["path"]] += 1
        status, answer = self._answer(scope, body)
        is_list = scope["path"] in self.texts
        media_type = b"application/statuslist+jwt" if is_list else self.media_type
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", media_type)]})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, scope: Any, body: bytes) -> tuple[int, bytes]:
        path = scope["path"]
        if path == "/introspect":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
            self.asked.append((headers, form))
            said = self.opaque.get(form["token"], {"active": False})
            return self.status, json.dumps(said).encode() if self.raw is None else self.raw
        if path in self.texts:
            return 200, self.texts[path].encode()
        documents = {
            "/.well-known/oauth-authorization-server": {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks.json"},
            "/jwks.json": {"keys": [{**public_jwk(key.public), "kid": kid} for kid, key in self.keys.items()]},
            **self.documents,
        }
        found = documents.get(path)
        return (404, b"{}") if found is None else (self.status, json.dumps(found).encode())


def wall_clock() -> datetime:
    """Return the present moment, for servers over real HTTP."""
    return datetime.now(UTC)
