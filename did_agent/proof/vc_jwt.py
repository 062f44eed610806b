"""JWTs of VC Data Model 1.1, with the document in a claim `vc` or `vp` (VCDM 1.1, 6.3.1): read, never issued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from did_agent.did.document import Relationship
from did_agent.did.resolve import NO_DOCUMENTS, Documents, method_key
from did_agent.errors import BadJOSE, WrongIssuer, WrongType
from did_agent.proof.data_integrity import VerifiedDocument
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.vc_jose import MAX_SECURED, require_current

Claim = Literal["vc", "vp"]

_PURPOSES: Final[dict[Claim, Relationship]] = {"vc": "assertionMethod", "vp": "authentication"}
_OWNERS: Final[dict[Claim, str]] = {"vc": "issuer", "vp": "holder"}


def verify_vc_jwt(token: str, *, claim: Claim, now: datetime, documents: Documents = NO_DOCUMENTS) -> VerifiedDocument:
    """Return the document that a VCDM 1.1 JWT secures, members that claims repeat included.

    Raises: as `vc_jose.verify_secured`.
    """
    jws, payload = unverified_jws(token, max_bytes=MAX_SECURED, names_did=True)
    if jws.type not in ("", "jwt"):
        raise WrongType("typ is not JWT")
    document = payload.get(claim)
    if not isinstance(document, dict) or ("vp" if claim == "vc" else "vc") in payload:
        raise BadJOSE(f"the token has no claim {claim}")
    issuer = payload.get("iss")
    kid = jws.header.get("kid")
    method = kid if isinstance(kid, str) and "#" in kid else f"{issuer}#{str(issuer).removeprefix('did:key:')}"
    controller, key = method_key(method, relationship=_PURPOSES[claim], documents=documents, now=now)
    verify_signature(jws, key)
    owner = _OWNERS[claim]
    if controller != issuer or _id(document.get(owner, issuer)) != issuer:
        raise WrongIssuer(f"iss, {owner} and the signing key do not belong together")
    require_current(payload, now)
    found = {**document, owner: document.get(owner, issuer)}
    if "jti" in payload and found.setdefault("id", payload["jti"]) != payload["jti"]:
        raise BadJOSE("jti is not the id of the document")
    return VerifiedDocument(
        document=found,
        secured={"id": f"data:application/jwt,{token}"},
        controller=controller,
        proof={**jws.header, **{name: value for name, value in payload.items() if name != claim}},
    )


def _id(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value
