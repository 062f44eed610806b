"""Everything an operator may ask of an issuer, topic by topic, over one authentication."""

from __future__ import annotations

import httpx2

from did_agent.client.delegations import DelegationsClient
from did_agent.client.enrolment import EnrolmentClient
from did_agent.client.grants import GrantsClient
from did_agent.client.issuer import IssuerClient
from did_agent.client.issuer_keys import IssuerKeysClient
from did_agent.client.offers import OffersClient
from did_agent.client.registry import RegistryClient
from did_agent.client.trust import TrustClient
from did_agent.client.webhooks import WebhooksClient


class Administration:
    """One issuer, as one of its operators; each topic has its own small client."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.agents = IssuerClient(url, auth=auth)
        self.registry = RegistryClient(url, auth=auth)
        self.enrolment = EnrolmentClient(url, auth=auth)
        self.offers = OffersClient(url, auth=auth)
        self.delegations = DelegationsClient(url, auth=auth)
        self.trust = TrustClient(url, auth=auth)
        self.keys = IssuerKeysClient(url, auth=auth)
        self.grants = GrantsClient(url, auth=auth)
        self.webhooks = WebhooksClient(url, auth=auth)
