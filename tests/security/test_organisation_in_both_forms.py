"""Whose a caller is: the same by token and by presentation, in the caller and on record, and never said by the caller."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from did_agent.credential.trust import Remit, TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import BadJOSE
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.trust_list import TrustEntry, neighbour_id, neighbour_of
from tests.fakes.guard_world import BRIDGE, ISSUER, RESOURCE, World, call, credential, presentation, token
from verifier.doors.presentation import PresentationDoor
from verifier.http import bearer_alone
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.parts import GuardParts
from verifier.service import Verifier

DOCUMENT = credential(id="urn:uuid:c1")


def verifier_of(world: World, organisation: str | None) -> Verifier:
    """Return a verifier whose trust list says whose the issuer is."""
    named = {} if organisation is None else {ISSUER: organisation}
    trusted = replace(TrustedIssuers.of(ISSUER), organisations=MappingProxyType(named))
    plain = world.verifier()
    (first, _) = plain.doors
    return replace(plain, doors=(first, PresentationDoor(resource=RESOURCE, trusted=trusted, statuses=world)))


@pytest.mark.req("TOK-08", "WEB-02")
@pytest.mark.parametrize("organisation", [None, "acme"])
async def test_caller_and_record_say_the_same_of_both_forms(organisation: str | None) -> None:
    world = World()
    verifier = verifier_of(world, organisation)
    said: dict[str, Any] = {} if organisation is None else {"organisation": organisation}
    by_token = (await verifier.admit(bearer_alone(token(**said)))).caller
    by_presentation = (await verifier.admit(bearer_alone(presentation(DOCUMENT)))).caller
    assert by_token.organisation == by_presentation.organisation == (organisation or "home")
    same = {"evidence": None, "credential_ids": ()}
    assert replace(by_token, **same) == replace(by_presentation, **same)
    spool: Any = None
    parts = GuardParts(verifier=verifier, spool=spool, background=[])
    guard = Guard(world.inner, parts, ResourceMetadata(resource=RESOURCE, bridge=BRIDGE, name="Test"))
    for form in ("jwt", "vp"):
        for tool in ("list_menu", "nothing_of_the_kind"):
            shown = token(**said) if form == "jwt" else presentation(DOCUMENT)  # a presentation counts once
            await world.send(shown, call(tool), guard=guard)
    calls = [event for event in world.events if event.action == "tool.call"]
    assert [event.decision for event in calls] == ["allow", "deny"] * 2
    assert {event.details.get("organisation") for event in calls} == {organisation}
    assert {event.details["form"] for event in calls} == {"jwt", "vp"}


@pytest.mark.req("WEB-02")
async def test_a_name_that_is_none_is_not_believed() -> None:
    verifier = verifier_of(World(), None)
    for odd in ("home\u202e", "<b>acme</b>", "Acme", "a" * 64):
        with pytest.raises(BadJOSE):
            await verifier.admit(bearer_alone(token(organisation=odd)))


@pytest.mark.req("WEB-02", "VCX-05")
def test_a_line_names_a_neighbour_by_its_id_alone() -> None:
    line = TrustEntry(id=neighbour_id("acme"), issuer=ISSUER, resources=frozenset({RESOURCE}))
    assert neighbour_of(line) == "acme"
    for odd in ("urn:uuid:1", "acme", "organisation-", "organisation-home", "organisation-A", "Organisation-acme"):
        assert neighbour_of(replace(line, id=odd)) is None, odd


@pytest.mark.req("WEB-02", "VCX-05")
def test_who_is_no_neighbour_counts_to_who_runs_the_deployment() -> None:
    neighbour = did_key(SigningKey.from_seed(b"n" * 32).public)
    trusted = TrustedIssuers(
        issuers=MappingProxyType({ISSUER: (Remit(),), neighbour: (Remit(),)}),
        organisations=MappingProxyType({neighbour: "acme"}),
    )
    assert (trusted.organisation_of(neighbour), trusted.organisation_of(ISSUER)) == ("acme", None)
    assert trusted.organisation_of("did:key:zNobody") is None
