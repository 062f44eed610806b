"""Our JSON-LD context: every member of our credentials has a meaning, none is dropped (VCDM 2.0, 4.3; VCX-08)."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyld import jsonld

from did_agent.credential.context import CAPABILITY_CONTEXT, CONTEXT_V2, VOCABULARY, capability_context_document
from did_agent.credential.issuance import build_identity_credential, issue, new_id
from did_agent.credential.status import StatusEntry
from did_agent.presentation.present import present
from tests.fakes.credentials import (
    ALICE,
    ALICE_DID,
    AUDIENCE,
    BOB,
    ISSUER,
    ISSUER_DID,
    NOW,
    REVOCATION_URL,
    chain_of_two,
    root,
    status_list,
)

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared"))
OFFICIAL = SHARED / "contexts" / "credentials-v2.jsonld"
OFFICIAL_SHA256 = "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734"  # as VCDM 2.0, B.1 publishes it


@pytest.fixture(scope="module")
def contexts() -> dict[str, Any]:
    if not OFFICIAL.is_file():
        pytest.skip(f"no official contexts at {OFFICIAL.parent}; set DID_AGENT_SHARED to the folder that holds them")
    raw = OFFICIAL.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == OFFICIAL_SHA256
    return {CONTEXT_V2: json.loads(raw), CAPABILITY_CONTEXT: capability_context_document()}


def expand(document: Any, contexts: dict[str, Any]) -> Any:
    """Expand without network; an unknown context or a dropped member fails."""

    def load(url: str, _options: Any) -> Any:
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": contexts[url]}

    def refuse(name: str) -> None:
        raise AssertionError(f"expansion drops {name!r}")

    expanded = jsonld.expand(document, {"documentLoader": load, "base": None}, on_property_dropped=refuse)
    require_absolute(expanded)
    return expanded


def require_absolute(node: Any) -> None:
    """Fail for a relative `@id` or `@type`, which expansion keeps but RDF would lose."""
    if isinstance(node, list):
        for item in node:
            require_absolute(item)
    elif isinstance(node, dict) and node.get("@type") != "@json":
        names = node.get("@type", [])
        for name in [*([names] if isinstance(names, str) else names), *([node["@id"]] if "@id" in node else [])]:
            assert ":" in name, name
        for name, value in node.items():
            if name not in {"@id", "@type", "@value"}:
                require_absolute(value)


def one(expanded: Any, *path: str) -> Any:
    node = expanded[0]
    for name in path:
        (node,) = node[name if ":" in name else VOCABULARY + name]
    return node


SUBJECT = "https://www.w3.org/2018/credentials#credentialSubject"


@pytest.mark.req("VCX-08")
def test_a_capability_credential_expands_without_loss(contexts: dict[str, Any]) -> None:
    document = root()
    expanded = expand(document, contexts)
    capability = one(expanded, SUBJECT, "capability")
    held = document["credentialSubject"]["capability"][0]
    # The free keys of `tools` keep their exact JSON; as plain RDF they would be dropped or merged.
    assert capability[VOCABULARY + "tools"] == [{"@type": "@json", "@value": held["tools"]}]
    assert capability[VOCABULARY + "limits"] == [{"@type": "@json", "@value": held["limits"]}]
    assert capability[VOCABULARY + "resource"] == [{"@id": url} for url in held["resource"]]
    assert one(expanded, SUBJECT, "onBehalfOf") == {"@id": "https://users.example/4711"}
    assert one(expanded, SUBJECT, "delegation", "maxDepth") == {
        "@type": "http://www.w3.org/2001/XMLSchema#nonNegativeInteger",
        "@value": 2,
    }


@pytest.mark.req("VCX-08")
def test_a_delegated_credential_expands_without_loss(contexts: dict[str, Any]) -> None:
    leaf, parent = chain_of_two()
    named = one(expand(leaf, contexts), SUBJECT, "delegation", "parent")
    assert named["@id"] == parent["id"]
    assert one([named], "https://w3id.org/security#digestMultibase")["@value"].startswith("uEi")


@pytest.mark.req("VCX-08")
def test_an_identity_credential_expands_without_loss(contexts: dict[str, Any]) -> None:
    document = build_identity_credential(
        id=new_id(),
        issuer=ISSUER_DID,
        subject=ALICE_DID,
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        agent_id=new_id(),
        name="ordering-assistant",
        sponsor="smith",
        description="Orders lunch",
        software={"name": "chef", "version": "1"},
        statuses=[StatusEntry(list_url=REVOCATION_URL, index=1, purpose="revocation")],
    )
    subject = one(expand(issue(document, ISSUER, now=NOW), contexts), SUBJECT)
    assert subject["https://schema.org/name"] == [{"@value": "ordering-assistant"}]
    assert subject[VOCABULARY + "sponsor"] == [{"@value": "smith"}]


@pytest.mark.req("VCX-08")
def test_presentations_and_status_lists_expand_without_loss(contexts: dict[str, Any]) -> None:
    chain = chain_of_two()
    expand(present(chain, key=BOB, audience=AUDIENCE, challenge="c", now=NOW), contexts)
    expand(present([], key=ALICE, audience=AUDIENCE, challenge="c", now=NOW), contexts)
    expand(status_list("revocation"), contexts)


@pytest.mark.req("VCX-08")
def test_a_member_without_meaning_is_noticed(contexts: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="surprise"):
        expand(root(lambda r: r["credentialSubject"].update(surprise=1)), contexts)


@pytest.mark.req("VCX-07")
def test_our_terms_cannot_be_given_another_meaning(contexts: dict[str, Any]) -> None:
    redefining = {**contexts, "https://evil.example/context": {"@context": {"AIAgent": "urn:other"}}}
    with pytest.raises(jsonld.JsonLdError):
        expand(root(lambda r: r["@context"].append("https://evil.example/context")), redefining)


def test_our_terms_do_not_leak_out_of_their_types(contexts: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="tools"):
        expand(root(lambda r: r["credentialSubject"].update(tools={})), contexts)


def test_the_official_context_and_ours_do_not_collide(contexts: dict[str, Any]) -> None:
    ours = set(capability_context_document()["@context"]) - {"@protected", "id", "type"}  # type: ignore[call-overload]
    assert ours.isdisjoint(contexts[CONTEXT_V2]["@context"])
