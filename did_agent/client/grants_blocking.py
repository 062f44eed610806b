"""`GrantsClient` and `WebhooksClient` for programs without an event loop: the same methods, typed, each waiting."""

from __future__ import annotations

from did_agent.client.blocking import blocking, iterating
from did_agent.client.grants import GrantsClient
from did_agent.client.webhooks import WebhooksClient


class BlockingGrantsClient:
    """`GrantsClient`, waiting."""

    def __init__(self, client: GrantsClient) -> None:
        self.client = client

    issue = blocking(GrantsClient.issue)
    issue_many = blocking(GrantsClient.issue_many)
    change = blocking(GrantsClient.change)
    entitlements = blocking(GrantsClient.entitlements)
    collect_for = blocking(GrantsClient.collect_for)
    put_capability = blocking(GrantsClient.put_capability)
    capability = blocking(GrantsClient.capability)
    capabilities = iterating(GrantsClient.capabilities)
    withdraw_capability = blocking(GrantsClient.withdraw_capability)
    granting_policy = blocking(GrantsClient.granting_policy)
    put_granting_policy = blocking(GrantsClient.put_granting_policy)
    learn_tools = blocking(GrantsClient.learn_tools)
    form = blocking(GrantsClient.form)
    put_role = blocking(GrantsClient.put_role)
    roles = iterating(GrantsClient.roles)
    remove_role = blocking(GrantsClient.remove_role)
    assignments = iterating(GrantsClient.assignments)
    assign = blocking(GrantsClient.assign)
    unassign = blocking(GrantsClient.unassign)
    request = blocking(GrantsClient.request)
    requests = iterating(GrantsClient.requests)
    show_request = blocking(GrantsClient.show_request)
    decide = blocking(GrantsClient.decide)
    credentials = iterating(GrantsClient.credentials)


class BlockingWebhooksClient:
    """`WebhooksClient`, waiting."""

    def __init__(self, client: WebhooksClient) -> None:
        self.client = client

    add = blocking(WebhooksClient.add)
    all = blocking(WebhooksClient.all)
    show = blocking(WebhooksClient.show)
    change = blocking(WebhooksClient.change)
    rotate = blocking(WebhooksClient.rotate)
    test = blocking(WebhooksClient.test)
    remove = blocking(WebhooksClient.remove)
    deliveries = iterating(WebhooksClient.deliveries)
    resend = blocking(WebhooksClient.resend)
