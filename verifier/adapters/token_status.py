"""The Token Status Lists of one issuer, signed by its own keys, cached and refreshed (draft-ietf-oauth-status-list)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from did_agent.adapters.status import TOKEN_TYPE, FetchText, ListCache
from did_agent.clock import Clock
from did_agent.credential.token_status import (
    STATUS_LIST_TOKEN,
    TokenStatusList,
    TokenStatusReference,
    check_token_status,
    verify_status_list_token,
)
from did_agent.errors import StatusIndexOutOfRange, StatusNotVerified, WrongIssuer
from did_agent.keys.public import PublicKey
from did_agent.proof.jose import parse_compact
from verifier.ports import KeySource


class IssuerStatusLists:
    """What one issuer says of its tokens since it signed them; a list is believed for at most `max_age`."""

    def __init__(self, issuer: str, fetcher: FetchText, *, keys: KeySource, max_age: timedelta, clock: Clock) -> None:
        self._issuer, self._fetcher, self._keys = issuer, fetcher, keys
        self._cache = ListCache(self._fetch, max_age=max_age, clock=clock)

    async def require_valid(self, reference: TokenStatusReference, now: datetime) -> None:
        """Return when the issuer's list says that the token still counts.

        Raises: Revoked, Suspended, StatusNotVerified, StatusUnavailable: not finding out means no (VCX-10).
        """
        found = await self._cache.get([reference.uri])
        try:
            check_token_status(reference, found.get(reference.uri), now=now).require_valid()
        except StatusIndexOutOfRange as error:
            raise StatusNotVerified("the token's place is outside its status list") from error

    async def _fetch(self, url: str, now: datetime) -> tuple[TokenStatusList, datetime]:
        text = await self._fetcher.get_text(url, accept=TOKEN_TYPE)
        key = await self._keys.find(parse_compact(text, max_bytes=STATUS_LIST_TOKEN.max_bytes).header.get("kid"))

        def find_key(_header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
            if claims.get("iss", self._issuer) != self._issuer:
                raise WrongIssuer("the status list is another issuer's")
            return key

        found = verify_status_list_token(
            text, expected_uri=url, expected_issuer=None, find_key=find_key, fetched_at=now, now=now
        )
        return found, min(now + found.ttl, found.expires)
