"""Believing a company's provider: its metadata, its answer, its ID token (OpenID Connect Core, 3.1; RFC 9207)."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from bridge.model.operators import OperatorRole
from bridge.model.upstream import Finding, PendingLogin, Upstream, UpstreamAnswer, UpstreamMetadata, UpstreamPerson
from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.errors import (
    BadGrant,
    BadJOSE,
    Expired,
    NotYetValid,
    PeerUnavailable,
    WrongAudience,
    WrongChallenge,
    WrongIssuer,
)
from did_agent.tokens.access_token import HOME

# What an ID token may be signed with: never a secret that both sides know, and never nothing (TOK-01).
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "Ed25519")
AUTH_METHODS: Final = ("client_secret_basic", "client_secret_post")  # the better first
SKEW: Final = 30  # s the provider's clock may differ
OLDEST: Final = timedelta(minutes=10)  # an ID token that was made longer ago was not made for this login
MAX_GROUPS: Final = 512
MAX_GROUP: Final = 256  # characters
MAX_NAME: Final = 64  # characters that are shown
MAX_SUBJECT: Final = 255  # OpenID Connect Core, 2


def discovery_url(issuer: str) -> str:
    """Return where the provider's metadata is (OpenID Connect Discovery, 4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def derived(key: bytes, state: str, purpose: str) -> str:
    """Return a secret of one login: PKCE verifier or nonce; whoever reads the database cannot make it."""
    return base64url.encode(hmac.digest(key, f"{purpose}\n{state}".encode(), hashlib.sha256))


def state_digest(state: str) -> str:
    """Return what is stored of a state."""
    return base64url.encode(hashlib.sha256(b"upstream state " + state.encode()).digest())


def findings(document: Mapping[str, object], *, issuer: str, allow_loopback: bool) -> Iterator[Finding]:
    """Yield what is right and wrong in a provider's metadata, in the order an operator would put it right."""
    named = document.get("issuer")
    said = "is the one configured" if named == issuer else f"the provider calls itself {str(named)[:200]!r}"
    yield Finding(step="issuer", ok=named == issuer, detail=f"{said}; it is compared character by character")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        url = document.get(name)
        good = isinstance(url, str) and is_endpoint(url, allow_loopback=allow_loopback)
        yield Finding(step=name, ok=good, detail=str(url)[:200] if good else f"{str(url)[:200]!r} is no https URL")
    for name, needed, default in (
        ("response_types_supported", ("code",), ()),
        ("code_challenge_methods_supported", ("S256",), ("S256",)),  # most that have it do not say so
        ("id_token_signing_alg_values_supported", ALGORITHMS, ()),
        ("token_endpoint_auth_methods_supported", AUTH_METHODS, AUTH_METHODS[:1]),
    ):
        offered = _texts(document.get(name, list(default)))
        usable = [one for one in needed if one in offered]
        detail = usable[0] if usable else f"offers {', '.join(offered)[:200] or 'nothing'}; needed: {', '.join(needed)}"
        yield Finding(step=name, ok=bool(usable), detail=detail)


def read_metadata(document: Mapping[str, object], *, issuer: str, allow_loopback: bool) -> UpstreamMetadata:
    """Return a provider's metadata when all of it is right.

    Raises: PeerUnavailable naming the first thing that is wrong.
    """
    for finding in findings(document, issuer=issuer, allow_loopback=allow_loopback):
        if not finding.ok:
            raise PeerUnavailable(f"the provider's {finding.step}: {finding.detail}")
    methods = _texts(document.get("token_endpoint_auth_methods_supported", list(AUTH_METHODS[:1])))
    return UpstreamMetadata(
        authorization_endpoint=str(document["authorization_endpoint"]),
        token_endpoint=str(document["token_endpoint"]),
        jwks_uri=str(document["jwks_uri"]),
        auth_method=next(method for method in AUTH_METHODS if method in methods),
        scopes=frozenset(_texts(document.get("scopes_supported", []))),
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def is_endpoint(url: str, *, allow_loopback: bool) -> bool:
    """Tell whether a provider's address can be used: https, or this machine where that is allowed."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = allow_loopback and parts.scheme == "http" and host in ("127.0.0.1", "localhost", "::1")
    return bool(host) and (parts.scheme == "https" or plain) and not parts.username and not parts.fragment


def scopes_for(upstream: Upstream, metadata: UpstreamMetadata) -> str:
    """Return the scopes to ask for: the groups' only where the provider has one of that name."""
    asked = ["openid", "profile", upstream.groups_claim]
    return " ".join(scope for scope in asked if scope in ("openid", "profile") or scope in metadata.scopes)


def require_pending(pending: PendingLogin | None, *, issuer: str, now: datetime) -> None:
    """Return when this browser waits for an answer: it asked, was not answered, and not long ago (OAU-09).

    Raises: WrongChallenge, Expired.
    """
    if pending is None or pending.issuer != issuer:
        raise WrongChallenge("no login of this browser waits for this answer")
    if now >= pending.expires:
        raise Expired("the login took too long")


def code_of(answer: UpstreamAnswer, *, issuer: str, sends_issuer: bool) -> str:
    """Return the code of the provider's answer; a provider that says so always names itself (RFC 9207).

    Raises: WrongIssuer, BadGrant.
    """
    if (answer.issuer is None and sends_issuer) or answer.issuer not in (None, issuer):
        raise WrongIssuer(f"the answer is from {str(answer.issuer)[:200]}")  # mix-up (OAU-04)
    if answer.error is not None or answer.code is None:
        # The provider's own words stay out of our pages; its code is of a closed alphabet.
        raise BadGrant(f"the provider answered {(answer.error or 'without a code')[:60]!r}")
    return answer.code


def require_id_token(claims: Mapping[str, object], *, upstream: Upstream, nonce: str, now: datetime) -> None:
    """Return when the claims are of an ID token for us and for this login.

    Raises: WrongIssuer, WrongAudience, WrongChallenge, Expired, NotYetValid, BadJOSE.
    """
    if claims.get("iss") != upstream.issuer:
        raise WrongIssuer("the ID token is another issuer's")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if upstream.client_id not in audiences or (len(audiences) > 1 and "azp" not in claims):
        raise WrongAudience("the ID token is not for us, or does not say for whom of several")
    if claims.get("azp", upstream.client_id) != upstream.client_id:
        raise WrongAudience("the ID token was made for another client")
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
        raise WrongChallenge("the ID token is of another login")
    _require_times(claims, numeric_date(now))


def person_of(claims: Mapping[str, object], *, upstream: Upstream) -> UpstreamPerson:
    """Return whom an ID token names.

    Raises: BadJOSE for a subject, a name or groups that cannot be used: to drop a group could also widen rights.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise BadJOSE("the ID token names no subject")
    groups = claims.get(upstream.groups_claim, [])
    if not isinstance(groups, list) or len(groups) > MAX_GROUPS or not all(map(_is_group, groups)):
        raise BadJOSE(f"the claim {upstream.groups_claim} is no list of at most {MAX_GROUPS} plain names")
    known_as = next((claims[name] for name in ("name", "preferred_username") if claims.get(name)), subject)
    if not isinstance(known_as, str):
        raise BadJOSE("the person's name is no text")
    organisation, operates = place_of(claims, upstream=upstream)
    return UpstreamPerson(
        issuer=upstream.issuer,
        subject=subject,
        name=_shown(known_as),
        groups=frozenset(map(str, groups)),
        organisation=organisation,
        operates=operates,
    )


def place_of(claims: Mapping[str, object], *, upstream: Upstream) -> tuple[str, frozenset[OperatorRole]]:
    """Return whose a person is, by the first rule that fits, and what all fitting rules of it let them operate.

    Raises: BadGrant when none fits and only those are let in whom one does.
    """
    fitting = [rule for rule in upstream.places if _has(claims.get(rule.claim), rule.value)]
    if not fitting:
        if not upstream.admits_others:
            raise BadGrant("no rule says which organisation the person is of")
        return HOME, frozenset()
    organisation = fitting[0].organisation
    own = (rule.operates for rule in fitting if rule.organisation == organisation)
    return organisation, frozenset[OperatorRole]().union(*own)


def username_for(person: UpstreamPerson) -> str:
    """Return the account name of a person: made of issuer and subject alone, so it never changes and never collides."""
    digest = hashlib.sha256(json.dumps([person.issuer, person.subject]).encode()).digest()
    return f"up-{base64url.encode(digest[:24])}"


def _require_times(claims: Mapping[str, object], now: int) -> None:
    expires, made = _time(claims, "exp"), _time(claims, "iat")
    if now >= expires + SKEW or made + SKEW < now - OLDEST.total_seconds():
        raise Expired("the ID token is too old")
    if made > now + SKEW:
        raise NotYetValid("the ID token is from the future")


def _time(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadJOSE(f"the ID token has no {name}")
    return value


def _shown(name: str) -> str:
    # Nothing invisible or direction-changing where people decide (WEB-08).
    plain = "".join(char for char in unicodedata.normalize("NFC", name) if unicodedata.category(char)[0] != "C")
    return plain[:MAX_NAME].strip() or "(no name)"


def _is_group(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_GROUP and value.isprintable()


def _has(claim: object, value: str) -> bool:
    # Exactly the text, alone or in a list: nothing is converted, so that no number and no part of a name fits.
    return claim == value if isinstance(claim, str) else isinstance(claim, list) and value in claim


def _texts(value: object) -> Sequence[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
