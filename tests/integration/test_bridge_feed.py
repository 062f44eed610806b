"""Revocation: pushed in by the issuer, heard by verifiers, and effective at the bridge at once."""

from __future__ import annotations

import asyncio

import pytest

from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.security_event import EVENT_PREFIX
from tests.fakes.bridge_world import RESOURCE, World, claims_of, w

__all__ = ["w"]


async def test_an_event_is_kept_in_order_and_signed_by_the_bridge(w: World) -> None:
    assert (await w.push("credential-revoked", "urn:uuid:1")).status_code == 202
    assert (await w.push("agent-suspended", "did:key:z6MkOne")).status_code == 202
    answer = (await w.http.get("/revocations?after=0&wait=0")).json()
    assert [item["seq"] for item in answer["sets"]] == [1, 2]
    assert answer["cursor"] == 2
    claims = claims_of(answer["sets"][0]["set"])
    assert (claims["iss"], claims["aud"]) == (w.url, w.url)
    assert claims["sub_id"] == {"format": "uri", "uri": "urn:uuid:1"}
    # The operator's words stay in the audit log.
    assert claims["events"] == {EVENT_PREFIX + "credential-revoked": {"reason": "credential-revoked"}}
    assert (await w.http.get("/revocations?after=2")).json() == {"sets": [], "cursor": 2}


async def test_the_same_event_counts_once(w: World) -> None:
    for _ in range(2):
        assert (await w.push("credential-revoked", "urn:uuid:1", id="event-1")).status_code == 202
    await w.push("credential-revoked", "urn:uuid:2", id="event-2")
    answer = (await w.http.get("/revocations?after=0")).json()
    assert [item["seq"] for item in answer["sets"]] == [1, 2]


async def test_a_waiting_verifier_hears_before_the_push_returns(w: World) -> None:
    async def verifier() -> list[int]:
        heard, after = [], 0
        while len(heard) < 2:
            url = f"/revocations?after={after}&wait=20&subscriber=verifier-1"
            answer = (await w.http.get(url)).json()
            heard += [item["seq"] for item in answer["sets"]]
            after = answer["cursor"]
        await w.http.get(f"/revocations?after={after}&wait=0&subscriber=verifier-1")
        return heard

    listening = asyncio.create_task(verifier())
    assert (await w.push("credential-revoked", "urn:uuid:1")).status_code == 202
    assert (await w.push("credential-revoked", "urn:uuid:2")).status_code == 202
    assert await listening == [1, 2]


async def test_a_verifier_that_went_away_does_not_hold_up_a_push_for_good(w: World) -> None:
    leaving = asyncio.create_task(w.http.get("/revocations?after=0&wait=25&subscriber=gone"))
    await w.http.get("/livez")
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (await w.push("credential-revoked", "urn:uuid:1")).status_code == 202


@pytest.mark.req("DEL-10")
@pytest.mark.parametrize("kind", ["credential-revoked", "agent-suspended", "agent-retired"])
async def test_what_has_ended_makes_no_token_on_any_path(w: World, kind: str) -> None:
    agent = w.agent("stock", "list_menu")
    subject = agent.held[0]["id"] if kind == "credential-revoked" else agent.did
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 200
    assert (await w.exchange(await w.vp(agent))).status_code == 200
    # The register still says active: the event alone must be enough.
    await w.push(kind, subject)
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 401
    refused = await w.exchange(await w.vp(agent))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


async def test_a_resumed_agent_gets_tokens_again_and_a_retired_one_never(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    await w.push("agent-suspended", agent.did)
    await w.push("agent-resumed", agent.did)
    assert (await w.exchange(await w.vp(agent))).status_code == 200
    await w.push("agent-retired", agent.did)
    await w.push("agent-resumed", agent.did)
    assert (await w.exchange(await w.vp(agent))).status_code == 400


@pytest.mark.req("REV-03")
async def test_a_suspended_credential_makes_no_token_until_it_is_resumed_and_a_revoked_one_never(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    held = agent.held[0]["id"]
    await w.push("credential-suspended", held)
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 401
    assert (await w.exchange(await w.vp(agent))).status_code == 400
    await w.push("credential-resumed", held)
    assert (await w.exchange(await w.vp(agent))).status_code == 200
    await w.push("credential-revoked", held)
    await w.push("credential-resumed", held)
    assert (await w.exchange(await w.vp(agent))).status_code == 400


async def test_a_suspension_that_arrives_late_does_not_undo_a_later_resumption(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    earlier = w.clock()
    w.clock.forward(10)
    await w.push("agent-resumed", agent.did)
    await w.push("agent-suspended", agent.did, issued_at=earlier)
    assert (await w.exchange(await w.vp(agent))).status_code == 200


@pytest.mark.req("TOK-07", "TOK-08")
async def test_only_issuers_of_the_deployment_are_heard(w: World) -> None:
    for changes, word in (
        ({"key": SigningKey.generate()}, "invalid_issuer"),
        ({"audience": "https://other.example"}, "invalid_audience"),
    ):
        answer = await w.push("credential-revoked", "urn:uuid:1", **changes)
        assert (answer.status_code, answer.json()["err"]) == (400, word)
        assert answer.json()["request_id"]
    assert (await w.http.get("/revocations?after=0")).json()["sets"] == []


async def test_what_ends_is_in_the_audit_record(w: World) -> None:
    await w.push("agent-suspended", "did:key:z6MkOne", reason="investigation")
    event = (await w.events())[-1]
    assert (event["action"], event["target"]) == ("revocation.receive", "did:key:z6MkOne")
    assert event["explanation"] == "investigation"
