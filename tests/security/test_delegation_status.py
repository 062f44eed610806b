"""Status of delegated credentials: kept by the root's issuer, ended by who made them, named by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.clock import format_timestamp
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.issuance import attenuate, new_id
from did_agent.credential.standing import require_standing
from did_agent.credential.status import StatusEntry, parse_status_entries, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import ChainBroken, NotAttenuated, Revoked, StatusUnavailable, Suspended, UntrustedIssuer
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from issuer.status_lists import LIST_SIZE, Bits, sign_list
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    AGENT_KEY,
    ISSUER_URL,
    KEY,
    OPERATOR,
    RESOURCE,
    auth,
    granted,
    issuer,
    onboard,
    recorded,
)

BOB, CAROL, MALLORY = (SigningKey.from_seed(seed * 32) for seed in (b"b", b"c", b"m"))
TRUSTED = TrustedIssuers.of(did_key(KEY.public))
UNTIL = NOW + timedelta(hours=5)
Document = dict[str, Any]


def dids(*keys: SigningKey) -> list[str]:
    return [did_key(key.public) for key in keys]


def own(key: SigningKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {present_jwt([], key=key, audience=ISSUER_URL, now=NOW)}"}


def asking(parent: str, subject: SigningKey = BOB, **changes: Any) -> Document:
    return {
        "id": new_id(),
        "parent": parent,
        "subject": did_key(subject.public),
        "valid_until": format_timestamp(UNTIL),
        **changes,
    }


async def register(http: httpx2.AsyncClient, parent: str, *, by: SigningKey, **changes: Any) -> Document:
    answer = await http.post("/delegations", json=asking(parent, **changes), headers=own(by))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def child(parent: Document, made: Document, *, by: SigningKey, **changes: Any) -> Document:
    values: dict[str, Any] = {
        "key": by,
        "subject": made["subject"],
        "capabilities": [parse_bare_capability({"resource": [RESOURCE], "tools": {"a": {}}})],
        "valid_until": UNTIL,
        "now": NOW,
        "id": made["id"],
        "statuses": parse_status_entries(made["credentialStatus"]),
        **changes,
    }
    return attenuate(parent, **values)


async def judged(http: httpx2.AsyncClient, *documents: Document, holder: SigningKey) -> VerifiedChain:
    """Judge a chain as every verifier of ours does, by the lists that it names."""
    chain = verify_chain(documents, holder=did_key(holder.public), now=NOW, trusted=TRUSTED, max_depth=4)
    lists = {}
    for url in {entry.list_url for entry in chain.status_entries}:
        document = (await http.get(url)).json()
        lists[url] = verify_status_list(document, expected_url=url, trusted_issuers=TRUSTED, now=NOW)
    require_standing(chain, lists, now=NOW)
    return chain


async def end(http: httpx2.AsyncClient, identifier: str, by: dict[str, str]) -> httpx2.Response:
    return await http.post(f"/delegations/{identifier}/revoke", json={"reason": "because"}, headers=by)


async def family(http: httpx2.AsyncClient) -> tuple[Document, Sequence[Document], Sequence[Document]]:
    """Return the root, what was registered under it, and what was signed: for Bob, and by Bob for Carol."""
    agent = await onboard(http, "alice")
    await onboard(http, "bob", BOB)
    root = await granted(http, agent, max_depth=3)
    first = await register(http, root["id"], by=AGENT_KEY)
    bobs = child(root, first, by=AGENT_KEY)
    second = await register(http, bobs["id"], by=BOB, subject=CAROL)
    return root, (first, second), (bobs, child(bobs, second, by=BOB))


@pytest.mark.req("VCX-10", "DEL-10")
async def test_a_child_lives_longer_than_an_hour_and_is_ended_by_who_made_it(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        root, (first, second), (bobs, carols) = await family(http)
        chain = await judged(http, carols, bobs, root, holder=CAROL)
        assert (chain.valid_until, len(chain.status_entries)) == (UNTIL, 6)
        assert (first["depth"], second["depth"]) == (1, 2)
        places = {(entry.list_url, entry.index) for entry in chain.status_entries}
        assert len(places) == 6
        ended = await end(http, second["id"], own(BOB))
        assert (ended.status_code, ended.json()["ended"]) == (200, 1)
        with pytest.raises(Revoked):
            await judged(http, carols, bobs, root, holder=CAROL)
        await judged(http, bobs, root, holder=BOB)
        again = await end(http, second["id"], own(BOB))
        assert (again.status_code, again.json()["ended"]) == (200, 0)
    events = [event for event in await recorded(tmp_path) if event.action.startswith("delegation.")]
    assert [(event.action, event.principal) for event in events] == [
        ("delegation.register", did_key(AGENT_KEY.public)),
        ("delegation.register", did_key(BOB.public)),
        ("delegation.revoke", did_key(BOB.public)),
        ("delegation.revoke", did_key(BOB.public)),
    ]


@pytest.mark.req("DEL-10", "REV-03")
async def test_the_end_or_suspension_of_a_parent_is_that_of_everything_under_it(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        root, (first, second), (bobs, carols) = await family(http)
        lone = child(root, await register(http, root["id"], by=AGENT_KEY), by=AGENT_KEY)
        await judged(http, lone, root, holder=BOB)
        because = {"reason": "because"}
        assert (await http.post(f"/agents/{dids(BOB)[0]}/suspend", json=because, headers=ADMIN)).status_code == 200
        for documents, holder in (((bobs, root), BOB), ((lone, root), BOB), ((carols, bobs, root), CAROL)):
            with pytest.raises(Suspended):
                await judged(http, *documents, holder=holder)
        assert (await http.post(f"/agents/{dids(BOB)[0]}/resume", json=because, headers=ADMIN)).status_code == 200
        await judged(http, carols, bobs, root, holder=CAROL)
        ended = await end(http, first["id"], own(AGENT_KEY))
        assert ended.json()["ended"] == 2
        await judged(http, lone, root, holder=BOB)
        with pytest.raises(Revoked):
            await judged(http, bobs, root, holder=BOB)
        revoked = await http.post(f"/credentials/{root['id']}/revoke", json=because, headers=ADMIN)
        assert revoked.status_code == 200
        listed = (await http.get("/delegations", headers=ADMIN)).json()["delegations"]
        assert len(listed) == 3
        assert all(one["revoked"] is not None for one in listed)
        assert {one["id"]: one["parent"] for one in listed}[second["id"]] == first["id"]


@pytest.mark.req("DEL-10", "WEB-02")
async def test_only_the_holder_of_a_parent_in_force_registers_and_only_the_maker_or_an_operator_ends(
    tmp_path: Path,
) -> None:
    async with issuer(tmp_path) as (http, _):
        root, (first, _), _ = await family(http)
        await onboard(http, "carol", CAROL)

        async def refused(by: SigningKey, **changes: Any) -> tuple[int, str]:
            answer = await http.post("/delegations", json=asking(root["id"]) | changes, headers=own(by))
            return answer.status_code, answer.json()["code"]

        assert await refused(CAROL) == (404, "not_found")
        assert await refused(BOB) == (404, "not_found")
        assert await refused(AGENT_KEY, parent=new_id()) == (404, "not_found")
        assert await refused(MALLORY) == (401, "unknown_agent")
        assert await refused(AGENT_KEY, id=first["id"]) == (409, "state_conflict")
        assert await refused(AGENT_KEY, id=root["id"]) == (409, "state_conflict")
        late = format_timestamp(NOW + timedelta(hours=25))
        assert await refused(AGENT_KEY, valid_until=late) == (400, "invalid_parameter")
        assert await refused(AGENT_KEY, valid_until="tomorrow, about noon") == (400, "bad_timestamp")
        assert await refused(AGENT_KEY, index=7) == (400, "invalid_parameter")
        asked = asking(root["id"])
        for headers in ({}, ADMIN, auth("registry:read")):
            assert (await http.post("/delegations", json=asked, headers=headers)).status_code in (401, 403)
        for by in (BOB, CAROL):
            assert (await end(http, first["id"], own(by))).status_code == 404
        assert (await end(http, new_id(), own(AGENT_KEY))).status_code == 404
        assert (await end(http, first["id"], auth("issuer:audit"))).status_code == 403
        listed = (await http.get("/delegations", headers=own(BOB))).json()["delegations"]
        assert [one["delegator"] for one in listed] == dids(BOB)
        assert (await http.get("/delegations", headers=own(CAROL))).json()["delegations"] == []
        assert (await end(http, first["id"], ADMIN)).status_code == 200
        assert (await http.post("/delegations", json=asking(first["id"]), headers=own(BOB))).status_code == 409
    denied = [event for event in await recorded(tmp_path) if event.decision == "deny"]
    assert {"delegation.register", "delegation.revoke"} <= {event.action for event in denied}


@pytest.mark.req("WEB-07")
async def test_delegations_are_listed_by_pages_parents_and_agents(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        root, (first, second), _ = await family(http)
        found: list[str] = []
        after = ""
        while True:
            page = (await http.get(f"/delegations?limit=1{after}", headers=ADMIN)).json()
            found += [one["id"] for one in page["delegations"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert found == sorted([first["id"], second["id"]])

        async def ids(query: str, headers: dict[str, str] = ADMIN) -> list[str]:
            answer = await http.get(f"/delegations?{query}", headers=headers)
            return [one["id"] for one in answer.json()["delegations"]]

        assert await ids(f"parent={root['id']}") == [first["id"]]
        assert await ids(f"agent={dids(BOB)[0]}") == [second["id"]]
        assert await ids(f"to={dids(BOB)[0]}") == [first["id"]]
        assert await ids(f"to={dids(BOB)[0]}&agent={dids(BOB)[0]}") == []
        assert await ids(f"to={dids(AGENT_KEY)[0]}") == []
        sponsor = auth("issuer:sponsor")
        assert sorted(await ids("", sponsor)) == found
        assert await ids("", auth("issuer:sponsor", subject="did:key:somebody", client_id="did:key:somebody")) == []
        for query in ("after=x", "owner=x", f"agent={new_id()}", f"to={new_id()}"):
            assert (await http.get(f"/delegations?{query}", headers=ADMIN)).status_code in (400, 404)
    assert OPERATOR


@pytest.mark.req("VCX-10", "VCX-05")
async def test_a_child_that_names_a_list_of_a_stranger_is_refused(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        root, (first, _), (bobs, _) = await family(http)
        await judged(http, bobs, root, holder=BOB)
        elsewhere = (StatusEntry(list_url="https://mallory.example/revocation/1", index=1, purpose="revocation"),)
        with pytest.raises(ChainBroken):
            await judged(http, child(root, first, by=AGENT_KEY, statuses=elsewhere), root, holder=BOB)
        # On the issuer's host, in a list that somebody else has signed: trusted for its own roots or not at all.
        url = f"{ISSUER_URL}/status-lists/revocation/77"
        odd = child(root, first, by=AGENT_KEY, statuses=(StatusEntry(list_url=url, index=1, purpose="revocation"),))
        chain = verify_chain([odd, root], holder=dids(BOB)[0], now=NOW, trusted=TRUSTED, max_depth=4)
        clear = Bits.clear(LIST_SIZE).revocation
        listed = sign_list(clear, purpose="revocation", number=77, key=MALLORY, issuer_url=ISSUER_URL, now=NOW)
        with pytest.raises(UntrustedIssuer):
            verify_status_list(listed, expected_url=url, trusted_issuers=TRUSTED, now=NOW)
        both = TrustedIssuers.of(*dids(KEY, MALLORY))
        known = verify_status_list(listed, expected_url=url, trusted_issuers=both, now=NOW)
        rest = {}
        for entry in parse_status_entries(root["credentialStatus"]):
            document = (await http.get(entry.list_url)).json()
            rest[entry.list_url] = verify_status_list(
                document, expected_url=entry.list_url, trusted_issuers=both, now=NOW
            )
        with pytest.raises(StatusUnavailable):
            require_standing(chain, {**rest, url: known}, now=NOW)
        with pytest.raises(StatusUnavailable):
            require_standing(chain, rest, now=NOW)
        honest = sign_list(clear, purpose="revocation", number=77, key=KEY, issuer_url=ISSUER_URL, now=NOW)
        mine = verify_status_list(honest, expected_url=url, trusted_issuers=both, now=NOW)
        require_standing(chain, {**rest, url: mine}, now=NOW)


@pytest.mark.req("VCX-11")
def test_without_a_status_a_child_still_lives_at_most_an_hour() -> None:
    from tests.fakes.credentials import ALICE, BOB_DID
    from tests.fakes.credentials import NOW as THEN
    from tests.fakes.credentials import root as some_root

    parent = some_root()
    capability = parse_bare_capability(
        {"resource": [parent["credentialSubject"]["capability"][0]["resource"][0]], "tools": {"list_menu": {}},
         "limits": {"maxCalls": 1, "windowSeconds": 3600}}
    )  # fmt: skip
    values: dict[str, Any] = {"key": ALICE, "subject": BOB_DID, "capabilities": [capability], "now": THEN}
    hour = THEN + timedelta(hours=1)
    assert attenuate(parent, valid_until=hour, **values)
    with pytest.raises(NotAttenuated):
        attenuate(parent, valid_until=hour + timedelta(seconds=1), **values)
    entry = StatusEntry(list_url="https://issuer.example/status-lists/revocation/1", index=1, purpose="revocation")
    assert attenuate(parent, valid_until=hour + timedelta(seconds=1), statuses=[entry], **values)
