"""Serving status lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from did_agent.credential.status import Purpose
from did_agent.errors import NotFound
from issuer.granting import LIST_CAPACITY, sign_list
from issuer.model import HOME
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """What was suspended and revoked, as lists."""

    office: Office

    async def status_list(self, purpose: Purpose, number: int) -> Mapping[str, object]:
        """Return a status list as it is now, signed.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            if not 0 < number <= await work.next_list(LIST_CAPACITY):
                raise NotFound("there is no such status list")
            indices = await work.set_bits(purpose, number)
        key, url = self.office.key_of(HOME), self.office.url
        return sign_list(indices, purpose=purpose, number=number, key=key, issuer_url=url, now=self.office.clock())
