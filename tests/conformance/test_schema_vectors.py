"""VC JSON Schema 1.0: every case of the published suite whose two files are here, in its three dialects."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.schema import validate

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors"
FOLDER = SHARED / "vc-json-schema"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them"
)

# The suite's cases as (number of the credential, number of the schema): what must come out.
CASES = {
    "jsonschema": {
        (1, 1): "success",
        (1, 2): "failure",  # the URL names another schema
        (2, 1): "failure",  # another type of schema: the suite counts that as failure, we say indeterminate
        (1, 3): "failure",  # no $id
        (1, 4): "failure",  # $id is no URI
        (1, 5): "failure",  # no $schema
        (1, 6): "failure",  # a member is missing
        (1, 7): "indeterminate",  # a dialect that nobody knows
    },
    "jsonschemacredential": {
        (1, 1): "success",
        (1, 2): "failure",  # the URL names another credential
        (2, 1): "failure",  # another type of schema
        (1, 3): "failure",  # credentialSubject has no type
        (1, 4): "failure",  # credentialSubject has another type
        (1, 5): "failure",  # no jsonSchema
        (1, 6): "failure",  # credentialSchema is not the one there is
        (1, 7): "failure",  # no $id
        (1, 8): "failure",  # $id is no URI
        (1, 9): "failure",  # no $schema
        (1, 10): "failure",  # a member is missing
        (1, 11): "indeterminate",  # a dialect that nobody knows
    },
}
DIALECTS = ("2020-12", "2019-09", "Draft-7")
ALL = [(kind, dialect, *numbers) for kind, cases in CASES.items() for dialect in DIALECTS for numbers in cases]


def find(kind: str, dialect: str, name: str) -> Path | None:
    """Return a file; the credentials do not depend on the dialect, so where one is not here its twin will do."""
    dialects = [dialect, *DIALECTS] if name.endswith("-credential.json") else [dialect]
    return next((path for one in dialects if (path := FOLDER / kind / one / name).is_file()), None)


def read(kind: str, dialect: str, name: str) -> dict[str, Any]:
    path = find(kind, dialect, name)
    assert path is not None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


# The set is published in two parts; a case whose schema is in the other part cannot run from this one.
HERE = [case for case in ALL if find(case[0], case[1], f"{case[3]}-schema.json")]


def test_the_cases_that_run_and_those_that_are_left_out_were_counted() -> None:
    assert (len(HERE), len(ALL) - len(HERE)) == (36, 24)


@pytest.mark.parametrize(("kind", "dialect", "credential_number", "schema_number"), HERE)
def test_the_result_is_the_published_one(kind: str, dialect: str, credential_number: int, schema_number: int) -> None:
    credential = read(kind, dialect, f"{credential_number}-credential.json")
    schema = read(kind, dialect, f"{schema_number}-schema.json")
    url = credential["credentialSchema"]["id"]
    # The fixtures carry no proof: the suite begins after a credential of a schema was believed.
    evidence = {"schemas": {url: schema}, "credentials": {}}
    if kind == "jsonschemacredential":
        evidence = {"schemas": {}, "credentials": {url: schema}}
    (outcome,) = validate(credential, **evidence)
    expected = CASES[kind][credential_number, schema_number]
    if credential_number == 2:
        assert credential["credentialSchema"]["type"] not in ("JsonSchema", "JsonSchemaCredential")
        expected = "indeterminate"
    assert outcome.result == expected, outcome.detail


def test_the_files_are_those_that_were_counted() -> None:
    files = [path.relative_to(FOLDER).parts for path in FOLDER.rglob("*.json")]
    counted = {(kind, end): 0 for kind in CASES for end in ("credential", "schema")}
    for kind, _, name in files:
        counted[kind, Path(name).stem.partition("-")[2]] += 1
    assert counted == {
        ("jsonschema", "credential"): 6,
        ("jsonschema", "schema"): 12,
        ("jsonschemacredential", "credential"): 2,
        ("jsonschemacredential", "schema"): 20,
    }


def test_every_schema_file_is_part_of_a_case() -> None:
    for path in FOLDER.rglob("*-schema.json"):
        kind = path.relative_to(FOLDER).parts[0]
        number = int(path.name.partition("-")[0])
        assert number in {schema for _, schema in CASES[kind]}
