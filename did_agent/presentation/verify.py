"""Ask, then judge: the obligations a presentation meets before its holder is believed (vc-did order; VCX-01 to VCX-11).

`ask` needs nothing from outside; `judge` needs the status lists that `ask` names.  Nothing here spends the
challenge or `replay_key`: that is one atomic write of the caller, after `judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from did_agent.credential.chain import verify_chain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.standing import require_standing
from did_agent.credential.status import VerifiedStatusList
from did_agent.errors import (
    BadPresentation,
    Expired,
    HolderMismatch,
    KeysUnavailable,
    NotBound,
    NotYetValid,
    WrongAudience,
    WrongChallenge,
    WrongKey,
)
from did_agent.presentation.form import Raw, read_presentation
from did_agent.presentation.model import Asked, Expected, SignedPresentation, VerifiedPresentation

MAX_DECLARED: Final = 600  # seconds that a holder may declare a presentation valid
MAX_JTI_LIFETIME: Final = 60  # seconds of a vp+jwt where no challenge of ours is required
FUTURE_SKEW: Final = timedelta(seconds=60)  # how far the holder's clock may be ahead of ours


def ask(raw: Raw, expected: Expected, *, known: KnownCredentials | None = None) -> Asked:
    """Return the presentation as far as it can be believed offline; nothing is fetched.

    `known` spares verifying a credential's signature twice; a presentation's own proof is never remembered.
    Raises: Malformed and VerificationError leaves; see `read_presentation`, OFFLINE_CHECKS and `verify_chain`.
    """
    try:
        return _ask(raw, expected, known)
    except KeysUnavailable as error:
        # A did:web would have to be fetched for whoever names it; holders and delegators say their key themselves
        # (VCX-13), so this is a refusal and nothing to be tried again.
        raise WrongKey("a holder or delegator is named by a DID whose document is not at hand") from error


def _ask(raw: Raw, expected: Expected, known: KnownCredentials | None) -> Asked:
    signed = read_presentation(raw, expected)
    for check in OFFLINE_CHECKS:
        check(signed, expected)
    if not signed.credentials:
        return Asked(signed=signed, expected=expected, chain=None)
    chain = verify_chain(
        signed.credentials,
        holder=signed.holder,
        now=expected.now,
        trusted=expected.trusted,
        max_depth=expected.max_depth,
        known=known,
    )
    return Asked(signed=signed, expected=expected, chain=chain)


def judge(asked: Asked, statuses: Mapping[str, VerifiedStatusList]) -> VerifiedPresentation:
    """Return who is presenting, or raise. There is no third outcome.

    Raises: Revoked, Suspended, StatusUnavailable.
    """
    if asked.chain is not None:
        require_standing(asked.chain, statuses, now=asked.expected.now)
    signed = asked.signed
    return VerifiedPresentation(
        holder=signed.holder,
        chain=asked.chain,
        challenge=signed.challenge,
        # Never the signature or the text: both can be written in more than one way (TOK-14).
        replay_key=f"{signed.holder} {signed.id or signed.challenge}",
        replay_until=signed.ends,
        valid_until=signed.ends if asked.chain is None else asked.chain.valid_until,
        form=signed.form,
        is_bound=signed.is_bound,
    )


# ---- obligations that need no evidence; the signature was checked while reading


def holder_signed_it(signed: SignedPresentation, _expected: Expected) -> None:
    """Refuse presentations of somebody else's credentials under their name (VCX-03)."""
    if signed.signer != signed.holder:
        raise HolderMismatch(f"{signed.signer} signed as {signed.holder}")


def is_addressed_to_us(signed: SignedPresentation, expected: Expected) -> None:
    """Refuse what was made for another verifier and forwarded to us."""
    if signed.audience not in expected.audience:
        raise WrongAudience("the presentation was made for somebody else")


def is_recent(signed: SignedPresentation, expected: Expected) -> None:
    """Refuse presentations from a store, from the future, and for ever (VCX-01)."""
    if expected.now >= signed.ends:
        raise Expired(f"the presentation was made {signed.issued:%FT%TZ}")
    if signed.issued > expected.now + FUTURE_SKEW:
        raise NotYetValid(f"the presentation is dated {signed.issued:%FT%TZ}")
    if not 0 < signed.lifetime <= MAX_DECLARED:
        raise Expired(f"the presentation lives longer than {MAX_DECLARED} s")


def is_fresh(signed: SignedPresentation, expected: Expected) -> None:
    """Refuse what could have been prepared before we asked, unless it is a vp+jwt of at most a minute (VCX-01)."""
    if signed.challenge is None and (signed.form == "json" or expected.challenge == "required"):
        raise WrongChallenge("the presentation answers no challenge")
    # A nonce does not buy a longer life here: a verifier that issues no challenges would have nobody to judge it.
    if signed.form == "jwt" and expected.challenge == "jti" and signed.lifetime > MAX_JTI_LIFETIME:
        raise Expired(f"a vp+jwt lives at most {MAX_JTI_LIFETIME} s where no challenge is required")


def is_proven_with_each_use(signed: SignedPresentation, expected: Expected) -> None:
    """Refuse as a bearer what its holder bound to proofs of their key: whoever shows it may have seen it (TOK-09)."""
    if signed.is_bound and expected.challenge != "proof":
        raise NotBound("the presentation was shown without a proof of its holder's key")


def shows_credentials(signed: SignedPresentation, expected: Expected) -> None:
    """Refuse a bare proof of possession where rights are asked for (VCX-02)."""
    if not signed.credentials and not expected.allow_empty:
        raise BadPresentation("the presentation shows no credential")


OfflineCheck = Callable[[SignedPresentation, Expected], None]

OFFLINE_CHECKS: Final[Sequence[OfflineCheck]] = (
    holder_signed_it,
    is_addressed_to_us,
    is_recent,
    is_proven_with_each_use,
    is_fresh,
    shows_credentials,
)
