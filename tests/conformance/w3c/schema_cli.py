"""The command line that the VC JSON Schema suite calls, over `did_agent.credential.schema`.

    schema_cli.py validate --format JsonSchema|JsonSchemaCredential --schema FILE --credential FILE --output FILE

Answers `{"result": "success" | "failure" | "indeterminate", "data": …}`.  The fixtures carry no proofs: what is tested
is what a schema says of a credential, after both were believed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from did_agent.credential import schema
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError


def validate(kind: str, schema_file: Path, credential_file: Path) -> tuple[str, str]:
    """Return the result and why."""
    credential = parse_object(credential_file.read_bytes())
    named = credential.get("credentialSchema")
    if not isinstance(named, Mapping) or named.get("type") != kind:
        return "failure", f"the credential names no {kind}"
    url, found = str(named.get("id")), schema_file.read_bytes()
    believed = {url: parse_object(found)} if kind == "JsonSchemaCredential" else {}
    outcomes = list(schema.validate(credential, {url: found}, credentials=believed))
    results = {outcome.result for outcome in outcomes}
    detail = "; ".join(str(outcome.detail) for outcome in outcomes)
    for result in ("failure", "indeterminate"):
        if result in results:
            return result, detail
    return ("success", detail) if results == {"success"} else ("failure", "nothing was validated")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("validate",))
    parser.add_argument("--format", choices=("JsonSchema", "JsonSchemaCredential"), required=True)
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--credential", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        result, detail = validate(arguments.format, arguments.schema, arguments.credential)
    except DidAgentError as error:
        result, detail = "failure", f"{error.code}: {error}"
    arguments.output.write_text(json.dumps({"result": result, "data": detail}), encoding="utf-8")


if __name__ == "__main__":
    main()
