"""The VC-API as the interop suites use it: over HTTP, in every suite, with status, derivation and presentations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2
import pytest

from did_agent.did.key import did_key, verification_method
from did_agent.errors import Misconfigured
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import add_proof

V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
SUITES = [
    ("Ed25519", "eddsa-jcs-2022"),
    ("Ed25519", "eddsa-rdfc-2022"),
    ("P-256", "ecdsa-jcs-2019"),
    ("P-256", "ecdsa-rdfc-2019"),
    ("P-384", "ecdsa-jcs-2019"),
    ("P-384", "ecdsa-rdfc-2019"),
]


class Served(NamedTuple):
    issuer: httpx2.Client
    verifier: httpx2.Client
    dids: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from processes import Up  # type: ignore[import-not-found]  # loaded by conftest

    up = Up(tmp_path_factory.mktemp("vc-api") / "data", options=("--vc-api",)).start()
    host = "http://127.0.0.1"
    try:
        with (
            httpx2.Client(base_url=f"{host}:{up.base + 1}/vc-api", timeout=20) as issuer,
            httpx2.Client(base_url=f"{host}:{up.base + 6}", timeout=20) as verifier,
        ):
            listed = issuer.get("/credentials/issuers").json()["issuers"]
            yield Served(issuer, verifier, {entry["keyType"]: entry["id"] for entry in listed})
    finally:
        up.stop()


def credential(served: Served, kind: str = "Ed25519", **members: Any) -> dict[str, Any]:
    return {
        "@context": [V2, EXAMPLES],
        "type": ["VerifiableCredential", "ExampleAlumniCredential"],
        "issuer": served.dids[kind],
        "validFrom": "2024-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:alumna", "alumniOf": "A school", "degree": {"name": "BSc"}},
    } | members


def issue(served: Served, document: dict[str, Any], query: str = "", **options: Any) -> Any:
    answer = served.issuer.post(f"/credentials/issue{query}", json={"credential": document, "options": options})
    assert answer.status_code == 201, answer.text
    return answer.json()["verifiableCredential"]


def verify(served: Served, secured: Any, query: str = "", **options: Any) -> Any:
    body = {"verifiableCredential": secured, "options": options}
    return served.verifier.post(f"/credentials/verify{query}", json=body)


def problems(answer: Any) -> list[str]:
    return [problem["type"].partition("#")[2] for problem in answer.json()["problemDetails"]]


@pytest.mark.parametrize(("kind", "suite"), SUITES)
def test_what_is_issued_verifies_and_a_changed_one_does_not(served: Served, kind: str, suite: str) -> None:
    document = credential(served, kind)
    signed = issue(served, document, cryptosuite=suite)
    assert {name: value for name, value in signed.items() if name != "proof"} == document
    assert signed["proof"]["cryptosuite"] == suite
    answer = verify(served, signed)
    assert (answer.status_code, answer.json()["verified"]) == (200, True)
    changed = copy.deepcopy(signed)
    changed["credentialSubject"]["alumniOf"] = "Another school"
    refused = verify(served, changed)
    assert (refused.status_code, refused.json()["verified"]) == (400, False)
    assert problems(refused) == ["CRYPTOGRAPHIC_SECURITY_ERROR"]


def test_a_failure_may_be_told_with_200_but_never_as_verified(served: Served) -> None:
    signed = issue(served, credential(served))
    told = verify(served, {**signed, "validFrom": "2020-01-01T00:00:00Z"}, httpStatus="always200")
    assert (told.status_code, told.json()["verified"]) == (200, False)


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        ({"@context": V2}, "MALFORMED_VALUE_ERROR"),
        ({"@context": [V2, "https://unknown.example/context"]}, "MALFORMED_VALUE_ERROR"),
        ({"type": ["VerifiableCredential", "relative"], "@context": [V2]}, "DATA_LOSS_DETECTION_ERROR"),
        ({"@context": [V2]}, "DATA_LOSS_DETECTION_ERROR"),
        ({"credentialSubject": {}}, "MALFORMED_VALUE_ERROR"),
        ({"validFrom": "yesterday"}, "MALFORMED_VALUE_ERROR"),
        ({"issuer": "did:key:z6MktgKTsu1QhX6QPbyqG6geXdw6FQCZBPq7uQpieWbiQiG7"}, "ISSUER_NOT_TRUSTED"),
        ({"credentialStatus": {"id": "urn:x:1"}}, "MALFORMED_VALUE_ERROR"),
    ],
)
def test_what_is_no_credential_is_not_issued(served: Served, member: dict[str, Any], problem: str) -> None:
    answer = served.issuer.post("/credentials/issue", json={"credential": credential(served) | member})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["type"].endswith(f"#{problem}")


@pytest.mark.req("VCX-10", "REV-01")
def test_a_revoked_credential_does_not_verify_any_more(served: Served) -> None:
    signed = issue(served, credential(served, id="urn:uuid:revoked"), "?statusPurpose=revocation")
    assert signed["credentialStatus"]["statusPurpose"] == "revocation"
    assert verify(served, signed).status_code == 200
    change = {"credentialId": "urn:uuid:revoked", "credentialStatus": {"statusPurpose": "revocation"}, "status": True}
    assert served.issuer.post("/credentials/status", json=change).status_code == 200
    refused = verify(served, signed)
    assert (refused.status_code, problems(refused)) == (400, ["CREDENTIAL_REVOKED"])
    assert served.issuer.post("/credentials/status", json=change | {"status": False}).status_code == 400
    assert served.issuer.post("/credentials/status", json=change | {"credentialId": "urn:uuid:no"}).status_code == 404
    assert served.issuer.get("/credentials/urn:uuid:revoked").json()["verifiableCredential"] == signed


@pytest.mark.req("VCX-04", "VCX-05")
def test_a_signature_by_somebody_else_counts_under_one_policy_alone(served: Served) -> None:
    key = SigningKey.from_seed(b"1" * 32)
    did = did_key(key.public)
    signed = add_proof(
        credential(served),  # names the service as its issuer
        key,
        purpose="assertionMethod",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        verification_method=verification_method(did),
    )
    refused = verify(served, signed)
    assert (refused.status_code, problems(refused)) == (400, ["ISSUER_NOT_TRUSTED"])
    assert verify(served, signed, policy="proof").status_code == 400  # never by the body
    assert verify(served, signed, "?policy=proof").status_code == 200
    assert verify(served, {**signed, "validFrom": "2020-01-01T00:00:00Z"}, "?policy=proof").status_code == 400


def test_a_part_is_derived_and_verifies_and_the_whole_does_not(served: Served) -> None:
    document = credential(served, "P-256")
    whole = issue(served, document, cryptosuite="ecdsa-sd-2023", mandatoryPointers=["/issuer"])
    assert verify(served, whole).status_code == 400
    options = {"selectivePointers": ["/credentialSubject/alumniOf"]}
    answer = served.verifier.post("/credentials/derive", json={"verifiableCredential": whole, "options": options})
    assert answer.status_code == 201
    part = answer.json()["verifiableCredential"]
    assert part["credentialSubject"]["alumniOf"] == "A school"
    assert "degree" not in part["credentialSubject"]
    assert verify(served, part).status_code == 200
    part["credentialSubject"]["alumniOf"] = "Another school"
    assert verify(served, part).status_code == 400
    missing = {"credential": document, "options": {"cryptosuite": "ecdsa-sd-2023", "mandatoryPointers": ["/nothing"]}}
    assert served.issuer.post("/credentials/issue", json=missing).status_code == 400


@pytest.mark.parametrize("kind", ["Ed25519", "P-256", "P-384"])
def test_an_enveloped_credential_verifies(served: Served, kind: str) -> None:
    enveloped = issue(served, credential(served, kind), cryptosuite="vc+jwt")
    assert enveloped["type"] == "EnvelopedVerifiableCredential"
    token = enveloped["id"].partition(",")[2]
    assert verify(served, enveloped).status_code == verify(served, token).status_code == 200
    head, body, tail = token.split(".")
    assert verify(served, f"{head}.{body[:-4]}AAAA.{tail}").status_code == 400


@pytest.mark.req("VCX-01", "VCX-02")
def test_a_presentation_answers_one_challenge_once(served: Served) -> None:
    challenge = served.verifier.post("/challenges", json={}).json()["challenge"]
    document = {
        "@context": [V2],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [issue(served, credential(served))],
    }
    options = {"challenge": challenge, "domain": "https://verifier.example"}
    made = served.verifier.post("/presentations", json={"presentation": document, "options": options})
    assert made.status_code == 201
    presented = made.json()["verifiablePresentation"]

    def check(secured: Any, **other: str) -> Any:
        body = {"verifiablePresentation": secured, "options": options | other}
        return served.verifier.post("/presentations/verify", json=body)

    assert problems(check(presented, challenge="another")) == ["INVALID_CHALLENGE_ERROR"]
    assert problems(check(presented, domain="https://other.example")) == ["INVALID_DOMAIN_ERROR"]
    spoiled = copy.deepcopy(presented)
    spoiled["verifiableCredential"][0]["validFrom"] = "2020-01-01T00:00:00Z"
    assert check(spoiled).status_code == 400
    assert check(document).status_code == 400  # without a proof
    # None of these spent the challenge; the first valid answer does.
    first = check(presented)
    assert (first.status_code, first.json()["verified"]) == (200, True)
    assert problems(check(presented)) == ["INVALID_CHALLENGE_ERROR"]


def test_dids_are_resolved(served: Served) -> None:
    accept = {"Accept": 'application/ld+json;profile="https://w3id.org/did-resolution"'}
    did = served.dids["P-256"]
    found = served.verifier.get(f"/1.0/identifiers/{quote(did, safe='')}", headers=accept)
    assert found.status_code == 200
    assert found.json()["didDocument"]["id"] == did
    method = f"{did}#{did.removeprefix('did:key:')}"
    named = served.verifier.get(f"/1.0/identifiers/{quote(method, safe='')}", headers=accept)
    assert named.json()["didDocument"]["controller"] == did
    for wrong, status in (("did:key:@", 400), ("did:example:1", 501), ("did:web:nowhere.invalid", 404)):
        refused = served.verifier.get(f"/1.0/identifiers/{quote(wrong, safe='')}", headers=accept)
        assert refused.status_code == status, wrong


@pytest.mark.req("WEB-01")
def test_it_is_not_offered_beyond_loopback(tmp_path: Any) -> None:
    from issuer.app import create_app as issuer_app
    from issuer.settings import IssuerSettings
    from verifier.vc_api.app import create_app as verifier_app
    from verifier.vc_api.settings import VCSettings

    with pytest.raises(Misconfigured):
        verifier_app(VCSettings(data=tmp_path, vc_api_url="https://verifier.example"))
    with pytest.raises(Misconfigured):
        issuer_app(IssuerSettings(data=tmp_path, vc_api=True, issuer_url="https://issuer.example"))


def test_without_the_option_there_is_no_vc_api(up: Any) -> None:
    assert httpx2.get(f"{up.url('issuer')}/vc-api/credentials/issuers").status_code == 404
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{up.base + 6}/livez")
