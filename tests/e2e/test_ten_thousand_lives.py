"""Whole lives of many agents at once, on PostgreSQL: enrol, be granted, present, rotate, pause, go on, retire.

`DID_AGENT_LIVES` says how many; by night ten thousand.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import func, select

from did_agent.adapters.sql import open_database, transaction
from did_agent.credential.status import decode_list
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest
from issuer.adapters.tables import agents, grants
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, CAPABILITIES, ISSUER_URL, answer_to, issuer, recorded

POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
NIGHTLY = "DID_AGENT_NIGHTLY" in os.environ
LIVES = int(os.environ.get("DID_AGENT_LIVES", "10000" if NIGHTLY else "60"))
AT_ONCE = 8
BECAUSE = {"reason": "because"}
# What a life leaves in the audit log.
ACTIONS = (
    *("agent.create", "agent.enrol", "credential.issue", "agent.rotate", "agent.suspend", "agent.resume"),
    *("credential.revoke", "agent.retire"),
)


@pytest.fixture
def database() -> Iterator[str]:
    if POSTGRES is None:
        pytest.skip("no PostgreSQL: run the tests through tests/with_postgres.py")
    name, server = f"lives_{uuid.uuid4().hex}", POSTGRES.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def shown(key: SigningKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {present_jwt([], key=key, audience=ISSUER_URL, now=NOW)}"}


async def live(http: httpx2.AsyncClient, number: int) -> None:
    """Go through one life."""
    first, second = (SigningKey.from_seed(f"{number} {which}".encode().ljust(32)) for which in ("first", "second"))

    async def post(path: str, body: Any, status: int, headers: dict[str, str] = ADMIN) -> dict[str, Any]:
        answer = await http.post(path, json=body, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        return dict(answer.json())

    made = await post("/agents", {"name": f"agent {number}", "sponsor": f"Team {number % 50}"}, 201)
    at = f"/agents/{made['agent_id']}"
    await post(f"{at}/enrolment", answer_to(made, first), 201)
    document = (await post(f"{at}/credentials", CAPABILITIES, 201))["credential"]
    assert document["credentialSubject"]["id"] == did_key(first.public)
    assert (await http.get("/self", headers=shown(first))).status_code == 200
    statement = make_continuity(
        first, successor=did_key(second.public), agent_id=made["agent_id"], audience=ISSUER_URL, now=NOW
    )
    answer = present_jwt([], key=second, audience=ISSUER_URL, now=NOW, nonce=statement_digest(statement))
    went_over = await post(f"{at}/keys", {"statement": statement, "possession": answer}, 201, shown(first))
    (kept,) = went_over["credentials"]
    assert kept["credentialSubject"]["id"] == did_key(second.public)
    assert (await http.get("/self", headers=shown(first))).status_code in (401, 403)
    await post(f"{at}/suspend", BECAUSE, 200)
    assert (await http.get("/self", headers=shown(second))).status_code in (401, 403)
    await post(f"{at}/resume", BECAUSE, 200)
    assert (await http.get("/self", headers=shown(second))).status_code == 200
    await post(f"/credentials/{kept['id']}/revoke", BECAUSE, 200)
    await post(f"{at}/retire", BECAUSE, 200)


@pytest.mark.req("AUD-01", "REV-01", "REV-03")
async def test_nobody_is_lost_and_nothing_is_left_in_force(database: str) -> None:
    numbers = iter(range(LIVES))
    begun = time.monotonic()

    async with issuer(database) as (http, _):

        async def some() -> None:
            for number in numbers:
                await live(http, number)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        took = time.monotonic() - begun
        engine = open_database(database)
        async with transaction(engine) as connection:
            states = dict(
                (await connection.execute(select(agents.c.state, func.count()).group_by(agents.c.state))).all()
            )
            live_ones = (await connection.execute(select(func.count()).where(grants.c.revoked.is_(None)))).scalar_one()
            places = (await connection.execute(select(grants.c.list_number, grants.c.list_index))).all()
        await engine.dispose()
        assert states == {"retired": LIVES}
        assert live_ones == 0
        assert len(set(places)) == len(places) == 2 * LIVES
        revoked: dict[int, bytes] = {}
        for number in {place.list_number for place in places}:
            served = (await http.get(f"/status-lists/revocation/{number}")).json()["credentialSubject"]
            revoked[number] = decode_list(served["encodedList"])
        assert sum(sum(map(int.bit_count, bits)) for bits in revoked.values()) == 2 * LIVES
        for place in places:
            assert revoked[place.list_number][place.list_index // 8] >> (7 - place.list_index % 8) & 1
    events = Counter(event.action for event in await recorded(database) if event.decision == "allow")
    assert {action: events[action] for action in ACTIONS} == dict.fromkeys(ACTIONS, LIVES)
    print(f"\n{LIVES} lives in {took:.1f} s")
