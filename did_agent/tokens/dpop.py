"""DPoP proofs (RFC 9449): one signature for one request by the key that a token is bound to.

What comes back has passed every check of section 4.3 but one: the caller spends `replay_key` after everything else
about the request holds, and before acting on it (TOK-10).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadDPoPProof, DidAgentError, DPoPNonceNeeded
from did_agent.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from did_agent.keys.public import ALGORITHMS, PublicKey, SigningKey
from did_agent.proof.jose import UnverifiedJWS, parse_compact, sign_compact, verify_signature
from did_agent.tokens.confirmation import Confirmation

TYPE: Final = "dpop+jwt"
SIGNING_ALGORITHMS: Final = (*ALGORITHMS["Ed25519"], *ALGORITHMS["P-256"])
WINDOW: Final = 300  # seconds that `iat` may be before or after our clock
MAX_PROOF: Final = 4_096  # bytes
MAX_ID: Final = 256  # characters of a jti or nonce

_REQUIRED: Final = frozenset({"jti", "htm", "htu", "iat"})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNESCAPED: Final = "/!$&'()*+,;=:@-._~"  # besides letters and digits, what a path holds as it is (RFC 3986, 3.3)

# Gets the nonce of a proof, or None, and raises DPoPNonceNeeded when another one is wanted.
RequireNonce = Callable[[str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DPoPProof:
    """A proof that holds for the request at hand, once `replay_key` is spent (until `replay_until`)."""

    key: PublicKey
    jkt: str  # RFC 7638 thumbprint of `key`
    replay_key: str
    replay_until: datetime

    @property
    def confirmation(self) -> Confirmation:
        """What a token bound to this key says."""
        return Confirmation(jkt=self.jkt)


def make_proof(
    key: SigningKey, *, method: str, url: str, now: datetime, access_token: str | None = None, nonce: str | None = None
) -> str:
    """Return a proof by `key` for one request; with `access_token` for a request that shows it."""
    claims: dict[str, object] = {
        "jti": str(uuid.uuid4()),
        "htm": method,
        "htu": url.partition("?")[0].partition("#")[0],
        "iat": numeric_date(now),
    }
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    return sign_compact({"typ": TYPE, "jwk": public_jwk(key.public)}, claims, key)


def token_hash(access_token: str) -> str:
    """Return the `ath` of an access token (RFC 9449, 4.2)."""
    return base64url.encode(hashlib.sha256(access_token.encode("ascii")).digest())


def verify_proof(
    headers: Sequence[str],
    *,
    method: str,
    url: str,
    now: datetime,
    access_token: str | None,
    require_nonce: RequireNonce | None = None,
) -> DPoPProof:
    """Return the one proof of a request with `method` to `url`, which is our own name for it, never the Host header.

    With `access_token` the proof must have been made for it.
    Raises: BadDPoPProof, DPoPNonceNeeded.
    """
    if len(headers) != 1:
        raise BadDPoPProof("exactly one DPoP header is expected")
    try:
        jws = parse_compact(headers[0], max_bytes=MAX_PROOF, carries_key=True)
        claims = parse_object(jws.payload, max_bytes=MAX_PROOF)
        key = _key(jws)
        verify_signature(jws, key)
    except BadDPoPProof:
        raise
    except DidAgentError as error:
        raise BadDPoPProof(f"{error.code}: {error.detail}") from error
    issued = _require_claims(claims, method=method, url=url, now=now)
    if access_token is not None and claims.get("ath") != token_hash(access_token):
        raise BadDPoPProof("the proof was made for another access token")
    if require_nonce is not None:
        nonce = claims.get("nonce")
        require_nonce(nonce if isinstance(nonce, str) and len(nonce) <= MAX_ID else None)
    jkt = thumbprint(key)
    return DPoPProof(
        key=key,
        jkt=jkt,
        # Of normalised values, so that no other spelling of the same request is another key (TOK-10).
        replay_key=f"{jkt} {method} {normalized(url)} {claims['jti']}",
        replay_until=issued + timedelta(seconds=2 * WINDOW),
    )


def nonce_wanted(_nonce: str | None) -> None:
    """Refuse every proof for want of a nonce; stands where a nonce is wanted and none was given out.

    Raises: DPoPNonceNeeded.
    """
    raise DPoPNonceNeeded


def normalized(url: str) -> str:
    """Return a URL without query and fragment, in the normal form of RFC 3986, 6.2.2 and 6.2.3.

    Raises: BadDPoPProof.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadDPoPProof("htu is no URL") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or _ESCAPE.search(parts.path):
        raise BadDPoPProof("htu is no http(s) URL")
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    # Segment by segment: an escaped slash is no slash.
    path = "/".join(quote(unquote(segment), safe=_UNESCAPED.replace("/", "")) for segment in parts.path.split("/"))
    return f"{scheme}://{shown_host}{shown_port}{path or '/'}"


def _key(jws: UnverifiedJWS) -> PublicKey:
    if jws.type != TYPE:
        raise BadDPoPProof("typ is not that of a DPoP proof")
    if jws.header.get("alg") not in SIGNING_ALGORITHMS:
        raise BadDPoPProof("alg is not accepted here")
    jwk = jws.header.get("jwk")
    if not isinstance(jwk, Mapping):
        raise BadDPoPProof("the proof carries no key")
    return parse_public_jwk(jwk)  # refuses private members and weak keys (TOK-02, TOK-13)


def _require_claims(claims: Mapping[str, object], *, method: str, url: str, now: datetime) -> datetime:
    """Return when the proof was made."""
    if not claims.keys() >= _REQUIRED:
        raise BadDPoPProof("a claim is missing")
    jti, htu, issued = claims["jti"], claims["htu"], claims["iat"]
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_ID or not jti.isprintable():
        raise BadDPoPProof("jti is not a short text")
    if claims["htm"] != method:
        raise BadDPoPProof("the proof was made for another method")
    if not isinstance(htu, str) or not htu.isascii() or normalized(htu) != normalized(url):
        raise BadDPoPProof("the proof was made for another URL")
    if not isinstance(issued, int) or isinstance(issued, bool):
        raise BadDPoPProof("iat is not a NumericDate in whole seconds")
    if abs(issued - numeric_date(now)) > WINDOW:
        raise BadDPoPProof("the proof is too old or from the future")
    return from_numeric_date(issued)
