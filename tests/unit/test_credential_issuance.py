"""Issuing and handing on: what leaves our hands is accepted by our own verification."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.credential.issuance import (
    attenuate,
    build_capability_credential,
    build_identity_credential,
    issue,
    new_id,
)
from did_agent.credential.model import (
    CapabilityCredential,
    parse_capability_credential,
    parse_identity_credential,
)
from did_agent.credential.status import StatusEntry
from did_agent.errors import (
    BadCredential,
    DepthExceeded,
    DidAgentError,
    NotAttenuated,
    TooLarge,
    WrongKey,
)
from did_agent.proof.data_integrity import verify_proof
from tests.fakes.credentials import (
    ALICE,
    ALICE_DID,
    BOB,
    BOB_DID,
    CAROL_DID,
    ISSUER,
    ISSUER_DID,
    MALLORY,
    NOW,
    RESOURCE,
    REVOCATION_URL,
    USER,
    root,
    tools,
    verified,
)

ENTRY = StatusEntry(list_url=REVOCATION_URL, index=1, purpose="revocation")


def granted(**limits: Any) -> Capability:
    extra = {"limits": limits} if limits else {}
    return parse_bare_capability({"resource": [RESOURCE], "tools": {"list_menu": {}}, **extra})


def built(**changes: Any) -> dict[str, object]:
    arguments: dict[str, Any] = {
        "id": new_id(),
        "issuer": ISSUER_DID,
        "subject": ALICE_DID,
        "valid_from": NOW,
        "valid_until": NOW + timedelta(hours=24),
        "capabilities": [granted()],
        "max_depth": 2,
        "statuses": [ENTRY],
    }
    return build_capability_credential(**(arguments | changes))


def test_an_issued_capability_is_believed() -> None:
    credential = issue(built(on_behalf_of=USER), ISSUER, now=NOW)
    chain = verified([credential], holder=ALICE_DID)
    assert chain.principal == USER
    assert chain.capabilities == (granted(),)
    assert chain.status_entries == (ENTRY,)
    assert chain.documents == (credential,)


def test_two_credentials_never_share_an_id() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


def test_only_the_issuer_named_can_sign() -> None:
    with pytest.raises(WrongKey):
        issue(built(), MALLORY, now=NOW)


def test_a_credential_outside_its_schema_is_never_built() -> None:
    with pytest.raises(BadCredential):
        built(capabilities=[])
    with pytest.raises(BadCredential):
        built(max_depth=9)
    with pytest.raises(BadCredential):
        built(valid_until=NOW)
    with pytest.raises(BadCredential):
        built(on_behalf_of=ALICE_DID)


@pytest.mark.req("LIM-01")
def test_a_credential_over_64_kib_is_refused() -> None:
    long = [{"constraint_type": "exact", "value": "x" * 4000}] * 15
    wide = {"list_menu": {"a": {"constraint_type": "any", "constraints": long}}}
    capability = parse_bare_capability({"resource": [RESOURCE], "tools": wide})
    built(capabilities=[capability])
    with pytest.raises(TooLarge):
        built(capabilities=[capability, replace(capability, resources=(RESOURCE + "2",))])


def test_an_identity_credential_says_who_answers_for_the_agent() -> None:
    document = issue(
        build_identity_credential(
            id=new_id(),
            issuer=ISSUER_DID,
            subject=ALICE_DID,
            valid_from=NOW,
            valid_until=NOW + timedelta(days=30),
            agent_id=new_id(),
            name="ordering-assistant",
            sponsor="smith",
            description="Orders lunch",
            software={"name": "chef", "version": "1.0"},
            statuses=[ENTRY],
        ),
        ISSUER,
        now=NOW,
    )
    assert verify_proof(document, expected_purpose="assertionMethod", now=NOW).controller == ISSUER_DID
    identity = parse_identity_credential(document)
    assert (identity.name, identity.sponsor, identity.software["version"]) == ("ordering-assistant", "smith", "1.0")
    with pytest.raises(BadCredential):
        parse_identity_credential({**document, "name": "x"})
    with pytest.raises(BadCredential):
        parse_capability_credential(document)


def handed_on(parent: dict[str, Any], **changes: Any) -> dict[str, object]:
    arguments: dict[str, Any] = {
        "key": ALICE,
        "subject": BOB_DID,
        "capabilities": [granted(maxCalls=10, windowSeconds=3600)],
        "valid_until": NOW + timedelta(minutes=30),
        "now": NOW,
    }
    return attenuate(parent, **(arguments | changes))


def test_a_narrower_child_is_signed_and_believed() -> None:
    parent = root()
    child = handed_on(parent)
    grandchild = handed_on(child, key=BOB, subject=CAROL_DID)
    chain = verified([grandchild, child, parent], holder=CAROL_DID)
    assert chain.delegators == (BOB_DID, ALICE_DID)
    assert [link.depth for link in chain.links] == [2, 1, 0]


def later(**offset: float) -> datetime:
    return NOW + timedelta(**offset)


REFUSED: list[tuple[str, dict[str, Any], type[DidAgentError]]] = [
    ("by somebody who does not hold the parent", {"key": MALLORY}, WrongKey),
    ("by the issuer", {"key": ISSUER}, WrongKey),
    ("to itself", {"subject": ALICE_DID}, NotAttenuated),
    ("for longer than an hour", {"valid_until": later(hours=1, seconds=1)}, NotAttenuated),
    ("for no time", {"valid_until": NOW}, BadCredential),
    ("without the parent's limits", {"capabilities": [granted()]}, NotAttenuated),
    ("with a higher maxDepth", {"max_depth": 3}, NotAttenuated),
    ("with a maxDepth below its own depth", {"max_depth": 0}, NotAttenuated),
    ("with nothing", {"capabilities": []}, BadCredential),
    (
        "with another tool",
        {
            "capabilities": [
                parse_bare_capability(
                    {
                        "resource": [RESOURCE],
                        "tools": {"delete_file": {}},
                        "limits": {"maxCalls": 1, "windowSeconds": 3600},
                    }
                )
            ]
        },
        NotAttenuated,
    ),
]


@pytest.mark.req("DEL-05")
@pytest.mark.parametrize(("changes", "error"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_nothing_wider_is_ever_signed(changes: dict[str, Any], error: type[DidAgentError]) -> None:
    handed_on(root())
    with pytest.raises(error):
        handed_on(root(), **changes)


@pytest.mark.req("DEL-05")
def test_a_child_ends_with_its_parent() -> None:
    def soon(document: dict[str, Any]) -> None:
        document["validUntil"] = "2026-11-23T10:10:00Z"

    handed_on(root(soon), valid_until=later(minutes=10))
    with pytest.raises(NotAttenuated):
        handed_on(root(soon), valid_until=later(minutes=10, seconds=1))


@pytest.mark.req("DEL-08")
def test_the_last_holder_cannot_hand_on() -> None:
    child = handed_on(root(), max_depth=1)
    with pytest.raises(DepthExceeded):
        handed_on(child, key=BOB, subject=CAROL_DID)


def test_the_typed_view_keeps_the_document_it_came_from() -> None:
    document = root()
    view = parse_capability_credential(document)
    assert isinstance(view, CapabilityCredential)
    assert view.document is document
    assert view == parse_capability_credential(root())
    assert view != parse_capability_credential(root(lambda r: tools(r).pop("list_menu")))
    assert set(view.capabilities[0].tools) == {"read_file", "search", "list_menu"}
