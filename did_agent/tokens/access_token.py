"""The access token (RFC 9068) with actors, capabilities and the evidence it was made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, cast, get_args

from did_agent.clock import numeric_date
from did_agent.credential.capability import Capability, parse_granted_detail, to_granted_detail
from did_agent.credential.token_status import TokenStatusReference, parse_reference
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_json
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadConstraint, BadCredential, BadJOSE, NotBound
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import UnverifiedJWS
from did_agent.proof.jwt import FindKey, VerifiedJWT, sign_jwt, verify_jwt
from did_agent.tokens.actor import MAX_ACTORS, act_claim, parse_act
from did_agent.tokens.confirmation import Confirmation, parse_confirmation
from did_agent.tokens.profiles import ACCESS_TOKEN
from did_agent.tokens.task import is_task_id

SubjectProfile = Literal["user", "ai_agent", "service"]

MAX_DETAILS: Final = 64  # entries of authorization_details
MAX_CREDENTIALS: Final = 16  # credential ids a token may name
MAX_REMEMBERED: Final = 512  # lists of details that are remembered as read: an agent's next token says the same
MAX_GROUPS: Final = 256  # groups a token may name
HOME: Final = "home"  # the organisation that runs a deployment; tokens of its principals name none
ORGANISATION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token says, for one resource."""

    issuer: str
    subject: str
    subject_profile: SubjectProfile
    audience: str
    client_id: str
    issued_at: datetime
    expires: datetime
    id: str  # jti
    scopes: frozenset[str]
    actors: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()  # of the one acting now, each for `audience` alone
    entitlements: frozenset[str] | None = None  # scopes the user holds at `audience`; None without a user
    evidence: str | None = None  # digest of the signed chain the token was made from
    evidence_uri: str | None = None
    credential_ids: tuple[str, ...] = ()
    confirmation: Confirmation | None = None  # the key its presenter must prove; None for a bearer
    groups: frozenset[str] = frozenset()  # of the user, as far as policy speaks of them (RFC 9068, 2.2.3.1)
    task: str | None = None  # id of what it was given for
    organisation: str = HOME  # whom the principal belongs to (claim `org`)
    status: TokenStatusReference | None = None  # where its issuer keeps what became of it


def encode_access_token(token: AccessToken, *, key: SigningKey, kid: str) -> str:
    """Return the signed `at+jwt`; absent values are absent claims."""
    claims: dict[str, object] = {
        "iss": token.issuer,
        "sub": token.subject,
        "sub_profile": token.subject_profile,
        "aud": token.audience,
        "client_id": token.client_id,
        "iat": numeric_date(token.issued_at),
        "exp": numeric_date(token.expires),
        "jti": token.id,
        "scope": " ".join(sorted(token.scopes)),
    }
    if token.actors:
        claims["act"] = act_claim(token.actors, issuer=token.issuer)
    if token.capabilities:
        claims["authorization_details"] = [
            to_granted_detail(capability, token.audience) for capability in token.capabilities
        ]
    if token.entitlements is not None:
        claims["entitlements"] = sorted(token.entitlements)
    if token.evidence is not None:
        claims["delegation_evidence"] = {"digest": token.evidence, "uri": token.evidence_uri}
    if token.credential_ids:
        claims["vc"] = {"ids": list(token.credential_ids)}
    if token.confirmation is not None:
        claims["cnf"] = token.confirmation.claim()
    if token.groups:
        claims["groups"] = sorted(token.groups)
    if token.organisation != HOME:
        claims["org"] = token.organisation
    return sign_jwt(claims | _ends_with(token), typ="at+jwt", key=key, kid=kid)


def verify_access_token(
    text: str | UnverifiedJWS,
    *,
    find_key: FindKey,
    expected_issuer: str,
    expected_audience: str,
    proven: frozenset[Confirmation] | None,
    now: datetime,
) -> AccessToken:
    """Return the token that `expected_issuer` made for `expected_audience`.

    `proven` are the keys that whoever shows it proved to hold: a token bound to another one may be stolen (TOK-09).
    None where the token is only spoken of and gives its bringer nothing, as in revocation.
    Raises: what `verify_jwt` raises, DepthExceeded, NotBound.
    """
    verified = verify_jwt(
        text,
        ACCESS_TOKEN,
        find_key=find_key,
        expected_issuer=expected_issuer,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    confirmation = parse_confirmation(verified.claims.get("cnf"))
    if confirmation is not None and proven is not None and confirmation not in proven:
        raise NotBound("a sender-constrained token was shown without the proof of its key")
    try:
        return _read(verified, expected_audience, confirmation)
    except (BadCredential, BadConstraint) as error:
        raise BadJOSE(f"authorization_details: {error.detail}") from error


def _ends_with(token: AccessToken) -> dict[str, object]:
    task: dict[str, object] = {} if token.task is None else {"task": token.task}
    return task if token.status is None else {**task, "status": token.status.to_json()}


def _organisation(value: object) -> str:
    """Return whose the principal is; a name that cannot be one must not become that of somebody else."""
    if value is None:
        return HOME
    if not isinstance(value, str) or not ORGANISATION.fullmatch(value) or value == HOME:
        raise BadJOSE("org is not the name of an organisation")
    return value


def _read(verified: VerifiedJWT, audience: str, confirmation: Confirmation | None) -> AccessToken:
    claims = verified.claims
    profile = verified.text("sub_profile")
    if profile not in get_args(SubjectProfile):
        raise BadJOSE("sub_profile is not known")
    actors = parse_act(claims.get("act"), max_depth=MAX_ACTORS)
    subject = verified.text("sub")
    if subject in actors:
        raise BadJOSE("the subject acts for itself")
    entitlements = claims.get("entitlements")
    evidence, uri = _evidence(claims.get("delegation_evidence"))
    return AccessToken(
        issuer=verified.text("iss"),
        subject=subject,
        subject_profile=cast("SubjectProfile", profile),
        audience=audience,
        client_id=verified.text("client_id"),
        issued_at=from_numeric_date(cast("int", claims["iat"])),
        expires=from_numeric_date(cast("int", claims["exp"])),
        id=verified.text("jti"),
        scopes=_scopes(claims.get("scope", "")),
        actors=actors,
        capabilities=_capabilities(claims.get("authorization_details", []), audience),
        entitlements=None if entitlements is None else frozenset(_strings(entitlements, "entitlements")),
        evidence=evidence,
        evidence_uri=uri,
        credential_ids=_credential_ids(claims.get("vc")),
        confirmation=confirmation,
        groups=_groups(claims.get("groups"), profile),
        task=_task(claims.get("task")),
        organisation=_organisation(claims.get("org")),
        status=parse_reference(claims),
    )


def _scopes(value: object) -> frozenset[str]:
    if not isinstance(value, str):
        raise BadJOSE("scope is not a string")
    return frozenset(value.split())


def _strings(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise BadJOSE(f"{name} is not a list of strings")
    return tuple(value)


def _capabilities(value: object, audience: str) -> tuple[Capability, ...]:
    if not isinstance(value, list) or len(value) > MAX_DETAILS:
        raise BadJOSE("authorization_details is not a short list")
    capabilities = _granted(canonicalize(value)) if value else ()
    if any(capability.resources != (audience,) for capability in capabilities):
        raise BadJOSE("authorization_details name another resource")
    return capabilities


@lru_cache(maxsize=MAX_REMEMBERED)
def _granted(details: bytes) -> tuple[Capability, ...]:
    # Asked only once the signature held, so that no stranger decides what is remembered.
    listed = parse_json(details)
    return tuple(parse_granted_detail(item) for item in listed) if isinstance(listed, list) else ()


def _credential_ids(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    ids = _strings(value.get("ids") if isinstance(value, dict) else None, "vc.ids")
    if len(ids) > MAX_CREDENTIALS:
        raise BadJOSE("too many credential ids")
    return ids


def _groups(value: object, profile: str) -> frozenset[str]:
    groups = () if value is None else _strings(value, "groups")
    if len(groups) > MAX_GROUPS or (groups and profile != "user"):
        raise BadJOSE("groups are not a short list, or not of a user")
    return frozenset(groups)


def _task(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and is_task_id(value)):
        raise BadJOSE("task is no id of a task")
    return value


def _evidence(value: object) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    digest, uri = (value.get("digest"), value.get("uri")) if isinstance(value, dict) else (None, None)
    if not isinstance(digest, str) or not isinstance(uri, str):
        raise BadJOSE("delegation_evidence lacks digest or uri")
    return digest, uri
