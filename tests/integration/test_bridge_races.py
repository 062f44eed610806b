"""Two bridge processes on one PostgreSQL: what counts once counts once, whoever is asked, killed or started again."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
import pytest_asyncio

from did_agent.adapters.party import listen, serving
from did_agent.adapters.trust import Trust, save_trust
from did_agent.client.dpop import DPoPSigner
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.asking import answered, polling
from tests.fakes.bridge_world import (
    REDIRECT,
    RESOURCE,
    START,
    Actor,
    Browser,
    Clock,
    FakeIssuer,
    World,
    claims_of,
    code_for,
    question,
)
from tests.fakes.replica import Replica

POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py"),
]
OFFLINE = {"scope": "tool:list_menu offline_access"}


@dataclass(slots=True)
class Pair:
    """Two replicas behind one issuer URL, as a load balancer would show them."""

    worlds: tuple[World, World]
    replicas: tuple[Replica, Replica]

    @property
    def w(self) -> World:
        return self.worlds[0]

    def forward(self, seconds: float) -> None:
        self.w.clock.forward(seconds)
        self.replicas[0].clock.write_text(self.w.clock().isoformat())

    async def storm(self, forms: Sequence[dict[str, str]], headers: Sequence[dict[str, str]] = ({},)) -> list[Any]:
        """Send all forms at once, in turn to the one and the other."""
        sending = (
            self.worlds[number % 2].post("/token", form, **headers[number % len(headers)])
            for number, form in enumerate(forms)
        )
        return await asyncio.gather(*sending, return_exceptions=True)

    async def ended(self, by: int = 1) -> set[str]:
        feed = (await self.worlds[by].http.get("/revocations", params={"after": "0"})).json()["sets"]
        return {claims_of(item["set"])["sub_id"]["uri"] for item in feed}


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    assert POSTGRES is not None
    name, server = f"races_{uuid.uuid4().hex}", POSTGRES.replace("+psycopg", "")
    with closing(psycopg.connect(server, autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    data = tmp_path_factory.mktemp("races")
    clock, listener = Clock(), listen("127.0.0.1", 0)
    issuer = FakeIssuer(url=f"http://127.0.0.1:{listener.getsockname()[1]}", clock=clock)
    operator = SigningKey.generate()
    save_trust(data / "trust.json", Trust(issuers=(did_key(issuer.key.public),), operators=(did_key(operator.public),)))
    (data / "clock").write_text(START.isoformat())
    settings = {
        "data": str(data),
        "issuer_url": issuer.url,
        "ledger_url": "http://127.0.0.1:9",
        "database_url": database,
        "registry_max_age": 0,
        "status_max_age": 0,
    }
    first, second = (Replica(settings=settings, clock=data / "clock") for _ in range(2))
    settings["bridge_url"] = first.url
    with ExitStack() as stack:
        async with serving([(issuer.app(), listener)]):
            for replica in (first, second):
                stack.callback(replica.kill)
            # Their keys are made by the first to start; from then on they start together.
            await asyncio.to_thread(first.start)
            first.kill()
            first.begin()
            second.begin()
            await asyncio.to_thread(first.await_ready)
            await asyncio.to_thread(second.await_ready)
            worlds = [_world(replica, first.url, issuer, operator, clock, data) for replica in (first, second)]
            await worlds[1].put_resource()
            await worlds[0].put_user("smith", "list_menu", "create_order")
            yield Pair(worlds=(worlds[0], worlds[1]), replicas=(first, second))
            for world in worlds:
                await world.http.aclose()
                for browser in world.browsers:
                    await browser.aclose()


def _world(replica: Replica, url: str, issuer: FakeIssuer, operator: SigningKey, clock: Clock, data: Path) -> World:
    http = httpx2.AsyncClient(base_url=replica.url, headers={"Host": urlsplit(url).netloc}, trust_env=False, timeout=30)
    return World(
        url=url, http=http, issuer=issuer, operator=operator, colleague=operator, clock=clock, database=replica.settings["database_url"],
        data=data,
    )  # fmt: skip


def redemption(w: World, agent: Actor, code: str, verifier: str) -> dict[str, str]:
    shown = {"code": code, "code_verifier": verifier, "redirect_uri": REDIRECT}
    return {"grant_type": "authorization_code", **shown, **w.assertion(agent.key)}


def refreshing(w: World, agent: Actor, token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, **w.assertion(agent.key)}


async def family(pair: Pair, agent: Actor) -> dict[str, Any]:
    asking = question(agent, **OFFLINE)
    code = (await Browser(pair.w).consent(asking.path, offline=True))["code"]
    answer = await pair.w.token(redemption(pair.w, agent, code, asking.verifier))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def outcomes(answers: Sequence[Any]) -> Counter[str]:
    return Counter(one.json().get("error", "issued") for one in answers)


# ---- codes


@pytest.mark.req("OAU-02", "DEL-10")
@pytest.mark.parametrize("attempt", range(5))
async def test_of_many_redemptions_at_both_replicas_one_succeeds_and_its_token_dies(pair: Pair, attempt: int) -> None:
    agent = pair.w.agent(f"orders-{attempt}", "list_menu")
    code, verifier = await code_for(pair.w, agent)
    answers = await pair.storm([redemption(pair.w, agent, code, verifier) for _ in range(40)])
    assert outcomes(answers) == {"issued": 1, "invalid_grant": 39}
    (won,) = (one.json()["access_token"] for one in answers if one.status_code == 200)
    for replica in (0, 1):
        assert claims_of(won)["jti"] in await pair.ended(replica)


@pytest.mark.req("OAU-02", "DEL-02")
async def test_right_and_wrong_hands_at_once_give_no_token_that_lives(pair: Pair) -> None:
    """A thief's wrong verifier races the honest client: the code is used once, and what it gave ends with it."""
    agent = pair.w.agent("orders-thief", "list_menu")
    code, verifier = await code_for(pair.w, agent)
    forms = [redemption(pair.w, agent, code, verifier if number < 2 else "x" * 43) for number in range(20)]
    answers = await pair.storm(forms)
    found = outcomes(answers)
    assert found["issued"] <= 1
    assert found["issued"] + found["invalid_grant"] == 20
    issued = {claims_of(one.json()["access_token"])["jti"] for one in answers if one.status_code == 200}
    assert issued <= await pair.ended()


# ---- answers of people who were asked out of band


@pytest.mark.req("OAU-17")
async def test_of_many_polls_at_both_replicas_one_takes_the_answer(pair: Pair) -> None:
    agent = pair.w.agent("asking", "list_menu")
    auth_req_id, _ = await answered(pair.w, agent)
    answers = await pair.storm([polling(pair.w, agent, auth_req_id) for _ in range(40)])
    assert outcomes(answers) == {"issued": 1, "invalid_grant": 39}
    again = await pair.worlds[1].token(polling(pair.w, agent, auth_req_id))
    assert again.json()["error"] == "invalid_grant"


# ---- refresh tokens


@pytest.mark.req("TOK-11")
async def test_fifty_generations_raced_for_at_both_replicas_have_one_successor_each(pair: Pair) -> None:
    agent = pair.w.agent("refreshing", "list_menu")
    token = (await family(pair, agent))["refresh_token"]
    for _ in range(50):
        answers = await pair.storm([refreshing(pair.w, agent, token) for _ in range(4)])
        assert [one.status_code for one in answers] == [200] * 4  # within the grace of a lost answer
        (successor,) = {one.json()["refresh_token"] for one in answers}
        assert successor != token
        token = successor
    assert (await pair.worlds[1].token(refreshing(pair.w, agent, token))).status_code == 200


@pytest.mark.req("TOK-11", "DEL-10")
async def test_reuse_at_one_replica_ends_the_family_at_the_other(pair: Pair) -> None:
    agent = pair.w.agent("reusing", "list_menu")
    first = await family(pair, agent)
    second = (await pair.w.token(refreshing(pair.w, agent, first["refresh_token"]))).json()
    pair.forward(11)
    answers = await pair.storm([refreshing(pair.w, agent, first["refresh_token"]) for _ in range(10)])
    assert outcomes(answers) == {"invalid_grant": 10}
    for world in pair.worlds:
        answer = await world.token(refreshing(world, agent, second["refresh_token"]))
        assert answer.json()["error"] == "invalid_grant"
    assert {claims_of(one["access_token"])["jti"] for one in (first, second)} <= await pair.ended()


# ---- proofs


@pytest.mark.req("TOK-10", "OAU-07", "TOK-14", "VCX-01")
@pytest.mark.parametrize("kind", ["dpop", "client_assertion", "vp+jwt", "challenge"])
async def test_of_a_hundred_uses_of_one_proof_one_counts(pair: Pair, kind: str) -> None:
    w, agent = pair.w, pair.w.agent(f"proving-{kind.replace('+', '-')}", "list_menu")
    own = {"grant_type": "client_credentials", "resource": RESOURCE}
    error = {"dpop": "invalid_dpop_proof", "client_assertion": "invalid_client", "vp+jwt": "invalid_request"}
    headers: dict[str, str] = {}
    if kind == "dpop":
        headers = {"DPoP": DPoPSigner(agent.key, clock=w.clock).proof("POST", f"{w.url}/token")}
        forms = [{**own, **w.assertion(agent.key)} for _ in range(100)]
    elif kind == "client_assertion":
        forms = [{**own, **w.assertion(agent.key)}] * 100
    else:
        presented = w.vp_jwt(agent) if kind == "vp+jwt" else await w.vp(agent)
        exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
        vp = "https://www.w3.org/2018/credentials#VerifiablePresentation"
        shown = {"subject_token": presented, "subject_token_type": vp, "resource": RESOURCE}
        forms = [{"grant_type": exchange, **shown}] * 100
    answers = await pair.storm(forms, [headers])
    assert outcomes(answers) == {"issued": 1, error.get(kind, "use_attestation_challenge"): 99}


# ---- restarts


@pytest.mark.req("OAU-02")
async def test_a_code_outlives_the_replica_that_gave_it_and_its_use_is_never_forgotten(pair: Pair) -> None:
    agent, (first, _) = pair.w.agent("outliving", "list_menu"), pair.replicas
    code, verifier = await code_for(pair.w, agent)
    first.kill()
    answer = await pair.worlds[1].token(redemption(pair.w, agent, code, verifier))
    assert answer.status_code == 200, answer.text
    await asyncio.to_thread(first.start)
    again = await pair.worlds[0].token(redemption(pair.w, agent, code, verifier))
    assert again.json()["error"] == "invalid_grant"
    assert claims_of(answer.json()["access_token"])["jti"] in await pair.ended()


@pytest.mark.req("TOK-11")
async def test_a_family_outlives_both_replicas_and_its_rotations_are_never_forgotten(pair: Pair) -> None:
    agent, (first, second) = pair.w.agent("rotating", "list_menu"), pair.replicas
    begun = (await family(pair, agent))["refresh_token"]
    first.kill()
    rotated = await pair.worlds[1].token(refreshing(pair.w, agent, begun))
    assert rotated.status_code == 200, rotated.text
    await asyncio.to_thread(first.start)
    second.kill()
    newest = await pair.worlds[0].token(refreshing(pair.w, agent, rotated.json()["refresh_token"]))
    assert newest.status_code == 200, newest.text
    await asyncio.to_thread(second.start)
    old = await pair.worlds[1].token(refreshing(pair.w, agent, begun))  # two generations old: no grace
    assert old.json()["error"] == "invalid_grant"
    dead = await pair.worlds[0].token(refreshing(pair.w, agent, newest.json()["refresh_token"]))
    assert dead.json()["error"] == "invalid_grant"


@pytest.mark.req("OAU-02", "AUD-01")
async def test_a_replica_killed_in_the_storm_leaves_nothing_half_done(pair: Pair) -> None:
    agent, (_, second) = pair.w.agent("stormy", "list_menu"), pair.replicas
    code, verifier = await code_for(pair.w, agent)
    storm = asyncio.create_task(pair.storm([redemption(pair.w, agent, code, verifier) for _ in range(60)]))
    await asyncio.sleep(0)
    second.kill()
    answers = [one for one in await storm if isinstance(one, httpx2.Response)]
    assert sum(one.status_code == 200 for one in answers) <= 1
    await asyncio.to_thread(second.start)
    for world in pair.worlds:
        late = await world.token(redemption(world, agent, code, verifier))
        assert late.json()["error"] == "invalid_grant"
    issued = {claims_of(one.json()["access_token"])["jti"] for one in answers if one.status_code == 200}
    assert issued <= await pair.ended()
    fresh, secret = await code_for(pair.w, agent)
    assert (await pair.worlds[1].token(redemption(pair.w, agent, fresh, secret))).status_code == 200
