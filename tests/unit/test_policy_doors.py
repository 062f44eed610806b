"""Two doors, one room: the presentation and the token made from it are the same caller and get the same decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from did_agent.credential.chain import VerifiedChain
from did_agent.errors import BadPresentation
from did_agent.keys.ed25519 import SigningKey
from did_agent.policy.admission import caller_from_presentation, caller_from_token
from did_agent.policy.caller import DID_NAMESPACE, Principal, VerifiedCaller
from did_agent.policy.decide import Call, decide
from did_agent.presentation.model import VerifiedPresentation
from did_agent.tokens.access_token import AccessToken, encode_access_token, verify_access_token
from tests.fakes.credentials import (
    ALICE,
    ALICE_DID,
    BOB_DID,
    CAROL_DID,
    ISSUER_DID,
    NOW,
    RESOURCE,
    USER,
    Document,
    child_document,
    entry,
    root,
    secure,
    verified,
)

BRIDGE = "https://bridge.example"
BRIDGE_KEY = SigningKey.from_seed(b"b" * 32)


def alone(document: Document) -> None:
    """Alice acts for nobody but herself, without ceilings nobody counts."""
    del document["credentialSubject"]["onBehalfOf"]
    del entry(document)["limits"]


def one_link() -> VerifiedChain:
    return verified([root(alone)], holder=ALICE_DID)


def two_links() -> VerifiedChain:
    parent = root(alone)
    # The builder copies what a parent for a user holds; the parent it is linked to has none.
    child = child_document(parent)
    child["credentialSubject"].pop("onBehalfOf", None)
    del entry(child)["limits"]
    return verified([secure(child, ALICE), parent], holder=BOB_DID)


def presented(chain: VerifiedChain | None, holder: str) -> VerifiedPresentation:
    later = NOW + timedelta(minutes=1)
    return VerifiedPresentation(
        holder=holder,
        chain=chain,
        challenge=None,
        replay_key="k",
        replay_until=later,
        valid_until=later,
        form="jwt",
    )


def through_a_token(caller: VerifiedCaller, **changes: Any) -> VerifiedCaller:
    """Return who is seen by a resource that is shown the token of `caller`, signed, sent and verified."""
    token = AccessToken(
        issuer=BRIDGE,
        subject=caller.principal.id,
        subject_profile="user" if caller.principal.kind == "user" else "ai_agent",
        audience=RESOURCE,
        client_id=caller.client_id,
        issued_at=NOW,
        expires=NOW + timedelta(seconds=300),
        id="t",
        scopes=caller.scopes,
        actors=caller.actors,
        capabilities=caller.capabilities,
        entitlements=caller.entitlements,
        evidence=caller.evidence,
        evidence_uri=f"{BRIDGE}/evidence/x",
        credential_ids=caller.credential_ids,
    )
    text = encode_access_token(replace(token, **changes), key=BRIDGE_KEY, kid="k")
    read = verify_access_token(
        text,
        find_key=lambda _header, _claims: BRIDGE_KEY.public,
        expected_issuer=BRIDGE,
        expected_audience=RESOURCE,
        proven=frozenset(),
        now=NOW,
    )
    return caller_from_token(read)


CALLS = [
    Call(resource=RESOURCE, tool="read_file", arguments={"path": "/a"}),
    Call(resource=RESOURCE, tool="read_file", arguments={"path": "/etc/passwd"}),
    Call(resource=RESOURCE, tool="list_menu", arguments={}),
    Call(resource=RESOURCE, tool="delete_order", arguments={}),
    Call(resource="https://other.example", tool="read_file", arguments={"path": "/a"}),
]


@pytest.mark.parametrize(("chain", "holder"), [(one_link, ALICE_DID), (two_links, BOB_DID)])
def test_an_agent_is_the_same_caller_through_both_doors(chain: Any, holder: str) -> None:
    shown = caller_from_presentation(presented(chain(), holder), resource=RESOURCE)
    assert through_a_token(shown) == shown
    assert {decide(shown, call).allowed for call in CALLS} == {True, False}
    for call in CALLS:
        assert decide(through_a_token(shown), call) == decide(shown, call)


def test_an_agent_on_its_own_has_no_actor_and_names_itself() -> None:
    caller = caller_from_presentation(presented(one_link(), ALICE_DID), resource=RESOURCE)
    assert caller.principal == Principal(kind="agent", id=ALICE_DID, namespace=DID_NAMESPACE)
    assert (caller.actors, caller.client_id, caller.agent) == ((), ALICE_DID, ALICE_DID)


@pytest.mark.req("DEL-06", "DEL-07")
def test_the_agent_that_presents_acts_and_the_one_it_acts_for_is_the_principal() -> None:
    caller = caller_from_presentation(presented(two_links(), BOB_DID), resource=RESOURCE)
    assert caller.principal == Principal(kind="agent", id=ALICE_DID, namespace=DID_NAMESPACE)
    assert (caller.actors, caller.agent) == ((BOB_DID,), BOB_DID)
    assert len(caller.credential_ids) == 2
    assert CAROL_DID not in caller.actors


@pytest.mark.req("DEL-11")
def test_a_user_named_by_a_credential_is_qualified_by_its_issuer_and_entitled_to_nothing() -> None:
    def for_a_user(document: Document) -> None:
        del entry(document)["limits"]

    chain = verified([root(for_a_user)], holder=ALICE_DID)
    caller = caller_from_presentation(presented(chain, ALICE_DID), resource=RESOURCE)
    assert caller.principal == Principal(kind="user", id=USER, namespace=ISSUER_DID)
    assert caller.actors == (ALICE_DID,)
    # Nobody said what the user may: the agent's capability alone is not enough.
    decision = decide(caller, CALLS[0])
    assert (decision.allowed, decision.reason, decision.mode) == (False, "user_not_entitled", "intersection")


@pytest.mark.req("TOK-07")
def test_capabilities_for_other_resources_stay_outside() -> None:
    here = caller_from_presentation(presented(one_link(), ALICE_DID), resource=RESOURCE)
    assert {held.resources for held in here.capabilities} == {(RESOURCE,)}
    nowhere = caller_from_presentation(presented(one_link(), ALICE_DID), resource=RESOURCE + "/")
    assert (nowhere.capabilities, nowhere.scopes) == ((), frozenset())


@pytest.mark.req("VCX-02")
def test_possession_of_a_key_alone_is_no_caller() -> None:
    with pytest.raises(BadPresentation):
        caller_from_presentation(presented(None, ALICE_DID), resource=RESOURCE)


def test_an_operator_is_a_service_without_capabilities() -> None:
    agent = caller_from_presentation(presented(one_link(), ALICE_DID), resource=RESOURCE)
    operator = through_a_token(
        agent, subject_profile="service", scopes=frozenset({"audit:read"}), capabilities=(), evidence=None
    )
    assert operator.principal == Principal(kind="service", id=ALICE_DID, namespace=BRIDGE)
    assert decide(operator, CALLS[0]).reason == "agent_not_capable"
