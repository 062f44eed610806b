"""ecdsa-sd-2023 from issuer to holder to verifier, JSON pointers, and the CBOR beneath."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from did_agent.did.key import did_key, verification_method
from did_agent.encoding import cbor
from did_agent.errors import BadEncoding, BadProof, DataLoss, TooComplex
from did_agent.keys.ecdsa import SigningKey
from did_agent.proof.cryptosuite import CRYPTOSUITES, find_suite
from did_agent.proof.data_integrity import add_proof, verify_proof
from did_agent.proof.json_pointer import has_value, parse_pointer, select
from did_agent.proof.selective import SelectiveDisclosure, derive
from did_agent.proof.selective_value import parse_base_value, parse_derived_value

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey("P-256", b"\x01" * 32)
DID = did_key(KEY.public)
V2 = "https://www.w3.org/ns/credentials/v2"
UNDEFINED = "https://www.w3.org/ns/credentials/undefined-terms/v2"

Document = dict[str, Any]


def credential(**changes: Any) -> Document:
    return {
        "@context": [V2, UNDEFINED],
        "id": "urn:uuid:00000000-0000-4000-8000-000000000007",
        "type": ["VerifiableCredential"],
        "issuer": {"id": DID, "name": "The issuer"},
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2027-01-01T00:00:00Z",
        "credentialSubject": {
            "id": "did:example:holder",
            "rank": 3,
            "member": True,
            "sails": [
                {"size": "5.5", "name": "Kihei", "year": 2023},
                {"size": "6.1", "name": "Lahaina", "year": 2021},
                {"size": "7.0", "name": "Lahaina", "year": 2020},
            ],
            "boards": [{"brand": "Wailea", "name": "Comp"}],
            "colours": ["red", "blue", "green"],
        },
        **changes,
    }


def issue(document: Document, pointers: Any = None) -> Document:
    return add_proof(
        document,
        KEY,
        purpose="assertionMethod",
        created=NOW,
        verification_method=verification_method(DID),
        cryptosuite=SelectiveDisclosure(mandatory_pointers=pointers),
    )


def shown(secured: Document, *pointers: str) -> Any:
    return verify_proof(
        derive(secured, pointers), expected_purpose="assertionMethod", now=NOW, suites=CRYPTOSUITES
    ).document


def mandatory(secured: Document) -> tuple[str, ...]:
    return parse_base_value(secured["proof"]["proofValue"]).mandatory_pointers


# ---- round trips


def test_the_holder_shows_one_member_and_nothing_else() -> None:
    assert shown(issue(credential(), ["/issuer"]), "/credentialSubject/rank") == {
        "@context": [V2, UNDEFINED],
        "id": "urn:uuid:00000000-0000-4000-8000-000000000007",
        "type": ["VerifiableCredential"],
        "issuer": {"id": DID, "name": "The issuer"},
        "credentialSubject": {"id": "did:example:holder", "rank": 3},
    }


@pytest.mark.parametrize(
    ("pointers", "subject"),
    [
        (["/credentialSubject/sails/1"], {"sails": [{"size": "6.1", "name": "Lahaina", "year": 2021}]}),
        (["/credentialSubject/sails/2/year", "/credentialSubject/sails/0/name"], {"sails": [{"name": "Kihei"}, {"year": 2020}]}),
        (["/credentialSubject/sails/1/name", "/credentialSubject/sails/2/name"], {"sails": [{"name": "Lahaina"}] * 2}),
        (["/credentialSubject/boards/0"], {"boards": [{"brand": "Wailea", "name": "Comp"}]}),
        (["/credentialSubject/boards"], {"boards": [{"brand": "Wailea", "name": "Comp"}]}),
        (["/credentialSubject/colours/2", "/credentialSubject/colours/0"], {"colours": ["red", "green"]}),
        (["/credentialSubject/sails/0/year", "/credentialSubject/sails/0"], {"sails": [{"size": "5.5", "name": "Kihei", "year": 2023}]}),
        (["/credentialSubject/sails/0", "/credentialSubject/sails/0/year"], {"sails": [{"size": "5.5", "name": "Kihei", "year": 2023}]}),
        (["/credentialSubject/member", "/credentialSubject/member"], {"member": True}),
        ([], {}),
    ],
)  # fmt: skip
def test_parts_of_arrays_and_objects(pointers: list[str], subject: Document) -> None:
    found = shown(issue(credential()), *pointers)
    assert found["credentialSubject"] == {"id": "did:example:holder", **subject}
    assert found["validUntil"] == "2027-01-01T00:00:00Z"


def test_everything_can_be_shown() -> None:
    assert shown(issue(credential()), "") == credential()
    assert shown(issue(credential(), [""])) == credential()


def test_a_json_literal_is_shown_as_a_whole_or_not_at_all() -> None:
    capability = {
        "type": "AgentCapability",
        "resource": ["https://files.example/mcp"],
        "tools": {"search": {"limit": {"constraint_type": "range", "min": 1, "max": 50}}, "list": {}},
        "limits": {"maxCalls": 200, "windowSeconds": 3600},
    }
    document = credential(
        **{"@context": [V2, "https://w3id.org/did-agent/capability/v1"]},
        type=["VerifiableCredential", "AgentCapabilityCredential"],
        credentialSubject={"id": "did:example:agent", "type": "AIAgent", "capability": [capability]},
    )
    secured = issue(document)
    found = shown(secured, "/credentialSubject/capability/0/tools")
    assert found["credentialSubject"]["capability"] == [{"type": "AgentCapability", "tools": capability["tools"]}]
    assert "capability" not in shown(secured)["credentialSubject"]
    with pytest.raises(BadProof, match="as a whole"):
        derive(secured, ["/credentialSubject/capability/0/tools/search"])


def test_a_json_literal_may_be_an_array_or_a_scalar() -> None:
    context = {name: {"@id": f"https://terms.example/{name}", "@type": "@json"} for name in ("mixed", "plain")}
    subject = {"id": "did:example:holder", "mixed": [{"a": {"b": 1}}, 2], "plain": "text", "knows": {"mixed": {}}}
    document = credential(**{"@context": [V2, UNDEFINED, context]}, credentialSubject=subject)
    for name in ("mixed", "plain", "knows"):
        found = shown(issue(document), f"/credentialSubject/{name}")["credentialSubject"]
        assert found == {"id": "did:example:holder", name: subject[name]}


def test_a_context_within_the_document_stays_with_its_part() -> None:
    subject = {"@context": {"rank": "https://rank.example/"}, "id": "did:example:holder", "rank": "1", "name": "Ada"}
    document = credential(**{"@context": [V2]}, credentialSubject=subject)
    found = shown(issue(document), "/credentialSubject/rank")
    assert found["credentialSubject"] == {name: value for name, value in subject.items() if name != "name"}


def test_the_suite_is_found_by_its_name() -> None:
    assert find_suite("ecdsa-sd-2023") == SelectiveDisclosure()
    secured = add_proof(
        credential(),
        KEY,
        purpose="assertionMethod",
        created=NOW,
        verification_method=verification_method(DID),
        cryptosuite="ecdsa-sd-2023",
    )
    assert shown(secured)["issuer"] == {"id": DID, "name": "The issuer"}


def test_every_base_proof_has_keys_of_its_own() -> None:
    first, second = (parse_base_value(issue(credential())["proof"]["proofValue"]) for _ in range(2))
    assert first.hmac_key != second.hmac_key
    assert first.proof_key != second.proof_key
    assert first.hmac_key.hex() not in repr(first)
    assert str(first.hmac_key) not in repr(first)


def test_the_labels_do_not_tell_how_many_nodes_were_left_out() -> None:
    value = parse_derived_value(derive(issue(credential()), ["/credentialSubject/sails/2"])["proof"]["proofValue"])
    assert list(value.labels) == ["_:c14n0"]


# ---- mandatory pointers


def test_defaults_are_what_a_verifier_cannot_do_without() -> None:
    expected = ("/issuer", "/validFrom", "/validUntil", "/credentialSubject/id")
    assert mandatory(issue(credential())) == expected
    status = {
        "id": "https://issuer.example/status/1#7",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "7",
        "statusListCredential": "https://issuer.example/status/1",
    }
    secured = issue(credential(credentialStatus=status))
    assert set(mandatory(secured)) == {*expected, "/credentialStatus"}
    assert shown(secured)["credentialStatus"] == status


def test_defaults_that_are_not_there_are_left_out() -> None:
    document = credential(credentialSubject=[{"rank": 1}, {"rank": 2}])
    del document["validUntil"]
    assert mandatory(issue(document)) == ("/issuer", "/validFrom")
    assert shown(issue(document), "/credentialSubject/1")["credentialSubject"] == [{"rank": 2}]


def test_defaults_of_a_credential_of_the_first_version() -> None:
    document = {
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://w3id.org/security/data-integrity/v2"],
        "type": ["VerifiableCredential"],
        "issuer": DID,
        "issuanceDate": "2026-01-01T00:00:00Z",
        "expirationDate": "2027-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:holder"},
    }
    secured = issue(document)
    assert mandatory(secured) == ("/issuer", "/issuanceDate", "/expirationDate", "/credentialSubject/id")
    assert shown(secured) == document


@pytest.mark.parametrize("pointer", ["/nonce", "/issuer/id/x", "/credentialSubject/sails/3", "/credentialSubject/sails/-", "/type/01", "issuer", "/a~2", "/~"])  # fmt: skip
def test_an_unknown_pointer_is_refused_at_issuance_and_at_derivation(pointer: str) -> None:
    with pytest.raises(BadProof):
        issue(credential(), ["/issuer", pointer])
    secured = issue(credential(), ["/issuer"])
    with pytest.raises(BadProof):
        derive(secured, [pointer])
    assert shown(secured, "/type/0")["type"] == ["VerifiableCredential"]


def test_something_must_be_shown() -> None:
    secured = issue(credential(), [])
    with pytest.raises(BadProof, match="nothing"):
        derive(secured, [])
    assert shown(secured, "/validFrom")["validFrom"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ({"id": "_:subject", "rank": 1}, "labels of blank nodes"),
        ({"rank": {"@list": ["a", "b"]}}, "ordered lists"),
        ({"rank": {"@graph": {"rank": 1}}}, "nested graphs"),
        ({"id": "did:example:holder", "knows": {"@id": "urn:bnid:0"}, "has": {"rank": 1}}, "told apart"),
    ],
)
def test_nodes_that_cannot_be_told_apart_are_refused(subject: Document, reason: str) -> None:
    with pytest.raises(BadProof, match=reason):
        issue(credential(credentialSubject=subject))
    assert shown(issue(credential()))


def test_what_is_wrong_with_a_document_is_said_as_elsewhere() -> None:
    with pytest.raises(DataLoss):
        issue(credential(**{"@context": [V2]}))
    with pytest.raises(TooComplex):
        issue(credential(credentialSubject={"alike": [{"a": {"b": n}} for n in range(40)]}))
    for pointers in (["/issuer"], ["/validFrom"]):
        with pytest.raises(BadProof):
            issue(credential(issuer={"id": DID, "name": "\ud800"}), pointers)


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(BadProof):
        issue(credential(type=["VerifiableCredential", {}]))
    derived = derive(issue(credential()), [])
    document = {name: value for name, value in derived.items() if name != "proof"}
    with pytest.raises(BadProof):
        SelectiveDisclosure().verify(document, {**derived["proof"], "nonce": "\ud800"}, KEY.public)
    with pytest.raises(DataLoss):  # without a context the proof's own members have no meaning
        issue({"@type": "https://types.example/T", "https://terms.example/a": "b"}, ["/@type"])
    assert SelectiveDisclosure().verify(document, derived["proof"], KEY.public) == document


def test_more_than_a_proof_value_can_hold_is_refused() -> None:
    with pytest.raises(TooComplex):
        issue(credential(credentialSubject={"numbers": list(range(800))}))
    assert shown(issue(credential(credentialSubject={"numbers": list(range(100))})), "/credentialSubject/numbers/7")


# ---- JSON pointers


def test_pointers_are_read_as_rfc_6901_says() -> None:
    assert parse_pointer("") == ()
    assert parse_pointer("/") == ("",)
    assert parse_pointer("/a~1b/m~0n/~01/0") == ("a/b", "m~n", "~1", "0")
    document = {"a/b": {"": [0, {"~1": None}]}}
    assert has_value(document, "/a~1b//1/~01")
    assert not has_value(document, "/a~1b//1/~1")
    assert not has_value({"a": "text"}, "/a/0")
    assert select(document, ["/a~1b//1/~01"]) == {"a/b": {"": [{"~1": None}]}}


@pytest.mark.parametrize("pointer", [None, 7, "a", "/a~", "/~2", "/" + "a" * 2_000])
def test_what_is_no_pointer_is_refused(pointer: Any) -> None:
    with pytest.raises(BadProof):
        parse_pointer(pointer)


def test_pointers_are_bounded() -> None:
    document = {str(n): n for n in range(257)}
    assert len(select(document, [f"/{n}" for n in range(256)])) == 256
    with pytest.raises(BadProof):
        select(document, [f"/{n}" for n in range(257)])


def test_no_pointers_select_nothing_and_a_type_keeps_its_whole() -> None:
    assert select(credential(), []) == {}
    assert select({"type": ["A", "B"], "x": 1}, ["/type/1"]) == {"type": ["A", "B"]}


# ---- CBOR


@pytest.mark.parametrize(
    "value", [0, 23, 24, 255, 256, 65_536, 2**63, -1, -300, b"", b"x" * 300, "", "é", [], [[1], {}], {0: b"a", 24: "b"}, {"a": None}, True, False]
)  # fmt: skip
def test_cbor_comes_back(value: Any) -> None:
    assert cbor.decode(cbor.encode(value)) == value


def test_cbor_that_cannot_be_written() -> None:
    with pytest.raises(BadEncoding):
        cbor.encode(object())


def test_cbor_bounds_are_exact() -> None:
    deepest = cbor.encode([[[[[[[[]]]]]]]])
    assert cbor.decode(deepest) == [[[[[[[[]]]]]]]]
    with pytest.raises(BadEncoding):
        cbor.decode(b"\x81" + deepest)
    longest = cbor.encode(b"x" * (cbor.MAX_BYTES - 3))
    assert len(longest) == cbor.MAX_BYTES
    assert cbor.decode(longest)
    with pytest.raises(BadEncoding):
        cbor.decode(cbor.encode(b"x" * (cbor.MAX_BYTES - 2)))
