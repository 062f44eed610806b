"""A platform that vouches for its workloads, as Kubernetes, SPIRE and CI services do: keys, discovery, signed tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from did_agent.clock import numeric_date
from did_agent.encoding.digest import digest_uri
from did_agent.errors import PeerUnavailable
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey as AgentKey
from did_agent.keys.jwk import public_jwk
from did_agent.keys.public import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.proof.jose import sign_compact
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ISSUER_URL

CLUSTER = "https://kubernetes.example"
SUBJECT = "system:serviceaccount:shop:stock"
KEY = ecdsa.SigningKey.generate("P-256")


@dataclass
class Platform:
    """Answers as an issuer's discovery and JWKS do; what is signed can be spoilt."""

    issuer: str = CLUSTER
    key: SigningKey = KEY
    fetched: list[str] = field(default_factory=list)
    numbers: int = 0

    def jwks(self) -> dict[str, Any]:
        return {"keys": [public_jwk(self.key.public, kid="one")]}

    async def get_json(self, url: str) -> Mapping[str, object]:
        self.fetched.append(url)
        if url == f"{self.issuer}/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        if url == f"{self.issuer}/keys":
            return self.jwks()
        raise PeerUnavailable(f"nobody is at {url}")

    def token(
        self, *, key: SigningKey | None = None, typ: str | None = "JWT", now: datetime = NOW, **changes: Any
    ) -> str:
        """Return an honest token with some claims changed; None leaves one out."""
        self.numbers += 1
        moment = numeric_date(now)
        honest = {
            "iss": self.issuer,
            "sub": SUBJECT,
            "aud": [ISSUER_URL],
            "iat": moment - 10,
            "exp": moment + 3_590,
            "jti": f"token-{self.numbers}",
            "kubernetes.io": {"namespace": "shop", "pod": {"name": "stock-0"}, "serviceaccount": {"name": "stock"}},
        }
        claims = {name: value for name, value in {**honest, **changes}.items() if value is not None}
        header = {"kid": "one"} if typ is None else {"typ": typ, "kid": "one"}
        return sign_compact(header, claims, key or self.key)


def possession(secret: str, key: AgentKey, *, audience: str = ISSUER_URL, now: datetime = NOW) -> str:
    """Return a key's single-use proof for exactly this token."""
    return present_jwt([], key=key, audience=audience, now=now, nonce=digest_uri(secret.encode()))


def rule(**changes: Any) -> dict[str, Any]:
    """Return the body of a rule for the stock workload."""
    return {
        "issuer": CLUSTER,
        "claims": {"sub": SUBJECT, "kubernetes.io.namespace": "shop"},
        "template": "stock",
        "agent_name": "{kubernetes.io.pod.name}",
        "tags": ["cluster"],
        "metadata": {"namespace": "{kubernetes.io.namespace}"},
        "rebind": "allow",
        **changes,
    }
