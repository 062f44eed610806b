"""The negative table of chain verification: who signed, who is linked to whom, and until when."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import (
    BadCredential,
    BadSignature,
    ChainBroken,
    DepthExceeded,
    DidAgentError,
    Expired,
    HolderMismatch,
    NotAttenuated,
    NotYetValid,
    TooLarge,
    UntrustedIssuer,
    WrongIssuer,
    WrongPurpose,
)
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.credentials import (
    ALICE,
    ALICE_DID,
    BOB_DID,
    CAROL,
    CAROL_DID,
    ISSUER,
    ISSUER_DID,
    MALLORY,
    MALLORY_DID,
    NOW,
    OTHER_RESOURCE,
    RESOURCE,
    Document,
    chain_of_three,
    chain_of_two,
    child_document,
    delegation,
    entry,
    root,
    root_document,
    secure,
    stamp,
    tools,
    verified,
)


def test_the_honest_chain_says_who_acts_for_whom() -> None:
    chain = verified(chain_of_three(), holder=CAROL_DID)
    assert chain.principal == "https://users.example/4711"
    assert chain.delegators == (BOB_DID, ALICE_DID)
    assert chain.root_issuer == ISSUER_DID
    assert chain.valid_until == NOW + timedelta(minutes=30)
    assert len(chain.credential_ids) == 3
    assert len(chain.status_entries) == 2


def test_without_a_user_the_first_agent_is_the_principal() -> None:
    def autonomous(document: Document) -> None:
        document["credentialSubject"].pop("onBehalfOf")

    chain = verified(chain_of_two(autonomous, edit_root=autonomous))
    assert (chain.on_behalf_of, chain.principal) == (None, ALICE_DID)


def test_the_order_in_which_credentials_are_shown_does_not_matter() -> None:
    assert verified(chain_of_two()).digest == verified(chain_of_two()[::-1]).digest


@pytest.mark.req("DEL-08")
def test_a_terminal_parent_has_no_children() -> None:
    def depth_limit(ceiling: int) -> Callable[[Document], None]:
        def edit(document: Document) -> None:
            delegation(document)["maxDepth"] = ceiling

        return edit

    verified(chain_of_two(depth_limit(1), edit_root=depth_limit(1)))
    parent = root(depth_limit(0))
    child = child_document(parent)
    delegation(child)["maxDepth"] = 1
    with pytest.raises(DepthExceeded):
        verified([secure(child, ALICE), parent])


@pytest.mark.req("VCX-05")
def test_a_root_by_a_stranger_is_refused() -> None:
    verified(chain_of_two())
    with pytest.raises(UntrustedIssuer):
        verified(chain_of_two(), trusted=TrustedIssuers.of(MALLORY_DID))
    with pytest.raises(UntrustedIssuer):
        verified(chain_of_two(), trusted=TrustedIssuers.of())


@pytest.mark.req("VCX-05")
def test_an_issuer_may_only_grant_what_it_is_trusted_for() -> None:
    verified(chain_of_two(), trusted=TrustedIssuers.for_resources({ISSUER_DID: [RESOURCE, OTHER_RESOURCE]}))
    with pytest.raises(UntrustedIssuer):
        verified(chain_of_two(), trusted=TrustedIssuers.for_resources({ISSUER_DID: [RESOURCE]}))


@pytest.mark.req("VCX-04")
def test_the_right_issuer_name_with_a_foreign_key_is_refused() -> None:
    verified(chain_of_two(child_key=ALICE))
    with pytest.raises(WrongIssuer):
        verified(chain_of_two(child_key=MALLORY))
    forged = secure({name: value for name, value in root().items() if name != "proof"}, MALLORY)
    with pytest.raises(WrongIssuer):
        verified([forged], holder=ALICE_DID)


@pytest.mark.req("VCX-04")
def test_a_link_by_somebody_other_than_the_parents_subject_is_refused() -> None:
    def by_mallory(document: Document) -> None:
        document["issuer"] = MALLORY_DID

    with pytest.raises(ChainBroken):
        verified(chain_of_two(by_mallory, child_key=MALLORY))


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize("purpose", ["authentication", "capabilityDelegation"])
def test_a_proof_made_for_another_purpose_is_refused(purpose: str) -> None:
    parent = root()
    verified([secure(child_document(parent), ALICE), parent])
    with pytest.raises(WrongPurpose):
        verified([secure(child_document(parent), ALICE, purpose=purpose), parent])


@pytest.mark.req("VCX-08")
@pytest.mark.parametrize("link", [0, 1], ids=["leaf", "root"])
def test_a_credential_changed_after_signing_is_refused(link: int) -> None:
    documents = chain_of_two()
    verified(documents)
    documents[link]["validFrom"] = stamp(minutes=-9)
    with pytest.raises((BadSignature, ChainBroken)) as refusal:
        verified(documents)
    assert type(refusal.value) is (BadSignature if link == 0 else ChainBroken)


@pytest.mark.req("VCX-07")
def test_a_context_appended_after_signing_is_refused() -> None:
    document = root_document_with_context(["https://www.w3.org/ns/credentials/v2"])
    # The suite itself accepts this: the proof names a prefix of the contexts that are shown.
    document["@context"] = root()["@context"]
    with pytest.raises(BadCredential):
        verified([document], holder=ALICE_DID)
    verified([root()], holder=ALICE_DID)


def root_document_with_context(context: list[str]) -> Document:
    unsigned = {name: value for name, value in root().items() if name != "proof"}
    return secure({**unsigned, "@context": context}, ISSUER)


@pytest.mark.req("VCX-02")
def test_a_delegated_credential_alone_is_refused() -> None:
    leaf, parent = chain_of_two()
    verified([leaf, parent])
    with pytest.raises(ChainBroken):
        verified([leaf])


@pytest.mark.req("VCX-03")
def test_the_delegator_cannot_present_the_chain_of_its_delegate() -> None:
    documents = chain_of_two()
    verified(documents, holder=BOB_DID)
    verified(documents[1:], holder=ALICE_DID)
    with pytest.raises(HolderMismatch):
        verified(documents, holder=ALICE_DID)
    with pytest.raises(HolderMismatch):
        verified(documents, holder=MALLORY_DID)


@pytest.mark.req("VCX-02")
def test_a_stray_credential_is_refused() -> None:
    def another(document: Document) -> None:
        document["id"] = "urn:uuid:00000000-0000-4000-8000-000000000008"
        document["credentialSubject"]["id"] = CAROL_DID

    with pytest.raises(ChainBroken):
        verified([*chain_of_two(), root(another)])


@pytest.mark.req("VCX-02")
def test_two_chains_in_one_presentation_are_refused() -> None:
    def for_bob(document: Document) -> None:
        document["id"] = "urn:uuid:00000000-0000-4000-8000-000000000008"
        document["credentialSubject"]["id"] = BOB_DID

    verified([root(for_bob)])
    with pytest.raises(ChainBroken):
        verified([*chain_of_two(), root(for_bob)])


@pytest.mark.req("VCX-02")
def test_the_same_credential_twice_is_refused() -> None:
    leaf, parent = chain_of_two()
    with pytest.raises(ChainBroken):
        verified([leaf, parent, copy.deepcopy(parent)])


@pytest.mark.req("VCX-02")
def test_a_parent_swapped_under_the_same_id_is_refused() -> None:
    leaf, parent = chain_of_two()
    swapped = root(lambda r: tools(r).update(delete_file={}))
    assert swapped["id"] == parent["id"]
    with pytest.raises(ChainBroken):
        verified([leaf, swapped])


@pytest.mark.req("VCX-02")
def test_a_root_that_names_a_parent_is_refused() -> None:
    parent = {"id": "urn:uuid:00000000-0000-4000-8000-000000000009", "digestMultibase": "uEiB" + "A" * 43}
    with pytest.raises(BadCredential):
        verified([root(lambda r: delegation(r).update(parent=parent))], holder=ALICE_DID)


@pytest.mark.req("DEL-08")
def test_a_chain_longer_than_the_server_allows_is_refused() -> None:
    verified(chain_of_three(), holder=CAROL_DID, max_depth=2)
    with pytest.raises(DepthExceeded):
        verified(chain_of_three(), holder=CAROL_DID, max_depth=1)


@pytest.mark.req("DEL-08")
def test_a_chain_that_returns_to_an_earlier_party_is_refused() -> None:
    leaf, parent = chain_of_two(lambda c: c["credentialSubject"].update(id=CAROL_DID))
    for subject, error in ((BOB_DID, None), (ALICE_DID, ChainBroken), (ISSUER_DID, ChainBroken)):
        documents = [secure(child_document(leaf, subject=subject, number=3), CAROL), leaf, parent]
        if error is None:
            verified(documents, holder=subject)
        else:
            with pytest.raises(error):
                verified(documents, holder=subject)


@pytest.mark.req("VCX-11")
@pytest.mark.parametrize(
    ("seconds", "error"),
    [(-91, NotYetValid), (-90, None), (0, None), (1799, None), (1800, Expired)],
)
def test_a_leaf_counts_from_its_start_to_its_end(seconds: int, error: type[DidAgentError] | None) -> None:
    now = NOW + timedelta(seconds=seconds)
    if error is None:
        verified(chain_of_two(), now=now)
    else:
        with pytest.raises(error):
            verified(chain_of_two(), now=now)


@pytest.mark.req("VCX-11")
@pytest.mark.parametrize("text", ["2026-11-23T10:00:00", "2026-11-23 10:00:00Z", "2026-02-30T10:00:00Z", 1, None])
def test_a_time_without_zone_or_form_is_refused(text: object) -> None:
    with pytest.raises(DidAgentError) as refusal:
        verified([root(lambda r: r.update(validUntil=text))], holder=ALICE_DID)
    assert refusal.value.code == "bad_timestamp"


@pytest.mark.req("VCX-11")
def test_a_root_lives_at_most_a_day() -> None:
    verified([root(lambda r: r.update(validUntil=stamp(hours=23)))], holder=ALICE_DID)
    with pytest.raises(BadCredential):
        verified([root(lambda r: r.update(validUntil=stamp(hours=23, seconds=1)))], holder=ALICE_DID)


CALLS: list[tuple[str, str, str, dict[str, object], bool]] = [
    ("as granted", RESOURCE, "read_file", {"path": "/a"}, True),
    ("what only the parent may", RESOURCE, "read_file", {"path": "/b"}, False),
    ("another argument value", RESOURCE, "read_file", {"path": "/c"}, False),
    ("an extra argument", RESOURCE, "read_file", {"path": "/a", "mode": "w"}, False),
    ("a missing argument", RESOURCE, "search", {"query": "x"}, False),
    ("all arguments", RESOURCE, "search", {"query": "x", "limit": 10}, True),
    ("a number too high", RESOURCE, "search", {"query": "x", "limit": 11}, False),
    ("true is not a number", RESOURCE, "search", {"query": "x", "limit": True}, False),
    ("another tool", RESOURCE, "delete_file", {}, False),
    ("a tool of the parent", RESOURCE, "list_menu", {}, False),
    ("another case of the tool", RESOURCE, "Read_file", {"path": "/a"}, False),
    ("a trailing slash", RESOURCE + "/", "read_file", {"path": "/a"}, False),
    ("a resource of the parent", OTHER_RESOURCE, "read_file", {"path": "/a"}, False),
]


@pytest.mark.req("VCX-14")
@pytest.mark.parametrize(
    ("resource", "tool", "arguments", "allowed"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS]
)
def test_a_call_is_covered_by_every_link_or_not_at_all(
    resource: str, tool: str, arguments: dict[str, object], allowed: bool
) -> None:
    assert verified(chain_of_two()).covers(resource, tool, arguments) is allowed


@pytest.mark.req("VCX-14")
def test_two_capabilities_do_not_add_up_to_one_call() -> None:
    def split(document: Document) -> None:
        first = entry(document)
        second = copy.deepcopy(first)
        first["tools"] = {"read_file": {"path": {"constraint_type": "one_of", "values": ["/a"]}}}
        first["resource"] = [OTHER_RESOURCE]
        second["tools"] = {"list_menu": {}}
        document["credentialSubject"]["capability"] = [first, second]

    chain = verified([root(split)], holder=ALICE_DID)
    assert chain.covers(OTHER_RESOURCE, "read_file", {"path": "/a"})
    assert not chain.covers(RESOURCE, "read_file", {"path": "/a"})


@pytest.mark.req("VCX-14")
def test_a_child_entry_is_covered_by_one_parent_entry_not_by_two() -> None:
    def split(document: Document) -> None:
        whole = entry(document)
        other = copy.deepcopy(whole)
        del whole["tools"]["search"]
        del other["tools"]["read_file"]
        document["credentialSubject"]["capability"] = [whole, other]

    verified(chain_of_two(lambda c: tools(c).pop("search"), edit_root=split))
    with pytest.raises(NotAttenuated):
        verified(chain_of_two(edit_root=split))


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize(("links", "error"), [(4, None), (5, TooLarge)])
def test_the_credentials_of_a_chain_have_a_size_together(links: int, error: type[DidAgentError] | None) -> None:
    """Each link is honest and just below its own limit of 64 KiB."""
    keys = [ISSUER, *(SigningKey.from_seed(bytes([40 + number]) * 32) for number in range(links))]
    long = {"constraint_type": "all", "constraints": [{"constraint_type": "exact", "value": "x" * 4000}] * 15}
    documents: list[Document] = []
    for number, (key, subject) in enumerate(pairwise(keys)):
        document = child_document(documents[0], number=number + 10) if documents else root_document()
        document["credentialSubject"]["id"] = did_key(subject.public)
        document["credentialSubject"]["delegation"]["maxDepth"] = 4
        document["credentialSubject"]["capability"][0]["tools"] = {"pad": {"a": long}}
        documents.insert(0, secure(document, key))
    if error is None:
        verified(documents, holder=did_key(keys[-1].public))
    else:
        with pytest.raises(error):
            verified(documents, holder=did_key(keys[-1].public))
