"""Witnesses of a ledger: what they sign is taken and shown, a fork is signed by none, and strangers are refused."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from did_agent.adapters.sql import create_schema, open_database
from did_agent.adapters.web import harden
from did_agent.adapters.web_input import plain_app
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.cosignature import Witness, cosign, parse_verifier_key, require_quorum, verifier_key
from did_agent.audit.export import require_witnessed, verify_export
from did_agent.audit.merkle import consistency_proof, root_of
from did_agent.client import witness as watching
from did_agent.client.errors import members_of
from did_agent.client.witness import WitnessClient
from did_agent.did.key import did_key
from did_agent.errors import BadLog, Misconfigured, NotAuthenticated
from did_agent.keys.ed25519 import SigningKey
from ledger.adapters.cosignatures import SQLCosignatures
from ledger.adapters.sql import SQLLog
from ledger.adapters.tables import metadata
from ledger.api.witnesses import add_witnesses
from ledger.sealing import Sealer
from ledger.witnessing import Witnessing
from tests.contract.conftest import database_url
from tests.fakes.bundles import LOG, LOG_DID, NOW, ORIGIN, event

__all__ = ["database_url"]

KEY, STRANGER = SigningKey.from_seed(b"w" * 32), SigningKey.from_seed(b"x" * 32)
NAME = "witness.example/1"
WITNESS = Witness(name=NAME, key=KEY.public)
SECOND = Witness(name="second.example", key=STRANGER.public)


@dataclass
class World:
    """A ledger that takes co-signatures, and the answers of its other routes."""

    log: SQLLog
    http: httpx2.AsyncClient
    app: FastAPI
    sign_as: SigningKey = LOG

    async def append(self, *numbers: int) -> int:
        events = [event(number, evidence=None, credential_ids=()) for number in numbers]
        taken = await self.log.append(events, sign=self._sign, now=NOW)
        return taken.size

    def _sign(self, size: int, root: bytes) -> str:
        return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), self.sign_as)

    async def post(self, size: int | str, line: object) -> httpx2.Response:
        return await self.http.post(f"/checkpoints/{size}/cosignatures", json={"cosignature": line})

    async def shown(self, path: str = "/cosignatures") -> httpx2.Response:
        return await self.http.get(path, headers={"Authorization": "reader"})


@pytest.fixture
async def w(database_url: str) -> AsyncIterator[World]:
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    log = SQLLog(engine, Sealer(LOG))
    kept = SQLCosignatures(engine)
    app = plain_app(title="ledger")

    async def require_reader(request: Any) -> None:
        if request.headers.get("authorization") != "reader":
            raise NotAuthenticated("no Authorization header")

    add_witnesses(app, Witnessing(log=log, kept=kept, witnesses=(WITNESS, SECOND), clock=lambda: NOW), require_reader)
    transport = httpx2.ASGITransport(app=harden(app))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ledger.example") as http:
        yield World(log=log, http=http, app=app)
    await engine.dispose()


@pytest.mark.req("AUD-03")
async def test_what_a_witness_signed_is_shown_under_its_checkpoint(w: World) -> None:
    size = await w.append(1, 2)
    note = await w.log.checkpoint(size)
    assert note is not None
    assert (await w.shown()).status_code == 404
    line = cosign(note, name=NAME, key=KEY, now=NOW)
    taken = await w.post(size, line)
    assert taken.json() == {"size": size, "witness": NAME, "time": "2026-11-23T10:00:00Z"}
    assert (await w.post(size, line)).status_code == 200  # a repetition changes nothing
    shown = (await w.shown()).json()
    assert shown == {"size": size, "checkpoint": note, "cosignatures": [line]}
    assert (await w.shown(f"/checkpoints/{size}/cosignatures")).json() == shown
    assert require_quorum(note, shown["cosignatures"], [WITNESS], 1)[0].time == NOW
    later = await w.append(3)
    assert (await w.shown()).json()["size"] == size
    assert (await w.shown(f"/checkpoints/{later}/cosignatures")).json()["cosignatures"] == []


@pytest.mark.req("AUD-03", "WEB-01")
async def test_only_a_witness_of_this_log_is_heard_and_only_readers_see_it(w: World) -> None:
    size = await w.append(1)
    note = str(await w.log.checkpoint(size))
    good = cosign(note, name=NAME, key=KEY, now=NOW)
    other = sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=b"\0" * 32), LOG)
    for line in (
        cosign(note, name="stranger", key=STRANGER, now=NOW),
        cosign(note, name=NAME, key=STRANGER, now=NOW),
        cosign(other, name=NAME, key=KEY, now=NOW),
        cosign(note, name=NAME, key=KEY, now=NOW.replace(year=2031)),
        good.rstrip("\n"),
        good + good,
        "nonsense",
    ):
        assert (await w.post(size, line)).status_code in (401, 403, 400), line
    assert (await w.post(7, good)).status_code == 404
    assert (await w.post("x", good)).status_code == 400
    assert (await w.post(size, 1)).status_code == 400
    assert (await w.http.get("/cosignatures")).status_code == 401
    assert (await w.http.get(f"/checkpoints/{size}/cosignatures")).status_code == 401
    assert (await w.shown()).status_code == 404


@pytest.fixture
def client(w: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WitnessClient:
    """A witness that asks this ledger, whose reading routes are answered from its log."""

    async def send(_party: str, _base: str, method: str, path: str, **content: Any) -> dict[str, Any]:
        asked = content.get("params", {})
        if path == "/events":
            return {"events": [], "size": await w.log.size()}
        if path == "/checkpoints":
            found = await w.log.checkpoints(int(asked["after"]), int(asked["limit"]))
            return {"checkpoints": [{"size": one.size, "note": one.note, "made": one.made} for one in found]}
        if path == "/proofs/consistency":
            proof = consistency_proof(list(await w.log.leaves(int(asked["to"]))), int(asked["from"]))
            return {"proof": [base64.b64encode(node).decode() for node in proof]}
        return members_of(
            await w.http.request(method, path, headers={"Authorization": "reader"}, json=content.get("json"))
        )

    monkeypatch.setattr(watching, "send", send)
    return WitnessClient(
        ledger="https://ledger.example",
        auth=httpx2.Auth(),
        name=NAME,
        key=KEY,
        memory=tmp_path / "seen.json",
        clock=lambda: NOW,
    )


@pytest.mark.req("AUD-03", "AUD-04")
async def test_a_witness_goes_along_while_the_log_grows(w: World, client: WitnessClient) -> None:
    await w.append(1, 2, 3)
    expected = Checkpoint(origin=ORIGIN, size=3, root=root_of(await w.log.leaves(3)))
    assert await client.watch(log=LOG_DID, origin=ORIGIN) == (expected, True)
    assert (await client.watch(log=LOG_DID, origin=ORIGIN))[1] is False
    await w.append(4, 5)
    shown, is_new = await client.watch(log=LOG_DID, origin=ORIGIN)
    assert (shown.size, is_new) == (5, True)
    assert json.loads(client.memory.read_bytes())["size"] == 5
    assert (await w.shown()).json()["size"] == 5


@pytest.mark.req("AUD-03")
async def test_witnesses_join_each_other_so_that_a_quorum_has_one_state(
    w: World, client: WitnessClient, tmp_path: Path
) -> None:
    second = replace(client, name=SECOND.name, key=STRANGER, memory=tmp_path / "second.json")
    await w.append(1, 2, 3)
    await client.watch(log=LOG_DID, origin=ORIGIN)
    await w.append(4)
    assert (await second.watch(log=LOG_DID, origin=ORIGIN))[0].size == 3
    assert len((await w.shown()).json()["cosignatures"]) == 2
    assert (await second.watch(log=LOG_DID, origin=ORIGIN))[0].size == 4
    await w.append(5)
    found = (await w.shown("/cosignatures?least=2")).json()
    assert (found["size"], len(found["cosignatures"])) == (3, 2)
    assert (await w.shown("/cosignatures?least=4")).json()["size"] == 4
    assert (await w.shown("/cosignatures?least=9")).status_code == 404
    assert (await client.watch(log=LOG_DID, origin=ORIGIN))[0].size == 4

    log = verify_export([line async for line in w.log.export()], origin=ORIGIN, key=LOG.public)
    assert [(state.size, len(state.lines)) for state in log.cosigned] == [(3, 2), (4, 2)]
    assert require_witnessed(log, [WITNESS, SECOND], 2)[0] == 4
    with pytest.raises(BadLog, match="2 of the witnesses co-signed the log, 3 are needed"):
        require_witnessed(log, [WITNESS, SECOND, Witness(name="third", key=KEY.public)], 3)
    assert require_witnessed(log, [], 0) == (0, ())


@pytest.mark.req("AUD-03")
async def test_a_quorum_reaches_as_far_as_its_slowest_witness(w: World) -> None:
    for number, (name, key) in enumerate(((NAME, KEY), (SECOND.name, STRANGER), (NAME, KEY)), 1):
        size = await w.append(number)
        line = cosign(str(await w.log.checkpoint(size)), name=name, key=key, now=NOW)
        assert (await w.post(size, line)).status_code == 200
    lines = [line async for line in w.log.export()]
    log = verify_export(lines, origin=ORIGIN, key=LOG.public)
    assert require_witnessed(log, [WITNESS, SECOND], 2)[0] == 2
    assert require_witnessed(log, [WITNESS, SECOND], 1)[0] == 3
    spoiled = [line.replace(b'"cosignatures": [', b'"cosignatures": [1, ') for line in lines]
    with pytest.raises(BadLog, match="co-signatures of its checkpoint cannot be read"):
        verify_export(spoiled, origin=ORIGIN, key=LOG.public)
    forged = [line.replace(SECOND.name.encode(), NAME.encode()) for line in lines]
    with pytest.raises(BadLog, match="another key"):
        require_witnessed(verify_export(forged, origin=ORIGIN, key=LOG.public), [WITNESS], 1)


@pytest.mark.req("AUD-03", "AUD-04")
async def test_a_fork_a_shorter_log_and_another_key_are_never_signed(
    w: World, client: WitnessClient, tmp_path: Path
) -> None:
    await w.append(1, 2, 3)
    await client.watch(log=LOG_DID, origin=ORIGIN)
    memory = json.loads(client.memory.read_bytes())
    for changes, words in (
        ({"root": "A" * 43 + "="}, "forked"),
        ({"size": 2, "root": "A" * 43 + "="}, "forked"),
        ({"size": 9}, "shows 3 rows, and showed 9 before"),
        ({"origin": "else.example"}, "which was witnessed before"),
        ({"log": did_key(STRANGER.public)}, "was signed by"),
    ):
        client.memory.write_text(json.dumps({**memory, **changes}))
        await w.append(3)  # nothing new
        with pytest.raises(BadLog, match=words):
            await client.watch(log=LOG_DID, origin=ORIGIN)
        assert json.loads(client.memory.read_bytes()) == {**memory, **changes}
    client.memory.write_text("{}")
    with pytest.raises(Misconfigured, match="nothing is signed without it"):
        await client.watch(log=LOG_DID, origin=ORIGIN)
    forgetful = replace(client, memory=tmp_path / "none.json")
    with pytest.raises(BadLog, match="another key"):
        await forgetful.watch(log=did_key(STRANGER.public), origin=ORIGIN)
    assert parse_verifier_key(verifier_key(WITNESS)) == WITNESS
