"""Credential offers: what one holds, who may take it, and how often (OpenID4VCI 1.0, 4 and 6).

The pre-authorized code follows from the handle in the offer's URL, so the store needs neither of them, only digests.
A transaction code is short; its digest covers the code too, so whoever reads the store cannot try them all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from did_agent.credential.issuance import new_id
from did_agent.encoding import base64url
from did_agent.encoding.digest import digest_uri
from did_agent.errors import (
    BadGrant,
    BadKeyProof,
    CredentialRequestDenied,
    InsufficientScope,
    InvalidParameter,
    MissingParameter,
    StateConflict,
    UnknownConfiguration,
)
from issuer.configurations import BATCH_SIZE, CONFIGURATIONS, PRE_AUTHORIZED, credential_issuer
from issuer.granting import require_grantable
from issuer.model import Agent, Operator
from issuer.model.grants import GrantingPolicy, Terms
from issuer.model.offers import NewOffer, Offer, OfferSecrets, Verdict

SCHEME: Final = "openid-credential-offer://"
MIN_SECONDS: Final = 30  # shortest life of an offer
MAX_SECONDS: Final = 86_400  # longest life of an offer
TOKEN_SECONDS: Final = 300  # life of the token a code is redeemed for
WAITING_SECONDS: Final = 86_400  # its life where somebody must still say yes; it opens this one offer alone
TX_LENGTH: Final = 8  # digits of a transaction code
TX_ATTEMPTS: Final = 5  # wrong ones before the offer is void: a guess succeeds once in 20 million offers
INTERVAL: Final = 5  # s between two questions for a deferred credential
MAX_PERSON: Final = 256  # characters
_SECRET_BYTES: Final = 32


def make_offer(
    new: NewOffer, agent: Agent, terms: Terms | None, *, by: Operator, now: datetime
) -> tuple[Offer, OfferSecrets]:
    """Return an offer of what was decided for the agent, and the secrets that are shown once.

    Raises: InvalidParameter, StateConflict.
    """
    _require_sound(new, agent)
    if terms is not None:
        # Judged again when it is issued; a pending agent is judged as what it will be then.
        then = replace(agent, state="active", did=agent.did or "")
        require_grantable(then, terms.capabilities, valid_seconds=terms.valid_seconds, max_depth=terms.max_depth)
    handle = new_secret()
    code = None if new.person is not None else code_of(handle)
    tx_code = f"{secrets.randbelow(10**TX_LENGTH):0{TX_LENGTH}}" if new.tx_code else None
    offer = Offer(
        organisation=agent.organisation,
        id=new_id(),
        agent_id=agent.agent_id,
        configurations=new.configurations,
        terms=terms,
        copies=new.copies,
        enrols=agent.state == "pending",
        needs_approval=new.needs_approval,
        person=new.person,
        handle_digest=digest_of(handle),
        code_digest=None if code is None else digest_of(code),
        tx_digest=None if code is None or tx_code is None else _tx_digest(code, tx_code),
        attempts_left=TX_ATTEMPTS,
        made_by=by.principal or "",
        created=now,
        expires=now + timedelta(seconds=new.valid_seconds),
    )
    return offer, OfferSecrets(handle=handle, code=code, tx_code=tx_code)


def new_secret() -> str:
    """Return a fresh value of 256 bits that nobody can guess."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def code_of(handle: str) -> str:
    """Return the pre-authorized code of an offer, for whoever knows its handle."""
    return base64url.encode(hmac.digest(handle.encode(), b"pre-authorized code", hashlib.sha256))


def digest_of(secret: str) -> str:
    """Return what is kept of a secret of 256 bits."""
    return digest_uri(secret.encode())


def offer_object(offer: Offer, handle: str, *, issuer_url: str, bridge_url: str | None) -> dict[str, object]:
    """Return the credential offer for its wallet (4.1.1)."""
    base = credential_issuer(issuer_url)
    if offer.person is not None:
        grants: dict[str, object] = {"authorization_code": {"authorization_server": bridge_url}}
    else:
        grant: dict[str, object] = {"pre-authorized_code": code_of(handle), "authorization_server": base}
        if offer.tx_digest is not None:
            description = "You get it from whoever made this offer, on another way."
            grant["tx_code"] = {"input_mode": "numeric", "length": TX_LENGTH, "description": description}
        grants = {PRE_AUTHORIZED: grant}
    return {
        "credential_issuer": base,
        "credential_configuration_ids": list(offer.configurations),
        "grants": grants,
    }


def uri_by_value(offered: Mapping[str, object]) -> str:
    """Return the offer as a link that holds all of it (4.1.2)."""
    return f"{SCHEME}?{urlencode({'credential_offer': json.dumps(offered, separators=(',', ':'))}, quote_via=quote)}"


def uri_by_reference(handle: str, *, issuer_url: str) -> str:
    """Return the offer as a link to where it is fetched (4.1.3)."""
    return f"{SCHEME}?{urlencode({'credential_offer_uri': f'{credential_issuer(issuer_url)}/offers/{handle}'})}"


def require_redeemable(offer: Offer | None, *, now: datetime) -> Offer:
    """Return the offer whose code was shown for the first time, in time.

    Raises: BadGrant.
    """
    if offer is None:
        raise BadGrant("the pre-authorized code is not known")
    if offer.code_spent:
        raise BadGrant("the pre-authorized code was used before")
    if offer.state_at(now) != "open" or offer.attempts_left <= 0:
        raise BadGrant(f"the offer is {offer.state_at(now)}, {offer.attempts_left} attempts are left")
    return offer


def require_tx_form(offer: Offer, tx_code: str | None) -> None:
    """Return when a transaction code came exactly if one is expected (6.3); nothing is compared yet.

    Raises: MissingParameter, InvalidParameter.
    """
    if offer.tx_digest is not None and tx_code is None:
        raise MissingParameter("tx_code is required")
    if offer.tx_digest is None and tx_code is not None:
        raise InvalidParameter("no tx_code is expected")


def is_tx_code(offer: Offer, code: str, tx_code: str | None) -> bool:
    """Tell whether the transaction code is that of the offer; True where none is expected."""
    if offer.tx_digest is None:
        return True
    return hmac.compare_digest(_tx_digest(code, tx_code or ""), offer.tx_digest)


def require_offered(offer: Offer, configuration: str, count: int, *, now: datetime) -> None:
    """Return when so many credentials of a configuration are still to be had.

    The offer's end bounds its redemption; what was redeemed is bound by the token's.
    Raises: UnknownConfiguration, CredentialRequestDenied.
    """
    if configuration not in offer.configurations or configuration not in CONFIGURATIONS:
        raise UnknownConfiguration("the configuration is not in the offer")
    state = offer.state_at(now)
    if state in ("withdrawn", "denied"):
        raise CredentialRequestDenied(f"the offer is {state}")
    if offer.issued.get(configuration, 0) + count > offer.copies:
        raise CredentialRequestDenied(f"{offer.copies} of these were offered, and not more")


def require_holder(offer: Offer, agent: Agent | None, did: str) -> Agent:
    """Return the agent of the offer if the proven key is its own, or becomes it.

    Raises: CredentialRequestDenied, BadKeyProof.
    """
    if agent is None or agent.agent_id != offer.agent_id:
        raise CredentialRequestDenied("the agent of the offer is gone")
    if agent.state == "pending" and offer.enrols:
        return agent
    if agent.state != "active":
        raise CredentialRequestDenied(f"{agent.name} is {agent.state}")
    if agent.did != did:
        raise BadKeyProof("the proof is by another key than the agent's")
    return agent


def decided(offer: Offer, verdict: Verdict, agent: Agent, policy: GrantingPolicy, *, by: Operator) -> Offer:
    """Return the offer with the decision on it; a yes is by somebody else than who made it or owns the agent (WEB-04).

    Raises: StateConflict, InsufficientScope.
    """
    if not offer.needs_approval or offer.verdict is not None:
        raise StateConflict("the offer awaits no decision")
    involved = {offer.made_by, agent.did, agent.owner}
    if verdict == "approved" and policy.separation and (by.principal is None or {by.principal, *by.actors} & involved):
        raise InsufficientScope("an offer is approved by neither who made it nor the agent's owner")
    return replace(offer, verdict=verdict)


def _require_sound(new: NewOffer, agent: Agent) -> None:
    if agent.state not in ("pending", "active"):
        raise StateConflict(f"{agent.name} is {agent.state}")
    if agent.state == "pending" and new.person is not None:
        raise StateConflict(f"{agent.name} has no key yet: enrol it, or offer by a pre-authorized code")
    unknown = set(new.configurations) - CONFIGURATIONS.keys()
    if not new.configurations or unknown or len(set(new.configurations)) != len(new.configurations):
        raise InvalidParameter(f"configurations: one or more of {', '.join(CONFIGURATIONS)}, each once")
    if not 0 < new.copies <= BATCH_SIZE:
        raise InvalidParameter(f"copies: 1 to {BATCH_SIZE}")
    if not MIN_SECONDS <= new.valid_seconds <= MAX_SECONDS:
        raise InvalidParameter(f"offer_seconds: {MIN_SECONDS} to {MAX_SECONDS}")
    if new.person is not None and (new.tx_code or not 0 < len(new.person) <= MAX_PERSON):
        raise InvalidParameter("person: a short name, and then no tx_code")
    gives = any(CONFIGURATIONS[name].kind == "capability" for name in new.configurations)
    if gives != (new.grant is not None):
        raise InvalidParameter("capabilities or a template are said exactly where a capability credential is offered")


def _tx_digest(code: str, tx_code: str) -> str:
    return digest_uri(f"{code} {tx_code}".encode())
