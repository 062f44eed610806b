"""Two agents, one person: every pairing of who was asked for, who proves itself and who calls (DEL-01, DEL-02).

The expectation is one sentence of logic beside each test; whatever it does not allow must be refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.grants.authorization_code import CODE_TYPE
from tests.fakes.artefacts import CHALLENGE, VERIFIER, Artefacts
from tests.fakes.bridge_clients import asked
from tests.fakes.bridge_world import ACCESS, EXCHANGE, JWT, REDIRECT, RESOURCE, VP, Actor, World, claims_of
from tests.security.test_confusion_matrix import deployment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.req("DEL-01", "DEL-02")]

NOBODY = "nobody"
PROOFS = (None, *((kind, owner) for kind in ("vp", "vp+jwt", "token", "assertion") for owner in "AB"))


@dataclass(slots=True)
class Stage:
    """Agents A and B, the person smith, and a public program P."""

    made: Artefacts
    agents: dict[str, Actor]

    @property
    def w(self) -> World:
        return self.made.world

    def client_id(self, who: str) -> str:
        return self.made.client_id if who == "P" else self.agents[who].did

    def caller(self, who: str) -> dict[str, str]:
        return {"client_id": self.made.client_id} if who == "P" else self.w.assertion(self.agents[who].key)

    async def code(self, client: str, requested: str | None) -> str:
        actor = None if requested is None else self.agents[requested].did
        asking = asked(self.client_id(client), requested_actor=actor, code_challenge=CHALLENGE)
        return await self.made.code(asking)

    async def proof(self, proof: tuple[str, str] | None) -> dict[str, str]:
        if proof is None:
            return {}
        kind, agent = proof[0], self.agents[proof[1]]
        if kind == "token":
            answer = await self.w.client_credentials(agent.key, resource=RESOURCE)
            return {"actor_token": answer.json()["access_token"]}
        if kind == "assertion":
            return {"actor_token": self.w.assertion(agent.key)["client_assertion"]}
        return {"actor_token": await self.w.vp(agent) if kind == "vp" else self.w.vp_jwt(agent)}

    async def redeem(self, form: str, code: str, **fields: str) -> Any:
        shown = {"code_verifier": VERIFIER, "redirect_uri": REDIRECT, **fields}
        if form == "A":
            return await self.w.token({"grant_type": "authorization_code", "code": code, **shown})
        name = {"subject_token": code, "subject_token_type": CODE_TYPE} if form == "B2" else {"auth_code": code}
        return await self.w.token({"grant_type": EXCHANGE, **name, **shown})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("actors")
    async with deployment(folder) as made:
        yield Stage(made=made, agents={"A": made.agent, "B": made.world.agent("menus", "list_menu", "create_order")})


# ---- a code: forms A, B1 and B2, and without an actor token form D


@pytest.mark.parametrize("form", ["A", "B1", "B2"])
@pytest.mark.parametrize(
    ("client", "requested"),
    [("P", None), ("P", "A"), ("P", "B"), ("A", None), ("A", "A"), ("B", "B")],
)
async def test_a_code_goes_to_its_client_with_the_actor_it_names(
    stage: Stage, client: str, requested: str | None, form: str
) -> None:
    actor = requested if client == "P" else client  # an agent that is the client acts itself
    for caller in ("P", "A", "B"):
        for proof in PROOFS:
            fields = {**stage.caller(caller), **await stage.proof(proof)}
            answer = await stage.redeem(form, await stage.code(client, requested), **fields)
            proven = proof[1] if proof else caller if caller != "P" else None
            said = (client, requested, form, caller, proof, answer.text[:200])
            if caller == client and proven == actor:
                assert answer.status_code == 200, said
                claims = claims_of(answer.json()["access_token"])
                assert (claims["sub"], claims["client_id"]) == ("smith", stage.client_id(client)), said
                acting = claims.get("act", {})
                assert acting.get("sub") == (None if actor is None else stage.agents[actor].did), said
                assert "act" not in acting, said
            else:
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), said


@pytest.mark.parametrize(("client", "requested"), [("A", "B"), ("B", "A")])
async def test_an_agent_cannot_ask_for_another_to_act(stage: Stage, client: str, requested: str) -> None:
    asking = asked(stage.client_id(client), requested_actor=stage.agents[requested].did)
    answer = await stage.made.browser.get(asking.path)
    assert answer.status_code == 303
    assert "error=invalid_request" in answer.headers["location"]


async def test_what_an_agent_was_given_by_another_is_no_proof_of_the_other(stage: Stage) -> None:
    """A presentation proves its holder, never the subject of what is shown, nor who handed it on."""
    w, (a, b) = stage.w, stage.agents.values()
    handed = w.hand_on(a.held[0], a, b, "list_menu")
    shown = {"stolen": (a.held[0],), "handed on": (handed, a.held[0])}
    accepted = []
    for requested in ("A", "B"):
        for name, documents in shown.items():
            fields = {**stage.caller("P"), "actor_token": w.vp_jwt(b, *documents)}
            answer = await stage.redeem("A", await stage.code("P", requested), **fields)
            if answer.status_code == 200:
                accepted.append((requested, name, claims_of(answer.json()["access_token"])["act"]["sub"]))
            else:
                assert answer.json()["error"] == "invalid_grant", answer.text
    assert accepted == [("B", "handed on", b.did)]


# ---- form C: a token of ours, and the presentation of who acts next

SUBJECTS = ("smith by A", "smith by B", "A alone", "B alone")
SHOWN = {  # who shows it, and who handed it on
    "A's own": ("A", None),
    "B's own": ("B", None),
    "from A to B": ("B", "A"),
    "from B to A": ("A", "B"),
    "A's own, by B": (NOBODY, None),
    "B's own, by A": (NOBODY, None),
}


async def subject(stage: Stage, which: str) -> str:
    who = which.rsplit(maxsplit=1)[-1] if "by" in which else which.split(maxsplit=1)[0]
    if "alone" in which:
        answer = await stage.w.client_credentials(stage.agents[who].key, resource=RESOURCE)
    else:
        code = await stage.code(who, who)
        answer = await stage.redeem("A", code, **stage.caller(who))
    return str(answer.json()["access_token"])


def shown(stage: Stage, which: str, kind: str) -> str:
    w, (a, b) = stage.w, stage.agents.values()
    holder, documents = {
        "A's own": (a, (a.held[0],)),
        "B's own": (b, (b.held[0],)),
        "from A to B": (b, (w.hand_on(a.held[0], a, b, "list_menu"), a.held[0])),
        "from B to A": (a, (w.hand_on(b.held[0], b, a, "list_menu"), b.held[0])),
        "A's own, by B": (b, (a.held[0],)),
        "B's own, by A": (a, (b.held[0],)),
    }[which]
    assert kind in (VP, JWT)
    return w.vp_jwt(holder, *documents)


def chain_after(which: str, presented: str) -> list[str] | None:
    """Return who acts after the hop, outermost first; None when nobody may."""
    holder, giver = SHOWN[presented]
    person, acting = (
        which.startswith("smith"),
        which.rsplit(maxsplit=1)[-1] if "by" in which else which.split(maxsplit=1)[0],
    )
    if holder == NOBODY:
        return None
    if person and holder == acting:
        return [holder]  # who acts already goes on acting
    if giver == acting and holder != acting:
        return [holder, acting] if person else [holder]
    return None


@pytest.mark.req("DEL-03", "DEL-06", "DEL-07")
@pytest.mark.parametrize("which", SUBJECTS)
@pytest.mark.parametrize("presented", SHOWN)
async def test_the_next_actor_is_whom_the_acting_one_delegated_to(stage: Stage, which: str, presented: str) -> None:
    expected = chain_after(which, presented)
    for caller in (NOBODY, "A", "B"):
        for kind in (VP, JWT):
            form = {
                "grant_type": EXCHANGE,
                "subject_token": await subject(stage, which),
                "subject_token_type": ACCESS,
                "actor_token": shown(stage, presented, kind),
                "actor_token_type": kind,
                "resource": RESOURCE,
                **({} if caller == NOBODY else stage.caller(caller)),
            }
            answer = await stage.w.token(form)
            said = (which, presented, caller, kind, answer.text[:200])
            holder = SHOWN[presented][0]
            if holder == NOBODY:
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), said
            elif caller not in (NOBODY, holder):
                assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), said
            elif expected is None:
                assert (answer.status_code, answer.json()["error"]) == (400, "actor_unauthorized"), said
            else:
                assert answer.status_code == 200, said
                claims = claims_of(answer.json()["access_token"])
                named, act = [], claims.get("act")
                while act is not None:
                    named.append(act["sub"])
                    act = act.get("act")
                assert named == [stage.agents[one].did for one in expected], said
                assert claims["client_id"] == stage.agents[expected[0]].did, said
                assert claims["sub"] == ("smith" if which.startswith("smith") else stage.agents[which[0]].did), said


@pytest.mark.req("DEL-09", "DEL-04")
async def test_an_earlier_actor_is_history_and_neither_acts_nor_lends_its_rights(stage: Stage) -> None:
    w, (a, b) = stage.w, stage.agents.values()

    async def hop(token: str, vp: str, **changes: str) -> Any:
        return await w.next_hop(token, vp, actor_token_type=VP, **changes)

    first = await subject(stage, "smith by A")  # A may create orders too, and hands on the menu alone
    second = await hop(first, shown(stage, "from A to B", VP))
    assert second.status_code == 200, second.text
    token = second.json()["access_token"]
    assert claims_of(token)["scope"] == "tool:list_menu"
    assert claims_of(token)["act"]["act"]["sub"] == a.did
    beyond = await hop(token, shown(stage, "from A to B", VP), scope="tool:create_order")
    assert (beyond.status_code, beyond.json()["error"]) == (400, "invalid_scope")
    own = await hop(token, w.vp_jwt(b), scope="tool:create_order")
    assert (own.status_code, own.json()["error"]) == (400, "invalid_scope")
    back = await hop(token, w.vp_jwt(a))
    assert (back.status_code, back.json()["error"]) == (400, "actor_unauthorized")
    assert (await hop(token, w.vp_jwt(b))).status_code == 200
