"""did:key: one key, one text; and a method only counts as its controller's document says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from did_agent.did.document import VerificationMethod, split_method_id
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.did.resolve import method_key, resolve
from did_agent.encoding import base64url, multibase
from did_agent.errors import BadDID, WrongKey
from did_agent.keys.ed25519 import SigningKey

KEY, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
DID, OTHER_DID = did_key(KEY.public), did_key(OTHER.public)
METHOD = verification_method(DID)


def test_a_did_key_names_its_key_and_its_method() -> None:
    assert DID.startswith("did:key:z6Mk")
    assert parse_did_key(DID) == KEY.public
    assert f"{DID}#{DID.removeprefix('did:key:')}" == METHOD
    assert method_key(METHOD, relationship="authentication") == (DID, KEY.public)


@pytest.mark.req("VCX-12")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:",
        "did:key:z",
        "did:web:example.com",
        DID.upper(),
        DID + " ",
        DID + "\n",
        " " + DID,
        DID.replace("did:key:", "did:key:1:"),
        DID.replace("did:key:z", "did:key:z1"),
        DID + "1",
        DID[:-1],
        DID + "#" + DID.removeprefix("did:key:"),
        "did:key:" + multibase.encode_base64url(b"\xed\x01" + KEY.public.raw),
        "did:key:" + multibase.encode_base58btc(b"\xec\x01" + KEY.public.raw),
        "did:key:" + multibase.encode_base58btc(b"\xed\x01" + KEY.public.raw + b"\x00"),
        "did:key:" + multibase.encode_base58btc(b"\xed\x01" + KEY.public.raw[:31]),
        "did:key:" + multibase.encode_base58btc(b"\xed\x01" + b"\x01" + b"\x00" * 31),
        "did:key:z" + "1" * 300,
        None,
        1,
        [DID],
    ],
)
def test_a_did_key_has_one_text(text: object) -> None:
    with pytest.raises(BadDID):
        parse_did_key(text)
    with pytest.raises(BadDID):
        resolve(text)


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize("text", [None, 1, "", "#", DID, f"{DID}#", f"#{DID}", f"{METHOD}#x", [METHOD]])
def test_a_method_is_a_did_url_with_one_fragment(text: object) -> None:
    assert split_method_id(METHOD) == (DID, DID.removeprefix("did:key:"))
    with pytest.raises(BadDID):
        split_method_id(text)


@pytest.mark.req("VCX-04", "VCX-12")
def test_the_fragment_repeats_the_identifier() -> None:
    for fragment in ("keys-1", OTHER_DID.removeprefix("did:key:"), DID.removeprefix("did:key:") + "%20"):
        with pytest.raises(WrongKey):
            method_key(f"{DID}#{fragment}", relationship="authentication")


@pytest.mark.req("VCX-04")
def test_a_method_counts_only_under_its_relationship_and_controller_and_once() -> None:
    document = resolve(DID)
    method = document.method_for(METHOD, relationship="assertionMethod")
    assert (method.id, method.controller, method.key) == (METHOD, DID, KEY.public)
    spoiled = (
        replace(document, relationships=()),
        replace(document, relationships=(("authentication", (METHOD,)),)),
        replace(document, relationships=(("assertionMethod", (verification_method(OTHER_DID),)),)),
        replace(document, methods=()),
        replace(document, methods=document.methods * 2),
        replace(document, methods=(replace(method, controller=OTHER_DID),)),
        replace(document, id=OTHER_DID),
    )
    for forged in spoiled:
        with pytest.raises(WrongKey):
            forged.method_for(METHOD, relationship="assertionMethod")


@pytest.mark.req("VCX-04")
def test_two_methods_of_one_name_are_refused_even_if_one_is_right() -> None:
    document = resolve(DID)
    foreign = VerificationMethod(id=METHOD, controller=DID, key=OTHER.public)
    with pytest.raises(WrongKey):
        replace(document, methods=(foreign, *document.methods)).method_for(METHOD, relationship="authentication")


def test_a_did_document_is_resolved_once() -> None:
    assert resolve(DID) is resolve(DID)
    assert base64url.encode(resolve(DID).methods[0].key.raw) == base64url.encode(KEY.public.raw)
