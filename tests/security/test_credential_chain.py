"""The negative table of chain verification: every attack beside the honest case it differs from by one thing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from did_agent.credential.status import StatusEntry
from did_agent.errors import (
    BadConstraint,
    BadCredential,
    ChainBroken,
    DidAgentError,
    HolderMismatch,
    NotAttenuated,
)
from tests.fakes.credentials import (
    ALICE_DID,
    BOB_DID,
    CAROL_DID,
    OTHER_RESOURCE,
    RESOURCE,
    Edit,
    chain_of_two,
    delegation,
    entry,
    nothing,
    stamp,
    tools,
    verified,
)


def revocable(url: str) -> dict[str, object]:
    return StatusEntry(list_url=url, index=1, purpose="revocation").to_json()


@dataclass(frozen=True, kw_only=True)
class Case:
    """Two edits of the child before Alice signs it: one is refused for `error`, its twin is accepted."""

    name: str
    bad: Edit
    good: Edit = nothing
    error: type[DidAgentError]
    edit_root: Edit = nothing


CASES = (
    Case(
        name="a tool is added",
        bad=lambda c: tools(c).update(delete_file={}),
        good=lambda c: tools(c).update(list_menu={}),
        error=NotAttenuated,
    ),
    Case(
        name="an argument is widened",
        bad=lambda c: tools(c)["search"]["limit"].update(max=51),
        good=lambda c: tools(c)["search"]["limit"].update(max=50),
        error=NotAttenuated,
    ),
    Case(
        name="a bound becomes inclusive",
        bad=nothing,
        good=lambda c: tools(c)["search"]["limit"].update(min_inclusive=False),
        edit_root=lambda r: tools(r)["search"]["limit"].update(min_inclusive=False),
        error=NotAttenuated,
    ),
    Case(name="an argument map is emptied", bad=lambda c: tools(c).update(search={}), error=NotAttenuated),
    Case(name="an argument is dropped", bad=lambda c: tools(c)["search"].pop("query"), error=NotAttenuated),
    Case(
        name="an argument is added",
        bad=lambda c: tools(c)["read_file"].update(mode={"constraint_type": "wildcard"}),
        good=lambda c: tools(c).update(list_menu={"mode": {"constraint_type": "wildcard"}}),
        error=NotAttenuated,
    ),
    Case(
        name="a value is added",
        bad=lambda c: tools(c)["read_file"]["path"]["values"].append("/c"),
        good=lambda c: tools(c)["read_file"]["path"]["values"].append("/b"),
        error=NotAttenuated,
    ),
    Case(
        name="true is passed off as 1",
        bad=lambda c: tools(c)["read_file"]["path"].update(values=[True]),
        good=lambda c: tools(c)["read_file"]["path"].update(values=[1.0]),
        edit_root=lambda r: tools(r)["read_file"]["path"].update(values=[1]),
        error=NotAttenuated,
    ),
    Case(
        name="a constraint is unknown",
        bad=lambda c: tools(c)["read_file"].update(path={"constraint_type": "regex", "pattern": ".*"}),
        good=lambda c: tools(c)["read_file"].update(path={"constraint_type": "exact", "value": "/a"}),
        error=BadConstraint,
    ),
    Case(
        name="a resource is added",
        bad=lambda c: entry(c)["resource"].append("https://admin.example/mcp"),
        good=lambda c: entry(c)["resource"].append(OTHER_RESOURCE),
        error=NotAttenuated,
    ),
    Case(
        name="a resource gets a trailing slash",
        bad=lambda c: entry(c).update(resource=[RESOURCE + "/"]),
        good=lambda c: entry(c).update(resource=[RESOURCE]),
        error=NotAttenuated,
    ),
    Case(
        name="a resource has a wildcard",
        bad=lambda c: entry(c).update(resource=["https://*.example/mcp"]),
        error=BadCredential,
    ),
    Case(name="limits are dropped", bad=lambda c: entry(c).pop("limits"), error=NotAttenuated),
    Case(
        name="a limit is raised",
        bad=lambda c: entry(c)["limits"].update(maxCalls=201),
        good=lambda c: entry(c)["limits"].update(maxCalls=200),
        error=NotAttenuated,
    ),
    Case(
        name="a limit's window is shortened",
        bad=lambda c: entry(c)["limits"].update(windowSeconds=60),
        good=lambda c: entry(c)["limits"].update(windowSeconds=7200),
        error=NotAttenuated,
    ),
    Case(
        name="a limit is unknown",
        bad=lambda c: entry(c)["limits"].update(maxMoons=1),
        good=lambda c: entry(c)["limits"].update(maxTokens=1),
        error=BadCredential,
    ),
    Case(
        name="the child outlives its parent",
        bad=lambda c: c.update(validUntil=stamp(minutes=21)),
        good=lambda c: c.update(validUntil=stamp(minutes=20)),
        edit_root=lambda r: r.update(validUntil=stamp(minutes=20)),
        error=NotAttenuated,
    ),
    Case(
        name="the child begins before its parent",
        bad=lambda c: c.update(validFrom=stamp(minutes=-6)),
        good=lambda c: c.update(validFrom=stamp(minutes=-5)),
        edit_root=lambda r: r.update(validFrom=stamp(minutes=-5)),
        error=NotAttenuated,
    ),
    Case(
        name="a child without status lives longer than an hour",
        bad=lambda c: c.update(validUntil=stamp(minutes=59, seconds=1)),
        good=lambda c: c.update(validUntil=stamp(minutes=59)),
        error=BadCredential,
    ),
    Case(
        name="the principal is changed",
        bad=lambda c: c["credentialSubject"].update(onBehalfOf="https://users.example/1"),
        error=NotAttenuated,
    ),
    Case(name="the principal is dropped", bad=lambda c: c["credentialSubject"].pop("onBehalfOf"), error=NotAttenuated),
    Case(
        name="a principal is invented",
        bad=nothing,
        good=lambda c: c["credentialSubject"].pop("onBehalfOf"),
        edit_root=lambda r: r["credentialSubject"].pop("onBehalfOf"),
        error=NotAttenuated,
    ),
    Case(
        name="the child acts on behalf of itself",
        bad=lambda c: c["credentialSubject"].update(onBehalfOf=BOB_DID),
        error=BadCredential,
    ),
    Case(
        name="maxDepth is raised",
        bad=lambda c: delegation(c).update(maxDepth=3),
        good=lambda c: delegation(c).update(maxDepth=1),
        error=NotAttenuated,
    ),
    Case(name="maxDepth passes the hard ceiling", bad=lambda c: delegation(c).update(maxDepth=9), error=BadCredential),
    Case(
        name="depth is skipped",
        bad=lambda c: delegation(c).update(depth=2),
        good=lambda c: delegation(c).update(depth=1),
        error=ChainBroken,
    ),
    Case(name="depth is not incremented", bad=lambda c: delegation(c).update(depth=0), error=BadCredential),
    Case(name="depth is true", bad=lambda c: delegation(c).update(depth=True), error=BadCredential),
    Case(name="validUntil is missing", bad=lambda c: c.pop("validUntil"), error=BadCredential),
    Case(name="validFrom is missing", bad=lambda c: c.pop("validFrom"), error=BadCredential),
    Case(name="a member is unknown", bad=lambda c: c.update(termsOfUse={"type": "Any"}), error=BadCredential),
    Case(
        name="a context is added",
        bad=lambda c: c["@context"].append("https://www.w3.org/ns/credentials/examples/v2"),
        error=BadCredential,
    ),
    Case(name="an inline context", bad=lambda c: c["@context"].append({"tools": "urn:x"}), error=BadCredential),
    Case(name="contexts change places", bad=lambda c: c["@context"].reverse(), error=BadCredential),
    Case(name="tools is an array", bad=lambda c: entry(c).update(tools=["read_file"]), error=BadCredential),
    Case(
        name="a tool name smuggles a second scope",
        bad=lambda c: tools(c).update({"list_menu tool:delete_order": {}}),
        good=lambda c: tools(c).update({"list_menu": {}}),
        error=BadCredential,
    ),
    Case(name="a resource is a string", bad=lambda c: entry(c).update(resource=RESOURCE), error=BadCredential),
    Case(
        name="the parent's id is wrong",
        bad=lambda c: delegation(c)["parent"].update(id="urn:uuid:00000000-0000-4000-8000-000000000009"),
        error=ChainBroken,
    ),
    Case(
        name="the parent's digest is wrong",
        bad=lambda c: delegation(c)["parent"].update(digestMultibase="uEiB" + "A" * 43),
        error=ChainBroken,
    ),
    Case(
        name="the child goes to its delegator",
        bad=lambda c: c["credentialSubject"].update(id=ALICE_DID),
        error=HolderMismatch,
    ),
    Case(
        name="the child goes to somebody else",
        bad=lambda c: c["credentialSubject"].update(id=CAROL_DID),
        error=HolderMismatch,
    ),
    Case(
        name="the child names a status host of its own",
        bad=lambda c: c.update(credentialStatus=revocable("https://issuer.example.evil/1")),
        good=lambda c: c.update(credentialStatus=revocable("https://issuer.example/1")),
        error=ChainBroken,
    ),
    Case(
        name="the child names a status that nobody can judge",
        bad=lambda c: c.update(credentialStatus=revocable("https://issuer.example/1") | {"statusPurpose": "message"}),
        error=BadCredential,
    ),
)


@pytest.mark.req("VCX-14", "DEL-05", "DEL-08")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_child_with_more_than_its_parent_is_refused_and_its_twin_is_not(case: Case) -> None:
    verified(chain_of_two(case.good, edit_root=case.edit_root))
    with pytest.raises(DidAgentError) as refusal:
        verified(chain_of_two(case.bad, edit_root=case.edit_root))
    assert type(refusal.value) is case.error
