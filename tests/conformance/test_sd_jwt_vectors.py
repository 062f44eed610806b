"""RFC 9901: every published example and test case that is in compact form, every file of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from did_agent.encoding.strict_json import parse_json
from did_agent.errors import BadSignature, DidAgentError, HolderMismatch
from did_agent.keys.ecdsa import SigningKey
from did_agent.keys.jwk import parse_private_jwk
from did_agent.proof.disclosure import reveal
from did_agent.proof.jwt import FindKey, unverified_jws
from did_agent.proof.sd_jwt import (
    KeyBinding,
    VerifiedSDJWT,
    WithoutKeyBinding,
    disclosable_places,
    issue_sd_jwt,
    parse_sd_jwt,
    present,
    select_disclosures,
    verify_sd_jwt,
)

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors" / "sd-jwt"
UNBOUND: WithoutKeyBinding = "insecure_without_key_binding"
TYPE = "example+sd-jwt"
OTHER = SigningKey.generate("P-256")

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them"
)

# The compact form is the only one here: one token, one text (TOK-05).
JSON_FORM = "JSON serialization (RFC 9901, 8) is not implemented"
FOLDERS = sorted(path.parent for path in SHARED.glob("*/*/specification.yml"))
COMPACT = [folder for folder in FOLDERS if (folder / "sd_jwt_issuance.txt").exists()]
LEFT_OUT = {folder.name: JSON_FORM for folder in FOLDERS if folder not in COMPACT}

every = pytest.mark.parametrize("folder", COMPACT, ids=[f"{folder.parent.name}-{folder.name}" for folder in COMPACT])
bound = pytest.mark.parametrize(
    "folder",
    [folder for folder in COMPACT if (folder / "kb_jwt_payload.json").exists()],
    ids=lambda folder: f"{folder.parent.name}-{folder.name}",
)


def text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def value(folder: Path, name: str) -> Any:
    return json.loads(text(folder, name))


def settings(folder: Path) -> Any:
    return yaml.safe_load((folder.parent / "settings.yml").read_text(encoding="utf-8"))


def key_of(folder: Path, name: str) -> Any:
    return parse_private_jwk(settings(folder)["key_settings"][name])


def issuer(folder: Path) -> FindKey:
    return lambda _header, _claims: key_of(folder, "issuer_key").public


def moment(folder: Path) -> datetime:
    known = folder / "kb_jwt_payload.json"
    seconds = value(folder, known.name)["iat"] if known.exists() else settings(folder)["iat"]
    return datetime.fromtimestamp(seconds, UTC)


def binding(folder: Path) -> KeyBinding | WithoutKeyBinding:
    if not (folder / "kb_jwt_payload.json").exists():
        return UNBOUND
    known = settings(folder)
    return KeyBinding(audience=known["identifiers"]["verifier"], nonce=known["key_binding_nonce"])


def verify(folder: Path, sd_jwt: str, expected: KeyBinding | WithoutKeyBinding) -> VerifiedSDJWT:
    return verify_sd_jwt(
        sd_jwt,
        expected_types=frozenset({TYPE}),
        find_key=issuer(folder),
        key_binding=expected,
        now=moment(folder),
    )


def chosen(folder: Path) -> set[str]:
    """Return what the published presentation discloses, as places in the issued token (an array is longer there)."""
    issued = parse_sd_jwt(text(folder, "sd_jwt_issuance.txt"))
    shown = {disclosure.text for disclosure in parse_sd_jwt(text(folder, "sd_jwt_presentation.txt")).disclosures}
    places = reveal(value(folder, "sd_jwt_payload.json"), issued.disclosures).places
    return {place for place, disclosure in places.items() if disclosure.text in shown}


def marked(node: yaml.Node, pointer: str = "") -> set[str]:
    """Return the places that `!sd` marks in a specification."""
    found = set()
    if isinstance(node, yaml.MappingNode):
        for name, member in node.value:
            place = f"{pointer}/{name.value.replace('~', '~0').replace('/', '~1')}"
            found |= ({place} if name.tag == "!sd" else set()) | marked(member, place)
    if isinstance(node, yaml.SequenceNode):
        for index, member in enumerate(node.value):
            place = f"{pointer}/{index}"
            found |= ({place} if member.tag == "!sd" else set()) | marked(member, place)
    return found


def specified(folder: Path) -> set[str]:
    root = yaml.compose(text(folder, "specification.yml"))
    assert isinstance(root, yaml.MappingNode)
    (claims,) = [member for name, member in root.value if name.value == "user_claims"]
    return marked(claims)


@every
def test_the_presentation_verifies_to_the_published_contents(folder: Path) -> None:
    verified = verify(folder, text(folder, "sd_jwt_presentation.txt"), binding(folder))
    assert verified.claims == value(folder, "verified_contents.json")
    assert (verified.holder is not None) == (folder / "kb_jwt_payload.json").exists()


@every
def test_the_presentation_is_refused_under_another_issuer_key(folder: Path) -> None:
    with pytest.raises(BadSignature):
        verify_sd_jwt(
            text(folder, "sd_jwt_presentation.txt"),
            expected_types=frozenset({TYPE}),
            find_key=lambda _header, _claims: OTHER.public,
            key_binding=binding(folder),
            now=moment(folder),
        )


@every
def test_the_issued_token_holds_all_the_user_claims(folder: Path) -> None:
    verified = verify(folder, text(folder, "sd_jwt_issuance.txt"), UNBOUND)
    claims = value(folder, "user_claims.json")
    assert {name: verified.claims[name] for name in claims} == claims
    assert verified.claims.keys() - claims.keys() <= {"iss", "iat", "exp", "cnf"}


@every
def test_the_signed_part_and_its_payload_are_the_published_ones(folder: Path) -> None:
    for name in ("sd_jwt_issuance.txt", "sd_jwt_presentation.txt"):
        issued = parse_sd_jwt(text(folder, name)).issued
        assert issued == text(folder, "sd_jwt_jws_part.txt")
        assert parse_json(unverified_jws(issued)[0].payload) == value(folder, "sd_jwt_payload.json")


@every
def test_what_the_specification_marks_is_what_can_be_disclosed(folder: Path) -> None:
    assert disclosable_places(text(folder, "sd_jwt_issuance.txt")) == specified(folder)


@every
def test_decoys_are_signed_and_stand_for_nothing(folder: Path) -> None:
    payload = text(folder, "sd_jwt_payload.json")
    decoys = value(folder, "decoy_digests.json") if (folder / "decoy_digests.json").exists() else []
    shown = {disclosure.digest for disclosure in parse_sd_jwt(text(folder, "sd_jwt_issuance.txt")).disclosures}
    listed = decoys if isinstance(decoys, list) else [digest for group in decoys.values() for digest in group]
    assert all(digest in payload for digest in listed)
    assert not shown & set(listed)


@every
def test_the_holder_selects_the_published_disclosures(folder: Path) -> None:
    presented = parse_sd_jwt(text(folder, "sd_jwt_presentation.txt"))
    issued = text(folder, "sd_jwt_issuance.txt")
    selected = parse_sd_jwt(select_disclosures(issued, disclose=chosen(folder)))
    assert {one.text for one in selected.disclosures} == {one.text for one in presented.disclosures}


@every
def test_our_issuer_and_holder_reach_the_published_contents(folder: Path) -> None:
    whole = verify(folder, text(folder, "sd_jwt_issuance.txt"), UNBOUND)
    ours = issue_sd_jwt(
        whole.claims, disclosable=specified(folder), key=key_of(folder, "issuer_key"), typ=TYPE, decoys=2
    )
    shown = select_disclosures(ours, disclose=chosen(folder))
    assert verify(folder, shown, UNBOUND).claims == value(folder, "verified_contents.json")


@bound
def test_the_key_binding_is_the_published_one(folder: Path) -> None:
    kb = parse_sd_jwt(text(folder, "sd_jwt_presentation.txt")).binding
    assert kb == text(folder, "kb_jwt_serialized.txt")
    jws, said = unverified_jws(str(kb))
    assert jws.header == value(folder, "kb_jwt_header.json")
    assert said == value(folder, "kb_jwt_payload.json")
    verified = verify(folder, text(folder, "sd_jwt_presentation.txt"), binding(folder))
    assert verified.holder == key_of(folder, "holder_key").public


@bound
def test_our_key_binding_says_what_the_published_one_says(folder: Path) -> None:
    published = text(folder, "sd_jwt_presentation.txt")
    presented = parse_sd_jwt(published).presented
    expected = binding(folder)
    assert isinstance(expected, KeyBinding)
    ours = present(
        presented,
        disclose=verify(folder, presented, UNBOUND).disclosed,
        holder_key=key_of(folder, "holder_key"),
        audience=expected.audience,
        nonce=expected.nonce,
        now=moment(folder),
    )
    assert unverified_jws(str(parse_sd_jwt(ours).binding))[1] == value(folder, "kb_jwt_payload.json")
    assert verify(folder, ours, expected).claims == value(folder, "verified_contents.json")


@bound
def test_without_its_key_binding_the_presentation_is_refused(folder: Path) -> None:
    presented = parse_sd_jwt(text(folder, "sd_jwt_presentation.txt")).presented
    with pytest.raises(HolderMismatch):
        verify(folder, presented, binding(folder))


def test_the_json_form_is_refused() -> None:
    for folder in FOLDERS:
        if folder.name in LEFT_OUT:
            for name in ("sd_jwt_issuance.json", "sd_jwt_presentation.json"):
                with pytest.raises(DidAgentError):
                    parse_sd_jwt(text(folder, name))


def test_every_file_is_used_or_left_out_with_a_reason() -> None:
    """Counts by file name; a file of a new kind fails here until somebody looks at it."""
    used = Counter(path.name for folder in COMPACT for path in folder.iterdir())
    assert {name for name in used if used[name] != len(COMPACT)} <= {
        "kb_jwt_header.json",
        "kb_jwt_payload.json",
        "kb_jwt_serialized.txt",
        "decoy_digests.json",
    }
    assert set(used) == {
        "specification.yml",
        "user_claims.json",
        "sd_jwt_issuance.txt",
        "sd_jwt_presentation.txt",
        "sd_jwt_payload.json",
        "sd_jwt_jws_part.txt",
        "verified_contents.json",
        "kb_jwt_header.json",
        "kb_jwt_payload.json",
        "kb_jwt_serialized.txt",
        "decoy_digests.json",
    }
    left_out = sum(len(list(folder.iterdir())) for folder in FOLDERS if folder.name in LEFT_OUT)
    together = sum(used.values()) + left_out + len(list(SHARED.glob("*/settings.yml"))) + 1  # SOURCE.md
    assert together == sum(path.is_file() for path in SHARED.rglob("*"))
    print(f"{len(COMPACT)} folders, {sum(used.values())} files used: {dict(used)}; left out: {LEFT_OUT}")
    assert len(COMPACT) >= 17
