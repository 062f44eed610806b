"""A person's own view of their consents: look, download the receipt, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge import audit_trail
from bridge.model import Identity, User
from bridge.model.consents import Consent
from bridge.ports import Store
from bridge.service.revocation import end_tokens
from did_agent.clock import Clock, numeric_date
from did_agent.did.key import verification_method
from did_agent.errors import NotFound
from did_agent.proof.jwt import sign_jwt

RECEIPT_TYPE: Final = "consent-receipt+jwt"
MOST: Final = 200  # consents on one page, the newest


def make_receipt(consent: Consent, *, identity: Identity) -> str:
    """Return the signed receipt of a consent: what was shown and allowed, in the words that were shown.

    It is signed by the key of the bridge's DID, which outlives every key that signs tokens.
    """
    claims: dict[str, object] = {
        "iss": identity.issuer,
        "sub": consent.username,
        "jti": consent.id,
        "iat": numeric_date(consent.given),
        "exp": numeric_date(consent.expires),
        "client_id": consent.client_id,
        "client_name": consent.client_name,
        "resource": consent.resource,
        "resource_name": consent.resource_name,
        "scopes": dict(consent.scopes),
        "redirect_host": consent.redirect_host,
    }
    acting = {"agent": consent.agent, "agent_name": consent.agent_name, "sponsor": consent.sponsor}
    acting |= {"binding_message": consent.message, "authorization_details": consent.details, "task": consent.task}
    claims |= {name: value for name, value in acting.items() if value is not None}
    return sign_jwt(claims, typ=RECEIPT_TYPE, key=identity.key, kid=verification_method(identity.did))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnConsents:
    """What a signed-in person can do with what they allowed."""

    store: Store
    identity: Identity
    clock: Clock

    async def list(self, user: User) -> Sequence[Consent]:
        """Return the person's consents, the newest first."""
        async with self.store.transaction() as work:
            return await work.consents(user.username, limit=MOST)

    async def receipt(self, user: User, consent_id: str) -> str:
        """Return the signed receipt of one of the person's consents.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            found = await work.receipt(user.username, consent_id)
        if found is None:
            raise NotFound("there is no such consent")
        return found

    async def withdraw(self, user: User, consent_id: str, *, request_id: str) -> None:
        """Withdraw a consent: its code, its refresh tokens and every token made from it end at once (DEL-10).

        Raises: NotFound when the person has no such consent that stands.
        """
        now = self.clock()
        async with self.store.transaction() as work:
            if not await work.withdraw(user.username, consent_id, now=now):
                raise NotFound("there is no such consent")
            families = await work.end_families(consent_id)
            ids, reason = [consent_id, *families], "the user withdrew the consent"
            await end_tokens(work, ids, reason=reason, identity=self.identity, now=now)
            await work.record(
                audit_trail.bridge_event(
                    self.identity,
                    "consent.withdraw",
                    reason,
                    now=now,
                    principal=user.username,
                    principal_kind="user",
                    target=consent_id,
                    request_id=request_id,
                )
            )
