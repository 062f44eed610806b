"""Offers keep to what the organisation lets its people grant, and to how its agents enrol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from did_agent.adapters.sql import open_database
from did_agent.credential.capability import parse_bare_capability
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import SQLStore
from issuer.model.enrolment import ApprovalPolicy
from issuer.model.grants import CapabilityTemplate, GrantingPolicy
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    CAPABILITIES,
    OPERATOR,
    RESOURCE,
    auth,
    issuer,
    onboard,
    register,
    sqlite_url,
)
from tests.fakes.wallets import REASON, WalletOf, offered, refused

MANAGER = auth("issuer:manage", subject="did:key:manager", client_id="did:key:manager")
APPROVER = auth("issuer:admin", subject="did:key:approver", client_id="did:key:approver")
TEMPLATE = CapabilityTemplate(
    name="reader",
    version=3,
    description="reads",
    capabilities=(parse_bare_capability({"resource": [RESOURCE], "tools": {"a": {}, "b": {}}}),),
    valid_seconds=600,
    max_depth=0,
    renewable_seconds=0,
    needs_approval=False,
    managers=True,
    created=NOW,
    by=OPERATOR,
)
pytestmark = pytest.mark.req("VCI-01", "WEB-04")


async def keep(
    folder: Path,
    *templates: CapabilityTemplate,
    granting: GrantingPolicy | None = None,
    enrolling: ApprovalPolicy | None = None,
) -> None:
    """Store what the organisation decided."""
    engine = open_database(sqlite_url(folder))
    async with SQLStore(engine).work() as work:
        for template in templates:
            assert await work.add_capability_template(template)
        if granting is not None:
            await work.put_granting_policy(granting)
        if enrolling is not None:
            await work.put_approval_policy(enrolling)
    await engine.dispose()


async def test_a_manager_offers_what_it_may_grant(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        body = {"agent": agent["agent_id"], **CAPABILITIES}
        free = await http.post("/offers", json=body, headers=MANAGER)
        assert (free.status_code, free.json()["code"]) == (403, "insufficient_scope")
        await keep(tmp_path, TEMPLATE)
        within = await http.post("/offers", json={**body, "valid_seconds": 600, "max_depth": 0}, headers=MANAGER)
        assert within.status_code == 201, within.text
        sponsor = await http.post("/offers", json=body, headers=auth("issuer:sponsor"))
        assert sponsor.status_code == 403


async def test_a_template_says_what_is_offered_and_can_be_narrowed_alone(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        await keep(tmp_path, TEMPLATE)
        named = {"agent": agent["agent_id"], "template": "reader"}
        for wider in ({"valid_seconds": 601}, {"max_depth": 1}, {"capabilities": [CAPABILITY | {"tools": {"c": {}}}]}):
            refusal = await http.post("/offers", json=named | wider, headers=ADMIN)
            assert refusal.status_code == 400, refusal.text
        assert (await http.post("/offers", json={**named, "template": "x"}, headers=ADMIN)).status_code == 404
        offer = await offered(http, agent, template="reader", capabilities=[])
        assert offer["template"] == "reader"
        credential = await WalletOf(http).take(offer)
        assert set(credential["credentialSubject"]["capability"][0]["tools"]) == {"a", "b"}
        less = await offered(http, agent, template="reader", capabilities=[CAPABILITY])
        assert set(less["capabilities"][0]["tools"]) == {"a"}


CAPABILITY = {"resource": [RESOURCE], "tools": {"a": {}}}


async def test_what_a_template_wants_approved_waits_for_somebody_else(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        await keep(tmp_path, replace(TEMPLATE, needs_approval=True))
        offer = await offered(http, agent, template="reader", capabilities=[])
        assert offer["needs_approval"] is True
        wallet = WalletOf(http)
        await wallet.redeem(offer)
        promised = await wallet.credential()
        assert promised.status_code == 202
        said = [(await http.post(f"/offers/{offer['id']}/approve", json=REASON, headers=who)).status_code for who in
                (ADMIN, MANAGER, APPROVER)]  # fmt: skip
        assert said == [403, 200, 409]
        done = await wallet.post("/deferred", {"transaction_id": promised.json()["transaction_id"]})
        assert done.status_code == 200


async def test_one_operator_alone_approves_where_the_organisation_lets_it(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        offer = await offered(http, await onboard(http), needs_approval=True)
        own = f"/offers/{offer['id']}/approve"
        assert (await http.post(own, json=REASON, headers=ADMIN)).status_code == 403
        await keep(tmp_path, granting=GrantingPolicy(separation=False))
        assert (await http.post(own, json=REASON, headers=ADMIN)).status_code == 200


async def test_where_owners_are_asked_an_offer_enrols_nobody(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await register(http)
        before = await offered(http, agent)
        await keep(tmp_path, enrolling=ApprovalPolicy(template=None, needs_approval=True))
        made = await http.post("/offers", json={"agent": agent["agent_id"], **CAPABILITIES}, headers=ADMIN)
        assert made.status_code == 409
        wallet = WalletOf(http, key=SigningKey.from_seed(b"w" * 32))
        await wallet.redeem(before)
        refused(await wallet.credential(), "credential_request_denied")
