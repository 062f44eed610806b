"""Webhooks from the effect to the receiver, on both databases, against a real HTTP server."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from did_agent.clock import system_clock
from did_agent.keys.ed25519 import PublicKey
from issuer.adapters.webhooks import EACH
from tests.fakes.granting_desk import LESS, Desk, desk
from tests.fakes.hook_receiver import Receiver, delivering, receiver
from tests.fakes.issuer_world import recorded


@pytest.fixture
async def at(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as opened:
        yield opened


async def hook(at: Desk, to: Receiver, *topics: str, **body: Any) -> dict[str, Any]:
    return await at.do("/webhooks", at.person("admin"), {"url": to.url, "topics": list(topics or ("*",)), **body})


def types(to: Receiver) -> list[str]:
    return [json.loads(body)["type"] for _, body in to.received]


def proves(headers: dict[str, str], body: bytes, public: str, signature: str) -> None:
    """Return when an asymmetric signature is that of a published key (Standard Webhooks, v1a)."""
    key = PublicKey.from_bytes(base64.b64decode(public.removeprefix("whpk_")))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert signature.startswith("v1a,")
    key.verify(content, base64.b64decode(signature.removeprefix("v1a,")))


async def test_receivers_hear_what_they_asked_for_and_can_check_who_says_it(at: Desk) -> None:
    async with receiver() as one, receiver() as other, delivering(at) as background:
        made = await hook(at, one, "credential.*", "agent.suspended")
        await hook(at, other, "request.created")
        agent = await at.onboard()
        credential = await at.grant(agent)
        await at.do(f"/credentials/{credential['id']}/revoke", at.person("admin"), {"reason": "secret words"})
        await at.refused(f"/credentials/{credential['id']}/resume", at.person("admin"), {"reason": "x"})
        await at.do(f"/agents/{agent['agent_id']}/suspend", at.person("admin"), {"reason": "secret words"})
        assert await background.deliver() == 3
        assert await background.deliver() == 0
        assert sorted(types(one)) == ["agent.suspended", "credential.issued", "credential.revoked"]
        assert other.received == []
        for headers, body in one.received:
            proves(headers, body, made["public_keys"][0], headers["webhook-signature"])
            said = json.loads(body)
            assert said.keys() == {"type", "timestamp", "data"}
            assert said["data"].keys() <= {"id", "organisation", "agent"}
            assert b"secret" not in body
            assert headers["content-type"] == "application/json"
        page = await at.get(f"/webhooks/{made['id']}/deliveries?state=delivered")
        assert {entry["outcome"] for entry in page["deliveries"]} == {"204"}


async def test_the_reference_library_believes_our_shared_secrets(at: Desk) -> None:
    at.now = system_clock()
    async with receiver() as one, delivering(at) as background:
        made = await hook(at, one, scheme="v1")
        assert made["secret"].startswith("whsec_")
        shown = await at.get(f"/webhooks/{made['id']}")
        assert (shown["secret"], shown["public_keys"]) == (None, [])  # for the only time
        await at.do(f"/webhooks/{made['id']}/test", at.person("admin"))
        await background.deliver()
        ((headers, body),) = one.received
        assert Webhook(made["secret"]).verify(body, headers)["type"] == "webhook.test"
        turned = await at.do(f"/webhooks/{made['id']}/rotate", at.person("admin"))
        assert turned["secret"] != made["secret"]
        await at.do(f"/webhooks/{made['id']}/test", at.person("admin"))
        await background.deliver()
        headers, body = one.received[1]
        for secret in (made["secret"], turned["secret"]):  # both, for a day
            assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"


async def test_keys_change_with_a_day_on_both(at: Desk) -> None:
    async with receiver() as one, delivering(at) as background:
        made = await hook(at, one)
        admin, path = at.person("admin"), f"/webhooks/{made['id']}"
        turned = await at.do(f"{path}/rotate", admin)
        assert await at.refused(f"{path}/rotate", admin) == "state_conflict"
        new, old = turned["public_keys"]
        assert [old] == made["public_keys"]
        await at.do(f"{path}/test", admin)
        await background.deliver()
        headers, body = one.received[-1]
        first, second = headers["webhook-signature"].split(" ")
        proves(headers, body, new, first)
        proves(headers, body, old, second)
        at.later(days=1)
        admin = at.person("admin")
        assert (await at.get(path))["public_keys"] == [new]
        await at.do(f"{path}/test", admin)
        await background.deliver()
        headers, body = one.received[-1]
        proves(headers, body, new, headers["webhook-signature"])


async def test_what_is_not_heard_is_tried_for_a_day_and_then_put_aside(at: Desk) -> None:
    async with receiver() as one, delivering(at) as background:
        one.status = 500
        made = await hook(at, one)
        sent = (await at.do(f"/webhooks/{made['id']}/test", at.person("admin")))["delivery"]
        waits, before = [], at.now
        while at.now - before < timedelta(days=2):
            await background.deliver()
            (entry,) = (await at.get(f"/webhooks/{made['id']}/deliveries"))["deliveries"]
            if entry["state"] == "dead":
                break
            assert (entry["state"], entry["outcome"]) == ("waiting", "500")
            waits.append(entry["next_attempt"])
            at.later(**({"seconds": 1} if len(waits) < 2 else {"minutes": 70}))
        assert entry["state"] == "dead"
        assert timedelta(hours=22) < at.now - before < timedelta(hours=27)
        assert len({headers["webhook-id"] for headers, _ in one.received}) == 1  # the same at each attempt
        assert len({headers["webhook-timestamp"] for headers, _ in one.received}) == len(one.received)
        assert 3 <= len(one.received) <= 40
        assert [event.action for event in await recorded(str(at.where))][-1] == "webhook.give-up"
        one.status = 200
        await at.do(f"/webhooks/{made['id']}/deliveries/{sent}/resend", at.person("admin"))
        await background.deliver()
        (entry,) = (await at.get(f"/webhooks/{made['id']}/deliveries"))["deliveries"]
        assert (entry["state"], entry["outcome"]) == ("delivered", "200")


async def test_the_news_is_written_with_its_effect_or_not_at_all(at: Desk) -> None:
    async with receiver() as one, delivering(at) as background:
        agent = await at.onboard()
        await hook(at, one, "credential.*")
        entries = [
            {"agent": agent["agent_id"], "capabilities": [LESS]},
            {"agent": "urn:uuid:x", "capabilities": [LESS]},
        ]
        await at.refused("/credentials/bulk", at.person("admin"), {"entries": entries})
        assert await background.deliver() == 0
        await at.do("/credentials/bulk", at.person("admin"), {"entries": entries[:1] * 2})
        assert await background.deliver() == 2


async def test_one_receiver_that_has_much_waiting_leaves_the_others_their_turn(at: Desk) -> None:
    async with receiver() as one, receiver() as other, delivering(at) as background:
        busy, quiet = await hook(at, one), await hook(at, other)
        for _ in range(EACH + 2):
            await at.do(f"/webhooks/{busy['id']}/test", at.person("admin"))
        await at.do(f"/webhooks/{quiet['id']}/test", at.person("admin"))
        assert await background.deliver() == EACH + 1
        assert len(other.received) == 1


async def test_two_processes_do_not_deliver_the_same_twice(at: Desk) -> None:
    async with receiver() as one, delivering(at) as first, delivering(at) as second:
        made = await hook(at, one)
        await at.do(f"/webhooks/{made['id']}/test", at.person("admin"))
        await first.deliver()
        await second.deliver()
        assert len(one.received) == 1


async def test_a_receiver_that_is_gone_or_paused_hears_nothing(at: Desk) -> None:
    async with receiver() as one, delivering(at) as background:
        made = await hook(at, one)
        path, admin = f"/webhooks/{made['id']}", at.person("admin")
        one.status = 410
        await at.do(f"{path}/test", admin)
        await background.deliver()
        assert "410" in (await at.get(path))["disabled"]
        assert await at.refused(f"{path}/test", admin) == "state_conflict"
        await at.onboard()
        assert await background.deliver() == 0
        one.status = 200
        await at.do(path, admin, {"enabled": True, "topics": ["agent.enrolled"]}, method="PATCH")
        await at.do(f"{path}/test", admin)
        assert await background.deliver() == 1
        await at.do(f"{path}/test", admin)
        assert (await at.do(path, admin, method="DELETE"))["removed"] is True
        assert await background.deliver() == 0
        assert await at.refused(path, admin, method="GET") == "not_found"
