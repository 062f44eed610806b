"""The forms a credential arrives in, read down to what was signed: embedded proofs, vc+jwt, SD-JWT and VC-JWT 1.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from did_agent.credential.context import CONTEXT_V2
from did_agent.did.document import Relationship
from did_agent.did.resolve import NO_DOCUMENTS, Documents
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadCredential, BadProof, WrongType
from did_agent.proof.data_integrity import VerifiedDocument, proof_methods, verify_proof_set
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.vc_jose import MAX_SECURED, verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt

MediaType = Literal["application/vc", "application/vc+jwt", "application/vp", "application/vp+jwt", "application/jwt"]
Role = Literal["credential", "presentation"]
Secured = Mapping[str, object] | str | bytes

_DATA: Final = "data:"
_TYPES: Final[dict[Role, str]] = {
    "credential": "EnvelopedVerifiableCredential",
    "presentation": "EnvelopedVerifiablePresentation",
}
_EMBEDDED: Final[dict[Role, MediaType]] = {"credential": "application/vc", "presentation": "application/vp"}
_PURPOSES: Final[dict[Role, Relationship]] = {"credential": "assertionMethod", "presentation": "authentication"}
_JOSE: Final = ("application/vc+jwt", "application/vp+jwt", "application/jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """A secured document whose form is known and which nobody believes yet."""

    media_type: MediaType
    document: Mapping[str, object] | None  # with its proofs; None where a token carries it
    token: str | None

    def methods(self) -> tuple[str, ...]:
        """Return the verification methods it names, whose DIDs must be resolved.

        Raises: BadProof, BadJOSE.
        """
        if self.document is not None:
            return proof_methods(self.document)
        jws, claims = unverified_jws(str(self.token), max_bytes=MAX_SECURED, names_did=True)
        named = jws.header.get("kid", claims.get("iss"))
        return (named,) if isinstance(named, str) and "#" in named else ()


def read_secured(secured: Secured, role: Role) -> Unverified:
    """Return the form of a secured credential or presentation; text is JSON or a compact token.

    Raises: BadCredential, WrongType and what strict JSON raises.
    """
    if isinstance(secured, Mapping):
        return _of_object(secured, role)
    raw = secured.encode() if isinstance(secured, str) else secured
    if raw.lstrip()[:1] == b"{":
        return _of_object(parse_object(raw), role)
    if not raw.isascii():
        raise BadCredential("neither JSON nor a token")
    token = raw.decode("ascii").strip()
    jws, _ = unverified_jws(token, max_bytes=MAX_SECURED, names_did=True)
    media_type = f"application/{jws.type or 'jwt'}"
    if media_type not in _JOSE:
        raise WrongType("typ is not that of a secured credential or presentation")
    return _of_token(media_type, token, role)


def believe(
    unverified: Unverified, role: Role, *, now: datetime, documents: Documents = NO_DOCUMENTS
) -> tuple[VerifiedDocument, ...]:
    """Return what each proof of a secured document secures; all of them must verify.

    Raises: what `verify_proof_set`, `verify_secured` and `verify_vc_jwt` raise.
    """
    if unverified.document is not None:
        purpose = _PURPOSES[role]
        return verify_proof_set(unverified.document, expected_purpose=purpose, now=now, documents=documents)
    token = str(unverified.token)
    if unverified.media_type == "application/jwt":
        claim: Literal["vc", "vp"] = "vc" if role == "credential" else "vp"
        return (verify_vc_jwt(token, claim=claim, now=now, documents=documents),)
    envelope: Literal["vc+jwt", "vp+jwt"] = "vc+jwt" if role == "credential" else "vp+jwt"
    return (verify_secured(token, envelope=envelope, now=now, documents=documents),)


def _of_object(document: Mapping[str, object], role: Role) -> Unverified:
    types = document.get("type")
    if types in (_TYPES[role], [_TYPES[role]]):
        contexts = document.get("@context")
        if CONTEXT_V2 not in (contexts if isinstance(contexts, list) else [contexts]):
            raise BadCredential("an enveloped document has the context v2 (VCDM 2.0, 4.13.1)")
        location = document.get("id")
        if not isinstance(location, str) or not location.startswith(_DATA):
            raise BadCredential("an enveloped document has a data: URL as its id")
        media_type, comma, content = location.removeprefix(_DATA).partition(",")
        if not comma or ";" in media_type:
            raise BadCredential("the data: URL of an enveloped document has no parameters and a content")
        return _of_token(media_type, content, role)
    if "proof" not in document:
        raise BadProof("the document carries no proof")
    return Unverified(media_type=_EMBEDDED[role], document=document, token=None)


def _of_token(media_type: str, token: str, role: Role) -> Unverified:
    if media_type == "application/jwt":
        return Unverified(media_type="application/jwt", document=None, token=token)
    if role == "credential" and media_type == "application/vc+jwt":
        return Unverified(media_type="application/vc+jwt", document=None, token=token)
    if role == "presentation" and media_type == "application/vp+jwt":
        return Unverified(media_type="application/vp+jwt", document=None, token=token)
    raise WrongType(f"{media_type[:60]} is not a form of a {role} that is accepted")
