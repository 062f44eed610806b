"""`relatedResource` (VCDM 2.0, 5.3): which bytes a credential was made with."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from did_agent.credential.related import MAX_RESOURCES, parse_related_resources, require_related_resource
from did_agent.encoding import multibase
from did_agent.encoding.digest import digest_multibase
from did_agent.errors import BadCredential, PeerUnavailable, RelatedResourceMismatch
from tests.fakes.schemas import sri

URL = "https://files.example/picture.png"
RAW = b"the picture"


def resource(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in {"id": URL, "digestSRI": sri(RAW), **members}.items() if value is not None}


def multihash(prefix: bytes, name: str, raw: bytes = RAW) -> str:
    return multibase.encode_base58btc(prefix + hashlib.new(name, raw).digest())


GOOD: list[dict[str, Any]] = [
    {},
    {"digestSRI": sri(RAW, "sha256")},
    {"digestSRI": sri(RAW, "sha512")},
    {"digestSRI": f"{sri(RAW, 'sha256')} {sri(RAW, 'sha512')}"},
    {"digestSRI": None, "digestMultibase": digest_multibase(RAW)},
    {"digestSRI": None, "digestMultibase": multihash(b"\x20\x30", "sha384")},
    {"digestSRI": None, "digestMultibase": [multihash(b"\x13\x40", "sha512"), multihash(b"\x12\x20", "sha256")]},
    {"digestMultibase": digest_multibase(RAW), "mediaType": "image/png"},
]


@pytest.mark.parametrize("members", GOOD)
def test_bytes_with_every_digest_are_the_resource(members: dict[str, Any]) -> None:
    (found,) = parse_related_resources({"relatedResource": resource(**members)})
    require_related_resource(found, {URL: RAW})
    with pytest.raises(RelatedResourceMismatch):
        require_related_resource(found, {URL: RAW + b"\n"})


@pytest.mark.parametrize(
    "members",
    [
        {"digestSRI": f"{sri(RAW)} {sri(b'other')}"},
        {"digestMultibase": digest_multibase(b"other")},
        {"digestSRI": None, "digestMultibase": [digest_multibase(RAW), digest_multibase(b"other")]},
    ],
)
def test_one_digest_that_does_not_fit_is_enough(members: dict[str, Any]) -> None:
    (found,) = parse_related_resources({"relatedResource": resource(**members)})
    with pytest.raises(RelatedResourceMismatch):
        require_related_resource(found, {URL: RAW})


def test_a_resource_that_is_not_at_hand_is_not_known_to_be_right() -> None:
    (found,) = parse_related_resources({"relatedResource": [resource()]})
    with pytest.raises(PeerUnavailable):
        require_related_resource(found, {"https://files.example/other": RAW})


def test_a_credential_may_name_none() -> None:
    assert parse_related_resources({}) == ()


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        "https://files.example/picture.png",
        [resource(), resource()],
        [resource(), resource(digestSRI=sri(b"other"))],
        [resource(id=f"https://files.example/{number}") for number in range(MAX_RESOURCES + 1)],
        resource(id=None),
        resource(id="picture.png"),
        resource(id=[URL]),
        resource(mediaType=7),
        resource(digestSRI=None),
        resource(digestSRI=7),
        resource(digestSRI=""),
        resource(digestSRI=" "),
        resource(digestSRI=[]),
        resource(digestSRI="md5-1B2M2Y8AsgTpgAmY7PhCfg=="),
        resource(digestSRI=f"{sri(RAW)} md5-1B2M2Y8AsgTpgAmY7PhCfg=="),
        resource(digestSRI=sri(RAW).rstrip("=")[:-1]),
        resource(digestSRI="sha512-" + sri(RAW, "sha256").partition("-")[2]),
        resource(digestSRI=sri(RAW, "sha256")[:-2] + "f="),
        resource(digestSRI=sri(RAW) + "\n?" + "a" * 2_000),
        resource(digestMultibase="mAAAA"),
        resource(digestMultibase=multibase.encode_base58btc(hashlib.sha256(RAW).digest())),
        resource(digestMultibase=multihash(b"\x12\x20", "sha384")),
        resource(digestMultibase=multihash(b"\x11\x14", "sha1")),
        resource(digestMultibase=""),
        resource(digestMultibase=7),
    ],
)
def test_what_names_no_resource_is_refused(value: object) -> None:
    with pytest.raises(BadCredential):
        parse_related_resources({"relatedResource": value})
