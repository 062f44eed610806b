"""Verify any presentation: form, model, holder's proof, challenge and domain (VCDM 2.0, 4.13).

Presentations that open doors go through `verify`, whose profile is narrow; this is how strangers' ones are looked at.
Believing the presentation believes none of its credentials: each is asked and judged by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.credential import vcdm
from did_agent.credential.envelope import MediaType, Secured, believe, read_secured
from did_agent.did.resolve import NO_DOCUMENTS, Documents, needs_fetching
from did_agent.encoding.jsonld import dataset
from did_agent.errors import BadPresentation, HolderMismatch, WrongAudience, WrongChallenge
from did_agent.proof.data_integrity import VerifiedDocument

MAX_CREDENTIALS: Final = 10  # of one presentation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPresentation:
    """What the verifier demands; None demands nothing of that kind, and is the caller's own decision."""

    challenge: str | None
    domains: frozenset[str] | None  # exactly these, as a set (VC Data Integrity 1.0, 4.4)
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenPresentation:
    """A presentation whose holder's proofs hold."""

    document: Mapping[str, object]
    media_type: MediaType
    holder: str  # DID whose key signed it
    credentials: tuple[Mapping[str, object], ...]  # as shown, none of them believed


def unresolved(secured: Secured) -> frozenset[str]:
    """Return the DIDs whose documents must be fetched before the proofs of a presentation can be judged.

    Raises: Malformed leaves when it cannot be read.
    """
    methods = read_secured(secured, "presentation").methods()
    return frozenset(did for method in methods if (did := needs_fetching(method)) is not None)


def prove(
    secured: Secured, expected: ExpectedPresentation, *, documents: Documents = NO_DOCUMENTS
) -> ProvenPresentation:
    """Return what the holder presents, to us and in answer to our challenge.

    Raises: what `read_secured` and `believe` raise, BadPresentation, UnknownContext, DataLoss, HolderMismatch,
    WrongAudience, WrongChallenge.
    """
    unverified = read_secured(secured, "presentation")
    proven = believe(unverified, "presentation", now=expected.now, documents=documents)
    document = proven[0].document
    vcdm.require_presentation(document)
    dataset(document)
    holders = {verified.controller for verified in proven}
    holder = vcdm.holder_of(document) or proven[0].controller
    if holders != {holder}:
        raise HolderMismatch(f"the presentation of {holder} is signed by {', '.join(sorted(holders))[:200]}")
    for verified in proven:
        _require_answer(verified, unverified.media_type, expected)
    return ProvenPresentation(
        document=document, media_type=unverified.media_type, holder=holder, credentials=_credentials(document)
    )


def _require_answer(verified: VerifiedDocument, media_type: MediaType, expected: ExpectedPresentation) -> None:
    embedded = media_type == "application/vp"
    challenge = verified.proof.get("challenge" if embedded else "nonce")
    domain = verified.proof.get("domain" if embedded else "aud", [])
    if expected.challenge is not None and challenge != expected.challenge:
        raise WrongChallenge("the presentation answers another challenge")
    named = frozenset(map(str, domain)) if isinstance(domain, list) else frozenset({str(domain)})
    if expected.domains is not None and named != expected.domains:
        raise WrongAudience("the presentation was made for somebody else")


def _credentials(document: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    value = document.get("verifiableCredential", [])
    listed = value if isinstance(value, list) else [value]
    credentials = tuple(item for item in listed if isinstance(item, dict))
    if len(credentials) != len(listed) or len(listed) > MAX_CREDENTIALS:
        raise BadPresentation(f"a presentation shows credential objects, at most {MAX_CREDENTIALS}")
    return credentials
