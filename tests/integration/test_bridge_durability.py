"""What was acknowledged survives a restart, and nothing happens without its audit event."""

from __future__ import annotations

import pytest

from bridge.adapters import sql
from bridge.adapters.sql import SQLTransaction
from did_agent.adapters.sql import open_database
from did_agent.audit.event import AuditEvent
from did_agent.errors import StoreUnavailable
from tests.fakes.bridge_world import RESOURCE, World, capability, claims_of, code_for, redeem, w

__all__ = ["w"]


@pytest.mark.req("AUD-01")
async def test_without_its_audit_event_no_token_is_made_and_nothing_is_spent(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = w.agent("stock", "list_menu")
    vp = await w.vp(agent)

    async def broken(_self: SQLTransaction, _event: AuditEvent) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SQLTransaction, "record", broken)
        answer = await w.exchange(vp)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert (await w.exchange(vp)).status_code == 200


@pytest.mark.req("OAU-02", "AUD-01")
async def test_what_is_spent_issued_and_revoked_is_in_the_database_when_the_answer_leaves(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    code, verifier = await code_for(w, agent)
    token = (await redeem(w, agent, code, verifier)).json()["access_token"]
    await w.push("credential-revoked", "urn:uuid:gone")
    # A second process with nothing but the same database.
    engine = open_database(w.database)
    async with sql.SQLStore(engine, recorded=lambda: None).transaction() as work:
        assert await work.is_standing(claims_of(token)["jti"])
        assert await work.denied({"urn:uuid:gone"}) == "credential-revoked"
        assert await work.feed_head() == 1
        assert await work.tokens_under([agent.did], now=w.clock()) == [claims_of(token)["jti"]]
    await engine.dispose()
    assert (await redeem(w, agent, code, verifier)).json()["error"] == "invalid_grant"


async def test_a_start_forgets_what_is_long_over_and_keeps_the_rest(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    old = claims_of((await w.exchange(await w.vp(agent))).json()["access_token"])
    w.clock.forward(90_000)
    agent.held.clear()
    w.grant(agent, capability("list_menu"))
    new = claims_of((await w.exchange(await w.vp(agent))).json()["access_token"])
    await w.push("agent-retired", "did:key:z6MkGone")
    engine = open_database(w.database)
    store = sql.SQLStore(engine, recorded=lambda: None)
    await store.prepare((), now=w.clock())
    async with store.transaction() as work:
        assert not await work.is_standing(old["jti"])
        assert await work.is_standing(new["jti"])
        assert await work.denied({"did:key:z6MkGone"}) == "agent-retired"
        assert await work.evidence(old["delegation_evidence"]["digest"])
        assert await work.resource(RESOURCE)
    await engine.dispose()
