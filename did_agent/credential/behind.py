"""The credentials behind one digest of evidence, as the chains they form (VCX, DEL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import ChainBroken

MAX_DOCUMENTS: Final = 16  # credentials behind one token

Documents = Sequence[Mapping[str, object]]


def verify_behind(
    documents: Documents,
    *,
    holder: str,
    now: datetime,
    trusted: TrustedIssuers,
    max_depth: int,
    known: KnownCredentials,
) -> tuple[VerifiedChain, ...]:
    """Return the chains that give `holder` its capabilities; status is not judged.

    Raises: ChainBroken for none or too many, and what `verify_chain` raises.
    """
    return tuple(
        verify_chain(group, holder=holder, now=now, trusted=trusted, max_depth=max_depth, known=known)
        for group in _groups(documents, known)
    )


def _groups(documents: Documents, known: KnownCredentials) -> Sequence[Documents]:
    """Return the credentials by chain: an agent's own roots stand side by side, anything else is one chain."""
    if not 0 < len(documents) <= MAX_DOCUMENTS:
        raise ChainBroken(f"{len(documents)} credentials are behind the token")
    roots = [known.read(document).depth == 0 for document in documents]
    return [[document] for document in documents] if all(roots) else [documents]
