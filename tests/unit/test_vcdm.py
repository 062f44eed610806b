"""VC Data Model 2.0, 4: one rule, one document that keeps it and one that does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.credential import vcdm
from did_agent.credential.moment import Moment, moment_of, parse_moment
from did_agent.errors import (
    BadCredential,
    BadPresentation,
    BadProof,
    BadTimestamp,
    DidAgentError,
    Expired,
    Malformed,
    NotYetValid,
)

V2, V1 = "https://www.w3.org/ns/credentials/v2", "https://www.w3.org/2018/credentials/v1"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TYPE = {"type": "https://terms.example/Kind"}
SRI = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # of no bytes at all


def credential(**members: Any) -> dict[str, Any]:
    """Return a valid credential with `members`; None takes one away."""
    document = {
        "@context": [V2],
        "type": ["VerifiableCredential"],
        "issuer": "https://issuer.example",
        "credentialSubject": {"id": "did:example:subject"},
        **members,
    }
    return {name: value for name, value in document.items() if value is not None}


def old_credential(**members: Any) -> dict[str, Any]:
    return credential(**{"@context": [V1], "issuanceDate": "2020-01-01T00:00:00Z", **members})


def presentation(**members: Any) -> dict[str, Any]:
    document = {"@context": [V2], "type": "VerifiablePresentation", "holder": "did:example:holder", **members}
    return {name: value for name, value in document.items() if value is not None}


def enveloped(location: Any = "data:application/vc+jwt,a.b.c", **members: Any) -> dict[str, Any]:
    return {"@context": V2, "type": "EnvelopedVerifiableCredential", "id": location, **members}


GOOD: list[dict[str, Any]] = [
    {},
    {"@context": [V2, "https://www.w3.org/ns/credentials/examples/v2", {"term": "https://terms.example/term"}]},
    {"id": "urn:uuid:00000000-0000-4000-8000-000000000001"},
    {"type": "VerifiableCredential"},
    {"type": ["https://terms.example/Kind", "VerifiableCredential"]},
    {"issuer": {"id": "did:example:issuer", "name": {"@value": "Issuer", "@language": "en-GB", "@direction": "ltr"}}},
    {"name": "One", "description": [{"@value": "Hund", "@language": "de"}, {"@value": "Dog", "@language": "en"}]},
    {"name": {"@value": "no language is given"}},
    {"credentialSubject": [{"id": "did:example:a"}, {"name": "without an id"}]},
    {"validFrom": "2020-01-01T00:00:00Z", "validUntil": "2020-01-01T00:00:00Z"},
    {"validFrom": "2020-01-01T00:00:00+14:00", "validUntil": "2019-12-31T10:00:00.000Z"},
    {"credentialStatus": TYPE},
    {"credentialStatus": [{"id": "https://status.example/1#2", **TYPE}, TYPE]},
    {"credentialSchema": {"id": "https://schemas.example/1", **TYPE}},
    {"termsOfUse": TYPE, "evidence": [TYPE], "refreshService": {"type": ["Kind"]}},
    {"relatedResource": {"id": "https://files.example/1", "digestSRI": SRI, "mediaType": "image/png"}},
    {"proof": {"type": "DataIntegrityProof"}},
    {"proof": [{"type": "DataIntegrityProof"}, {"type": "Other"}]},
]

BAD: list[dict[str, Any]] = [
    {"@context": None},
    {"@context": V2},
    {"@context": []},
    {"@context": 7},
    {"@context": ["https://www.w3.org/ns/credentials/examples/v2", V2]},
    {"@context": [V2, None]},
    {"@context": [V2, "relative"]},
    {"@context": [V2, *[f"https://contexts.example/{number}" for number in range(10)]]},
    {"id": ["https://issuer.example/1"]},
    {"id": {"id": "https://issuer.example/1"}},
    {"id": "not-a-url"},
    {"id": "https ://issuer.example/1"},
    {"id": "https://issuer.example/" + "a" * 4_100},
    {"type": None},
    {"type": []},
    {"type": ["Other"]},
    {"type": ["VerifiableCredential", 7]},
    {"type": ["VerifiableCredential", ""]},
    {"type": ["VerifiablePresentation"]},
    {"issuer": None},
    {"issuer": {}},
    {"issuer": {"name": "Issuer"}},
    {"issuer": ["https://issuer.example"]},
    {"issuer": {"id": None}},
    {"issuer": {"id": "https://issuer.example", "description": {"@value": "x", "url": "y"}}},
    {"name": 7},
    {"name": []},
    {"name": {"@language": "en"}},
    {"name": {"@value": 7}},
    {"name": {"@value": "x", "@language": "not a language"}},
    {"name": {"@value": "x", "@direction": "up"}},
    {"description": [{"@value": "x", "extra": "y"}]},
    {"credentialSubject": None},
    {"credentialSubject": {}},
    {"credentialSubject": []},
    {"credentialSubject": [{"id": "did:example:a"}, {}]},
    {"credentialSubject": "did:example:a"},
    {"credentialSubject": {"id": "relative"}},
    {"credentialSubject": {"id": ["did:example:a"]}},
    {"validFrom": "2020-01-01T00:00:00"},
    {"validFrom": 1_600_000_000},
    {"validFrom": "2020-01-02T00:00:00Z", "validUntil": "2020-01-01T00:00:00Z"},
    {"issuanceDate": "2020-01-01T00:00:00Z"},
    {"expirationDate": "2030-01-01T00:00:00Z"},
    {"credentialStatus": "https://status.example/1"},
    {"credentialStatus": []},
    {"credentialStatus": {"id": "https://status.example/1"}},
    {"credentialStatus": {"id": ["https://status.example/1"], **TYPE}},
    {"credentialStatus": {"type": 2}},
    {"credentialSchema": TYPE},
    {"credentialSchema": {"id": "https://schemas.example/1"}},
    {"credentialSchema": {"id": "schema", **TYPE}},
    {"termsOfUse": {"id": "https://terms.example/1"}},
    {"evidence": [{}]},
    {"refreshService": {"type": []}},
    {"relatedResource": {"id": "https://files.example/1"}},
    {"relatedResource": [{"id": "https://files.example/1", "digestSRI": SRI}] * 2},
    {"proof": []},
    {"proof": "z…"},
    {"proof": {"created": "2020-01-01T00:00:00Z"}},
]


@pytest.mark.parametrize("members", GOOD)
def test_a_credential_that_keeps_every_rule_conforms(members: dict[str, Any]) -> None:
    vcdm.require_credential(credential(**members))


@pytest.mark.parametrize("members", BAD)
def test_a_credential_that_breaks_one_rule_does_not(members: dict[str, Any]) -> None:
    with pytest.raises((BadCredential, BadTimestamp, BadProof)):
        vcdm.require_credential(credential(**members))


@pytest.mark.parametrize(
    ("members", "conforms"),
    [
        ({}, True),
        ({"expirationDate": "2030-01-01T00:00:00Z"}, True),
        ({"issuanceDate": "2020-01-01T00:00:00"}, True),  # XML Schema's dateTime leaves the zone open
        ({"issuanceDate": None}, False),
        ({"issuanceDate": "yesterday"}, False),
        ({"expirationDate": "2010-01-01T00:00:00Z"}, False),
        ({"validFrom": "2020-01-01T00:00:00Z"}, False),
        ({"validUntil": "2030-01-01T00:00:00Z"}, False),
        ({"@context": [V1, V2]}, True),
        ({"@context": [V2, V1]}, False),
    ],
)
def test_version_1_1_is_read_by_its_own_rules(members: dict[str, Any], conforms: bool) -> None:
    document = old_credential(**members)
    if conforms:
        vcdm.require_credential(document)
        assert vcdm.is_version_1(document)
    else:
        with pytest.raises(Malformed):
            vcdm.require_credential(document)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"holder": None},
        {"holder": {"id": "did:example:holder", "name": "Holder"}},
        {"verifiableCredential": []},
        {"verifiableCredential": credential()},
        {"verifiableCredential": [credential(), old_credential(), enveloped()]},
        {"verifiableCredential": enveloped("data:application/vc-ld+jwt;base64url,a.b.c")},
        {"proof": {"type": "DataIntegrityProof"}},
    ],
)
def test_a_presentation_that_keeps_every_rule_conforms(members: dict[str, Any]) -> None:
    vcdm.require_presentation(presentation(**members))


@pytest.mark.parametrize(
    "members",
    [
        {"@context": V2},
        {"type": "VerifiableCredential"},
        {"id": 7},
        {"holder": "holder"},
        {"holder": {"name": "Holder"}},
        {"holder": []},
        {"verifiableCredential": "https://issuer.example/1"},
        {"verifiableCredential": ["a.b.c"]},
        {"verifiableCredential": [7]},
        {"verifiableCredential": [None]},
        {"verifiableCredential": [credential(type=[])]},
        {"verifiableCredential": [credential(issuer=None)]},
        {"verifiableCredential": [presentation()]},
        {"verifiableCredential": enveloped("https://issuer.example/1")},
        {"verifiableCredential": enveloped(type=["EnvelopedVerifiableCredential", "VerifiableCredential"])},
        {"proof": 7},
    ],
)
def test_a_presentation_that_breaks_one_rule_does_not(members: dict[str, Any]) -> None:
    with pytest.raises((BadPresentation, BadCredential, BadProof)):
        vcdm.require_presentation(presentation(**members))


@pytest.mark.parametrize(
    ("location", "media_type", "payload", "parameters"),
    [
        ("data:application/vc+jwt,a.b.c", "application/vc+jwt", "a.b.c", ()),
        ("data:application/vc+sd-jwt,a.b.c~d~", "application/vc+sd-jwt", "a.b.c~d~", ()),
        ("data:application/vc+cose;base64,oRB=", "application/vc+cose", "oRB=", ("base64",)),
        ("data:application/jwt;a=1;base64url,a.b.c,d", "application/jwt", "a.b.c,d", ("a=1", "base64url")),
    ],
)
def test_an_envelope_is_opened(location: str, media_type: str, payload: str, parameters: tuple[str, ...]) -> None:
    found = vcdm.parse_enveloped(enveloped(location), "EnvelopedVerifiableCredential")
    assert found == (media_type, payload, parameters)


@pytest.mark.parametrize(
    "document",
    [
        enveloped("data:,a.b.c"),
        enveloped("data:application/vc+jwt,"),
        enveloped("data:application/vc+jwt"),
        enveloped("data:application/vc+jwt,a b"),
        enveloped("data:application/vc+jwt,a\n"),
        enveloped("DATA:application/vc+jwt,a"),
        enveloped(7),
        enveloped("data:application/vc+jwt," + "a" * vcdm.MAX_ENVELOPE),
        enveloped(**{"@context": V1}),
        enveloped(**{"@context": []}),
        enveloped(type="EnvelopedVerifiablePresentation"),
    ],
)
def test_what_is_no_envelope_is_not_opened(document: dict[str, Any]) -> None:
    with pytest.raises(BadCredential):
        vcdm.parse_enveloped(document, "EnvelopedVerifiableCredential")


def test_an_enveloped_presentation_conforms_by_its_form() -> None:
    kind = "EnvelopedVerifiablePresentation"
    good = enveloped("data:application/vp+jwt,a.b.c", type=kind)
    vcdm.require_presentation(good)
    assert vcdm.parse_enveloped(good, "EnvelopedVerifiablePresentation").payload == "a.b.c"
    with pytest.raises(BadPresentation):
        vcdm.require_presentation(enveloped("https://holder.example/1", type=kind))


def test_issuer_and_holder_are_found_in_both_spellings() -> None:
    assert vcdm.issuer_of({"issuer": "did:example:a"}) == vcdm.issuer_of({"issuer": {"id": "did:example:a"}})
    assert vcdm.holder_of({"holder": "did:example:a"}) == vcdm.holder_of({"holder": {"id": "did:example:a"}})
    assert vcdm.holder_of({}) is None


# ---- time


def found(document: dict[str, Any], now: datetime = NOW) -> list[tuple[str, type[DidAgentError] | None]]:
    return [(name, error and type(error)) for name, _, error in vcdm.validity(document, now)]


def test_both_ends_of_a_validity_period_are_told_apart() -> None:
    past, future = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
    assert found(credential()) == []
    assert found(credential(validFrom=past, validUntil=future)) == [("validFrom", None), ("validUntil", None)]
    assert found(credential(validFrom=future)) == [("validFrom", NotYetValid)]
    assert found(credential(validFrom=past, validUntil=past)) == [("validFrom", None), ("validUntil", Expired)]
    assert found(credential(validUntil="0001-01-01T00:00:00Z")) == [("validUntil", Expired)]
    assert found(old_credential(expirationDate=past)) == [("issuanceDate", None), ("expirationDate", Expired)]


def test_the_end_has_no_grace_and_the_start_half_a_minute() -> None:
    stamp = "2026-11-23T10:00:00Z"
    assert found(credential(validUntil=stamp)) == [("validUntil", Expired)]
    assert found(credential(validUntil=stamp), NOW - timedelta(microseconds=1)) == [("validUntil", None)]
    assert found(credential(validFrom=stamp), NOW - timedelta(seconds=30)) == [("validFrom", None)]
    assert found(credential(validFrom=stamp), NOW - timedelta(seconds=31)) == [("validFrom", NotYetValid)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("2020-01-01T24:00:00Z", "2020-01-02T00:00:00Z"),
        ("2020-01-01T24:00:00.000Z", "2020-01-02T00:00:00.0Z"),
        ("2020-01-01T00:00:00+14:00", "2019-12-31T10:00:00Z"),
        ("2020-01-01T00:00:00-00:30", "2020-01-01T00:30:00Z"),
        ("9999-12-31T24:00:00Z", "10000-01-01T00:00:00Z"),
        ("2020-02-29T12:00:00.50Z", "2020-02-29T12:00:00.5Z"),
        ("0000-12-31T24:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_two_spellings_of_one_moment_are_equal(left: str, right: str) -> None:
    assert parse_moment(left) == parse_moment(right)


def test_moments_are_in_the_order_of_time() -> None:
    stamps = [
        "-12345-01-01T00:00:00Z", "-0001-06-01T00:00:00Z", "0000-02-29T00:00:00Z", "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.049Z", "1970-01-01T00:00:00.05Z",
        "1970-01-01T00:00:00.5Z", "2000-02-29T00:00:00Z", "9999-12-31T23:59:59Z", "12000-02-29T00:00:00Z",
    ]  # fmt: skip
    moments = [parse_moment(stamp) for stamp in stamps]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(moments)


def test_moments_agree_with_the_calendar() -> None:
    for days in range(-719_000, 2_900_000, 4_999):
        now = datetime(1970, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC) + timedelta(days=days)
        assert parse_moment(now.isoformat()) == moment_of(now)
    assert parse_moment("1970-01-01T00:00:00Z") == Moment(0, "")


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2020-04-31T00:00:00Z", "2020-13-01T00:00:00Z",
        "2020-00-01T00:00:00Z", "2020-01-00T00:00:00Z", "2020-01-32T00:00:00Z", "2020-01-01T24:00:01Z",
        "2020-01-01T24:00:00.1Z", "2020-01-01T25:00:00Z", "2020-01-01T00:60:00Z", "2020-01-01T00:00:60Z",
        "2020-01-01T00:00:00", "2020-01-01T00:00:00+14:01", "2020-01-01T00:00:00+15:00", "2020-01-01T00:00:00+0100",
        "2020-01-01T00:00:00z", "2020-01-01t00:00:00Z", "2020-01-01 00:00:00Z", "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00Z", "20200101T000000Z", "02020-01-01T00:00:00Z", "20-01-01T00:00:00Z",
        "2020-01-01T00:00:00Z\n", "\u0662020-01-01T00:00:00Z", "Sun, 26 Feb 2023 01:22:14 +0000", "",
        "2020-01-01T00:00:00." + "0" * 60 + "Z", None, 7, ["2020-01-01T00:00:00Z"],
    ],
)  # fmt: skip
def test_what_is_no_date_time_stamp_is_refused(text: object) -> None:
    with pytest.raises(BadTimestamp):
        parse_moment(text)
