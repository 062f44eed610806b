"""`Administration` for programs without an event loop: the same topics and methods, typed, each waiting."""

from __future__ import annotations

import httpx2

from did_agent.client.administration import Administration
from did_agent.client.blocking import blocking, iterating
from did_agent.client.delegations import DelegationsClient
from did_agent.client.enrolment import EnrolmentClient
from did_agent.client.grants_blocking import BlockingGrantsClient, BlockingWebhooksClient
from did_agent.client.issuer import IssuerClient
from did_agent.client.issuer_keys import IssuerKeysClient
from did_agent.client.offers import OffersClient
from did_agent.client.registry import RegistryClient
from did_agent.client.trust import TrustClient


class BlockingIssuerClient:
    """`IssuerClient`, waiting."""

    def __init__(self, client: IssuerClient) -> None:
        self.client = client

    create_agent = blocking(IssuerClient.create_agent)
    enrol = blocking(IssuerClient.enrol)
    agents = blocking(IssuerClient.agents)
    agent = blocking(IssuerClient.agent)
    change_agent = blocking(IssuerClient.change_agent)
    issue_credential = blocking(IssuerClient.issue_credential)
    credentials = blocking(IssuerClient.credentials)
    revoke_credential = blocking(IssuerClient.revoke_credential)


class BlockingRegistryClient:
    """`RegistryClient`, waiting."""

    def __init__(self, client: RegistryClient) -> None:
        self.client = client

    search = iterating(RegistryClient.search)
    count = blocking(RegistryClient.count)
    describe = blocking(RegistryClient.describe)
    transfer = blocking(RegistryClient.transfer)
    history = iterating(RegistryClient.history)
    impact_of_agent = blocking(RegistryClient.impact_of_agent)
    impact_of_credential = blocking(RegistryClient.impact_of_credential)
    import_agents = blocking(RegistryClient.import_agents)
    put_template = blocking(RegistryClient.put_template)
    template = blocking(RegistryClient.template)
    templates = iterating(RegistryClient.templates)
    instantiate = blocking(RegistryClient.instantiate)
    put_group = blocking(RegistryClient.put_group)
    groups = iterating(RegistryClient.groups)
    remove_group = blocking(RegistryClient.remove_group)
    members = iterating(RegistryClient.members)
    change_members = blocking(RegistryClient.change_members)
    kill = blocking(RegistryClient.kill)
    impact_of_kill = blocking(RegistryClient.impact_of_kill)
    switches = iterating(RegistryClient.switches)
    lift = blocking(RegistryClient.lift)


class BlockingEnrolmentClient:
    """`EnrolmentClient`, waiting."""

    def __init__(self, client: EnrolmentClient) -> None:
        self.client = client

    create_token = blocking(EnrolmentClient.create_token)
    tokens = blocking(EnrolmentClient.tokens)
    revoke_token = blocking(EnrolmentClient.revoke_token)
    put_rule = blocking(EnrolmentClient.put_rule)
    rules = blocking(EnrolmentClient.rules)
    remove_rule = blocking(EnrolmentClient.remove_rule)
    enrolments = blocking(EnrolmentClient.enrolments)
    decide = blocking(EnrolmentClient.decide)
    put_policy = blocking(EnrolmentClient.put_policy)
    recover = blocking(EnrolmentClient.recover)
    keys = blocking(EnrolmentClient.keys)
    custodial_key = blocking(EnrolmentClient.custodial_key)


class BlockingOffersClient:
    """`OffersClient`, waiting."""

    def __init__(self, client: OffersClient) -> None:
        self.client = client

    create = blocking(OffersClient.create)
    offers = blocking(OffersClient.offers)
    offer = blocking(OffersClient.offer)
    decide = blocking(OffersClient.decide)


class BlockingDelegationsClient:
    """`DelegationsClient`, waiting."""

    def __init__(self, client: DelegationsClient) -> None:
        self.client = client

    all = iterating(DelegationsClient.all)
    revoke = blocking(DelegationsClient.revoke)


class BlockingTrustClient:
    """`TrustClient`, waiting."""

    def __init__(self, client: TrustClient) -> None:
        self.client = client

    add = blocking(TrustClient.add)
    remove = blocking(TrustClient.remove)
    show = blocking(TrustClient.show)
    list = blocking(TrustClient.list)
    publish_did = blocking(TrustClient.publish_did)
    withdraw_did = blocking(TrustClient.withdraw_did)
    published = blocking(TrustClient.published)


class BlockingIssuerKeysClient:
    """`IssuerKeysClient`, waiting."""

    def __init__(self, client: IssuerKeysClient) -> None:
        self.client = client

    all = blocking(IssuerKeysClient.all)
    rotate = blocking(IssuerKeysClient.rotate)
    impact = blocking(IssuerKeysClient.impact)
    retire = blocking(IssuerKeysClient.retire)
    revoke = blocking(IssuerKeysClient.revoke)


class BlockingAdministration:
    """One issuer, as one of its operators."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.client = Administration(url, auth=auth)
        self.agents = BlockingIssuerClient(self.client.agents)
        self.registry = BlockingRegistryClient(self.client.registry)
        self.enrolment = BlockingEnrolmentClient(self.client.enrolment)
        self.offers = BlockingOffersClient(self.client.offers)
        self.delegations = BlockingDelegationsClient(self.client.delegations)
        self.trust = BlockingTrustClient(self.client.trust)
        self.keys = BlockingIssuerKeysClient(self.client.keys)
        self.grants = BlockingGrantsClient(self.client.grants)
        self.webhooks = BlockingWebhooksClient(self.client.webhooks)
