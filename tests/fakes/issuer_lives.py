"""A model of what an issuer's agents go through, and an issuer to compare it with: over HTTP, on a real database."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.sql import open_database, transaction
from did_agent.audit.event import AuditEvent, parse_event
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.status import decode_list, is_set
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest
from issuer.adapters.tables import outbox
from issuer.model import LIFECYCLE, Change, State
from issuer.service.rotation import MAX_ROTATIONS
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, CAPABILITIES, ISSUER_URL, answer_to, issuer, named
from tests.fakes.till import Till

BECAUSE = {"reason": "because"}
LISTED = 100  # credentials of one answer
BUDGET = 2  # calls that one grant gives, over all its keys
LIMITED = {"capabilities": [{**one, "limits": {"maxCalls": BUDGET}} for one in CAPABILITIES["capabilities"]]}
T = TypeVar("T")


@dataclass
class Held:
    """A credential as it should be."""

    document: dict[str, Any]
    begun: str  # id of the first of its line
    revoked: bool = False

    @property
    def id(self) -> str:
        return str(self.document["id"])


@dataclass
class One:
    """An agent as it should be."""

    agent_id: str
    name: str
    sponsor: str
    challenge: str
    state: State = "pending"
    key: SigningKey | None = None
    keys: int = 0  # that it had
    held: dict[str, Held] = field(default_factory=dict)
    stopped_by: set[str] = field(default_factory=set)  # switches that are on and made it stop

    @property
    def live(self) -> list[Held]:
        return [one for one in self.held.values() if not one.revoked]

    @property
    def has_room(self) -> bool:
        """Whether its key may change twice more in a day, and all it holds and held still stands in one answer then."""
        return len(self.held) + 2 * (len(self.live) + 1) <= LISTED and self.keys + 2 <= MAX_ROTATIONS

    def may(self, change: Change) -> bool:
        return (self.state, change) in LIFECYCLE


class Issuer:
    """An issuer on one database, and a loop to ask it in; what it records is read after every request."""

    def __init__(self, database: str) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.http, self.engine = self.run(self._open(database))
        self._seen = self.run(self._last())

    def close(self) -> None:
        self.run(self._stack.aclose())
        self.run(self.engine.dispose())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx2.Response:
        return self.run(self.http.post(path, json=body, headers=ADMIN if headers is None else headers))

    def get(self, path: str, headers: dict[str, str] | None = None, **query: str) -> httpx2.Response:
        return self.run(self.http.get(path, params=query, headers=ADMIN if headers is None else headers))

    def events(self) -> list[AuditEvent]:
        """Return what was recorded since this was asked last."""
        return self.run(self._events())

    def bits(self, document: dict[str, Any]) -> dict[str, bool]:
        """Return the status bits of a credential by their purposes."""
        found = {}
        for entry in parse_capability_credential(document).statuses:
            listed = self.get(entry.list_url).json()["credentialSubject"]
            found[entry.purpose] = is_set(decode_list(listed["encodedList"]), entry.index)
        return found

    async def _open(self, database: str) -> tuple[httpx2.AsyncClient, AsyncEngine]:
        http, _ = await self._stack.enter_async_context(issuer(database))
        return http, open_database(database)

    async def _last(self) -> int:
        async with transaction(self.engine) as connection:
            return (await connection.execute(select(func.max(outbox.c.seq)))).scalar_one() or 0

    async def _events(self) -> list[AuditEvent]:
        query = select(outbox.c.seq, outbox.c.event).where(outbox.c.seq > self._seen).order_by(outbox.c.seq)
        async with transaction(self.engine) as connection:
            rows = (await connection.execute(query)).all()
        self._seen = max((row.seq for row in rows), default=self._seen)
        return [parse_event(parse_object(row.event)) for row in rows]


class Lives:
    """Operations on agents, each done at the issuer and in the model; `compare` says whether they are still the same."""

    def __init__(self, ours: Issuer) -> None:
        self.issuer, self.run_id = ours, uuid.uuid4().hex[:12]
        self.agents: list[One] = []
        self.switches: dict[str, str] = {}  # that are on, by id: the sponsor
        self.keys = 0
        self.till, self.spent = Till(), Counter[str]()  # a guard, and what it let pass of each line
        ours.events()

    def sponsor(self, number: int) -> str:
        return f"Sponsor {number} of {self.run_id}"

    def create(self, sponsor: int) -> None:
        name = f"agent {len(self.agents)} {self.run_id}"
        body = {"name": name, "sponsor": self.sponsor(sponsor)}
        made = self._done(self.issuer.post("/agents", body), "agent.create", 201)
        assert made is not None
        challenge = made["enrolment"]["challenge"]
        self.agents.append(One(agent_id=made["agent_id"], name=name, sponsor=body["sponsor"], challenge=challenge))
        self._refused(self.issuer.post("/agents", body), 409)  # nobody else gets a name like it

    def enrol(self, one: One) -> None:
        key = self._new_key()
        answer = answer_to({"enrolment": {"challenge": one.challenge}}, key)
        path = f"/agents/{one.agent_id}/enrolment"
        if not one.may("enrol"):
            self._refused(self.issuer.post(path, answer), 400, 401, 403, 404, 409)
            return
        if self._is_stopped(one):
            self._refused(self.issuer.post(path, answer), 409)
            return
        done = self._done(self.issuer.post(path, answer), "agent.enrol", 201)
        assert done is not None
        one.key, one.state, one.keys = key, "active", one.keys + 1
        for held in one.live:
            held.revoked = True  # of a key that was lost: it was made anew
        self._refused(self.issuer.post(path, answer), 400, 401, 403, 404, 409)  # an invitation is good once
        self._adopt(one)

    def grant(self, one: One) -> None:
        asked = self.issuer.post(f"/agents/{one.agent_id}/credentials", LIMITED)
        if one.state != "active":
            self._refused(asked, 409)
            return
        issued = self._done(asked, "credential.issue", 201)
        assert issued is not None
        document = issued["credential"]
        one.held[document["id"]] = Held(document, begun=document["id"])

    def spend(self, held: Held) -> None:
        """Make a call at a guard that asks for nothing but what the credential says, whatever became of it."""
        if self.till.pays(held.document, NOW):
            self.spent[held.begun] += 1
        assert self.spent[held.begun] <= BUDGET

    def change(self, one: One, change: Change) -> None:
        asked = self.issuer.post(f"/agents/{one.agent_id}/{change}", BECAUSE)
        if not one.may(change) or (change == "resume" and self._is_stopped(one)):
            self._refused(asked, 409)
            return
        self._done(asked, f"agent.{change}", 200)
        one.state = LIFECYCLE[one.state, change]
        if change == "resume":
            one.stopped_by.clear()

    def revoke(self, one: One, held: Held) -> None:
        self._done(self.issuer.post(f"/credentials/{held.id}/revoke", BECAUSE), "credential.revoke", 200)
        for other in one.held.values():
            if other.begun == held.begun:
                other.revoked = True

    def rotate(self, one: One) -> None:
        assert one.key is not None
        new, old = self._new_key(), one.key
        statement = make_continuity(
            old, successor=did_key(new.public), agent_id=one.agent_id, audience=ISSUER_URL, now=NOW
        )
        proof = present_jwt([], key=new, audience=ISSUER_URL, now=NOW, nonce=statement_digest(statement))
        body = {"statement": statement, "possession": proof}
        asked = self.issuer.post(f"/agents/{one.agent_id}/keys", body, self._shown(old))
        if one.state != "active":
            self._refused(asked, 401, 403, 404, 409)
            return
        self._done(asked, "agent.rotate", 201)
        one.key, one.keys = new, one.keys + 1
        for held in one.live:
            held.revoked = True
        self._adopt(one)
        assert self.issuer.get("/self", self._shown(old)).status_code in (401, 403)
        self.issuer.events()

    def recover(self, one: One) -> None:
        asked = self.issuer.post(f"/agents/{one.agent_id}/recovery", BECAUSE)
        if not one.may("recover"):
            self._refused(asked, 409)
            return
        done = self._done(asked, "agent.recover", 201)
        assert done is not None
        lost, one.key = one.key, None
        one.state, one.challenge = "pending", done["enrolment"]["challenge"]
        assert lost is not None
        assert self.issuer.get("/self", self._shown(lost)).status_code in (401, 403)
        self.issuer.events()

    def hand_over(self, one: One, sponsor: int) -> None:
        body = {"owner": f"did:key:owner-{sponsor}", "sponsor": self.sponsor(sponsor), **BECAUSE}
        self.issuer.run(named(self.issuer.http, body["owner"]))
        self.issuer.events()
        asked = self.issuer.post(f"/agents/{one.agent_id}/transfer", body)
        if one.state == "retired" or (one.state == "active" and body["sponsor"] in self.switches.values()):
            self._refused(asked, 409)
            return
        self._done(asked, "agent.transfer", 200)
        one.sponsor = body["sponsor"]

    def kill(self, sponsor: int) -> None:
        name = self.sponsor(sponsor)
        asked = self.issuer.post("/kill-switches", {"scope": "sponsor", "target": name, **BECAUSE})
        if name in self.switches.values():
            self._refused(asked, 409)
            return
        made = self._done(asked, "switch.on", 201, more=True)
        assert made is not None
        self.switches[made["id"]] = name
        for one in self.agents:
            if one.sponsor == name and one.state == "active":
                one.state = "suspended"
                one.stopped_by.add(made["id"])

    def lift(self, switch: str) -> None:
        self._done(self.issuer.post(f"/kill-switches/{switch}/lift", BECAUSE), "switch.off", 200, more=True)
        name = self.switches.pop(switch)
        for one in self.agents:
            if switch in one.stopped_by:
                one.stopped_by.discard(switch)
                if one.state == "suspended" and not self._is_stopped(one):
                    one.state = "active"
        assert name not in self.switches.values()

    def compare(self) -> None:
        """See that the issuer's agents are those of the model."""
        places: Counter[tuple[str, int]] = Counter()
        for one in self.agents:
            self.compare_one(one)
            for held in one.held.values():
                places.update(
                    (entry.list_url, entry.index) for entry in parse_capability_credential(held.document).statuses
                )
        assert all(times == 1 for times in places.values()), "a place in a status list was given twice"
        self.issuer.events()

    def compare_one(self, one: One) -> None:
        shown = self.issuer.get(f"/agents/{one.agent_id}").json()
        did = None if one.key is None else did_key(one.key.public)
        assert (shown["state"], shown["did"], shown["sponsor"]) == (one.state, did, one.sponsor)
        listed = self._listed(one)
        assert listed.keys() == one.held.keys()
        for held in one.held.values():
            bits = self.issuer.bits(held.document)
            assert bits["revocation"] == held.revoked == (listed[held.id]["state"] == "revoked")
            in_force = not (bits["revocation"] or bits["suspension"])
            assert in_force == (one.state == "active" and not held.revoked), (one.state, bits)
        if one.key is not None:
            answered = self.issuer.get("/self", self._shown(one.key)).status_code
            assert (answered == 200) == (one.state == "active")

    def _adopt(self, one: One) -> None:
        """Take the credentials that came with a new key; they are the agent's own and none is of the old key."""
        for identifier, shown in self._listed(one).items():
            if identifier not in one.held:
                document = self.issuer.get(f"/credentials/{identifier}").json()["credential"]
                assert one.key is not None
                assert document["credentialSubject"]["id"] == did_key(one.key.public)
                begun = str(document["credentialSubject"]["account"])
                assert begun == shown["begun"]
                one.held[identifier] = Held(document, begun=begun, revoked=shown["state"] == "revoked")

    def _listed(self, one: One) -> dict[str, Any]:
        found = self.issuer.get("/credentials", agent=one.agent_id, limit=str(LISTED)).json()["credentials"]
        assert len({row["id"] for row in found}) == len(found)
        return {row["id"]: row for row in found}

    def _is_stopped(self, one: One) -> bool:
        return one.sponsor in self.switches.values() or bool(one.stopped_by)

    def _new_key(self) -> SigningKey:
        self.keys += 1
        return SigningKey.from_seed(f"{self.run_id} {self.keys}".encode().ljust(32)[:32])

    def _shown(self, key: SigningKey) -> dict[str, str]:
        return {"Authorization": f"Bearer {present_jwt([], key=key, audience=ISSUER_URL, now=NOW)}"}

    def _done(self, answer: httpx2.Response, action: str, status: int, *, more: bool = False) -> dict[str, Any] | None:
        """See that something was done and recorded once; with `more` beside what followed from it."""
        assert answer.status_code == status, answer.text
        recorded = [event for event in self.issuer.events() if event.decision == "allow"]
        assert [event.action for event in recorded if event.action == action] == [action], recorded
        assert more or len(recorded) == 1, recorded
        return dict(answer.json())

    def _refused(self, answer: httpx2.Response, *statuses: int) -> None:
        """See that something was refused, and that this is on record as well."""
        assert answer.status_code in statuses, (answer.status_code, answer.text)
        assert [event.decision for event in self.issuer.events()] == ["deny"]
