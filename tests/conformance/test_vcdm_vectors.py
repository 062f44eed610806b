"""VC Data Model 2.0: every published input that is here, and the examples of the specification, as their names say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.vcdm import require_credential, require_presentation
from did_agent.encoding.jsonld import canonical_nquads
from did_agent.errors import BadEncoding, DataLoss, DidAgentError, Malformed, UnknownContext

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors"
INPUTS, EXAMPLES = SHARED / "vc-data-model-2.0-inputs", SHARED / "vc-data-model-examples"
ISSUER = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
FILES = sorted(str(path.relative_to(INPUTS)) for path in INPUTS.rglob("*.json")) if INPUTS.is_dir() else []

# Nothing is wrong with these but what their contexts make of them.
FAIL_BY_JSON_LD = {
    "credential-redef-type2-fail.json",
    "credential-type-mapped-nonurl-fail.json",
    "credential-type-unmapped-fail.json",
}

pytestmark = pytest.mark.skipif(
    not INPUTS.is_dir(), reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them"
)


def read(name: str) -> dict[str, Any]:
    """Return an input as the suite sends it: it fills in its dates, and `issuer` with the id of the tested service."""
    document: dict[str, Any] = json.loads((INPUTS / name).read_text(encoding="utf-8"))
    if name.rpartition("/")[2].startswith("presentation"):
        return document
    dates = {"PAST DATE": "2020-02-03T04:05:06Z", "FUTURE DATE": "2049-02-03T04:05:06Z"}
    filled = {
        member: dates.get(value, value) if isinstance(value, str) else value for member, value in document.items()
    }
    if "no-issuer" in name:
        return filled
    issuer = filled.get("issuer", ISSUER)
    return {**filled, "issuer": {"id": ISSUER, **issuer} if isinstance(issuer, dict) else issuer}


def judge(name: str) -> Callable[[Mapping[str, object]], None]:
    return require_presentation if name.rpartition("/")[2].startswith("presentation") else require_credential


def test_the_vectors_are_those_that_were_counted() -> None:
    by_end = [Path(name).stem.rpartition("-")[2] for name in FILES]
    assert {end: by_end.count(end) for end in set(by_end)} == {"ok": 42, "fail": 27, "inject": 3}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("-ok.json")])
def test_what_must_be_accepted_conforms_and_can_be_signed(name: str) -> None:
    document = read(name)
    judge(name)(document)
    assert canonical_nquads(document)


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("-ok.json")])
def test_what_must_be_refused_is_refused(name: str) -> None:
    document = read(name)
    if name in FAIL_BY_JSON_LD:
        judge(name)(document)
        with pytest.raises((DataLoss, UnknownContext, BadEncoding)):
            canonical_nquads(document)
    else:
        with pytest.raises(Malformed):
            judge(name)(document)


@pytest.mark.parametrize("number", [4, 11, 18, 21, 23])
def test_the_credentials_of_the_specification_conform(number: int) -> None:
    path = EXAMPLES / "verifiable-credential" / f"example-{number}.json"
    require_credential(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("number", [25, 45])
def test_the_presentations_of_the_specification_conform(number: int) -> None:
    path = EXAMPLES / "verifiable-presentation" / f"example-{number}.json"
    require_presentation(json.loads(path.read_text(encoding="utf-8")))


def spoilt(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return a document once for each member, without it and with a value that no schema of it takes."""
    without = [
        (f"no {name}", {other: value for other, value in document.items() if other != name}) for name in document
    ]
    return [
        *without,
        *((f"{name} is {wrong}", {**document, name: wrong}) for name in document for wrong in (7, None, [])),
    ]


@pytest.mark.parametrize("number", [4, 11, 18, 21, 23])
def test_what_the_schema_of_the_specification_refuses_is_refused_here(number: int) -> None:
    import jsonschema

    folder = EXAMPLES / "verifiable-credential"
    schema = json.loads((folder / "verifiable-credential-schema.json").read_text(encoding="utf-8"))
    document = json.loads((folder / f"example-{number}.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(document)
    refused = 0
    for what, changed in spoilt(document):
        if not validator.is_valid(changed):
            refused += 1
            with pytest.raises(DidAgentError):
                require_credential(changed)
                pytest.fail(what)
    assert refused > len(document)
